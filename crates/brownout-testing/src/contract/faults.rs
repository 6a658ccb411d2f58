//! Futures dropped at any point, and panics.

use std::fmt;
use std::pin::pin;

use tower_service::Service;

use super::law::{Breach, Law};
use super::rig::{Rig, Trouble, answer_to, call, caught};
use crate::polling::{WakeFlag, give_way};
use crate::probe_service::Behaviour;

/// How often a call is dropped at the same point: once too often for what leaks a permit each time.
const ROUNDS: usize = 8;

/// More polls than a call over a probe that yields three times can need.
const MOST_POLLS: usize = 64;

pub(super) async fn a_dropped_call_releases_everything<S, E>(
    rig: &mut Rig<S, E>,
) -> Result<(), Breach>
where
    S: Service<u32, Response = u32> + Clone,
    S::Error: fmt::Debug,
    E: 'static,
{
    rig.probe
        .always(Behaviour::answer(|request| Ok(answer_to(request))).yielding(3));
    for polls in 0..MOST_POLLS {
        let mut ended = false;
        for _ in 0..ROUNDS {
            let when = format!("after a call was dropped when it had been polled {polls} times");
            ended = drop_after(rig, polls, &when).await?;
            rig.expect_nothing_in_flight(&when).await?;
        }
        if ended {
            break;
        }
    }
    rig.expect_clone_answers(
        1,
        Law::DropReleases,
        "after calls were dropped at each of their await points",
    )
    .await
}

pub(super) async fn a_dropped_hanging_call_releases_everything<S, E>(
    rig: &mut Rig<S, E>,
) -> Result<(), Breach>
where
    S: Service<u32, Response = u32> + Clone,
    S::Error: fmt::Debug,
    E: 'static,
{
    rig.probe.always(Behaviour::hang());
    for _ in 0..ROUNDS {
        let when = "after a call that hung was dropped";
        drop_after(rig, 3, when).await?;
        rig.expect_nothing_in_flight(when).await?;
    }
    rig.probe
        .always(Behaviour::answer(|request| Ok(answer_to(request))));
    rig.expect_clone_answers(1, Law::DropReleases, "after calls that hung were dropped")
        .await
}

pub(super) async fn a_panic_in_call_is_survived<S, E>(rig: &mut Rig<S, E>) -> Result<(), Breach>
where
    S: Service<u32, Response = u32> + Clone,
    S::Error: fmt::Debug,
{
    rig.probe.next(Behaviour::panic_in_call());
    survive(rig, "after the inner service had panicked in `call`").await
}

pub(super) async fn a_panic_in_a_poll_is_survived<S, E>(rig: &mut Rig<S, E>) -> Result<(), Breach>
where
    S: Service<u32, Response = u32> + Clone,
    S::Error: fmt::Debug,
{
    for yields in [0, 2] {
        rig.probe.next(Behaviour::panic_in_poll().yielding(yields));
        survive(rig, "after the inner service's future had panicked").await?;
    }
    Ok(())
}

/// Makes the call that panics, then asks for answers from the same instance and from a clone.
async fn survive<S, E>(rig: &Rig<S, E>, when: &str) -> Result<(), Breach>
where
    S: Service<u32, Response = u32> + Clone,
    S::Error: fmt::Debug,
{
    let mut service = rig.service.clone();
    // The panic may come up through the layer, or be made an error by it; but a caller must not wait for ever.
    if let Err(stuck @ (Trouble::Stuck(_) | Trouble::Spinning)) = rig.answer(&mut service, 1).await
    {
        return Err(stuck.breaks(Law::SurvivesPanic, when));
    }
    rig.expect_nothing_in_flight(when).await?;
    for request in 2..6 {
        rig.expect_answer(&mut service, request, Law::SurvivesPanic, when)
            .await?;
        rig.expect_clone_answers(request, Law::SurvivesPanic, when)
            .await?;
    }
    Ok(())
}

/// Makes a call on a clone, polls it this often and drops it; says whether it had ended before.
async fn drop_after<S, E>(rig: &Rig<S, E>, polls: usize, when: &str) -> Result<bool, Breach>
where
    S: Service<u32> + Clone,
    S::Error: fmt::Debug,
{
    let law = Law::DropReleases;
    let mut service = rig.service.clone();
    rig.expect_ready(&mut service, law, when).await?;
    let mut future = pin!(call(&mut service, 1, law, when)?);
    let flag = WakeFlag::woken();
    for _ in 0..polls {
        let polled = caught(|| flag.poll(future.as_mut()));
        if polled
            .map_err(|trouble| trouble.breaks(law, when))?
            .is_ready()
        {
            return Ok(true);
        }
        give_way().await;
    }
    Ok(false)
}
