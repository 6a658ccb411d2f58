//! How fast a fleet hears of one flip of a flag, over a real Redis.
//!
//! A server of its own is started, and as many replicas subscribe as the row says, each with a [`RedisStore`] and a
//! connection of its own, as each process of a fleet has. Then somebody flips a flag, twenty times; the time runs from
//! before the write until a replica has the change in hand, read and checked, so it holds the write itself, the script,
//! the server's sending to each in turn, and the reading of all.
//!
//! All replicas are in this process and share the machine's cores with the server. That is harder on them than life,
//! where each has a core to read one message with: with ten thousand, most of the time is theirs and not the server's. The
//! server's own [processor time](Heard::processor) says what a flip costs where they are elsewhere.
//!
//! What is not in it: what replicas send of themselves, a ping every 5 s and a summary every 10 s, which ten thousand of
//! them turn into some 3,000 small commands a second. Subscriptions here are only listened to.
//!
//! Like every time it is never asserted. That a hundred flips at once are a few messages is, by a test of
//! `brownout-redis` over a real server.

mod board;
mod crowd;
mod files;
pub mod section;
mod server;

use std::time::{Duration, Instant};

use brownout_redis::RedisStore;
use serde::Serialize;
use tokio::runtime::Builder;
use tokio::time::{sleep, timeout};

use self::crowd::{Crowd, Flag};
use self::server::Server;
use crate::figure::Figure;
use crate::load::interval::median;

/// Its name among the rows.
pub const ROW: &str = "fleet";

/// What a reader sees of that row.
pub const TITLE: &str = "how fast a fleet hears of one flip, over a real Redis";

/// How often the flag is flipped.
const FLIPS: usize = 20;

/// How many replicas listen, within how many milliseconds the last of them should have heard, and when the last
/// flip begins.
const SIZES: [Size; 2] = [
    Size {
        replicas: 1_000,
        aim: 50.0,
        at_most: Duration::from_secs(12),
    },
    Size {
        replicas: 10_000,
        aim: 1_000.0,
        at_most: Duration::from_secs(38),
    },
];

/// After each flip all are idle again: one flip is measured, and not how many a second there can be.
const PAUSE: Duration = Duration::from_millis(50);

/// Whoever has not heard by then never will. A flip that is begun in time may end so much later.
const PATIENCE: Duration = Duration::from_secs(3);

struct Size {
    replicas: usize,
    aim: f64,
    at_most: Duration,
}

/// A fleet of some size.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fleet {
    /// How many replicas listen, each over a connection of its own.
    pub replicas: usize,
    /// Milliseconds within which the last should have heard, in the worst of all flips.
    pub aim: f64,
    /// When they heard.
    pub heard: Figure<Heard>,
}

/// When replicas heard, in milliseconds since before the flip was written.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Heard {
    /// How many flips there were.
    pub flips: usize,
    /// When one half had heard: the median of all flips.
    pub median: f64,
    /// When all had heard: the median of all flips.
    pub last: f64,
    /// When all had heard, in the worst of all flips.
    pub worst: f64,
    /// Processor time of the server, system and user, for one flip: the median of all flips, in milliseconds.
    pub processor: f64,
}

/// One flip, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Flip {
    median: f64,
    last: f64,
    processor: f64,
}

/// Starts a server and a fleet of each size, one after the other, and flips a flag.
///
/// It takes a minute at most. It raises this process's limit of open files as far as it may.
pub fn measure() -> Vec<Fleet> {
    let files = files::raised();
    let measured = |size: &Size| Fleet {
        replicas: size.replicas,
        aim: size.aim,
        heard: match files::hold(files, size.replicas).and_then(|()| run(size)) {
            Ok(heard) => Figure::Known(heard),
            Err(reason) => Figure::Unknown(reason),
        },
    };
    SIZES.iter().map(measured).collect()
}

fn run(size: &Size) -> Result<Heard, String> {
    let until = Instant::now() + size.at_most;
    let mut server = Server::start(size.replicas)?;
    // As many threads as the machine has cores; this one only waits and reads the server's clock.
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("there is no runtime: {error}"))?;
    let flips = runtime.block_on(async {
        // Half of the time is for what is measured.
        let within = size.at_most / 2;
        let url = server.url();
        let gathering = timeout(within, Crowd::gather(&url, size.replicas)).await;
        let crowd = gathering.map_err(|_| {
            let replicas = size.replicas;
            format!("{replicas} replicas did not subscribe within {within:?}")
        })??;
        flip_all(&crowd, &mut server, until).await
    });
    // Thousands of connections are closed with it; a server that is slow to notice is ended all the same.
    runtime.shutdown_background();
    Heard::of(&flips?).ok_or_else(|| "there was no time for a flip".to_owned())
}

async fn flip_all(crowd: &Crowd, server: &mut Server, until: Instant) -> Result<Vec<Flip>, String> {
    let mut flag = Flag::new(store(&server.url())?).await?;
    // The first is what warms it all up: the script is loaded, and every task has run once.
    flip(crowd, server, &mut flag).await?;
    let mut flips = Vec::new();
    while flips.len() < FLIPS && Instant::now() < until {
        sleep(PAUSE).await;
        flips.push(flip(crowd, server, &mut flag).await?);
    }
    Ok(flips)
}

async fn flip(crowd: &Crowd, server: &mut Server, flag: &mut Flag) -> Result<Flip, String> {
    let before = server.processor_time()?;
    crowd.board().clear();
    flag.flip().await?;
    let arrivals = crowd.board().all(PATIENCE).await?;
    let after = server.processor_time()?;
    let millis: Vec<_> = arrivals
        .iter()
        .map(|arrival| arrival.as_secs_f64() * 1e3)
        .collect();
    Ok(Flip {
        median: median(&millis).ok_or("nobody listens")?,
        last: millis.iter().copied().fold(0.0, f64::max),
        processor: (after - before) * 1e3,
    })
}

/// A replica's own, as it is by default.
fn store(url: &str) -> Result<RedisStore, String> {
    RedisStore::builder(url)
        .namespace("fleet")
        .build()
        .map_err(|error| format!("the store cannot be described: {error}"))
}

impl Heard {
    fn of(flips: &[Flip]) -> Option<Self> {
        let over = |read: fn(&Flip) -> f64| median(&flips.iter().map(read).collect::<Vec<_>>());
        Some(Self {
            flips: flips.len(),
            median: over(|flip| flip.median)?,
            last: over(|flip| flip.last)?,
            worst: flips.iter().map(|flip| flip.last).fold(0.0, f64::max),
            processor: over(|flip| flip.processor)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flip(median: f64, last: f64, processor: f64) -> Flip {
        Flip {
            median,
            last,
            processor,
        }
    }

    #[test]
    fn the_worst_flip_is_told_beside_the_usual_one() {
        let flips = [
            flip(2.0, 30.0, 5.0),
            flip(1.0, 10.0, 4.0),
            flip(3.0, 11.0, 9.0),
        ];
        let heard = Heard {
            flips: 3,
            median: 2.0,
            last: 11.0,
            worst: 30.0,
            processor: 5.0,
        };
        assert_eq!(Heard::of(&flips), Some(heard));
        assert_eq!(Heard::of(&[]), None);
    }
}
