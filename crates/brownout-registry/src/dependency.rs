//! Registering a dependency, and the handle on it.

use std::fmt;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::cell::OverrideCell;
use crate::clock::{NEVER, VALUE_MASK, pack, packed_deadline};
use crate::error::{OverrideError, ProbeError, RegisterError};
use crate::overrides::{Order, OverrideId, OverrideValue};
use crate::probe::Probe;
use crate::registry::Registry;
use crate::report::{Reporter, ReporterKind};
use crate::shared::Shared;
use crate::state::Place;
use crate::text::{MAX_NAME, bounded, cut, is_text};
use crate::vocab::{CircuitMode, Criticality, DegradationLevel, Status};

/// Describes a dependency to register or find; made by [`Registry::dependency`].
#[derive(Debug, Clone)]
#[must_use = "nothing is registered until `register` is called"]
pub struct DependencyBuilder<'a> {
    registry: &'a Registry,
    spec: Spec,
}

/// What a registration says; what it leaves out contradicts nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spec {
    pub(crate) name: String,
    pub(crate) criticality: Option<Criticality>,
    pub(crate) public_name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) affects: Vec<String>,
    pub(crate) covered_by: Option<String>,
}

/// A cheap handle on one dependency of a registry. Clones are the same dependency.
///
/// ```
/// use brownout_registry::{Registry, Report, ReporterKind, Status};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = Registry::new();
/// let payments = registry.dependency("payments").register()?;
/// let reporter = payments.reporter(ReporterKind::Code, "ledger");
/// reporter.report(Report::degraded("answers slowly"));
/// assert_eq!(payments.status(), Status::Degraded);
/// drop(reporter);
/// assert_eq!(payments.status(), Status::Healthy);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Dependency {
    core: Arc<DependencyCore>,
    registry: Arc<Shared>,
}

/// What can be read of a dependency without the registry's lock. Written under it.
#[derive(Debug)]
pub(crate) struct DependencyCore {
    /// The deadline, then two bits of status without traffic, then two of status.
    word: AtomicU64,
    index: u32,
    pub(crate) name: Arc<str>,
    pub(crate) criticality: OnceLock<Criticality>,
    pub(crate) public_name: OnceLock<Arc<str>>,
    pub(crate) description: OnceLock<Arc<str>>,
    pub(crate) affects: OnceLock<Arc<[Arc<str>]>>,
    pub(crate) covered_by: OnceLock<Arc<str>>,
}

impl<'a> DependencyBuilder<'a> {
    pub(crate) fn new(registry: &'a Registry, name: String) -> Self {
        Self {
            registry,
            spec: Spec {
                name,
                ..Spec::default()
            },
        }
    }

    /// How much the system needs it; [`Criticality::Important`] unless said somewhere.
    pub fn criticality(mut self, criticality: Criticality) -> Self {
        self.spec.criticality = Some(criticality);
        self
    }

    /// What it is, for operators; up to 256 bytes without control characters.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.spec.description = Some(description.into());
        self
    }

    /// What strangers may call it, under the rules of names; without one it is left out of public output.
    pub fn public_name(mut self, public_name: impl Into<String>) -> Self {
        self.spec.public_name = Some(public_name.into());
        self
    }

    /// The features and endpoints it affects: up to 64, each 1 to 128 bytes without control characters.
    pub fn affects<I>(mut self, affects: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        // One more than allowed is enough to be refused; an endless iterator must not be followed to its end.
        let room = (MAX_AFFECTS + 1).saturating_sub(self.spec.affects.len());
        self.spec
            .affects
            .extend(affects.into_iter().take(room).map(Into::into));
        self
    }

    /// The fallback that covers it; 1 to 128 bytes without control characters.
    pub fn covered_by(mut self, fallback: impl Into<String>) -> Self {
        self.spec.covered_by = Some(fallback.into());
        self
    }

    /// Registers the dependency, or finds the one that has this name already.
    ///
    /// What an earlier registration left empty is filled in; what it said stays. Fails if a text is not valid, or if
    /// the dependency is already registered with another explicit criticality; then nothing has changed.
    pub fn register(self) -> Result<Dependency, RegisterError> {
        self.spec.validate()?;
        let registry = Arc::clone(&self.registry.shared);
        let core = registry.change(|state, now| state.register(self.spec, now))?;
        Ok(Dependency { core, registry })
    }
}

impl Dependency {
    pub(crate) fn new(core: Arc<DependencyCore>, registry: Arc<Shared>) -> Self {
        Self { core, registry }
    }

    /// Its name, for operators.
    pub fn name(&self) -> &str {
        &self.core.name
    }

    /// Its name, to keep without copying it.
    pub fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.core.name)
    }

    /// What strangers may call it; without one it is left out of public output.
    pub fn public_name(&self) -> Option<&str> {
        self.core.public_name.get().map(AsRef::as_ref)
    }

    /// How much the system needs it.
    pub fn criticality(&self) -> Criticality {
        self.core.criticality()
    }

    /// The registry it belongs to.
    pub fn registry(&self) -> Registry {
        Registry {
            shared: Arc::clone(&self.registry),
        }
    }

    /// Whether it belongs to this registry, of which clones are the same.
    pub fn belongs_to(&self, registry: &Registry) -> bool {
        Arc::ptr_eq(&self.registry, &registry.shared)
    }

    /// Its status: the override in force, else the worst fresh report.
    ///
    /// With no report it is `Unknown` where a probe is attached and nothing but a circuit has ever reported (or the
    /// driver has ended since), else `Healthy`: a report that has come and expired counts as an observation, even
    /// before the probe's first answer. One atomic load unless something about it will expire; then the clock is read
    /// as well. An expired report is never served.
    #[inline]
    pub fn status(&self) -> Status {
        Status::from_code(self.word())
    }

    /// Its status as override, probes and code see it, without reports of the kinds [`Circuit`](ReporterKind::Circuit)
    /// and [`Traffic`](ReporterKind::Traffic); as cheap as [`status`](Self::status).
    ///
    /// This is what anything that *switches traffic to this very dependency* must act on. A gate that acted on the
    /// circuit, or on calls observed in passing, would remove the traffic that alone could show recovery.
    #[inline]
    pub fn status_without_traffic(&self) -> Status {
        Status::from_code(self.word() >> 2)
    }

    /// The degradation level that would follow at this moment, without any dwell, if this dependency's circuits and
    /// observed calls said nothing. An override of the level counts as ever.
    ///
    /// This is what a gate on the level that *switches traffic to this very dependency* must act on while the two
    /// statuses above differ, for the same reason. It takes the registry's lock, and asks the level policy where it has
    /// not been asked for such counts before: not for every call while all is well.
    pub fn level_without_traffic(&self) -> DegradationLevel {
        self.registry.level_without_traffic(self.core.index)
    }

    /// A slot of its own for a reporter. The name is for display, bounded to 128 bytes and cleaned as a
    /// [message](crate::Report::message) is.
    pub fn reporter(&self, kind: ReporterKind, name: &str) -> Reporter {
        let index = self.core.index;
        // Made before the lock is taken, and of no more than is kept.
        let name = bounded(cut(name, MAX_NAME), MAX_NAME);
        let (id, times) = self
            .registry
            .change(|state, now| state.add_slot(index, kind, name, now));
        Reporter::new(self.clone(), id, times)
    }

    /// Attaches a probe, which runs while a [`Driver`](crate::Driver) does.
    ///
    /// The probe stays for as long as the registry. Its closure must not own a handle of this registry (a
    /// `Dependency`, a `Registry`), or neither is ever dropped. Fails if a setting of the probe is out of range or the
    /// dependency already has eight probes.
    pub fn probe<F, Fut, E>(&self, probe: Probe<F>) -> Result<(), ProbeError>
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display + 'static,
    {
        let runner = Arc::new(probe.erase(self.name())?);
        self.registry
            .change(|state, now| state.add_probe(self.core.index, &runner, now))
    }

    /// Imposes a status, whatever the reports say, until the order expires or is released.
    pub fn override_status(
        &self,
        status: Status,
        order: Order,
    ) -> Result<OverrideId, OverrideError> {
        self.registry.override_place(
            Place::Status(self.core.index),
            OverrideValue::Status(status),
            order,
        )
    }

    /// Imposes a mode on all circuits of this dependency, until the order expires or is released.
    ///
    /// While circuits are forced open they count as `Unhealthy`; while they are forced closed or only observe they
    /// count as `Degraded` at most. Where the dependency has no circuit, its status does not change.
    pub fn override_circuit(
        &self,
        mode: CircuitMode,
        order: Order,
    ) -> Result<OverrideId, OverrideError> {
        self.registry.override_place(
            Place::Circuit(self.core.index),
            OverrideValue::Circuit(mode),
            order,
        )
    }

    /// What a circuit reads on each call to know the mode imposed on it.
    pub fn circuit_override(&self) -> OverrideCell<CircuitMode> {
        self.registry.override_cell(Place::Circuit(self.core.index))
    }

    pub(crate) fn core(&self) -> &DependencyCore {
        &self.core
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.registry
    }

    #[inline]
    fn word(&self) -> u64 {
        let word = self.core.word.load(Ordering::Acquire);
        if word <= VALUE_MASK {
            word
        } else {
            self.pending_word(word)
        }
    }

    #[cold]
    fn pending_word(&self, word: u64) -> u64 {
        if self.registry.clock.now() < packed_deadline(word) {
            return word;
        }
        self.registry.settle();
        self.core.word.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dependency")
            .field("name", &self.name())
            .field("criticality", &self.criticality())
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

impl DependencyCore {
    pub(crate) fn new(index: u32, name: Arc<str>) -> Self {
        Self {
            word: AtomicU64::new(Status::Healthy.code()),
            index,
            name,
            criticality: OnceLock::new(),
            public_name: OnceLock::new(),
            description: OnceLock::new(),
            affects: OnceLock::new(),
            covered_by: OnceLock::new(),
        }
    }

    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    pub(crate) fn criticality(&self) -> Criticality {
        self.criticality.get().copied().unwrap_or_default()
    }

    pub(crate) fn publish(&self, status: Status, without_traffic: Status, due: Option<u64>) {
        let value = without_traffic.code() << 2 | status.code();
        self.word
            .store(pack(due.unwrap_or(NEVER), value), Ordering::Release);
    }
}

const MAX_AFFECTS: usize = 64;
const NAME_RULE: &str = "1 to 128 visible ASCII characters other than ':'";
const TEXT_RULE: &str = "1 to 256 bytes, not all invisible, without control characters";
const LABEL_RULE: &str = "1 to 128 bytes, not all invisible, without control characters";
const AFFECTS_RULE: &str =
    "at most 64 entries, each 1 to 128 bytes, not all invisible, without control characters";

impl Spec {
    fn validate(&self) -> Result<(), RegisterError> {
        let label = |text: &str| is_text(text, 128);
        check(&self.name, "name", NAME_RULE, is_name(&self.name))?;
        check(
            &self.name,
            "public_name",
            NAME_RULE,
            self.public_name.as_deref().is_none_or(is_name),
        )?;
        let description = self
            .description
            .as_deref()
            .is_none_or(|text| is_text(text, 256));
        check(&self.name, "description", TEXT_RULE, description)?;
        let affects =
            self.affects.len() <= MAX_AFFECTS && self.affects.iter().all(|text| label(text));
        check(&self.name, "affects", AFFECTS_RULE, affects)?;
        check(
            &self.name,
            "covered_by",
            LABEL_RULE,
            self.covered_by.as_deref().is_none_or(label),
        )
    }
}

fn check(
    dependency: &str,
    field: &'static str,
    allowed: &'static str,
    holds: bool,
) -> Result<(), RegisterError> {
    if holds {
        return Ok(());
    }
    Err(RegisterError::Invalid {
        dependency: cut(dependency, 64).to_owned(),
        field,
        allowed,
    })
}

/// Whether the text can name a dependency or a flag.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b':')
}

/// What a name allows, for errors.
pub(crate) const fn name_rule() -> &'static str {
    NAME_RULE
}
