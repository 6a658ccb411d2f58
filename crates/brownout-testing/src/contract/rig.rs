//! What every check stands on: a fresh service over its probe, driven so that a panic or a hang is an outcome.

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tower_service::Service;

use super::law::{Breach, Law};
use crate::polling::give_way;
use crate::probe_service::{Counts, ProbeHandle, ProbeService, Standing, Violation};

/// How long, by tokio's clock, a layer's own background tasks may take to let go of what was dropped.
const LETTING_GO: Duration = Duration::from_secs(1);

pub(super) type Probe<E> = ProbeHandle<u32, u32, E>;

/// A fresh service under test, and the probe below it.
pub(super) struct Rig<S, E> {
    pub(super) service: S,
    pub(super) probe: Probe<E>,
    patience: Duration,
}

/// How a service went wrong instead of answering.
pub(super) enum Trouble {
    Panicked(String),
    Stuck(Duration),
    Spinning,
}

/// More polls than any honest call needs. A future that wakes itself stops a paused clock, and with it all patience.
const MOST_POLLS: usize = 100_000;

/// What the probe answers to a request, unless it is told otherwise.
pub(super) const fn answer_to(request: u32) -> u32 {
    request.wrapping_add(1000)
}

impl<S, E> Rig<S, E> {
    pub(super) fn new(
        build: impl Fn(ProbeService<u32, u32, E>) -> S,
        patience: Duration,
    ) -> (Self, Probe<E>)
    where
        E: 'static,
    {
        let (service, probe) = ProbeService::new(|request| Ok(answer_to(request)));
        (
            Self {
                service: build(service),
                probe: probe.clone(),
                patience,
            },
            probe,
        )
    }

    /// Drives a future to its end, or says how it went wrong.
    pub(super) async fn drive<F: Future>(&self, future: F) -> Result<F::Output, Trouble> {
        let mut future = pin!(future);
        let mut polls = 0;
        let caught = poll_fn(|cx| {
            polls += 1;
            if polls > MOST_POLLS {
                return Poll::Ready(Err(Trouble::Spinning));
            }
            match caught(|| future.as_mut().poll(cx)) {
                Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
                Ok(Poll::Pending) => Poll::Pending,
                Err(trouble) => Poll::Ready(Err(trouble)),
            }
        });
        tokio::time::timeout(self.patience, caught)
            .await
            .unwrap_or(Err(Trouble::Stuck(self.patience)))
    }

    /// Waits for the instance's readiness.
    pub(super) async fn ready(&self, service: &mut S) -> Result<Result<(), S::Error>, Trouble>
    where
        S: Service<u32>,
    {
        self.drive(poll_fn(|cx| service.poll_ready(cx))).await
    }

    /// Waits for the instance's readiness, calls it and waits for the answer.
    pub(super) async fn answer(
        &self,
        service: &mut S,
        request: u32,
    ) -> Result<Result<u32, S::Error>, Trouble>
    where
        S: Service<u32, Response = u32>,
    {
        if let Err(error) = self.ready(service).await? {
            return Ok(Err(error));
        }
        let future = caught(|| service.call(request))?;
        self.drive(future).await
    }

    /// Holds the instance to becoming ready.
    pub(super) async fn expect_ready(
        &self,
        service: &mut S,
        law: Law,
        when: &str,
    ) -> Result<(), Breach>
    where
        S: Service<u32>,
        S::Error: fmt::Debug,
    {
        match self.ready(service).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Breach::new(
                law,
                format!("{when}, its readiness failed with {error:?}"),
            )),
            Err(trouble) => Err(trouble.breaks(law, when)),
        }
    }

    /// Holds the instance to answering a request as the probe does.
    pub(super) async fn expect_answer(
        &self,
        service: &mut S,
        request: u32,
        law: Law,
        when: &str,
    ) -> Result<(), Breach>
    where
        S: Service<u32, Response = u32>,
        S::Error: fmt::Debug,
    {
        let seen = match self.answer(service, request).await {
            Ok(Ok(answer)) if answer == answer_to(request) => return Ok(()),
            Ok(Ok(answer)) => format!(
                "it answered request {request} with {answer}, its inner service with {}",
                answer_to(request)
            ),
            Ok(Err(error)) => format!("it failed request {request} with {error:?}"),
            Err(trouble) => trouble.to_string(),
        };
        Err(Breach::new(law, format!("{when}, {seen}")))
    }

    /// The same, on a clone that is dropped afterwards.
    pub(super) async fn expect_clone_answers(
        &self,
        request: u32,
        law: Law,
        when: &str,
    ) -> Result<(), Breach>
    where
        S: Service<u32, Response = u32> + Clone,
        S::Error: fmt::Debug,
    {
        self.expect_answer(&mut self.service.clone(), request, law, when)
            .await
    }

    /// Holds the layer to having let go of every call, once its own tasks have had their turn.
    pub(super) async fn expect_nothing_in_flight(&self, when: &str) -> Result<(), Breach> {
        let counts = settled(&self.probe, |counts| counts.in_flight == 0).await;
        if counts.in_flight == 0 {
            return Ok(());
        }
        let detail = format!(
            "{when}, {} call(s) of the inner service are still in flight",
            counts.in_flight
        );
        Err(Breach::new(Law::DropReleases, detail))
    }
}

impl Trouble {
    pub(super) fn breaks(&self, law: Law, when: &str) -> Breach {
        Breach::new(law, format!("{when}, {self}"))
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(message) => write!(f, "it panicked: {message}"),
            Self::Stuck(patience) => write!(f, "it was stuck: nothing came within {patience:?}"),
            Self::Spinning => {
                write!(
                    f,
                    "it woke itself {MOST_POLLS} times, and nothing came of it"
                )
            }
        }
    }
}

/// Runs code of the service under test; its panic is an outcome.
pub(super) fn caught<T>(run: impl FnOnce() -> T) -> Result<T, Trouble> {
    catch_unwind(AssertUnwindSafe(run))
        .map_err(|payload| Trouble::Panicked(text_of(payload.as_ref())))
}

/// Calls an instance that is ready.
pub(super) fn call<S>(
    service: &mut S,
    request: u32,
    law: Law,
    when: &str,
) -> Result<S::Future, Breach>
where
    S: Service<u32>,
{
    caught(|| service.call(request)).map_err(|trouble| trouble.breaks(law, when))
}

/// The law that the probe saw broken, with what the check saw of it.
pub(super) fn breach_of(violation: &Violation, seen: Option<&Breach>) -> Breach {
    let law = match (violation, seen) {
        // Only the check of clones can tell a readiness that was copied from one that was never asked for.
        (
            Violation::CalledUnready {
                standing: Standing::Cloned,
                ..
            },
            Some(breach),
        ) if breach.law() == Law::CloneCopiesNoReadiness => Law::CloneCopiesNoReadiness,
        (Violation::PolledAfterEnd { .. }, _) => Law::NoPollAfterEnd,
        _ => Law::CallAfterReadiness,
    };
    Breach::new(law, violation.to_string())
}

/// Holds a service that was dropped as a whole to having left nothing behind.
pub(super) async fn nothing_is_left<E>(probe: &Probe<E>) -> Result<(), Breach> {
    let gone = |counts: &Counts| counts.is_idle() && counts.instances == 0;
    let counts = settled(probe, gone).await;
    if gone(&counts) {
        return Ok(());
    }
    let detail = format!(
        "after the service and all its clones and futures were dropped, {} call(s) are in flight, {} instance(s) of the \
         inner service are reserved and {} alive",
        counts.in_flight, counts.reserved, counts.instances
    );
    Err(Breach::new(Law::DropReleases, detail))
}

/// The counts, as soon as they are as wanted, else as they are in the end.
async fn settled<E>(probe: &Probe<E>, wanted: impl Fn(&Counts) -> bool) -> Counts {
    give_way().await;
    let wait = tokio::time::timeout(LETTING_GO, probe.wait_for(wanted));
    wait.await.unwrap_or_else(|_| probe.counts())
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("(no message)")
        .to_owned()
}
