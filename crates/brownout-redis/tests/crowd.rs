//! Two hundred replicas that lose their server at the same moment. Apart from other tests, which would have less of the
//! machine, and of the files that a process may have open.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]
#![allow(clippy::panic, reason = "a test that panics says what is wrong")]

#[allow(dead_code, unused_imports, reason = "other tests use the rest of it")]
#[path = "redis/support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use brownout_registry::FeatureState;
use brownout_registry::fleet::FleetSettings;
use tokio::time::{sleep, timeout};

use self::support::{Calls, Member, PATIENCE, Server, builder, replica};

const REPLICAS: usize = 200;

/// The longest wait that a fleet documents between two attempts: 15 s + 50 %.
const LONGEST_WAIT: Duration = Duration::from_millis(22_500);

const REPAIR: Duration = Duration::from_secs(3);

/// What a machine that is busy may need in addition.
const BUSY: Duration = Duration::from_secs(15);

struct Crowd {
    members: Vec<Member>,
    calls: Vec<Arc<Calls>>,
}

impl Crowd {
    /// All of them, in touch for longer than what counts as a connection that was of no use. An operation of theirs may
    /// take so long.
    async fn of(server: &Server, patience: Duration) -> Self {
        let mut members = Vec::new();
        for number in 0..REPLICAS {
            let store = builder(&server.url()).timeout(patience).silence(patience);
            let settings = FleetSettings::new(replica(&format!("replica-{number}")))
                .timeout(patience)
                .ping(patience)
                .repair(REPAIR)
                .report(REPAIR);
            members.push(Member::join_as(store.build().unwrap(), settings));
            // A deployment is no storm either.
            sleep(Duration::from_millis(5)).await;
        }
        let calls = members
            .iter()
            .map(|member| Calls::of(&member.registry, "search"));
        let crowd = Self {
            calls: calls.collect(),
            members,
        };
        let in_touch = timeout(LONGEST_WAIT + BUSY, crowd.until(Self::is_in_touch));
        in_touch.await.expect("all get in touch");
        crowd.members[0].set("search", FeatureState::Degraded).await;
        crowd.work(Duration::from_millis(5_500)).await;
        crowd
    }

    /// Serves calls for so long, which every replica wants to tell the store.
    async fn work(&self, time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time {
            for calls in &self.calls {
                calls.add(1, 0);
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    fn is_in_touch(&self) -> bool {
        self.members.iter().all(|member| member.fleet.is_in_touch())
    }

    fn knows(&self) -> bool {
        let imposed = |member: &Member| member.imposed("search") == Some(FeatureState::Degraded);
        self.members.iter().all(imposed)
    }

    fn agrees(&self) -> bool {
        let version = |member: &Member| member.fleet.view().version;
        let versions: BTreeSet<_> = self.members.iter().map(version).collect();
        versions.len() == 1 && !versions.contains(&None)
    }

    /// All is well again, no later than the longest wait and the longest time between two pictures after this.
    async fn recovers(&self) {
        let most = LONGEST_WAIT + REPAIR.mul_f64(1.5) + BUSY;
        let agreed = timeout(
            most,
            self.until(|crowd| crowd.is_in_touch() && crowd.agrees()),
        );
        agreed.await.expect("all are in touch again, and agree");
        assert!(self.knows(), "nobody has let go of what people decided");
    }

    async fn until(&self, holds: impl Fn(&Self) -> bool) {
        while !holds(self) {
            // Other processes and the real clock are what this waits for.
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Where the server was: lets everybody in, hangs up, and notes when. On a thread of its own, which nothing holds up
/// that the replicas do.
struct Doorman {
    port: u16,
    is_off: Arc<AtomicBool>,
    standing: JoinHandle<Vec<Duration>>,
}

impl Doorman {
    fn at(port: u16) -> Self {
        let begun = Instant::now();
        let is_off = Arc::new(AtomicBool::new(false));
        let off = Arc::clone(&is_off);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let standing = thread::spawn(move || {
            let mut came = Vec::new();
            while let Ok((socket, _)) = listener.accept()
                && !off.load(Ordering::SeqCst)
            {
                drop(socket);
                came.push(begun.elapsed());
            }
            came
        });
        Self {
            port,
            is_off,
            standing,
        }
    }

    /// When somebody came, counted from when this began to stand there.
    fn leave(self) -> Vec<Duration> {
        self.is_off.store(true, Ordering::SeqCst);
        let _wakes = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        self.standing.join().unwrap()
    }
}

/// Connections that the server has let in so far.
fn connections(server: &Server) -> usize {
    let said = server.run(&["INFO", "stats"]);
    let mut lines = said.lines();
    let count = lines.find_map(|line| line.strip_prefix("total_connections_received:"));
    count.unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn two_hundred_replicas_whose_server_is_killed_come_back_without_a_storm() {
    /// Waits are 1, 2, 4 and 8 s, and then 15 s, each ± 50 %. So this is the earliest that a replica can have tried once,
    /// twice, and so on.
    const EARLIEST: [u64; 5] = [500, 1_500, 3_500, 7_500, 15_000];
    /// An operation that is under way finds its connection broken, and may have it made anew before the replica knows
    /// that the server is gone. Few are; if all were, that would be the storm.
    const UNDER_WAY: usize = REPLICAS / 2;
    const QUARTER: Duration = Duration::from_millis(250);

    let mut server = Server::start();
    let crowd = Crowd::of(&server, PATIENCE).await;
    server.kill();
    let doorman = Doorman::at(server.port());
    crowd.work(Duration::from_secs(12)).await;
    let came = doorman.leave();
    assert!(crowd.knows(), "they keep what they know");

    assert!(came.len() > 2 * REPLICAS, "they have tried: {}", came.len());
    for quarter in 0..48 {
        let from = QUARTER * quarter;
        let until = from + QUARTER;
        let each = EARLIEST.map(Duration::from_millis);
        let each = each.iter().filter(|earliest| **earliest < until).count();
        let before = came.iter().filter(|came| **came < until).count();
        let most = each * REPLICAS + UNDER_WAY;
        assert!(before <= most, "{before} attempts within {until:?}");
        // The first ones are spread over a second, and later ones over more: about fifty in each quarter, and three
        // times as many if this machine holds them up.
        let at_once = came
            .iter()
            .filter(|came| (from..until).contains(came))
            .count();
        assert!(at_once <= 150, "{at_once} attempts just before {until:?}");
    }

    server.restart();
    crowd.recovers().await;
    let made = connections(&server);
    assert!(
        made <= 3 * REPLICAS,
        "{made} connections, of which each replica needs two"
    );
}

#[tokio::test]
async fn two_hundred_replicas_whose_server_stands_still_come_back_without_a_storm() {
    // So that it lets everybody in, later, who came meanwhile.
    let server = Server::with(&["--tcp-backlog", "4096"]);
    let crowd = Crowd::of(&server, Duration::from_secs(2)).await;
    let before = connections(&server);
    server.pause();
    crowd.work(Duration::from_secs(10)).await;
    assert!(crowd.knows(), "they keep what they know");
    server.go_on();
    let meanwhile = connections(&server) - before;
    // Nobody gives up before 2 s. Then each may replace the connection for its commands, and tries to subscribe after
    // waits of 1 s and of 2 s ± 50 %, each time for 2 s.
    assert!(
        (REPLICAS..=3 * REPLICAS).contains(&meanwhile),
        "{meanwhile} connections in ten seconds"
    );
    crowd.recovers().await;
    let made = connections(&server) - before - meanwhile;
    assert!(
        made <= 3 * REPLICAS,
        "{made} connections, of which each replica needs two"
    );
}
