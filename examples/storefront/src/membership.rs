//! Taking part in a fleet: replicas of the shop that share what people have decided, and what automation has.
//!
//! One call at the start is all of it. No layer of the shop knows whether there is a fleet.

use std::{env, fmt, process, time::Duration};

use brownout::{
    Registry,
    flag::FlagBuilder,
    registry::{
        InvalidName,
        fleet::{FleetGuard, FleetSettings, JoinError, ReplicaId},
    },
};
use brownout_redis::{RedisStore, RedisStoreError};
use clap::Args;

/// Where the fleet of this replica agrees, if it is in one.
// No `Debug`: the URL may hold a password.
#[derive(Args)]
pub(crate) struct FleetArgs {
    /// The Redis (7 or newer) through which the replicas of a fleet agree; it may be away when the shop opens
    #[arg(long, value_name = "redis://HOST:PORT")]
    redis: Option<String>,

    /// Which part of that Redis is this fleet's
    #[arg(
        long,
        value_name = "NAME",
        default_value = "storefront",
        requires = "redis"
    )]
    namespace: String,

    /// The name of this replica, which no other of its fleet has [default: $HOSTNAME and the process's number]
    #[arg(long, value_name = "NAME", requires = "redis")]
    replica: Option<String>,
}

/// A replica that may join its fleet.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    store: RedisStore,
    settings: FleetSettings,
}

/// An option of which nothing can be made.
#[derive(Debug)]
pub(crate) enum WrongOption {
    Redis(RedisStoreError),
    Namespace(RedisStoreError),
    Replica(InvalidName),
}

/// How a fleet keeps in touch whose tour should not take long. A replica waits up to twelve seconds before it tries a
/// store again that was lost over and over, which is less than one and a half times the time between repairs here, as it
/// is by default.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace;

impl Pace {
    /// How long anything asked of the store may take.
    pub(crate) const TIMEOUT: Duration = Duration::from_secs(1);
    pub(crate) const PING: Duration = Duration::from_secs(1);
    pub(crate) const REPAIR: Duration = Duration::from_secs(8);
    pub(crate) const FLUSH: Duration = Duration::from_millis(200);
    pub(crate) const REPORT: Duration = Duration::from_millis(500);
    /// So many errors degrade a flag,
    pub(crate) const ERRORS: u32 = 5;
    /// within this time,
    pub(crate) const WINDOW: Duration = Duration::from_secs(10);
    /// for so long.
    pub(crate) const DEGRADED_FOR: Duration = Duration::from_secs(3);
    /// How long the level lingers.
    pub(crate) const DWELL: Duration = Duration::from_millis(500);

    /// A flag that is soon back.
    pub(crate) fn flag(flag: FlagBuilder) -> FlagBuilder {
        flag.errors(Self::ERRORS)
            .window(Self::WINDOW)
            .min_ratio(0.001)
            .ttl(Self::DEGRADED_FOR)
            .ttl_at_most(Self::DEGRADED_FOR)
            .jitter(0.0)
            .no_ramp()
    }
}

impl FleetArgs {
    /// What was asked for; none for a shop that is alone. `short` is for a tour.
    pub(crate) fn membership(&self, short: bool) -> Result<Option<Membership>, WrongOption> {
        let Some(url) = &self.redis else {
            return Ok(None);
        };
        let name = self.replica.clone().unwrap_or_else(usual_name);
        let replica = ReplicaId::new(name).map_err(WrongOption::Replica)?;
        let mut store = RedisStore::builder(url).namespace(&self.namespace);
        let mut settings = FleetSettings::new(replica);
        if short {
            // Sooner than the fleet gives up, so that the error says what was not answered.
            store = store.timeout(Pace::TIMEOUT * 3 / 4).silence(Pace::PING);
            settings = settings
                .timeout(Pace::TIMEOUT)
                .ping(Pace::PING)
                .repair(Pace::REPAIR)
                .flush(Pace::FLUSH)
                .report(Pace::REPORT);
        }
        let store = store.build().map_err(|error| match error {
            RedisStoreError::InvalidNamespace { .. } => WrongOption::Namespace(error),
            _ => WrongOption::Redis(error),
        })?;
        Ok(Some(Membership { store, settings }))
    }
}

impl Membership {
    /// The one call. It succeeds whether or not the store is there; the fleet is left when the guard is dropped.
    pub(crate) fn join(&self, registry: &Registry) -> Result<FleetGuard, JoinError> {
        registry.join_fleet(self.store.clone(), self.settings.clone())
    }
}

/// Unlike any other's on this host, and in a container, where all processes have the same number, unlike other hosts'.
fn usual_name() -> String {
    let host = env::var("HOSTNAME").unwrap_or_else(|_| env!("CARGO_PKG_NAME").to_owned());
    format!("{host}-{}", process::id())
}

impl fmt::Display for WrongOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redis(error) => write!(f, "--redis: {error}"),
            Self::Namespace(error) => write!(f, "--namespace: {error}"),
            Self::Replica(error) => write!(f, "--replica: {error}"),
        }
    }
}

impl std::error::Error for WrongOption {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Redis(error) | Self::Namespace(error) => Some(error),
            Self::Replica(error) => Some(error),
        }
    }
}
