//! Calls to an inner service that is well, or that fails.

use std::fmt;

use tower_service::Service;

use super::law::{Breach, Law};
use super::rig::Rig;
use crate::error::TestError;
use crate::probe_service::Behaviour;

const REQUESTS: u32 = 32;

pub(super) async fn each_request_gets_its_answer<S, E>(rig: &mut Rig<S, E>) -> Result<(), Breach>
where
    S: Service<u32, Response = u32> + Clone,
    S::Error: fmt::Debug,
{
    let mut service = rig.service.clone();
    for request in 0..REQUESTS {
        rig.expect_answer(
            &mut service,
            request,
            Law::AnswersItsRequest,
            "called again and again",
        )
        .await?;
    }
    for request in 0..REQUESTS {
        rig.expect_clone_answers(
            request,
            Law::AnswersItsRequest,
            "called once on each of many clones",
        )
        .await?;
    }
    Ok(())
}

pub(super) async fn an_error_ends_the_call<S, E>(rig: &mut Rig<S, E>) -> Result<(), Breach>
where
    S: Service<u32, Response = u32> + Clone,
    S::Error: fmt::Debug,
    E: From<TestError> + 'static,
{
    let fail = || Behaviour::answer(|_| Err(TestError::new("the inner service failed").into()));
    rig.probe.script([fail(), fail().yielding(2)]);
    let mut service = rig.service.clone();
    for request in 0..2 {
        let when = "while the inner service failed";
        // An error, or what a fallback makes of it: either is an end.
        let ended = rig.answer(&mut service, request).await;
        ended
            .map_err(|trouble| trouble.breaks(Law::ErrorEndsTheCall, when))?
            .ok();
    }
    let when = "after the inner service had failed twice";
    rig.expect_answer(&mut service, 2, Law::ErrorEndsTheCall, when)
        .await?;
    rig.expect_clone_answers(3, Law::ErrorEndsTheCall, when)
        .await
}
