//! The model's registry: what people, reporters and tiers have said, and what comes of it at a given time.

use brownout::registry::{DegradationLevel, Status};

use super::super::case::{Order, Reporter};

/// How long a tier's failures count for the dependency that it stands for.
const MINUTE: u64 = 60_000;

/// What is known of the three dependencies and of the level.
#[derive(Default)]
pub(super) struct World {
    dependencies: [Known; 3],
    levels: Vec<(u64, DegradationLevel)>,
}

#[derive(Default)]
struct Known {
    /// Until when, and what; the newest is the last.
    overrides: Vec<(u64, Status)>,
    circuit: Option<Status>,
    code: Option<Status>,
    /// By tier: what its traffic says, and until when.
    traffic: [Option<(Status, u64)>; 3],
}

impl World {
    pub(super) fn obey(&mut self, order: Order, now: u64) {
        match order {
            Order::Status(of, to, ttl) => self.dependencies[of].overrides.push((now + ttl, to)),
            Order::Level(to, ttl) => self.levels.push((now + ttl, to)),
            Order::Report(on, Reporter::Circuit, says) => {
                self.dependencies[on].circuit = Some(says);
            }
            Order::Report(on, Reporter::Code, says) => self.dependencies[on].code = Some(says),
            Order::Switch(..) => {}
        }
    }

    /// A tier reports on the dependency that it stands for. Failures are forgotten after a minute.
    pub(super) fn hear(&mut self, tier: usize, of: usize, says: Status, now: u64) {
        let until = if says == Status::Healthy {
            u64::MAX
        } else {
            now + MINUTE
        };
        self.dependencies[of].traffic[tier] = Some((says, until));
    }

    /// "The effective override, else the worst fresh report"; with no reports, healthy.
    pub(super) fn status(&self, of: usize, now: u64) -> Status {
        let known = &self.dependencies[of];
        let traffic = known.traffic.iter().flatten();
        let fresh = traffic
            .filter(|(_, until)| *until > now)
            .map(|(says, _)| *says);
        let reports = known.code.into_iter().chain(known.circuit).chain(fresh);
        known.overridden(now).unwrap_or_else(|| worst(reports))
    }

    /// What a skip heeds: never the circuit, never traffic.
    pub(super) fn is_unhealthy(&self, of: usize, now: u64) -> bool {
        let known = &self.dependencies[of];
        let status = known.overridden(now).or(known.code);
        status == Some(Status::Unhealthy)
    }

    /// By the important dependencies that are unhealthy: the first two.
    pub(super) fn level(&self, now: u64) -> DegradationLevel {
        let raw = || match (0..2)
            .filter(|of| self.status(*of, now) == Status::Unhealthy)
            .count()
        {
            0 => DegradationLevel::Full,
            1 => DegradationLevel::Reduced,
            _ => DegradationLevel::Minimal,
        };
        newest(&self.levels, now).unwrap_or_else(raw)
    }
}

impl Known {
    fn overridden(&self, now: u64) -> Option<Status> {
        newest(&self.overrides, now)
    }
}

/// "The newest counts"; one that has expired reveals the older.
fn newest<T: Copy>(overrides: &[(u64, T)], now: u64) -> Option<T> {
    let fresh = overrides.iter().rev().find(|(until, _)| *until > now);
    fresh.map(|(_, value)| *value)
}

fn worst(reports: impl Iterator<Item = Status>) -> Status {
    let badness = |status: &Status| match status {
        Status::Healthy => 0,
        Status::Unknown => 1,
        Status::Degraded => 2,
        Status::Unhealthy => 3,
    };
    reports.max_by_key(badness).unwrap_or(Status::Healthy)
}
