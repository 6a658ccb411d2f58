//! People's decisions on their way to the store.
//!
//! One task writes, one batch at a time: what comes while a batch is under way goes with the next, and several decisions
//! on one target become one write. So a hundred decisions at once are a few messages.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::error::{FleetError, StoreError, StoreErrorKind};
use super::held::{Held, HeldEntry};
use super::link::Link;
use super::op::StoreOp;
use super::pushed::{Outcome, Stamp};
use super::race::{First, first};
use super::store::FleetStore;
use super::values::limits;
use crate::error::OverrideError;
use crate::overrides::{FleetOverrideId, Order, OverrideValue, Target};

/// Something that a person has decided, and whom to tell what came of it.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) target: Target,
    pub(super) what: What,
    pub(super) answer: Answer,
    /// Until when whoever has decided waits for that. What they were told has failed must not come true later.
    pub(super) until: Instant,
}

#[derive(Debug)]
pub(super) enum What {
    Set(OverrideValue, Order),
    Release(FleetOverrideId),
}

/// So many decisions wait at most.
pub(super) const WAITING: usize = 1024;

/// What is to be written of one target.
struct Draft {
    held: Held,
    /// Whom to tell, and of which override.
    answers: Vec<(Answer, FleetOverrideId)>,
    /// Until when the first of those waits. None where nobody does.
    until: Option<Instant>,
}

pub(super) type Answer = oneshot::Sender<Result<FleetOverrideId, FleetError>>;

/// Writes what people decide, and offers what the store has lost, for ever.
pub(super) async fn keep<S: FleetStore>(
    link: Arc<Link>,
    store: Arc<S>,
    commands: Arc<tokio::sync::Mutex<mpsc::Receiver<Command>>>,
) {
    // Held for as long as this task lives: nobody else wants it but the one that takes its place if it panics.
    let mut commands = commands.lock().await;
    loop {
        let mut batch = Vec::new();
        let received = commands.recv_many(&mut batch, WAITING);
        match first(link.offer.notified(), received).await {
            First::One(()) => offer(&link, &*store).await,
            First::Other(0) => return,
            First::Other(_) => write(&link, &*store, batch).await,
        }
    }
}

async fn write<S: FleetStore>(link: &Link, store: &S, batch: Vec<Command>) {
    let mut drafts = BTreeMap::new();
    for command in batch {
        draft(link, &mut drafts, command);
    }
    while !drafts.is_empty() {
        let mut part = Vec::new();
        while part.len() < limits::WRITES
            && let Some((target, draft)) = drafts.pop_first()
        {
            if draft.until.is_some_and(|until| until <= Instant::now()) {
                draft.tell(|_| Err(FleetError::Store(link.too_late(StoreOp::Write))));
            } else {
                part.push((target, draft));
            }
        }
        // Whoever has decided has been told.
        let _sent = send(link, store, part).await;
    }
}

/// Adds a decision to the draft of its target, or refuses it.
fn draft(link: &Link, drafts: &mut BTreeMap<Target, Draft>, command: Command) {
    let Command {
        target,
        what,
        answer,
        until,
    } = command;
    let now = Instant::now();
    if until <= now {
        // Whoever asked has given up, and perhaps decided anew.
        drop(answer.send(Err(FleetError::Store(link.too_late(StoreOp::Write)))));
        return;
    }
    let mut draft = drafts.remove(&target).unwrap_or_else(|| Draft {
        held: link.desk.look(|mirror| mirror.held(&target, now)),
        answers: Vec::new(),
        until: None,
    });
    match decide(link, &target, &mut draft.held.entries, what, now) {
        Ok(id) => {
            draft.answers.push((answer, id));
            draft.until = Some(draft.until.map_or(until, |first| first.min(until)));
        }
        // Whoever asked may have given up.
        Err(error) => drop(answer.send(Err(error))),
    }
    if !draft.answers.is_empty() {
        drafts.insert(target, draft);
    }
}

fn decide(
    link: &Link,
    target: &Target,
    entries: &mut Vec<HeldEntry>,
    what: What,
    now: Instant,
) -> Result<FleetOverrideId, FleetError> {
    if link.desk.look(|mirror| mirror.version().is_none()) {
        return Err(FleetError::NotSynchronised);
    }
    match what {
        What::Set(value, order) => {
            let full = entries.len() >= limits::ENTRIES;
            if full || !link.desk.look(|mirror| mirror.has_room(target)) {
                let target = target.clone();
                return Err(FleetError::Invalid(OverrideError::TooMany { target }));
            }
            let mut id = FleetOverrideId::from_u64(link.random.next_u64());
            while entries.iter().any(|entry| entry.id == id) {
                id = FleetOverrideId::from_u64(link.random.next_u64());
            }
            entries.push(HeldEntry {
                id,
                value,
                actor: order.actor,
                reason: order.reason,
                set_at: now,
                until: now + order.ttl,
            });
            Ok(id)
        }
        What::Release(id) => {
            let found = entries.iter().position(|entry| entry.id == id);
            let target = target.clone();
            entries.remove(found.ok_or(FleetError::NotActive { target, id })?);
            Ok(id)
        }
    }
}

/// Writes the drafts in one call, and tells what came of them. Fails if the call has.
async fn send<S: FleetStore>(
    link: &Link,
    store: &S,
    part: Vec<(Target, Draft)>,
) -> Result<(), StoreError> {
    if part.is_empty() {
        return Ok(());
    }
    let now = Instant::now();
    let mut writes = Vec::new();
    let mut sent = Vec::new();
    for (target, draft) in part {
        let until = draft.held.keep_until().unwrap_or(now);
        let tag = link.random.next_u64();
        let write = link
            .desk
            .look(|mirror| mirror.write(&target, &draft.held, tag, until, now));
        if let Some(write) = write {
            writes.push(write);
            sent.push((target, draft, tag, until));
        }
    }
    let outcomes = match link.run(StoreOp::Write, store.write(writes)).await {
        Ok(outcomes) => outcomes,
        Err(error) => {
            // It may have been done nevertheless. Not for what was only offered, which the next picture brings up again: a
            // store that takes nothing back would be asked for one picture after another.
            if sent.iter().any(|(_, draft, ..)| !draft.answers.is_empty()) {
                link.doubt.notify_one();
            }
            for (_, draft, ..) in sent {
                draft.tell(|_| Err(FleetError::Store(error.clone())));
            }
            return Err(error);
        }
    };
    let mut outcomes = outcomes.into_iter();
    for (target, draft, tag, until) in sent {
        // A store that says less than it was asked has refused the rest.
        match outcomes.next().unwrap_or(Outcome::Stale) {
            Outcome::Written(version) => {
                let written = draft.held.written(Stamp { version, tag }, until);
                link.desk.change(|mirror, changed| {
                    changed.extend(mirror.acknowledge(target, written, now, Instant::now()));
                });
                draft.tell(Ok);
            }
            // Of what was only offered, somebody else's is there, and will be told of.
            Outcome::Stale if draft.answers.is_empty() => {}
            Outcome::Stale => {
                link.doubt.notify_one();
                draft.tell(|_| {
                    let target = target.clone();
                    Err(FleetError::Stale { target })
                });
            }
        }
    }
    Ok(())
}

/// Offers what the store has lost, where nobody else has written meanwhile.
async fn offer<S: FleetStore>(link: &Link, store: &S) {
    let mut back = 0;
    loop {
        let now = Instant::now();
        let offers = link.desk.look(|mirror| mirror.offers(now));
        if offers.is_empty() {
            break;
        }
        let draft = |(target, held): &(Target, Held)| {
            let draft = Draft {
                held: held.clone(),
                answers: Vec::new(),
                until: None,
            };
            (target.clone(), draft)
        };
        let sent = send(link, store, offers.iter().map(draft).collect()).await;
        if sent.is_err_and(|error| is_of_one(&error)) && offers.len() > 1 {
            for offer in &offers {
                let _sent = send(link, store, vec![draft(offer)]).await;
            }
        }
        // What was not taken stays until a picture says what is there in its place, or until the store is back. It goes
        // with the next part, so that it keeps no other from being offered.
        let left = link.desk.look(|mirror| mirror.offers(Instant::now()));
        let is_left = |(target, _): &&(Target, Held)| left.iter().any(|(left, _)| left == target);
        let still_left = offers.iter().filter(is_left).count();
        back += offers.len() - still_left;
        if still_left == offers.len() {
            break;
        }
    }
    if back > 0 {
        let replica = &link.settings.replica;
        tracing::info!(%replica, targets = back, "fleet store had lost overrides, which it has again");
    }
}

/// Whether it may be about one of the places that were to be written to, for which all are refused.
fn is_of_one(error: &StoreError) -> bool {
    matches!(
        error.kind(),
        StoreErrorKind::Damaged | StoreErrorKind::Unsupported
    )
}

impl Draft {
    fn tell(self, what: impl Fn(FleetOverrideId) -> Result<FleetOverrideId, FleetError>) {
        for (answer, id) in self.answers {
            // Whoever asked may have given up.
            drop(answer.send(what(id)));
        }
    }
}
