//! What a chain tells the registry and the log: that a tier has begun to serve, and that it no longer has to.

use std::{
    cell::Cell,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use brownout_registry::{DegradationLevel, Dependency, EventKind};
use tokio::time::Instant;

use super::descent::ServedBy;

/// How long a tier must not have served before it counts as no longer serving. A primary that fails now and then
/// would otherwise begin and end a spell with each failure: so a tier says at most two things in that time.
pub(super) const QUIET: Duration = Duration::from_secs(10);

/// Handles on what a chain knows of itself, one of which each call takes: threads that took the same one would contend
/// for its reference count.
#[derive(Clone)]
pub(super) struct Watches(Arc<[Watch]>);

/// A call's handle on what its chain knows of itself.
#[derive(Clone)]
pub(super) struct Watch(Arc<Shard>);

struct Shard {
    extras: Extras,
    /// `None` where the chain covers no dependency.
    chain: Option<Arc<Chain>>,
}

/// What only some chains have, besides a dependency to cover. It lives here so that a call carries one handle, or none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extras {
    pub(super) within: Option<Duration>,
    /// Whether failures are to be timed though there is no deadline.
    pub(super) timed: bool,
}

struct Chain {
    dependency: Dependency,
    public_name: OnceLock<Arc<str>>,
    spells: Box<[Spell]>,
    /// How many tiers are serving: all that a successful call reads.
    serving: AtomicUsize,
    epoch: Instant,
}

/// A time in which a tier serves.
struct Spell {
    tier: &'static str,
    active: AtomicBool,
    calls: AtomicU64,
    /// In milliseconds since the chain's epoch.
    last: AtomicU64,
}

const SHARDS: usize = 8;

impl Watches {
    pub(super) fn new(
        extras: Extras,
        dependency: Option<&Dependency>,
        tiers: &[&'static str],
    ) -> Self {
        let spell = |tier: &&'static str| Spell {
            tier,
            active: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            last: AtomicU64::new(0),
        };
        let chain = dependency.map(|dependency| {
            Arc::new(Chain {
                dependency: dependency.clone(),
                public_name: OnceLock::new(),
                spells: tiers.iter().map(spell).collect(),
                serving: AtomicUsize::new(0),
                epoch: Instant::now(),
            })
        });
        let shard = |_| {
            let chain = chain.clone();
            Watch(Arc::new(Shard { extras, chain }))
        };
        Self((0..SHARDS).map(shard).collect())
    }

    /// The calling thread's handle.
    pub(super) fn watch(&self) -> Option<Watch> {
        self.0.get(thread() % SHARDS).cloned()
    }
}

impl Watch {
    pub(super) fn extras(&self) -> Extras {
        self.0.extras
    }

    /// The dependency that the chain covers.
    pub(super) fn dependency(&self) -> Option<&Dependency> {
        Some(&self.chain()?.dependency)
    }

    pub(super) fn level(&self) -> Option<DegradationLevel> {
        Some(self.dependency()?.registry().level())
    }

    pub(super) fn public_name(&self) -> Option<Arc<str>> {
        let chain = self.chain()?;
        if let Some(name) = chain.public_name.get() {
            return Some(Arc::clone(name));
        }
        let name = chain.dependency.public_name()?;
        Some(Arc::clone(chain.public_name.get_or_init(|| name.into())))
    }

    /// The primary has answered.
    #[inline]
    pub(super) fn primary_answered(&self) {
        if let Some(chain) = self.chain()
            && chain.serving.load(Ordering::Relaxed) > 0
        {
            chain.end_quiet(None);
        }
    }

    /// A tier has answered.
    pub(super) fn served(&self, by: &ServedBy) {
        let Some(chain) = self.chain() else {
            return;
        };
        let Some(spell) = chain.spells.get(by.index) else {
            return;
        };
        spell.last.store(chain.now(), Ordering::Relaxed);
        spell.calls.fetch_add(1, Ordering::Relaxed);
        if !spell.active.swap(true, Ordering::AcqRel) {
            chain.serving.fetch_add(1, Ordering::Relaxed);
            chain.say_served(by);
        }
        if chain.serving.load(Ordering::Relaxed) > 1 {
            chain.end_quiet(Some(by.index));
        }
    }

    #[inline]
    fn chain(&self) -> Option<&Chain> {
        self.0.chain.as_deref()
    }
}

impl Chain {
    fn now(&self) -> u64 {
        let elapsed = Instant::now().saturating_duration_since(self.epoch);
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }

    #[cold]
    fn end_quiet(&self, but: Option<usize>) {
        let now = self.now();
        for (index, spell) in self.spells.iter().enumerate() {
            let quiet =
                Duration::from_millis(now.saturating_sub(spell.last.load(Ordering::Relaxed)));
            if Some(index) != but
                && quiet >= QUIET
                && spell.active.load(Ordering::Relaxed)
                && spell.active.swap(false, Ordering::AcqRel)
            {
                self.serving.fetch_sub(1, Ordering::Relaxed);
                self.say_ended(spell.tier, spell.calls.swap(0, Ordering::Relaxed));
            }
        }
    }

    #[cold]
    fn say_served(&self, by: &ServedBy) {
        let (tier, reason) = (by.tier, by.reason.as_str());
        tracing::warn!(
            dependency = self.dependency.name(),
            tier,
            reason,
            "fallback serves"
        );
        self.dependency
            .registry()
            .record(EventKind::FallbackServed {
                dependency: self.dependency.shared_name(),
                tier: tier.into(),
                reason: reason.into(),
            });
    }

    fn say_ended(&self, tier: &'static str, calls: u64) {
        tracing::info!(
            dependency = self.dependency.name(),
            tier,
            calls,
            "fallback no longer serves"
        );
        self.dependency.registry().record(EventKind::FallbackEnded {
            dependency: self.dependency.shared_name(),
            tier: tier.into(),
            calls,
        });
    }
}

thread_local! {
    static THREAD: Cell<usize> = const { Cell::new(usize::MAX) };
}

static THREADS: AtomicUsize = AtomicUsize::new(0);

/// A number for the calling thread. One that is going down has lost its number; any handle will do for it.
#[inline]
fn thread() -> usize {
    THREAD
        .try_with(|number| match number.get() {
            usize::MAX => {
                let new = THREADS.fetch_add(1, Ordering::Relaxed);
                number.set(new);
                new
            }
            known => known,
        })
        .unwrap_or(0)
}

impl fmt::Debug for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.first().fmt(f)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch")
            .field(&self.dependency().map(Dependency::name))
            .finish()
    }
}
