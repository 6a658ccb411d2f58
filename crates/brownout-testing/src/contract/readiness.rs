//! Readiness: whose it is, what it holds, and how it fails.

use std::fmt;
use std::future::poll_fn;
use std::task::Poll;

use tower_service::Service;

use super::law::{Breach, Law};
use super::rig::{Rig, answer_to, call, caught};
use crate::error::TestError;

/// More often than any limit a test would configure.
const ROUNDS: u32 = 64;

pub(super) async fn a_clone_copies_none<S, E>(rig: &mut Rig<S, E>) -> Result<(), Breach>
where
    S: Service<u32, Response = u32> + Clone,
    S::Error: fmt::Debug,
{
    let law = Law::CloneCopiesNoReadiness;
    let mut original = rig.service.clone();
    rig.expect_ready(&mut original, law, "asked for readiness")
        .await?;
    let mut clone = original.clone();

    // The clone goes first, unless the original holds what the clone needs, as with a limit of one.
    let polled = poll_fn(|cx| Poll::Ready(caught(|| clone.poll_ready(cx)))).await;
    let polled =
        polled.map_err(|trouble| trouble.breaks(law, "polling a clone of a ready service"))?;
    if polled.is_ready() {
        let when = "calling a clone of a ready service, polled ready itself";
        call_ready(rig, &mut clone, 1, when).await?;
    }
    call_ready(
        rig,
        &mut original,
        2,
        "calling a ready service after its clone",
    )
    .await?;
    rig.expect_answer(&mut clone, 3, law, "calling the clone afterwards")
        .await
}

pub(super) async fn it_may_be_polled_again<S, E>(rig: &mut Rig<S, E>) -> Result<(), Breach>
where
    S: Service<u32, Response = u32> + Clone,
    S::Error: fmt::Debug,
{
    let mut service = rig.service.clone();
    for request in 0..ROUNDS {
        let when = "polled ready three times before each call";
        for _ in 0..3 {
            rig.expect_ready(&mut service, Law::ReadinessIsReleased, when)
                .await?;
        }
        rig.expect_answer(&mut service, request, Law::ReadinessIsReleased, when)
            .await?;
    }
    Ok(())
}

pub(super) async fn it_may_be_dropped_unused<S, E>(rig: &mut Rig<S, E>) -> Result<(), Breach>
where
    S: Service<u32, Response = u32> + Clone,
    S::Error: fmt::Debug,
{
    for round in 1..=ROUNDS {
        let when = format!(
            "after {} clones were polled ready and dropped uncalled",
            round - 1
        );
        rig.expect_ready(&mut rig.service.clone(), Law::ReadinessIsReleased, &when)
            .await?;
    }
    rig.expect_clone_answers(
        1,
        Law::ReadinessIsReleased,
        "after many clones were polled ready and dropped uncalled",
    )
    .await
}

pub(super) async fn the_wait_for_it_may_be_given_up<S, E>(rig: &mut Rig<S, E>) -> Result<(), Breach>
where
    S: Service<u32, Response = u32> + Clone,
    S::Error: fmt::Debug,
{
    let law = Law::ReadinessIsReleased;
    rig.probe.make_pending();
    for _ in 0..ROUNDS {
        let mut leaving = rig.service.clone();
        let polled = poll_fn(|cx| Poll::Ready(caught(|| leaving.poll_ready(cx)))).await;
        if let Err(trouble) = polled {
            return Err(trouble.breaks(law, "polling pending readiness"));
        }
    }
    rig.probe.make_ready();
    rig.expect_clone_answers(
        1,
        law,
        "after many clones were dropped while they waited for readiness",
    )
    .await
}

pub(super) async fn its_error_surfaces<S, E>(rig: &mut Rig<S, E>) -> Result<(), Breach>
where
    S: Service<u32, Response = u32> + Clone,
    S::Error: fmt::Debug,
    E: From<TestError> + 'static,
{
    rig.probe
        .fail_readiness(|| TestError::new("the connection is gone").into());
    let when = "while the inner service's readiness failed";
    match rig.answer(&mut rig.service.clone(), 1).await {
        Ok(Err(_)) => Ok(()),
        Ok(Ok(answer)) => {
            let detail = format!("{when}, it answered {answer}");
            Err(Breach::new(Law::ReadinessErrorSurfaces, detail))
        }
        Err(trouble) => Err(trouble.breaks(Law::ReadinessErrorSurfaces, when)),
    }
}

pub(super) async fn its_error_stays_local<S, E>(rig: &mut Rig<S, E>) -> Result<(), Breach>
where
    S: Service<u32, Response = u32> + Clone,
    S::Error: fmt::Debug,
    E: From<TestError> + 'static,
{
    let law = Law::ReadinessErrorStaysLocal;
    rig.probe
        .fail_readiness(|| TestError::new("the connection is gone").into());
    let failed = rig.answer(&mut rig.service.clone(), 1).await;
    let when = "while the inner service's readiness failed";
    failed.map_err(|trouble| trouble.breaks(law, when))?.ok();

    rig.probe.make_ready();
    rig.expect_clone_answers(2, law, "after the readiness of another clone had failed")
        .await
}

async fn call_ready<S, E>(
    rig: &Rig<S, E>,
    service: &mut S,
    request: u32,
    when: &str,
) -> Result<(), Breach>
where
    S: Service<u32, Response = u32>,
    S::Error: fmt::Debug,
{
    let law = Law::CloneCopiesNoReadiness;
    let future = call(service, request, law, when)?;
    match rig.drive(future).await {
        Ok(Ok(answer)) if answer == answer_to(request) => Ok(()),
        Ok(outcome) => Err(Breach::new(
            law,
            format!("{when}, request {request} got {outcome:?}"),
        )),
        Err(trouble) => Err(trouble.breaks(law, when)),
    }
}
