//! Traffic of a few hundred calls, in the middle of which a primary is killed and comes back.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use brownout_tests::{Server, circuit::until};
use tokio::time::timeout;

/// Callers at once.
pub(crate) const CALLERS: usize = 8;
/// Calls that are answered in each phase, at least.
const CALLS: usize = 150;
/// No call takes as long as this, unless it hangs.
const HANGS: Duration = Duration::from_secs(10);

/// A port that is free.
pub(crate) const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Whether the primary holds its calls, and how many it does: so that some are in flight when it is killed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hold {
    on: Arc<AtomicBool>,
    held: Arc<AtomicUsize>,
}

impl Hold {
    async fn all_callers(&self) {
        self.on.store(true, Relaxed);
        until("all callers wait for the primary", || {
            self.held.load(Relaxed) == CALLERS
        })
        .await;
    }

    fn end(&self) {
        self.on.store(false, Relaxed);
    }

    pub(crate) async fn wait(&self) {
        if self.on.load(Relaxed) {
            self.held.fetch_add(1, Relaxed);
            std::future::pending::<()>().await;
        }
    }
}

/// What callers got, counted, and the order to end.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) primary: AtomicUsize,
    pub(crate) tier: AtomicUsize,
    over: AtomicBool,
}

impl Tally {
    /// Calls until traffic is over. Calls that are answered at once leave time to others.
    pub(crate) async fn calls<Fut: Future<Output = ()>>(&self, mut call: impl FnMut(usize) -> Fut) {
        for number in 0.. {
            if self.over.load(Relaxed) {
                return;
            }
            timeout(HANGS, call(number)).await.unwrap();
            tokio::task::yield_now().await;
        }
    }

    fn primary(&self) -> usize {
        self.primary.load(Relaxed)
    }

    pub(crate) fn tier(&self) -> usize {
        self.tier.load(Relaxed)
    }

    /// An outage and its end, while callers go on calling. The server that has come back.
    pub(crate) async fn outage(
        &self,
        hold: &Hold,
        server: Server,
        serve: impl AsyncFn(SocketAddr) -> Server,
        closed: impl Fn() -> bool,
    ) -> Server {
        until("the primary has answered", || self.primary() >= CALLS).await;
        assert_eq!(self.tier(), 0);

        hold.all_callers().await;
        let (before, address) = (self.primary(), server.address());
        server.stop().await;
        until("the tier has answered", || self.tier() >= CALLS).await;
        assert_eq!(self.primary(), before);
        assert!(!closed());

        hold.end();
        let server = serve(address).await;
        until("the primary answers again", || {
            closed() && self.primary() >= before + CALLS
        })
        .await;
        self.over.store(true, Relaxed);
        server
    }
}

/// A spell ends when the tier has not been needed for ten seconds.
pub(crate) async fn after_ten_quiet_seconds() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::time::resume();
}
