//! A service that answers from a list.
//!
//! A [`Script`] is the shortest way to say "first this, then that". It is a [`ProbeService`] inside: it checks tower's
//! contract, and its [`handle`](Script::handle) counts and steers it.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//! use brownout_testing::{Script, TestError, script::{after, err, ok}};
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let service = Script::new([
//!     ok("fresh"),
//!     err(TestError::new("down")),
//!     after(Duration::from_secs(2), ok("slow")),
//! ])
//! .then(|_request: u32| Ok("from now on"));
//!
//! assert_eq!(service.clone().oneshot(1).await, Ok("fresh"));
//! assert_eq!(service.clone().oneshot(2).await, Err(TestError::new("down")));
//! assert_eq!(service.clone().oneshot(3).await, Ok("slow"));
//! assert_eq!(service.clone().oneshot(4).await, Ok("from now on"));
//! # }
//! ```

use std::fmt;
use std::sync::Mutex;
use std::task::{Context, Poll};
use std::time::Duration;

use tower_service::Service;

use crate::probe_service::{Behaviour, ProbeFuture, ProbeHandle, ProbeService};
use crate::sync::lock;

/// One entry of a [`Script`]: how one call ends, and when.
pub struct Step<Res, E> {
    delay: Duration,
    end: End<Res, E>,
}

enum End<Res, E> {
    Answer(Result<Res, E>),
    Hang,
    Panic,
}

/// A service that answers from a list, then by a default.
///
/// Clones share the list: each call takes the next step, whichever instance it is made on.
///
/// # Panics
///
/// Without a default ([`Script::then`]), a call that finds the list at its end panics with "script exhausted". Breaches
/// of tower's contract panic as in [`ProbeService`].
pub struct Script<Req, Res, E> {
    service: ProbeService<Req, Res, E>,
}

/// A call that answers with this value.
pub const fn ok<Res, E>(response: Res) -> Step<Res, E> {
    Step {
        delay: Duration::ZERO,
        end: End::Answer(Ok(response)),
    }
}

/// A call that fails with this error.
pub const fn err<Res, E>(error: E) -> Step<Res, E> {
    Step {
        delay: Duration::ZERO,
        end: End::Answer(Err(error)),
    }
}

/// A call that does this step later, by tokio's clock, counted from the first poll of its future.
pub fn after<Res, E>(delay: Duration, step: Step<Res, E>) -> Step<Res, E> {
    Step {
        delay: delay.saturating_add(step.delay),
        ..step
    }
}

/// A call that never completes.
pub const fn hang<Res, E>() -> Step<Res, E> {
    Step {
        delay: Duration::ZERO,
        end: End::Hang,
    }
}

/// A call whose future panics when it is polled.
pub const fn panic<Res, E>() -> Step<Res, E> {
    Step {
        delay: Duration::ZERO,
        end: End::Panic,
    }
}

impl<Req, Res, E> Script<Req, Res, E>
where
    Res: Send + 'static,
    E: Send + 'static,
{
    /// Makes a service that answers from this list.
    pub fn new(steps: impl IntoIterator<Item = Step<Res, E>>) -> Self {
        let behaviours: Vec<_> = steps.into_iter().map(Step::into_behaviour).collect();
        let exhausted = format!(
            "script exhausted: the script has {} steps, and one more call was made; add a step, or a default with \
             `Script::then`",
            behaviours.len()
        );
        let (service, handle) = ProbeService::with(Behaviour::panic_with(exhausted.into()));
        handle.script(behaviours);
        Self { service }
    }
}

impl<Req, Res, E> Script<Req, Res, E> {
    /// Says how calls are answered when the list is at its end.
    pub fn then(self, answer: impl Fn(Req) -> Result<Res, E> + Send + Sync + 'static) -> Self {
        self.handle().always(Behaviour::answer(answer));
        self
    }

    /// How many steps are still unused.
    pub fn remaining(&self) -> usize {
        self.handle().scripted()
    }

    /// The handle that counts and steers the service.
    pub fn handle(&self) -> ProbeHandle<Req, Res, E> {
        self.service.handle()
    }
}

impl<Res, E> Step<Res, E>
where
    Res: Send + 'static,
    E: Send + 'static,
{
    fn into_behaviour<Req>(self) -> Behaviour<Req, Res, E> {
        let behaviour = match self.end {
            End::Answer(result) => {
                let once = Mutex::new(Some(result));
                Behaviour::answer(move |_| match lock(&once).take() {
                    Some(result) => result,
                    None => unreachable!("a step is taken from the script by one call only"),
                })
            }
            End::Hang => Behaviour::hang(),
            End::Panic => Behaviour::panic_in_poll(),
        };
        behaviour.after(self.delay)
    }
}

impl<Req, Res, E> Service<Req> for Script<Req, Res, E> {
    type Response = Res;
    type Error = E;
    type Future = ProbeFuture<Req, Res, E>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        self.service.call(request)
    }
}

impl<Req, Res, E> Clone for Script<Req, Res, E> {
    fn clone(&self) -> Self {
        Self {
            service: self.service.clone(),
        }
    }
}

impl<Req, Res, E> fmt::Debug for Script<Req, Res, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Script").field(&self.service).finish()
    }
}

impl<Res, E> fmt::Debug for Step<Res, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = match self.end {
            End::Answer(Ok(_)) => "ok",
            End::Answer(Err(_)) => "err",
            End::Hang => "hang",
            End::Panic => "panic",
        };
        f.debug_struct("Step")
            .field("delay", &self.delay)
            .field("end", &end)
            .finish()
    }
}
