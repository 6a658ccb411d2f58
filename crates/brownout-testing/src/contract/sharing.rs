//! Many users of one service, at the same time and from different tasks.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tower_service::Service;

use super::law::{Breach, Law};
use super::rig::{Rig, answer_to};
use crate::polling::WakeFlag;
use crate::probe_service::Behaviour;

const CALLS: u32 = 64;

/// One who waits for an answer in a task of its own.
struct Caller<F> {
    request: u32,
    future: Pin<Box<F>>,
    flag: Arc<WakeFlag>,
}

pub(super) async fn many_clones_work_at_once<S, E>(rig: &mut Rig<S, E>) -> Result<(), Breach>
where
    S: Service<u32, Response = u32> + Clone,
    S::Error: fmt::Debug,
    E: 'static,
{
    let law = Law::WorksConcurrently;
    let rig = &*rig;
    answer_out_of_order(rig);
    let mut calls: Vec<_> = (0..CALLS)
        .map(|n| Box::pin(rig.expect_clone_answers(n, law, "with many clones called at once")))
        .collect();
    all(&mut calls).await?;

    answer_out_of_order(rig);
    let mut calls: Vec<_> = (0..CALLS)
        .map(|n| {
            Box::pin(rig.expect_clone_answers(n, law, "after half of the callers had left midway"))
        })
        .collect();
    poll_fn(|cx| Poll::Ready(poll_each(&mut calls, cx))).await?;
    let mut leaves = false;
    calls.retain(|_| {
        leaves = !leaves;
        !leaves
    });
    all(&mut calls).await
}

/// As a buffer has it: one task owns the service, waits for its readiness and makes all calls; each caller polls its own
/// future; and the service is dropped when the last call is made, not when the last answer has come.
pub(super) async fn one_task_may_call_and_others_poll<S, E>(
    rig: &mut Rig<S, E>,
) -> Result<(), Breach>
where
    S: Service<u32, Response = u32> + Clone,
    S::Error: fmt::Debug,
    E: 'static,
{
    let law = Law::WorksBelowABuffer;
    answer_out_of_order(rig);
    let mut made = 0;
    let mut worker = Some(rig.service.clone());
    let mut callers = Vec::new();
    let buffered = poll_fn(|cx| {
        while let Some(service) = worker.as_mut().filter(|_| made < CALLS) {
            match service.poll_ready(cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(())) => {
                    callers.push(Caller::new(made, service.call(made)));
                    made += 1;
                }
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(format!("its readiness failed with {error:?}")));
                }
            }
        }
        if made == CALLS {
            worker = None;
        }
        let mut outcome = Ok(());
        callers.retain_mut(|caller| match caller.poll(cx) {
            Poll::Pending => true,
            Poll::Ready(answered) => {
                outcome = std::mem::replace(&mut outcome, Ok(())).and(answered);
                false
            }
        });
        match outcome {
            Ok(()) if worker.is_some() || !callers.is_empty() => Poll::Pending,
            outcome => Poll::Ready(outcome),
        }
    });
    let when = "with one task that made the calls and others that polled them";
    match rig.drive(buffered).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(wrong)) => Err(Breach::new(law, format!("{when}, {wrong}"))),
        Err(trouble) => Err(trouble.breaks(law, when)),
    }
}

impl<F> Caller<F> {
    fn new(request: u32, future: F) -> Self {
        Self {
            request,
            future: Box::pin(future),
            flag: WakeFlag::woken(),
        }
    }

    /// Polls the future if it asked for it; says what is wrong with the answer.
    fn poll<E: fmt::Debug>(&mut self, cx: &Context<'_>) -> Poll<Result<(), String>>
    where
        F: Future<Output = Result<u32, E>>,
    {
        self.flag.wakes(cx.waker());
        if !self.flag.take() {
            return Poll::Pending;
        }
        self.flag
            .poll(self.future.as_mut())
            .map(|outcome| match outcome {
                Ok(answer) if answer == answer_to(self.request) => Ok(()),
                outcome => Err(format!("request {} got {outcome:?}", self.request)),
            })
    }
}

/// Makes calls that overtake one another.
fn answer_out_of_order<S, E: 'static>(rig: &Rig<S, E>) {
    rig.probe.script((0..u64::from(CALLS)).map(|call| {
        let delay = Duration::from_millis(1 + call * 7 % 5);
        Behaviour::answer(|request| Ok(answer_to(request)))
            .yielding(1)
            .after(delay)
    }));
}

/// Waits for all of them, and returns the first breach.
async fn all<F: Future<Output = Result<(), Breach>>>(
    calls: &mut Vec<Pin<Box<F>>>,
) -> Result<(), Breach> {
    poll_fn(|cx| match poll_each(calls, cx) {
        Ok(()) if !calls.is_empty() => Poll::Pending,
        outcome => Poll::Ready(outcome),
    })
    .await
}

/// Polls each once, and forgets those that have ended.
fn poll_each<F: Future<Output = Result<(), Breach>>>(
    calls: &mut Vec<Pin<Box<F>>>,
    cx: &mut Context<'_>,
) -> Result<(), Breach> {
    let mut outcome = Ok(());
    calls.retain_mut(|call| match call.as_mut().poll(cx) {
        Poll::Pending => true,
        Poll::Ready(ended) => {
            outcome = std::mem::replace(&mut outcome, Ok(())).and(ended);
            false
        }
    });
    outcome
}
