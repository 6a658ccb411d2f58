//! Telling the others how this replica is, and hearing how they are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::{Instant, sleep};

use super::counted::{Replicas, Sick, Summary};
use super::error::StoreError;
use super::link::Link;
use super::op::StoreOp;
use super::store::FleetStore;
use super::values::{StoreTime, limits};
use super::view::{ReplicaView, Seen};
use crate::dependency::is_name;
use crate::registry::Registry;
use crate::report::{Report, Reporter, ReporterKind};
use crate::vocab::{FeatureState, Status};

/// Opinions of others that are heeded here, by dependency.
type Opinions = BTreeMap<Arc<str>, Reporter>;

/// Reports and listens while the replica is in touch, for ever.
pub(super) async fn keep<S: FleetStore>(link: Arc<Link>, store: Arc<S>) {
    let mut opinions = Opinions::new();
    loop {
        link.contact.in_touch().await;
        let Some(registry) = registry(&link) else {
            return;
        };
        let summary = summary(&link, &registry);
        drop(registry);
        let ttl = link.settings.outlasts();
        let reported = link.run(StoreOp::Report, store.report(summary, ttl)).await;
        tell(&link, StoreOp::Report, reported.as_ref().err());
        if reported.is_ok() {
            let replicas = link.run(StoreOp::Replicas, store.replicas()).await;
            let damage = replicas.as_ref().map(|replicas| replicas.damage.as_ref());
            tell(&link, StoreOp::Replicas, damage.unwrap_or_else(Some));
            if let Ok(replicas) = replicas {
                hear(&link, replicas);
            }
        }
        if link.settings.opinions
            && let Some(registry) = self::registry(&link)
        {
            heed(&link, &registry, &mut opinions);
        }
        sleep(link.jitter(link.settings.report)).await;
    }
}

/// Nobody waits for these answers, so it is the health report and the log that say what is wrong with them.
fn tell(link: &Link, op: StoreOp, error: Option<&StoreError>) {
    match error {
        Some(error) => link.contact.refuses(op, error),
        None => link.contact.does(op),
    }
}

fn registry(link: &Link) -> Option<Registry> {
    let shared = link.registry.upgrade()?;
    Some(Registry { shared })
}

/// How this replica is, in short.
fn summary(link: &Link, registry: &Registry) -> Summary {
    let snapshot = registry.snapshot();
    let mut sick: Vec<Sick> = snapshot
        .dependencies
        .iter()
        .filter(|view| view.status != Status::Healthy)
        .map(|view| Sick {
            dependency: Arc::clone(&view.name),
            status: view.status,
        })
        .collect();
    sick.sort_by_key(|sick| std::cmp::Reverse(sick.status));
    sick.truncate(limits::NAMED);
    let readings = registry.readings();
    let flags = readings
        .flags()
        .filter(|(_, state)| *state != FeatureState::Enabled)
        .take(limits::NAMED)
        .map(|(flag, state)| (Arc::clone(flag), state));
    Summary {
        replica: link.settings.replica.clone(),
        level: snapshot.level,
        health: snapshot.health,
        dependencies: u32::try_from(snapshot.dependencies.len()).unwrap_or(u32::MAX),
        sick,
        flags: flags.collect(),
    }
}

fn hear(link: &Link, replicas: Replicas) {
    let now = Instant::now();
    let longest = link.settings.outlasts();
    let view = |(summary, until): (Summary, StoreTime)| ReplicaView {
        summary: bounded(summary),
        // Others may report at other intervals, but what is garbage must not stay for ever.
        until: now + until.since(replicas.now).min(longest.saturating_mul(10)),
    };
    let heard = replicas.summaries.into_iter().take(limits::SUMMARIES);
    let mut heard: Vec<ReplicaView> = heard.map(view).collect();
    heard.sort_by(|one, other| one.summary.replica.cmp(&other.summary.replica));
    // Who is heard twice has one voice, all the same.
    heard.dedup_by(|one, other| one.summary.replica == other.summary.replica);
    let seen = Seen {
        live: replicas.live,
        replicas: heard,
    };
    link.hears(seen);
}

/// The summary, without what no replica would say.
fn bounded(mut summary: Summary) -> Summary {
    summary.sick.retain(|sick| is_name(&sick.dependency));
    summary.sick.truncate(limits::NAMED);
    summary.flags.retain(|(flag, _)| is_name(flag));
    summary.flags.truncate(limits::NAMED);
    summary
}

/// Lets what most of the others say count here, a little: at most as `Degraded`, and only for as long as they say so.
///
/// Only `Unhealthy` is counted, so what is heeded here is nothing that anybody else could heed in turn.
fn heed(link: &Link, registry: &Registry, opinions: &mut Opinions) {
    let shared = most_say(link);
    opinions.retain(|dependency, _| shared.contains(dependency));
    for dependency in shared {
        if !opinions.contains_key(&dependency)
            && let Some(known) = registry.get(&dependency)
        {
            let reporter = known.reporter(ReporterKind::Code, "fleet");
            opinions.insert(dependency, reporter);
        }
    }
    let ttl = link.settings.outlasts();
    for reporter in opinions.values() {
        let said = "most other replicas cannot use it";
        reporter.report(Report::degraded(said).ttl(ttl));
    }
}

/// The dependencies that most of the others cannot use.
fn most_say(link: &Link) -> BTreeSet<Arc<str>> {
    let others = {
        let seen = link.seen();
        seen.present(Instant::now())
    };
    let others: Vec<_> = others
        .iter()
        .filter(|view| view.summary.replica != link.settings.replica)
        .collect();
    let mut votes: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
    for view in &others {
        let unusable: BTreeSet<_> = view
            .summary
            .sick
            .iter()
            .filter(|sick| sick.status == Status::Unhealthy)
            .map(|sick| &sick.dependency)
            .collect();
        for dependency in unusable {
            *votes.entry(dependency).or_default() += 1;
        }
    }
    let quorum = usize::try_from(link.settings.quorum).unwrap_or(usize::MAX);
    let needed = quorum.max(others.len() / 2 + 1);
    let most = votes.into_iter().filter(|(_, votes)| *votes >= needed);
    most.map(|(dependency, _)| Arc::clone(dependency)).collect()
}
