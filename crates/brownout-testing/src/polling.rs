//! Polling a future by hand: dropped at each of its await points, counted while it waits.
//!
//! Both helpers poll a future only when it was woken, as a runtime does, and both use tokio's clock: under a paused clock
//! (`#[tokio::test(start_paused = true)]`) no real time passes.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::sync::lock;

/// How long a future may go without being woken before it is said to wait for ever.
const PATIENCE: Duration = Duration::new(60, 0);

/// How many await points a future may have. Each is reached from the start, so the work grows with the square.
const MOST_POLLS: usize = 1_000;

/// Drops a fresh future after 0, 1, 2, … polls, until one completes, and returns how many polls that took.
///
/// After each drop (and after the completion) other tasks get a turn, then `check` is called with the number of polls
/// made: assert there that everything was released.
///
/// # Panics
///
/// When a future is not woken for a minute of tokio's clock, or takes more than 1,000 polls: it would never complete.
///
/// # Examples
///
/// ```
/// use brownout_testing::{Behaviour, ProbeService, TestError, drop_at_each_await};
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let (service, probe) = ProbeService::with(Behaviour::answer(Ok::<u32, TestError>).yielding(3));
///
/// let polls = drop_at_each_await(
///     || service.clone().oneshot(1),
///     |_polls| assert!(probe.counts().is_idle()),
/// )
/// .await;
///
/// assert_eq!(polls, 4);
/// assert_eq!(probe.counts().completed, 1);
/// assert_eq!(probe.counts().dropped, 3);
/// # }
/// ```
pub async fn drop_at_each_await<F: Future>(
    mut make: impl FnMut() -> F,
    mut check: impl FnMut(usize),
) -> usize {
    for polls in 0..=MOST_POLLS {
        let completed = completes_within(make(), polls).await;
        give_way().await;
        check(polls);
        if completed {
            return polls;
        }
    }
    panic!(
        "the future has not completed after {MOST_POLLS} polls, each of them asked for by a wake-up"
    );
}

/// Asserts that a future asks for no more than `at_most` polls within `period`, and returns its output if it completes.
///
/// The first poll counts. A future that waits properly needs one or two; one that wakes itself while nothing has happened
/// (a spin, a sleep loop) needs as many as it can get.
///
/// # Panics
///
/// When the future asks for one poll more.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use brownout_testing::assert_no_busy_polling;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let (_sender, receiver) = tokio::sync::oneshot::channel::<()>();
/// let output = assert_no_busy_polling(receiver, Duration::from_secs(60), 1).await;
/// assert!(output.is_none());
/// # }
/// ```
pub async fn assert_no_busy_polling<F: Future>(
    future: F,
    period: Duration,
    at_most: usize,
) -> Option<F::Output> {
    match polls_within(future, period, at_most).await {
        Ok(output) => output,
        Err(TooManyPolls) => panic!(
            "busy polling: a waiting future asked for more than {at_most} polls within {period:?}; it must be woken by \
             what it waits for, never by itself"
        ),
    }
}

/// A future asked for more polls than allowed.
#[derive(Debug)]
pub(crate) struct TooManyPolls;

/// Polls a future for this long, whenever it asks for it, but at most this often.
pub(crate) async fn polls_within<F: Future>(
    future: F,
    period: Duration,
    at_most: usize,
) -> Result<Option<F::Output>, TooManyPolls> {
    let mut future = pin!(future);
    let mut end = pin!(tokio::time::sleep(period));
    let flag = WakeFlag::woken();
    let mut polls = 0;
    poll_fn(|cx| {
        flag.wakes(cx.waker());
        while flag.take() {
            if polls == at_most {
                return Poll::Ready(Err(TooManyPolls));
            }
            polls += 1;
            if let Poll::Ready(output) = flag.poll(future.as_mut()) {
                return Poll::Ready(Ok(Some(output)));
            }
        }
        end.as_mut().poll(cx).map(|()| Ok(None))
    })
    .await
}

/// Lets other tasks of the runtime run, without any time passing.
pub(crate) async fn give_way() {
    for _ in 0..8 {
        let mut given = false;
        poll_fn(|cx| {
            if std::mem::replace(&mut given, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

/// Polls a future up to this often, each time it was woken.
async fn completes_within<F: Future>(future: F, polls: usize) -> bool {
    let mut future = pin!(future);
    let flag = WakeFlag::woken();
    for poll in 0..polls {
        let woken = poll_fn(|cx| {
            flag.wakes(cx.waker());
            if flag.take() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        let woken = tokio::time::timeout(PATIENCE, woken).await.is_ok();
        assert!(
            woken,
            "the future was not woken for {PATIENCE:?} after poll {poll}: it would never complete"
        );
        if flag.poll(future.as_mut()).is_ready() {
            return true;
        }
    }
    false
}

/// A waker that remembers whether it was woken, and wakes another.
#[derive(Debug)]
pub(crate) struct WakeFlag {
    woken: AtomicBool,
    parent: Mutex<Option<Waker>>,
}

impl WakeFlag {
    /// A flag that asks for a first poll.
    pub(crate) fn woken() -> Arc<Self> {
        Arc::new(Self {
            woken: AtomicBool::new(true),
            parent: Mutex::new(None),
        })
    }

    /// Says whom to wake.
    pub(crate) fn wakes(&self, parent: &Waker) {
        let parent = parent.clone();
        let _before = lock(&self.parent).replace(parent);
    }

    /// Whether it was woken since this was last asked.
    pub(crate) fn take(&self) -> bool {
        self.woken.swap(false, Ordering::AcqRel)
    }

    /// The same, without forgetting it.
    pub(crate) fn is_set(&self) -> bool {
        self.woken.load(Ordering::Acquire)
    }

    /// Polls a future with this flag as its waker.
    pub(crate) fn poll<F: Future>(self: &Arc<Self>, future: Pin<&mut F>) -> Poll<F::Output> {
        self.with(|cx| future.poll(cx))
    }

    /// Runs a poll function with this flag as its waker.
    pub(crate) fn with<T>(self: &Arc<Self>, poll: impl FnOnce(&mut Context<'_>) -> T) -> T {
        let waker = Waker::from(Arc::clone(self));
        poll(&mut Context::from_waker(&waker))
    }
}

impl Wake for WakeFlag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        let parent = lock(&self.parent).clone();
        if let Some(parent) = parent {
            parent.wake();
        }
    }
}
