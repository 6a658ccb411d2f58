//! The tour of a fleet: three replicas in processes of their own, over a Redis that can be killed.
//!
//! Everything is asked for by real requests, at the ports where customers and operators ask. What a fleet promises is
//! written where it happens: in [`flips`], [`counting`] and [`outages`].

mod counting;
mod crowd;
mod flips;
mod guide;
mod outages;
mod phone;
mod redis;
mod replica;

use std::{io::Write, time::Duration};

use tokio::time::Instant;
use tower::BoxError;

use self::{guide::Guide, redis::Redis, replica::Replica};
use crate::{membership::Pace, settings::Safeguards, tour::Verdict};

/// How soon all follow what was decided at one of them: what a message takes, and what a busy machine adds.
const FOLLOW: Duration = Duration::from_secs(1);
/// How soon it is known that the store is gone, though it may only have fallen silent: a ping, its end, and what a busy
/// machine adds.
const NOTICED: Duration = Duration::from_secs(6);
/// How soon a replica that vanished is gone from the view of the others: three reports and the wait for the next.
const AGED: Duration = Duration::from_secs(5);
/// How soon all agree once the store is back: within the time between two repairs, which is up to half longer by chance,
/// and what a busy machine adds.
const CONVERGED: Duration = Duration::from_secs(Pace::REPAIR.as_secs() * 3 / 2 + 2);

/// Runs the tour and writes what happens to `out`. What it has started ends with it, however it ends.
///
/// # Errors
///
/// The tour could not be run to its end; that says nothing about the promises.
pub(crate) async fn run(
    safeguards: &Safeguards,
    out: &mut impl Write,
) -> Result<Verdict, BoxError> {
    let begun = Instant::now();
    // Dropped last, when no replica uses its database any more.
    let data = tempfile::tempdir()?;
    let redis = Redis::start().await?;
    let url = redis.url();
    let open = |name| Replica::open(name, &url, data.path(), safeguards);
    let (one, two, three) = tokio::try_join!(open("one"), open("two"), open("three"))?;
    let mut guide = Guide::new(out, redis, vec![one, two, three], safeguards)?;
    guide.meet().await?;
    guide.flip_a_flag().await?;
    guide.differ().await?;
    guide.override_a_dependency().await?;
    guide.add_up_errors().await?;
    guide.err_alone().await?;
    guide.lose_a_replica().await?;
    guide.lose_redis(|| open("four")).await?;
    guide.silence_redis().await?;
    guide.conclude(begun.elapsed())
}
