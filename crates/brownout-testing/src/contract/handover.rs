//! What becomes of a wake-up whose receiver is dropped.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tower_service::Service;

use super::law::{Breach, Law};
use super::rig::{Rig, answer_to, caught};
use super::wakes::{TURNS, pause};
use crate::polling::WakeFlag;
use crate::probe_service::Behaviour;

/// More than the places of a small limit, so that some calls wait for one.
const CALLS: u32 = 8;

/// A call from its wait for readiness to its answer.
struct Call<F> {
    whole: Pin<Box<F>>,
    flag: Arc<WakeFlag>,
}

/// A layer that lets only so many calls through hands the place of one that ends to one that waits. Where that one is
/// dropped before it is polled, the place must go to the next: else it is lost, and with it, in time, all of them.
pub(super) async fn a_dropped_waiter_passes_on_its_wake_up<S, E>(
    rig: &mut Rig<S, E>,
) -> Result<(), Breach>
where
    S: Service<u32, Response = u32> + Clone,
    S::Error: fmt::Debug,
    E: 'static,
{
    rig.probe
        .always(Behaviour::hold(|request| Ok(answer_to(request))));
    let in_flight = || rig.probe.counts().in_flight;
    let (mut served, mut waiting) = (Vec::new(), Vec::new());
    for request in 0..CALLS {
        let mut service = rig.service.clone();
        let whole = Box::pin(async move {
            poll_fn(|cx| service.poll_ready(cx)).await?;
            service.call(request).await
        });
        let flag = WakeFlag::woken();
        let before = in_flight();
        let mut started = vec![Call { whole, flag }];
        settle(&mut started).await?;
        if in_flight() > before {
            served.append(&mut started);
        } else {
            waiting.append(&mut started);
        }
    }
    settle(&mut waiting).await?;
    let places = in_flight();
    if served.is_empty() || waiting.len() < 2 {
        // Nobody waits for anybody in this layer, or not in this configuration.
        return Ok(());
    }

    rig.probe.release(1);
    settle(&mut served).await?;
    let Some(woken) = first_woken(&waiting).await else {
        // Places come back some other way, not with the end of a call.
        return Ok(());
    };
    drop(waiting.remove(woken));
    for _ in 0..TURNS {
        let left = waiting.len();
        poll_woken(&mut waiting)?;
        if in_flight() >= places || waiting.len() < left {
            return Ok(());
        }
        pause().await;
    }
    let detail = format!(
        "{places} call(s) were let through and others waited; one ended, the waiting call that this woke was dropped \
         before it was polled, and none of the {} left was woken",
        waiting.len()
    );
    Err(Breach::new(Law::PassesOnWakeUps, detail))
}

/// Polls calls until none asks for it any more, and drops those that have ended.
async fn settle<F: Future>(calls: &mut Vec<Call<F>>) -> Result<(), Breach> {
    for _ in 0..TURNS {
        poll_woken(calls)?;
        pause().await;
        if !calls.iter().any(|call| call.flag.is_set()) {
            break;
        }
    }
    Ok(())
}

/// Polls each call that was woken once, and drops those that have ended.
fn poll_woken<F: Future>(calls: &mut Vec<Call<F>>) -> Result<(), Breach> {
    let mut waiting = Vec::new();
    for mut call in std::mem::take(calls) {
        let polled = if call.flag.take() {
            caught(|| call.flag.poll(call.whole.as_mut()).map(drop)).map_err(|trouble| {
                trouble.breaks(Law::PassesOnWakeUps, "polling one of several calls")
            })?
        } else {
            Poll::Pending
        };
        if polled.is_pending() {
            waiting.push(call);
        }
    }
    *calls = waiting;
    Ok(())
}

async fn first_woken<F>(calls: &[Call<F>]) -> Option<usize> {
    for _ in 0..TURNS {
        let woken = calls.iter().position(|call| call.flag.is_set());
        if woken.is_some() {
            return woken;
        }
        pause().await;
    }
    None
}
