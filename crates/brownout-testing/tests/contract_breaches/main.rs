//! The contract suite catches middleware that breaks a law. Each layer here is broken as real ones have been.
#![allow(
    clippy::unwrap_used,
    reason = "a test that meets the unexpected should stop there"
)]

mod calls;
mod handover;
mod readiness;
mod waiting;

use std::pin::Pin;
use std::task::{Context, Poll};

use brownout_testing::TestError;
use brownout_testing::contract::{Breach, Contract, ContractProbe, Law};
use tower::Service;

type Probe = ContractProbe<TestError>;
type Ready = Poll<Result<(), TestError>>;
type Answer = Pin<Box<dyn Future<Output = Result<u32, TestError>>>>;

/// A middleware made of two closures and some state, which `Clone` clones.
#[derive(Clone)]
struct Middleware<T, P, C> {
    inner: Probe,
    state: T,
    poll_ready: P,
    call: C,
}

impl<T, P, C> Service<u32> for Middleware<T, P, C>
where
    P: Fn(&mut Probe, &mut T, &mut Context<'_>) -> Ready,
    C: Fn(&mut Probe, &mut T, u32) -> Answer,
{
    type Response = u32;
    type Error = TestError;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Ready {
        (self.poll_ready)(&mut self.inner, &mut self.state, cx)
    }

    fn call(&mut self, request: u32) -> Answer {
        (self.call)(&mut self.inner, &mut self.state, request)
    }
}

/// Checks the middleware made of these two closures.
async fn check<T: Clone>(
    state: impl Fn() -> T,
    poll_ready: impl Fn(&mut Probe, &mut T, &mut Context<'_>) -> Ready + Clone,
    call: impl Fn(&mut Probe, &mut T, u32) -> Answer + Clone,
) -> Result<(), Breach> {
    Contract::new(|inner: Probe| Middleware {
        inner,
        state: state(),
        poll_ready: poll_ready.clone(),
        call: call.clone(),
    })
    .check()
    .await
}

#[track_caller]
fn assert_breaks(outcome: Result<(), Breach>, law: Law, detail: &str) {
    let breach = outcome.expect_err("the broken layer was not caught");
    assert_eq!(breach.law(), law, "{breach}");
    assert!(breach.detail().contains(detail), "{breach}");
}

fn ready<T>(inner: &mut Probe, _: &mut T, cx: &mut Context<'_>) -> Ready {
    inner.poll_ready(cx)
}

fn call<T>(inner: &mut Probe, _: &mut T, request: u32) -> Answer {
    Box::pin(inner.call(request))
}

#[tokio::test(start_paused = true)]
async fn two_honest_closures_keep_every_law() {
    check(|| (), ready, call).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_breach_names_its_law_in_a_sentence() {
    let breach = check(|| (), |_, (), _| Poll::Ready(Ok(())), call)
        .await
        .unwrap_err();
    assert!(
        breach.to_string().starts_with(
            "law broken (CallAfterReadiness): `call` may reach an instance only after that same instance was polled ready; "
        ),
        "{breach}"
    );
}
