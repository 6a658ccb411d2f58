//! How a replica takes part in its fleet.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::values::ReplicaId;
use crate::clock::DAY;
use crate::error::RegisterError;

/// Who a replica is in its fleet, and how it keeps in touch.
///
/// | setting | default | why |
/// |---|---|---|
/// | [`timeout`](Self::timeout) | 2 s | what takes longer is not there; no call waits for it in any case |
/// | [`ping`](Self::ping) | 5 s ± 20 % | a subscription that has gone deaf is found out within seconds |
/// | [`repair`](Self::repair) | 30 s ± 50 % | bounds how long anything can be wrong that nobody has noticed; 10,000 replicas make 333 pictures a second |
/// | [`flush`](Self::flush) | 1 s ± 20 % | a flag trips within about a second of the failure that is too much |
/// | [`report`](Self::report) | 10 s ± 20 % | replicas live on for three times that |
/// | [`quorum`](Self::quorum) | 2 | one replica that is ill, or cut off, is no reason to degrade the others |
/// | [`opinions`](Self::opinions) | off | whether what others see matters here, only the user knows |
///
/// ```
/// use std::time::Duration;
/// use brownout_registry::fleet::{FleetSettings, ReplicaId};
///
/// let settings = FleetSettings::new(ReplicaId::new("shop-7d4f")?)
///     .timeout(Duration::from_millis(500))
///     .quorum(3);
/// # Ok::<(), brownout_registry::InvalidName>(())
/// ```
#[derive(Debug, Clone)]
pub struct FleetSettings {
    pub(super) replica: ReplicaId,
    pub(super) timeout: Duration,
    pub(super) ping: Duration,
    pub(super) repair: Duration,
    pub(super) flush: Duration,
    pub(super) report: Duration,
    pub(super) quorum: u32,
    pub(super) opinions: bool,
}

/// A fleet that cannot be joined.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum JoinError {
    /// A setting is outside its range.
    Invalid {
        /// The field: `timeout`, `ping`, `repair`, `flush`, `report` or `quorum`.
        field: &'static str,
        /// What the field allows.
        allowed: &'static str,
    },
    /// The registry has joined a fleet already, and not left it.
    AlreadyJoined,
    /// The dependency `fleet-store`, under which the store's own state is reported, cannot be registered.
    Dependency(RegisterError),
    /// There is no tokio runtime with time enabled here.
    NoRuntime,
}

/// The longest and the shortest time of anything.
const TIMES: std::ops::RangeInclusive<Duration> = Duration::from_millis(10)..=DAY;

/// Whoever waits to try a store again has done so by then.
const RECONNECTED: Duration = Duration::from_secs(25);

impl FleetSettings {
    /// The defaults, for the replica of this name. No other of the fleet may have it.
    pub const fn new(replica: ReplicaId) -> Self {
        Self {
            replica,
            timeout: Duration::from_secs(2),
            ping: Duration::from_secs(5),
            repair: Duration::from_secs(30),
            flush: Duration::from_secs(1),
            report: Duration::from_secs(10),
            quorum: 2,
            opinions: false,
        }
    }

    /// How long one operation on the store may take, 10 ms to a day. Default 2 s.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How often the replica makes sure that messages reach it, 10 ms to a day. Default 5 s.
    pub const fn ping(mut self, interval: Duration) -> Self {
        self.ping = interval;
        self
    }

    /// How often it compares all it holds with the store, 10 ms to a day. Default 30 s.
    pub const fn repair(mut self, interval: Duration) -> Self {
        self.repair = interval;
        self
    }

    /// How often it tells the store what flags have counted, 10 ms to a day. Default 1 s.
    pub const fn flush(mut self, interval: Duration) -> Self {
        self.flush = interval;
        self
    }

    /// How often it tells the store how it is, and asks how the others are, 10 ms to a day. Default 10 s.
    pub const fn report(mut self, interval: Duration) -> Self {
        self.report = interval;
        self
    }

    /// How many replicas must have had failures before the fleet degrades a flag, at least one; or all that live, where
    /// those are fewer. Default 2.
    ///
    /// Who lives is known once all have had the time to say so: 25 s and three [`report`](Self::report)s after this
    /// replica has reached the store, the store has begun anew, or another has fallen silent. Until then it takes as many
    /// as this says.
    pub const fn quorum(mut self, replicas: u32) -> Self {
        self.quorum = replicas;
        self
    }

    /// Whether a dependency counts as `Degraded` here, at least, while more than half of the other replicas, and at
    /// least as many as the [`quorum`](Self::quorum), say that it is `Unhealthy`. Off by default.
    pub const fn opinions(mut self, heeded: bool) -> Self {
        self.opinions = heeded;
        self
    }

    /// How long a summary counts: two of them may be lost.
    pub(super) fn outlasts(&self) -> Duration {
        self.report.saturating_mul(3)
    }

    /// How long it takes at most until all who live have said so, after all of them have lost the store or its data.
    pub(super) fn all_are_heard(&self) -> Duration {
        RECONNECTED.saturating_add(self.outlasts())
    }

    pub(super) fn validated(self) -> Result<Self, JoinError> {
        let times = [
            ("timeout", self.timeout),
            ("ping", self.ping),
            ("repair", self.repair),
            ("flush", self.flush),
            ("report", self.report),
        ];
        for (field, time) in times {
            if !TIMES.contains(&time) {
                let allowed = "10 ms to a day";
                return Err(JoinError::Invalid { field, allowed });
            }
        }
        if self.quorum == 0 {
            let (field, allowed) = ("quorum", "at least 1");
            return Err(JoinError::Invalid { field, allowed });
        }
        Ok(self)
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid { field, allowed } => {
                write!(f, "fleet: {field} is not valid; it takes {allowed}")
            }
            Self::AlreadyJoined => f.write_str(
                "fleet: this registry has joined one already; drop the guard of that, or give each fleet a registry",
            ),
            Self::Dependency(error) => write!(f, "fleet: {error}"),
            Self::NoRuntime => f.write_str(
                "fleet: there is no tokio runtime with timers here; call `join_fleet` inside one, for example in an \
                 async main, with `enable_time` or `enable_all`",
            ),
        }
    }
}

impl Error for JoinError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Dependency(error) => Some(error),
            _ => None,
        }
    }
}
