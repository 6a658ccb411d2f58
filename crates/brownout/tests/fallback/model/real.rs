//! The chain itself, on a clock that stands still unless everybody waits.

use std::{io, time::Duration};

use brownout::{
    Registry,
    core::{BoxError, Degraded, Origin, RejectReason, Rejected},
    fallback::{Exhausted, TierView},
    registry::EventKind,
};
use brownout_testing::{Behaviour, TestError};
use tokio::time::{Instant, sleep, timeout};
use tower::{Service, ServiceExt};

use super::{
    Mark, NAMES, Seen, TierSeen, Wrong,
    case::{Call, Case, Does, Part, Says},
    outside::Outside,
    wiring::{Boxed, Marks, Parts, Told, fails, wire},
};
use crate::common::{Handle, ms, probe};

/// What each call of the case looks like.
pub(super) fn run(case: &Case) -> Vec<Seen> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut real = Real::new(case);
        let mut seen = Vec::new();
        for (n, call) in (0..).zip(&case.calls) {
            seen.push(real.call(n, call).await);
        }
        seen
    })
}

struct Real {
    outside: Outside,
    services: [Boxed; 2],
    handles: Vec<Handle>,
    told: Told,
    marks: Marks,
    /// The place of the tier that always answers.
    last: Option<usize>,
    /// The number of the last event that was read.
    heard: u64,
}

impl Real {
    fn new(case: &Case) -> Self {
        let mut outside = Outside::new();
        let (probes, handles): (Vec<_>, Vec<_>) = NAMES.iter().map(|_| probe()).unzip();
        let (told, marks) = (Told::default(), Marks::default());
        let wired = wire(&Parts {
            case,
            probes: &probes,
            dependencies: &outside.dependencies,
            told: &told,
            marks: &marks,
        });
        outside.chain = wired.chain;
        Self {
            outside,
            services: wired.services,
            handles,
            told,
            marks,
            last: (1..=case.tiers.len()).find(|place| case.is_last(*place)),
            heard: 0,
        }
    }

    async fn call(&mut self, n: u32, call: &Call) -> Seen {
        if let Some((after, order)) = call.order {
            self.outside.expect(after, order);
        }
        self.outside.until(sleep(ms(call.gap))).await;
        for place in 0..4 {
            self.instruct(place, call.parts[place]);
        }
        let (before, polls) = (self.called(), self.polls());
        let start = Instant::now();
        let service = &mut self.services[n as usize % 2];
        let answer = async { service.ready().await?.call(n).await };
        let answer = self.outside.until(timeout(ms(call.patience), answer)).await;
        let took = u64::try_from(start.elapsed().as_millis()).unwrap();
        for handle in &self.handles {
            handle.assert_contract_kept();
            assert_eq!(handle.counts().in_flight, 0, "something goes on");
        }
        let (after, answer) = (self.called(), answer.ok());
        let told = std::mem::take(&mut *self.told.lock().unwrap());
        Seen {
            answer: answer.map(|it| it.map_err(|error| wrong(&error))),
            took,
            polled: self.polls() > polls,
            called: [0, 1, 2, 3].map(|place| after[place] - before[place]),
            mark: self.mark(),
            told,
            events: self.events(),
            tiers: self.tiers(),
            statuses: [0, 1, 2].map(|of| self.outside.dependencies[of].status().as_str()),
            level: self.outside.registry.level().as_str(),
        }
    }

    /// Tells the one at that place what to do with the next call.
    fn instruct(&self, place: usize, part: Part) {
        let handle = &self.handles[place];
        let mut does = part.does;
        if self.last == Some(place) {
            does = match does {
                Does::Hangs | Does::NeverReady => Does::Hangs,
                Does::Answers(says) => Does::Answers(says),
                _ => Does::Answers(Says::Success),
            };
        }
        match does {
            Does::IsNotReady => handle.fail_readiness(|| "not ready".into()),
            Does::NeverReady if place > 0 => handle.make_pending(),
            _ => handle.make_ready(),
        }
        handle.always(behaviour(place, does).after(ms(part.delay)));
    }

    fn called(&self) -> Vec<usize> {
        self.handles.iter().map(|it| it.counts().calls).collect()
    }

    fn polls(&self) -> usize {
        self.handles[0].counts().ready_polls
    }

    fn mark(&self) -> Option<Mark> {
        let marks = std::mem::take(&mut *self.marks.lock().unwrap());
        assert!(marks.len() < 2, "{marks:?}");
        marks.into_iter().next().map(|mark: Degraded| {
            assert_eq!((mark.age, mark.head_only), (None, false));
            Mark {
                dependency: mark.dependency.as_deref().map(str::to_owned),
                tier: mark.tier.unwrap().to_string(),
                reason: mark.reason.as_str(),
                level: mark.level.as_str(),
            }
        })
    }

    fn events(&mut self) -> Vec<String> {
        let events = self.outside.registry.recent_events();
        let heard = std::mem::replace(
            &mut self.heard,
            events.last().map_or(0, |event| event.sequence),
        );
        let new = events.iter().filter(|event| event.sequence > heard);
        new.filter_map(|event| said(&event.kind)).collect()
    }

    fn tiers(&self) -> Vec<TierSeen> {
        let seen = |(view, name): (TierView, &&str)| {
            assert_eq!(view.name(), *name);
            TierSeen {
                on: view.is_on(),
                status: view.status().as_str(),
                answered: view.answered(),
                failed: view.failed(),
                last_failure: view.last_failure().map(|it| it.kind().as_str()),
            }
        };
        let chain = self.outside.chain.iter();
        chain
            .flat_map(|it| it.tiers().zip(&NAMES[1..]).map(seen))
            .collect()
    }
}

fn behaviour(place: usize, does: Does) -> Behaviour<u32, u32, BoxError> {
    let name = NAMES[place];
    match does {
        Does::Answers(says) => {
            let part = u32::try_from(place).unwrap() * 1_000_000 + says as u32 * 10_000;
            Behaviour::answer(move |n| Ok(part + n))
        }
        Does::Fails(says) => Behaviour::answer(move |n| {
            Err(TestError::new(format!("{name} fails: {says:?} {n}")).into())
        }),
        Does::Refuses(by) => Behaviour::answer(move |_| Err(refusal(by).into())),
        Does::CannotConnect => {
            Behaviour::answer(|_| Err(io::Error::from(io::ErrorKind::ConnectionRefused).into()))
        }
        Does::Hangs | Does::NeverReady => Behaviour::hang(),
        Does::IsNotReady => Behaviour::answer(Ok),
    }
}

/// By a guard of the dependency of that index.
fn refusal(by: usize) -> Rejected {
    let registry = Registry::new();
    let dependency = registry
        .dependency(super::DEPENDENCIES[by])
        .register()
        .unwrap();
    let origin = Origin::new(&dependency, Instant::now());
    Rejected::new(
        origin,
        RejectReason::CircuitOpen,
        Some(Duration::from_secs(1)),
    )
}

fn said(kind: &EventKind) -> Option<String> {
    let (dependency, said) = match kind {
        EventKind::FallbackServed {
            dependency,
            tier,
            reason,
        } => (dependency, format!("{tier} serves: {reason}")),
        EventKind::FallbackEnded {
            dependency,
            tier,
            calls,
        } => (dependency, format!("{tier} ended after {calls}")),
        EventKind::TierSwitched {
            dependency,
            tier,
            on,
        } => (dependency, format!("{tier} switched {on}")),
        _ => return None,
    };
    assert_eq!(&**dependency, super::DEPENDENCIES[0]);
    Some(said)
}

fn wrong(error: &BoxError) -> Wrong {
    if let Some(exhausted) = error.downcast_ref::<Exhausted>() {
        Wrong::Exhausted(fails(exhausted.failures()))
    } else if error.is::<Rejected>() {
        Wrong::Refused
    } else if error.is::<io::Error>() {
        Wrong::Unreachable
    } else {
        Wrong::Says(error.to_string())
    }
}
