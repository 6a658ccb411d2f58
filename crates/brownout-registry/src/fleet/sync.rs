//! Keeping the mirror in step with the store: subscribe, then a picture, then messages in order.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep, sleep_until};

use super::error::{StoreError, StoreErrorKind};
use super::link::Link;
use super::mirror::Taken;
use super::op::StoreOp;
use super::pushed::Message;
use super::race::{First, first};
use super::store::{Changes, FleetStore};

/// The first wait after a loss; doubled by each further one.
const BACKOFF: Duration = Duration::from_secs(1);

/// The longest wait, before jitter: 200 replicas then make 13 attempts a second.
const BACKOFF_AT_MOST: Duration = Duration::from_secs(15);

/// How far waits stray.
const BACKOFF_JITTER: f64 = 0.5;

/// How far the time between two pictures strays.
const REPAIR_JITTER: f64 = 0.5;

/// A picture that many replicas want at the same moment, because all have missed the same, is asked for within this
/// part of the time between two.
const DOUBTS: f64 = 1.0 / 15.0;

/// Keeps one replica in step with the store, for ever.
pub(super) async fn keep<S: FleetStore>(link: Arc<Link>, store: Arc<S>) {
    let mut losses = 0;
    loop {
        let begun = Instant::now();
        let error = match subscribed(&link, &*store).await {
            Ok(never) => match never {},
            Err(error) => error,
        };
        link.contact.lost(&error);
        // One that lasted only a moment is no recovery: a store that lets us in and breaks off would be stormed.
        if begun.elapsed() > BACKOFF_AT_MOST {
            losses = 0;
        }
        let wait = BACKOFF
            .saturating_mul(1 << u32::min(losses, 8))
            .min(BACKOFF_AT_MOST);
        losses += 1;
        sleep(link.random.jitter(wait, BACKOFF_JITTER)).await;
    }
}

/// What happens next.
enum Next {
    Told(Result<Message, StoreError>),
    /// Somebody doubts that we hold what the store does.
    Doubt,
    Time,
}

/// The times at which something is due.
struct Due {
    repair: Instant,
    /// Whether that is earlier than planned. However much is missing then, it is not drawn again: the earliest of many
    /// draws is at once, for all replicas.
    doubted: bool,
    ping: Instant,
    canary: Option<Canary>,
}

/// A message to ourselves that has not come back.
struct Canary {
    number: u64,
    /// When it has to be back.
    until: Instant,
    /// How many others have come since.
    overtaken: u32,
    /// Whether it was sent, or is to be sent, once more, because it may have been among what was too much for us.
    again: bool,
}

/// So many messages may lie between a canary and us when its time is over: more than any store keeps for a subscriber.
const BACKLOG: u32 = 10_000;

/// One subscription, to its end.
async fn subscribed<S: FleetStore>(
    link: &Link,
    store: &S,
) -> Result<std::convert::Infallible, StoreError> {
    let subscribing = store.subscribe(&link.settings.replica);
    // First the subscription, then the picture: what is written in between comes as a message.
    let mut changes = link.run(StoreOp::Subscribe, subscribing).await?;
    let mut due = Due {
        repair: picture(link, store).await?,
        doubted: false,
        ping: Instant::now(),
        canary: None,
    };
    loop {
        // However many messages wait: a flood of them must not keep these from being done, nor other tasks from running.
        consume_budget().await;
        if due.repair <= Instant::now() {
            due.repair = picture(link, store).await?;
            due.doubted = false;
        }
        if due.ping <= Instant::now() {
            due.ping(link, store).await?;
        }
        match next(link, &mut changes, due.next()).await {
            Next::Told(told) => {
                let told = told.inspect_err(|_| link.failed(StoreOp::Changes))?;
                due.told(link, told, Instant::now());
                if due.is_late(|canary| canary.overtaken > BACKLOG) {
                    return Err(deaf(link));
                }
            }
            Next::Doubt => due.repair = Instant::now(),
            // No message waits, so the canary is not among those.
            Next::Time if due.is_late(|_| true) => return Err(deaf(link)),
            Next::Time => {}
        }
    }
}

fn deaf(link: &Link) -> StoreError {
    link.failed(StoreOp::Changes);
    let detail =
        "changes: the subscription has gone deaf; a message to ourselves has not come back";
    StoreError::new(StoreErrorKind::Unreachable, detail)
}

/// Compares everything with the store. Says when to do so again.
async fn picture<S: FleetStore>(link: &Link, store: &S) -> Result<Instant, StoreError> {
    let picture = link.run(StoreOp::Picture, store.picture()).await?;
    let damage = picture.damage.clone();
    let now = Instant::now();
    let lost = link.desk.change(|mirror, changed| {
        changed.extend(mirror.picture(picture, now));
        !mirror.offers(now).is_empty()
    });
    if lost {
        link.offer.notify_one();
    }
    link.contact.damaged(damage.as_ref());
    link.contact.synchronised();
    let interval = link.settings.repair;
    Ok(Instant::now() + link.random.jitter(interval, REPAIR_JITTER))
}

async fn next(link: &Link, changes: &mut impl Changes, due: Instant) -> Next {
    let others = first(link.doubt.notified(), sleep_until(due));
    match first(changes.next(), others).await {
        First::One(told) => Next::Told(told),
        First::Other(First::One(())) => Next::Doubt,
        First::Other(First::Other(())) => Next::Time,
    }
}

impl Due {
    fn next(&self) -> Instant {
        let canary = self.canary.as_ref().map(|canary| canary.until);
        let first = self.repair.min(self.ping);
        canary.map_or(first, |until| until.min(first))
    }

    /// Whether a canary is overdue, of which that holds too.
    fn is_late(&self, holds: impl FnOnce(&Canary) -> bool) -> bool {
        let canary = self.canary.as_ref();
        canary.is_some_and(|canary| canary.until <= Instant::now() && holds(canary))
    }

    fn told(&mut self, link: &Link, message: Message, now: Instant) {
        if let Some(canary) = &mut self.canary
            && canary.until <= now
        {
            canary.overtaken += 1;
        }
        match message {
            Message::Changed {
                version,
                now: at,
                changes,
            } => {
                let taken = link.desk.change(|mirror, changed| {
                    let (taken, names) = mirror.message(version, at, changes, now);
                    changed.extend(names);
                    taken
                });
                if taken == Taken::Gap {
                    self.doubt(link, now);
                }
            }
            Message::Canary(number) => {
                if !link.is_own(number) {
                    link.contact.twin();
                }
                let sent = self.canary.as_ref();
                if sent.is_some_and(|sent| sent.number == number) {
                    self.canary = None;
                    link.contact.heard();
                }
            }
            Message::Missed(damage) => {
                // Once: whatever is missing then, it is not that we are slow.
                if damage.is_none()
                    && let Some(canary) = &mut self.canary
                    && !std::mem::replace(&mut canary.again, true)
                {
                    self.ping = now;
                }
                if let Some(damage) = damage {
                    link.contact.damaged(Some(&damage));
                }
                self.doubt(link, now);
            }
        }
    }

    /// Something may be missing: a picture soon, though not at the same moment as all others.
    fn doubt(&mut self, link: &Link, now: Instant) {
        if std::mem::replace(&mut self.doubted, true) {
            return;
        }
        let within = link.settings.repair.mul_f64(DOUBTS * link.random.unit());
        self.repair = self.repair.min(now + within);
    }

    async fn ping<S: FleetStore>(&mut self, link: &Link, store: &S) -> Result<(), StoreError> {
        let number = link.canary();
        let ping = store.ping(&link.settings.replica, number);
        link.run(StoreOp::Ping, ping).await?;
        let now = Instant::now();
        // Of one that was missing when this was sent, what has come since counts on.
        let (overtaken, again) = self
            .canary
            .take()
            .map_or((0, false), |missing| (missing.overtaken, missing.again));
        self.canary = Some(Canary {
            number,
            until: now + link.settings.timeout,
            overtaken,
            again,
        });
        self.ping = now + link.jitter(link.settings.ping).max(link.settings.timeout);
        Ok(())
    }
}
