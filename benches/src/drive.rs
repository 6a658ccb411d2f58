//! The loop around a subject: what a caller of a service does, and nothing else.

use std::fmt;
use std::hint::{black_box, spin_loop};
use std::pin::{Pin, pin};
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};

use tokio::runtime::{Builder, Runtime};
use tower_service::Service;

use crate::subjects::backend::Request;

/// How the service under test is held between two calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// One instance, called again and again.
    Reused,
    /// A clone for every call, as axum and hyper make them.
    Cloned,
}

impl Shape {
    /// Both shapes, in the order of the table.
    pub const ALL: [Self; 2] = [Self::Reused, Self::Cloned];

    /// The word for it on a command line and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reused => "reused",
            Self::Cloned => "cloned",
        }
    }
}

/// What the last call answered: a subject that is not in the state its row names would measure something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The call succeeded.
    Success,
    /// The call failed or was rejected.
    Failure,
}

/// One thread's hold on an instance under test.
pub trait Drive: Send {
    /// Makes `calls` calls, one after the other.
    fn run(&mut self, shape: Shape, calls: u64);

    /// A hold on the same instance for another thread: a clone of the service.
    fn fork(&self) -> Box<dyn Drive>;

    /// Makes one call and says how it ended.
    fn answer(&mut self) -> Answer;
}

impl fmt::Debug for dyn Drive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Drive")
    }
}

/// Drives a tower service.
///
/// Aligned to two cache lines, so that the holds of two threads never share one.
#[derive(Debug)]
#[repr(align(128))]
pub struct ServiceDrive<S>(S);

impl<S> ServiceDrive<S>
where
    S: Service<Request> + Clone + Send + 'static,
{
    /// A boxed drive of `service`.
    pub fn boxed(service: S) -> Box<dyn Drive> {
        Box::new(Self(service))
    }
}

impl<S> Drive for ServiceDrive<S>
where
    S: Service<Request> + Clone + Send + 'static,
{
    // The service is hidden from the optimiser before each call: it lives in memory that others may have touched, and what
    // it keeps there must be read again, as between two requests of a server.
    fn run(&mut self, shape: Shape, calls: u64) {
        // Made once, as a runtime does for a task, and not counted as the subject's.
        let mut context = Context::from_waker(Waker::noop());
        match shape {
            Shape::Reused => {
                for request in 0..calls {
                    drop(black_box(call(
                        black_box(&mut self.0),
                        black_box(request),
                        &mut context,
                    )));
                }
            }
            Shape::Cloned => {
                for request in 0..calls {
                    drop(black_box(call(
                        &mut black_box(&self.0).clone(),
                        black_box(request),
                        &mut context,
                    )));
                }
            }
        }
    }

    fn fork(&self) -> Box<dyn Drive> {
        Self::boxed(self.0.clone())
    }

    fn answer(&mut self) -> Answer {
        match call(&mut self.0, 0, &mut Context::from_waker(Waker::noop())) {
            Ok(_) => Answer::Success,
            Err(_) => Answer::Failure,
        }
    }
}

/// Drives a plain operation: a read of the registry, or one of the limits that no layer can beat.
#[derive(Debug)]
#[repr(align(128))]
pub struct OpDrive<F>(F);

impl<F, T> OpDrive<F>
where
    F: FnMut() -> T + Clone + Send + 'static,
{
    /// A boxed drive of `operation`, which is cloned for a second thread.
    pub fn boxed(operation: F) -> Box<dyn Drive> {
        Box::new(Self(operation))
    }
}

impl<F, T> Drive for OpDrive<F>
where
    F: FnMut() -> T + Clone + Send + 'static,
{
    // An operation has no readiness and no clone of its own: both shapes are the same loop.
    fn run(&mut self, _: Shape, calls: u64) {
        for _ in 0..calls {
            drop(black_box((black_box(&mut self.0))()));
        }
    }

    fn fork(&self) -> Box<dyn Drive> {
        Self::boxed(self.0.clone())
    }

    fn answer(&mut self) -> Answer {
        drop(black_box((self.0)()));
        Answer::Success
    }
}

/// The runtime whose clock the timers under test belong to.
///
/// It has a worker of its own, because a peer that sleeps when it finds its lock taken would otherwise never wake.
///
/// # Panics
///
/// Where the operating system refuses a thread: nothing can be measured there.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .expect("a runtime with one worker can be started")
    })
}

/// Polls `future` to its end with a waker that does nothing.
#[inline]
pub fn finish<F: Future>(future: F) -> F::Output {
    poll_to_end(pin!(future), &mut Context::from_waker(Waker::noop()))
}

/// What a caller does: ready, call, poll to the end.
#[expect(
    clippy::inline_always,
    reason = "the harness's own calls and copies must not count as the subject's"
)]
#[inline(always)]
fn call<S: Service<Request>>(
    service: &mut S,
    request: Request,
    context: &mut Context<'_>,
) -> Result<S::Response, S::Error> {
    loop {
        match service.poll_ready(context) {
            Poll::Ready(Ok(())) => break,
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => spin_loop(),
        }
    }
    poll_to_end(pin!(service.call(request)), context)
}

#[expect(clippy::inline_always, reason = "as above")]
#[inline(always)]
fn poll_to_end<F: Future>(mut future: Pin<&mut F>, context: &mut Context<'_>) -> F::Output {
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return output;
        }
        spin_loop();
    }
}
