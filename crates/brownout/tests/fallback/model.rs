//! Random chains beside a slow, obvious model: who answers, when, with what mark, and who was asked.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use brownout::{
    Registry,
    core::{BoxError, Degraded, Origin, RejectReason, Rejected, Verdict},
    fallback::{Exhausted, FallbackLayer, Tier},
    registry::EventKind,
};
use brownout_testing::{Behaviour, TestError};
use proptest::prelude::*;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt};

use crate::common::{Handle, Probe, ms, probe};

/// What an instance does with its next call.
#[derive(Clone, Copy, Debug)]
enum Does {
    Answers,
    AnswersBadly,
    Fails,
    Refuses,
    Hangs,
    IsNotReady,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    does: Does,
    delay: u64,
    timeout: Option<u64>,
}

#[derive(Clone, Debug)]
struct Case {
    primary: Part,
    tiers: [Part; 3],
    within: Option<u64>,
    safe: bool,
}

/// What a caller sees: the answer of the one at that place (0 is the primary), a failed answer, an error's text.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    answer: Result<u32, String>,
    at: u64,
    asked: [bool; 4],
    served: Option<(&'static str, &'static str)>,
}

const NAMES: [&str; 4] = ["primary", "a", "b", "c"];
const BAD: u32 = 1_000;

fn part() -> impl Strategy<Value = Part> {
    let does = prop_oneof![
        2 => Just(Does::Answers),
        2 => Just(Does::AnswersBadly),
        2 => Just(Does::Fails),
        2 => Just(Does::Refuses),
        1 => Just(Does::Hangs),
        1 => Just(Does::IsNotReady),
    ];
    (does, 0..40_u64, proptest::option::of(1..40_u64)).prop_map(|(does, delay, timeout)| Part {
        does,
        // Apart from the timeouts, so that nothing happens at the same moment as something else.
        delay: 2 * delay,
        timeout: timeout.map(|timeout| 2 * timeout + 1),
    })
}

fn case() -> impl Strategy<Value = Case> {
    // At odd times that no timeout ends at, give or take what came before.
    let within = proptest::option::of(1..200_u64);
    (part(), [part(), part(), part()], within, any::<bool>()).prop_map(
        |(primary, tiers, within, safe)| Case {
            primary,
            tiers,
            within,
            safe,
        },
    )
}

/// The model: one after another, by the sentences of the documentation.
fn expected(case: &Case) -> Option<Seen> {
    let mut at = 0;
    let mut asked = [false; 4];
    let mut first_reason = "";
    let mut last: Result<u32, String> = Err(String::new());
    for place in 0..4 {
        let part = if place == 0 {
            case.primary
        } else {
            case.tiers[place - 1]
        };
        let timeout = if place == 0 { None } else { part.timeout };
        let remains = case.within.map(|within| within.saturating_sub(at));
        if place > 0 && remains == Some(0) {
            last = Err("no tier answered".into());
            continue;
        }
        let limit = match (timeout, remains) {
            (Some(timeout), Some(remains)) => Some(timeout.min(remains)),
            (some, none) => some.or(none),
        };
        let takes = match part.does {
            Does::IsNotReady => Some(0),
            Does::Hangs => None,
            _ => Some(part.delay),
        };
        asked[place] = !matches!(part.does, Does::IsNotReady);
        let (outcome, reason, not_sent) = match (takes, limit) {
            (None, None) => return None,
            (Some(takes), limit) if limit.is_none_or(|limit| takes <= limit) => {
                at += takes;
                let place = u32::try_from(place).unwrap();
                match part.does {
                    Does::Answers => {
                        let served = (place > 0).then(|| (NAMES[place as usize], first_reason));
                        let answer = Ok(place);
                        return Some(Seen {
                            answer,
                            at,
                            asked,
                            served,
                        });
                    }
                    Does::AnswersBadly => (Ok(BAD + place), "failed", false),
                    Does::Fails => (
                        Err(format!("{} fails", NAMES[place as usize])),
                        "failed",
                        false,
                    ),
                    Does::Refuses => (Err("refused".into()), "circuit-open", true),
                    // The primary's error of readiness is erased before the call.
                    Does::IsNotReady if place == 0 => {
                        (Err("no tier answered".into()), "not-ready", true)
                    }
                    Does::IsNotReady => (Err("not ready".into()), "not-ready", true),
                    Does::Hangs => unreachable!("takes for ever"),
                }
            }
            (_, limit) => {
                at += limit.unwrap();
                (Err("no tier answered".into()), "timed-out", false)
            }
        };
        if place == 0 {
            first_reason = reason;
        }
        // An error of a tier that is not the last has no way to the caller.
        let own = place == 0 || place == 3 || outcome.is_ok();
        last = outcome;
        if !(case.safe || not_sent) {
            let answer = if own {
                last
            } else {
                Err("no tier answered".into())
            };
            return Some(Seen {
                answer,
                at,
                asked,
                served: None,
            });
        }
    }
    Some(Seen {
        answer: last,
        at,
        asked,
        served: None,
    })
}

fn instance(place: u32, part: Part) -> (Probe, Handle) {
    let (service, handle) = probe();
    let delay = ms(part.delay);
    handle.always(match part.does {
        Does::Answers | Does::IsNotReady => Behaviour::answer(move |_| Ok(place)).after(delay),
        Does::AnswersBadly => Behaviour::answer(move |_| Ok(BAD + place)).after(delay),
        Does::Fails => Behaviour::answer(move |_| {
            Err(TestError::new(format!("{} fails", NAMES[place as usize])).into())
        })
        .after(delay),
        Does::Refuses => Behaviour::answer(move |_| Err(refusal().into())).after(delay),
        Does::Hangs => Behaviour::hang(),
    });
    if matches!(part.does, Does::IsNotReady) {
        handle.fail_readiness(|| "not ready".into());
    }
    (service, handle)
}

fn refusal() -> Rejected {
    let dependency = Registry::new().dependency("search").register().unwrap();
    Rejected::new(
        Origin::new(&dependency, Instant::now()),
        RejectReason::CircuitOpen,
        None,
    )
}

fn tier(place: usize, service: Probe, part: Part) -> Tier<Probe> {
    let tier = Tier::new(NAMES[place], service);
    match part.timeout {
        Some(timeout) => tier.timeout(ms(timeout)),
        None => tier,
    }
}

/// The chain itself.
async fn observed(case: &Case) -> Seen {
    let search = Registry::new().dependency("search").register().unwrap();
    let parts = [case.primary, case.tiers[0], case.tiers[1], case.tiers[2]];
    let instances: Vec<_> = (0..4)
        .zip(parts)
        .map(|(place, part)| instance(place, part))
        .collect();
    let marks = Arc::new(Mutex::new(Vec::new()));
    let marked = Arc::clone(&marks);
    let judge = |r: Result<&u32, &BoxError>| match r {
        Ok(n) if *n < BAD => Verdict::Success,
        _ => Verdict::Failure,
    };
    let service = |place: usize| tier(place, instances[place].0.clone(), parts[place]);
    macro_rules! run {
        ($chain:expr) => {{
            let chain = $chain
                .classify(judge)
                .covering(&search)
                .mark_with(move |_: &mut u32, mark: Degraded| marked.lock().unwrap().push(mark))
                .tier(service(1))
                .tier(service(2))
                .tier(service(3));
            let chain = chain.within(case.within.map(ms));
            let mut chain = chain.build().unwrap().layer(instances[0].0.clone());
            let start = Instant::now();
            let answer = chain.ready().await.unwrap().call(7).await;
            (answer, start.elapsed())
        }};
    }
    let (answer, elapsed) = if case.safe {
        run!(FallbackLayer::for_results().safe())
    } else {
        run!(FallbackLayer::for_results())
    };
    for (_, handle) in &instances {
        handle.assert_contract_kept();
        assert!(handle.counts().in_flight == 0, "something goes on");
    }
    let events = search.registry().recent_events();
    let events: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::FallbackServed { tier, reason, .. } => {
                Some((tier.to_string(), reason.to_string()))
            }
            _ => None,
        })
        .collect();
    let served = marks.lock().unwrap().iter().map(named).next();
    let told = served.map(|(tier, reason)| (tier.to_owned(), reason.to_owned()));
    assert_eq!(events, told.into_iter().collect::<Vec<_>>());
    Seen {
        answer: answer.map_err(|error| words(&error)),
        at: u64::try_from(elapsed.as_millis()).unwrap(),
        asked: [0, 1, 2, 3].map(|place: usize| instances[place].1.counts().calls > 0),
        served,
    }
}

fn named(mark: &Degraded) -> (&'static str, &'static str) {
    let tier = mark.tier.as_deref().unwrap();
    let name = NAMES.into_iter().find(|name| *name == tier);
    (name.unwrap(), mark.reason.as_str())
}

/// An error's text; of a list of failures only that it is one.
fn words(error: &BoxError) -> String {
    if error.is::<Exhausted>() {
        "no tier answered".into()
    } else if error.is::<Rejected>() {
        "refused".into()
    } else {
        error.to_string()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_chain_does_what_the_model_says(case in case()) {
        // A case in which somebody hangs for ever is not one.
        let Some(expected) = expected(&case) else { return Ok(()) };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let seen = runtime.block_on(async {
            tokio::time::timeout(Duration::from_hours(1), observed(&case)).await
        });
        prop_assert_eq!(seen.unwrap(), expected, "{:?}", case);
    }
}
