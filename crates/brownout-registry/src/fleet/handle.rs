//! Taking part in a fleet: the guard, and the handle to decide for all.

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::contact::Contact;
use super::error::FleetError;
use super::link::Link;
use super::op::StoreOp;
use super::orders::{self, Command, What};
use super::race::{First, first};
use super::settings::{FleetSettings, JoinError};
use super::store::FleetStore;
use super::tasks;
use super::view::FleetView;
use crate::dependency::{is_name, name_rule};
use crate::error::OverrideError;
use crate::overrides::{FleetOverrideId, Order, OverrideValue, Target};
use crate::registry::Registry;
use crate::report::ReporterKind;
use crate::shared::Shared;
use crate::vocab::Criticality;
use crate::watch::sleeping;

/// Keeps a registry in its fleet; made by [`Registry::join_fleet`](crate::Registry::join_fleet).
///
/// When it is dropped the tasks end, and everything that came from the fleet is taken back: overrides, trips, opinions,
/// and the dependency's report. Until then the registry lives.
#[must_use = "dropping the guard leaves the fleet"]
pub struct FleetGuard {
    link: Arc<Link>,
    tasks: AbortHandle,
}

/// A cheap handle on the fleet that a registry has joined: to look at it, and to decide for all of its replicas.
///
/// What is decided is written to the store at once and is in force everywhere a moment later; here it is when the call
/// returns. Calls end within twice the settings' [timeout](FleetSettings::timeout), with an error where the store is
/// away: whoever has to act then sets overrides of single replicas. Dropping a call does not take the decision back.
///
/// ```
/// use std::time::Duration;
/// use brownout_registry::{FeatureState, Order, OverrideValue, Registry, Target};
/// use brownout_registry::fleet::{FleetSettings, MemoryStore, ReplicaId};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new();
/// let (here, there) = (Registry::new(), Registry::new());
/// let _here = here.join_fleet(store.clone(), FleetSettings::new(ReplicaId::new("here")?))?;
/// let _there = there.join_fleet(store, FleetSettings::new(ReplicaId::new("there")?))?;
/// # tokio::time::sleep(Duration::from_millis(10)).await;
///
/// let search = Target::Flag("search".into());
/// let order = Order::new("ops@example.com", "the index is being rebuilt", Duration::from_secs(900));
/// let fleet = here.fleet().expect("it has joined one");
/// let id = fleet.set(search.clone(), OverrideValue::Flag(FeatureState::Disabled), order).await?;
/// # tokio::time::sleep(Duration::from_millis(10)).await;
/// assert_eq!(there.flag_override("search")?.get().unwrap().value, FeatureState::Disabled);
///
/// there.fleet().expect("it has joined one").release(search, id).await?;
/// assert!(there.flag_override("search")?.get().is_none());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Fleet {
    link: Arc<Link>,
}

/// The dependency as which the store itself appears in the registry.
const DEPENDENCY: &str = "fleet-store";

impl FleetGuard {
    pub(crate) fn join<S: FleetStore>(
        registry: &Registry,
        store: S,
        settings: FleetSettings,
    ) -> Result<Self, JoinError> {
        let settings = settings.validated()?;
        let runtime = Handle::try_current().map_err(|_| JoinError::NoRuntime)?;
        // Made only to find out whether it can be.
        drop(sleeping(Instant::now()).ok_or(JoinError::NoRuntime)?);
        let dependency = registry
            .dependency(DEPENDENCY)
            .criticality(Criticality::Optional)
            .register()
            .map_err(JoinError::Dependency)?;
        let reporter = dependency.reporter(ReporterKind::Code, "fleet");
        let contact = Contact::new(&settings, reporter);
        let (sender, commands) = mpsc::channel(orders::WAITING);
        let shared = &registry.shared;
        let link = Arc::new(Link::new(shared, settings, contact, sender));
        {
            let mut joined = shared.fleet.lock().unwrap_or_else(PoisonError::into_inner);
            if joined.upgrade().is_some_and(|link| !link.desk.is_left()) {
                return Err(JoinError::AlreadyJoined);
            }
            *joined = Arc::downgrade(&link);
        }
        shared.meters.attach(&link);
        let run = tasks::run(Arc::clone(&link), Arc::new(store), commands);
        let tasks = runtime.spawn(run).abort_handle();
        Ok(Self { link, tasks })
    }

    /// The fleet, to look at it and to decide for all.
    pub fn fleet(&self) -> Fleet {
        Fleet {
            link: Arc::clone(&self.link),
        }
    }
}

impl Drop for FleetGuard {
    fn drop(&mut self) {
        // First, so that the end of the tasks is nothing to complain of.
        self.link.leave();
        self.tasks.abort();
    }
}

impl Fleet {
    pub(crate) fn of(registry: &Shared) -> Option<Self> {
        let joined = registry
            .fleet
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let link = joined.upgrade().filter(|link| !link.desk.is_left())?;
        Some(Self { link })
    }

    /// Imposes a value on a target, on all replicas, until the order expires or is released.
    ///
    /// An override that a replica has of its own counts before the fleet's. A dependency that is not registered here is no
    /// error, since it may be elsewhere, or later: until then the override counts for nothing here and is not among
    /// [`overrides`](Registry::overrides), so keep its id.
    ///
    /// Fails if the order or the target's name is not valid, the target takes values of another kind or already carries 8
    /// overrides of the fleet, somebody else decides about the target at the same time, or the store is away.
    pub async fn set(
        &self,
        target: Target,
        value: OverrideValue,
        order: Order,
    ) -> Result<FleetOverrideId, FleetError> {
        let order = order.validated().map_err(FleetError::Invalid)?;
        if !target.name().is_none_or(is_name) {
            let allowed = name_rule();
            return Err(FleetError::Invalid(OverrideError::InvalidTarget {
                allowed,
            }));
        }
        if !value.fits(&target) {
            return Err(FleetError::Invalid(OverrideError::WrongValue {
                target,
                value,
            }));
        }
        self.ask(target, What::Set(value, order)).await
    }

    /// Ends an override of the fleet before its time, on all replicas; the next older one of its target counts again.
    ///
    /// An override's [scope](crate::OverrideInfo::scope) says its id. Fails if there is no such override, somebody else
    /// decides about the target at the same time, or the store is away.
    pub async fn release(&self, target: Target, id: FleetOverrideId) -> Result<(), FleetError> {
        self.ask(target, What::Release(id)).await?;
        Ok(())
    }

    /// What this replica knows of the fleet.
    pub fn view(&self) -> FleetView {
        let link = &self.link;
        let (live, replicas) = {
            let seen = link.seen();
            (seen.live, seen.present(Instant::now()))
        };
        FleetView {
            replica: link.settings.replica.clone(),
            in_touch: link.contact.is_in_touch(),
            trouble: link.contact.trouble(),
            sync_age: link.contact.age(),
            version: link.desk.look(super::mirror::Mirror::version),
            live,
            replicas,
        }
    }

    /// Whether this replica is in touch with the store, and so holds what the fleet has decided.
    pub fn is_in_touch(&self) -> bool {
        self.link.contact.is_in_touch()
    }

    /// Waits until this replica is in touch with the store. For start-up, where that is worth a wait: bound it, as the
    /// store may be away. Cancel safe; ends at no time once the fleet is left.
    pub async fn in_touch(&self) {
        self.link.contact.in_touch().await;
    }

    /// How long ago this replica last knew that it holds what the store does; since it joined, where it never has.
    pub fn sync_age(&self) -> Duration {
        self.link.contact.age()
    }

    async fn ask(&self, target: Target, what: What) -> Result<FleetOverrideId, FleetError> {
        if self.link.desk.is_left() {
            return Err(FleetError::Left);
        }
        if !self.link.contact.was_synchronised() {
            return Err(FleetError::NotSynchronised);
        }
        let (answer, answered) = oneshot::channel();
        // Many may wait before this one, or the task be away for a while because the store's code has panicked.
        let until = Instant::now() + self.link.settings.timeout.saturating_mul(2);
        let command = Command {
            target,
            what,
            answer,
            until,
        };
        self.link
            .commands
            .try_send(command)
            .map_err(|error| match error {
                TrySendError::Full(_) => FleetError::Busy,
                TrySendError::Closed(_) => FleetError::Left,
            })?;
        let answered = match sleeping(until) {
            Some(late) => match first(answered, late).await {
                First::One(answered) => answered,
                First::Other(()) => {
                    let error = self.link.too_late(StoreOp::Write);
                    return Err(FleetError::Store(error));
                }
            },
            // A runtime without timers is not the one that the fleet's tasks run on.
            None => answered.await,
        };
        // Nobody answers whose task has ended: for good, or because the store's code has panicked.
        answered.unwrap_or_else(|_| {
            Err(if self.link.commands.is_closed() {
                FleetError::Left
            } else {
                FleetError::Store(tasks::panicked())
            })
        })
    }
}

impl fmt::Debug for FleetGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetGuard")
            .field("fleet", &self.fleet())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet")
            .field("replica", &self.link.settings.replica)
            .field("in_touch", &self.is_in_touch())
            .finish_non_exhaustive()
    }
}
