//! Who is woken, and how often.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tower_service::Service;

use super::law::{Breach, Law};
use super::rig::{Rig, Trouble, answer_to, call, caught};
use crate::polling::{TooManyPolls, WakeFlag, give_way, polls_within};
use crate::probe_service::Behaviour;

const WAITERS: u32 = 8;

/// Turns of [`pause`]: one second of tokio's clock.
pub(super) const TURNS: usize = 100;

/// What a waiting future may ask for in a second: a few layers' own timers, but no loop.
const MOST_POLLS: usize = 16;

pub(super) async fn every_waiter_is_woken<S, E>(rig: &mut Rig<S, E>) -> Result<(), Breach>
where
    S: Service<u32, Response = u32> + Clone,
    S::Error: fmt::Debug,
{
    let law = Law::WakesEveryWaiter;
    rig.probe.make_pending();
    let mut waiters: Vec<_> = (0..WAITERS)
        .map(|id| (id, rig.service.clone(), WakeFlag::woken()))
        .collect();
    for turn in 0..TURNS {
        let mut waiting = Vec::new();
        for (id, mut service, flag) in waiters {
            let polled = if flag.take() {
                poll_ready(&flag, &mut service, law)?
            } else {
                Poll::Pending
            };
            match polled {
                Poll::Pending => waiting.push((id, service, flag)),
                Poll::Ready(Ok(())) => {
                    // An answer that itself waits for readiness below must be able to come.
                    rig.probe.make_ready();
                    let when = "calling a waiter that became ready";
                    let future = call(&mut service, id, law, when)?;
                    let answered = rig.drive(future).await;
                    answered.map_err(|trouble| trouble.breaks(law, when))?.ok();
                }
                Poll::Ready(Err(error)) => {
                    return Err(Breach::new(
                        law,
                        format!("waiting for readiness failed with {error:?}"),
                    ));
                }
            }
        }
        waiters = waiting;
        if waiters.is_empty() {
            return Ok(());
        }
        if turn == 0 {
            rig.probe.make_ready();
        }
        pause().await;
    }
    let detail = format!(
        "{} of {WAITERS} clones whose readiness was pending were not woken when the inner service became ready",
        waiters.len()
    );
    Err(Breach::new(law, detail))
}

pub(super) async fn the_last_poller_of_readiness_is_woken<S, E>(
    rig: &mut Rig<S, E>,
) -> Result<(), Breach>
where
    S: Service<u32, Response = u32> + Clone,
    S::Error: fmt::Debug,
{
    let law = Law::WakesLastPoller;
    let mut service = rig.service.clone();
    rig.probe.make_pending();
    let [first, last] = [WakeFlag::woken(), WakeFlag::woken()];
    for flag in [&first, &last] {
        flag.take();
        if poll_ready(flag, &mut service, law)?.is_ready() {
            return Ok(());
        }
    }
    rig.probe.make_ready();
    expect_woken(&last, "two tasks polled the readiness of one instance").await
}

pub(super) async fn the_last_poller_of_a_future_is_woken<S, E>(
    rig: &mut Rig<S, E>,
) -> Result<(), Breach>
where
    S: Service<u32, Response = u32> + Clone,
    S::Error: fmt::Debug,
    E: 'static,
{
    let law = Law::WakesLastPoller;
    rig.probe
        .always(Behaviour::hold(|request| Ok(answer_to(request))));
    let mut service = rig.service.clone();
    let when = "making a call that is held below";
    rig.expect_ready(&mut service, law, when).await?;
    let mut future = pin!(call(&mut service, 1, law, when)?);

    let [first, last] = [WakeFlag::woken(), WakeFlag::woken()];
    for flag in [&first, &last] {
        // Polled until nothing asks for another poll: a layer may have awaits of its own before the held one.
        for _ in 0..TURNS {
            let polled = caught(|| flag.poll(future.as_mut()))
                .map_err(|trouble| trouble.breaks(law, when))?;
            if polled.is_ready() {
                return Ok(());
            }
            flag.take();
            pause().await;
            if !flag.take() {
                break;
            }
        }
    }
    rig.probe.release_all();
    expect_woken(&last, "two tasks polled the future of one call").await
}

pub(super) async fn nothing_polls_busily<S, E>(rig: &mut Rig<S, E>) -> Result<(), Breach>
where
    S: Service<u32, Response = u32> + Clone,
    S::Error: fmt::Debug,
{
    let law = Law::NoBusyPolling;
    let second = Duration::from_secs(1);
    let mut service = rig.service.clone();
    rig.probe.always(Behaviour::hang());
    let when = "making a call that hangs below";
    rig.expect_ready(&mut service, law, when).await?;
    let future = call(&mut service, 1, law, when)?;
    let polled = rig.drive(polls_within(future, second, MOST_POLLS)).await;
    expect_calm(polled, "the future of a call that hangs below")?;

    rig.probe.make_pending();
    let mut service = rig.service.clone();
    let readiness = poll_fn(|cx| service.poll_ready(cx));
    let polled = rig.drive(polls_within(readiness, second, MOST_POLLS)).await;
    expect_calm(polled, "readiness that is pending below")
}

/// Lets other tasks run and a little time pass.
pub(super) async fn pause() {
    give_way().await;
    tokio::time::sleep(Duration::from_millis(10)).await;
}

fn poll_ready<S>(
    flag: &Arc<WakeFlag>,
    service: &mut S,
    law: Law,
) -> Result<Poll<Result<(), S::Error>>, Breach>
where
    S: Service<u32>,
{
    let polled = caught(|| flag.with(|cx| service.poll_ready(cx)));
    polled.map_err(|trouble| trouble.breaks(law, "polling readiness"))
}

async fn expect_woken(flag: &WakeFlag, when: &str) -> Result<(), Breach> {
    for _ in 0..TURNS {
        if flag.take() {
            return Ok(());
        }
        pause().await;
    }
    Err(Breach::new(
        Law::WakesLastPoller,
        format!("{when}, and the last of them was not woken"),
    ))
}

fn expect_calm<T>(
    polled: Result<Result<T, TooManyPolls>, Trouble>,
    what: &str,
) -> Result<(), Breach> {
    let law = Law::NoBusyPolling;
    match polled {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(TooManyPolls)) => Err(Breach::new(
            law,
            format!("{what} asked for more than {MOST_POLLS} polls within one second"),
        )),
        Err(trouble) => Err(trouble.breaks(law, &format!("polling {what}"))),
    }
}
