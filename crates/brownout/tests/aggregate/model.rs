//! Random aggregates beside a slow, obvious model: what each part comes to, when, and when the whole is done.

use std::time::Duration;

use brownout::{
    aggregate::{AggregateLayer, PartOutcome, PartResult},
    core::CauseKind,
};
use brownout_testing::Behaviour;
use proptest::prelude::*;
use tokio::time::Instant;
use tower::{Service, ServiceExt};

use crate::common::{Handle, Probe, doing, failing, ms};

#[derive(Clone, Copy, Debug)]
enum Does {
    Answers,
    Fails,
    Panics,
    Hangs,
    IsNotReady,
    NeverGetsReady,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    does: Does,
    delay: u64,
    timeout: Option<u64>,
    required: bool,
}

#[derive(Clone, Debug)]
struct Case {
    parts: Vec<Part>,
    within: Option<u64>,
    concurrency: u32,
    stands_in: bool,
}

/// What a caller sees: of each part its result and how long it took; or which required part is missing, and why.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    outcome: Result<Vec<(Told, u64)>, (usize, CauseKind)>,
    at: u64,
    asked: Vec<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Value,
    Fallback(CauseKind),
    Missing(CauseKind),
}

fn part() -> impl Strategy<Value = Part> {
    let does = prop_oneof![
        4 => Just(Does::Answers),
        2 => Just(Does::Fails),
        1 => Just(Does::Panics),
        1 => Just(Does::Hangs),
        1 => Just(Does::IsNotReady),
        1 => Just(Does::NeverGetsReady),
    ];
    let timeout = proptest::option::of(1..40_u64);
    (does, 0..40_u64, timeout, proptest::bool::weighted(0.2)).prop_map(
        |(does, delay, timeout, required)| Part {
            does,
            delay,
            timeout,
            required,
        },
    )
}

fn case() -> impl Strategy<Value = Case> {
    let parts = proptest::collection::vec(part(), 0..8);
    let within = proptest::option::of(40..100_u64);
    (parts, within, 1..6_u32, any::<bool>()).prop_map(|(parts, within, concurrency, stands_in)| {
        Case {
            parts,
            within,
            concurrency,
            stands_in,
        }
    })
}

/// When a part ends that begins now, and how; `None` if never.
fn ends(part: Part, total: Option<u64>, now: u64) -> Option<(u64, Result<(), CauseKind>)> {
    let by_itself = match part.does {
        Does::Answers => Some((now + part.delay, Ok(()))),
        Does::Fails => Some((now + part.delay, Err(CauseKind::Failed))),
        Does::Panics => Some((now + part.delay, Err(CauseKind::Panicked))),
        Does::IsNotReady => Some((now, Err(CauseKind::NotReady))),
        Does::Hangs | Does::NeverGetsReady => None,
    };
    let due = part.timeout.map(|timeout| now + timeout);
    let due = due.into_iter().chain(total).min();
    match (by_itself, due) {
        // What ends at its deadline has ended in time.
        (Some((at, how)), due) if due.is_none_or(|due| at <= due) => Some((at, how)),
        (_, due) => due.map(|due| (due, Err(CauseKind::TimedOut))),
    }
}

/// The model: an agenda, millisecond by millisecond.
struct Agenda<'a> {
    case: &'a Case,
    now: u64,
    begun: Vec<Option<u64>>,
    ended: Vec<Option<(Told, u64)>>,
    asked: Vec<bool>,
    missing: Option<(usize, CauseKind)>,
}

impl Agenda<'_> {
    fn running(&self) -> usize {
        let both = self.begun.iter().zip(&self.ended);
        both.filter(|(begun, ended)| begun.is_some() && ended.is_none())
            .count()
    }

    /// One pass over the parts, in order: of those that end now in time, or of those whose time is over.
    /// Whether any has ended.
    fn pass(&mut self, late: bool) -> bool {
        let mut any = false;
        let over = self.case.within.is_some_and(|within| within <= self.now);
        for (index, part) in self.case.parts.iter().enumerate() {
            if self.missing.is_some() || self.ended[index].is_some() {
                continue;
            }
            if self.begun[index].is_none()
                && !over
                && !late
                && self.running() < self.case.concurrency as usize
            {
                self.begun[index] = Some(self.now);
                self.asked[index] = !matches!(part.does, Does::IsNotReady | Does::NeverGetsReady);
            }
            let end = match self.begun[index] {
                Some(since) => ends(*part, self.case.within, since),
                None if over => Some((self.now, Err(CauseKind::TimedOut))),
                None => None,
            };
            let Some((_, how)) = end.filter(|(at, _)| *at <= self.now) else {
                continue;
            };
            if late == (how == Err(CauseKind::TimedOut)) {
                self.end(index, how);
                any = true;
            }
        }
        any
    }

    /// Whether this part might have been the one that failed the call: of several that fail in one moment it is any.
    fn may_be(&self, missing: (usize, CauseKind)) -> bool {
        let (index, kind) = missing;
        let part = self.case.parts[index];
        let end = self.begun[index].and_then(|since| ends(part, self.case.within, since));
        part.required && end == Some((self.now, Err(kind)))
    }

    fn end(&mut self, index: usize, how: Result<(), CauseKind>) {
        let told = match how {
            Ok(()) => Told::Value,
            Err(kind) if self.case.stands_in => Told::Fallback(kind),
            Err(kind) => Told::Missing(kind),
        };
        if let (Told::Missing(kind), true) = (told, self.case.parts[index].required) {
            self.missing = Some((index, kind));
        }
        let elapsed = self.now - self.begun[index].unwrap_or(self.now);
        self.ended[index] = Some((told, elapsed));
    }
}

/// What a caller is to see, who has seen this; `None` where somebody hangs for ever.
fn expected(case: &Case, seen: Option<&Seen>) -> Option<Seen> {
    let count = case.parts.len();
    let mut agenda = Agenda {
        case,
        now: 0,
        begun: vec![None; count],
        ended: vec![None; count],
        asked: vec![false; count],
        missing: None,
    };
    while agenda.now < 10_000 {
        // Whoever ends now gives its place to another, which may end in the same moment.
        while agenda.pass(false) || agenda.pass(true) {}
        let outcome = match agenda.missing {
            Some(missing) => match seen.map(|seen| &seen.outcome) {
                Some(Err(seen)) if agenda.may_be(*seen) => Err(*seen),
                _ => Err(missing),
            },
            None if agenda.ended.iter().all(Option::is_some) => {
                Ok(agenda.ended.iter().copied().flatten().collect())
            }
            None => {
                agenda.now += 1;
                continue;
            }
        };
        return Some(Seen {
            outcome,
            at: agenda.now,
            asked: agenda.asked,
        });
    }
    None
}

fn instance(part: Part) -> (Probe, Handle) {
    let delay = ms(part.delay);
    let (service, handle) = doing(match part.does {
        Does::Answers => Behaviour::answer(Ok).after(delay),
        Does::Fails => failing("fails").after(delay),
        Does::Panics => Behaviour::panic_in_poll().after(delay),
        Does::Hangs | Does::IsNotReady | Does::NeverGetsReady => Behaviour::hang(),
    });
    match part.does {
        Does::IsNotReady => handle.fail_readiness(|| "not ready".into()),
        Does::NeverGetsReady => handle.make_pending(),
        _ => {}
    }
    (service, handle)
}

/// The aggregate itself.
async fn observed(case: &Case) -> Seen {
    let instances: Vec<_> = case.parts.iter().copied().map(instance).collect();
    macro_rules! run {
        ($builder:expr) => {{
            let mut builder = $builder.concurrency(case.concurrency);
            for (index, (part, (service, _))) in case.parts.iter().zip(&instances).enumerate() {
                let (name, service) = (index.to_string(), service.clone());
                builder = if part.required {
                    builder.part(name, service)
                } else {
                    builder.optional(name, service)
                };
                if let Some(timeout) = part.timeout {
                    builder = builder.timeout(ms(timeout));
                }
            }
            if let Some(within) = case.within {
                builder = builder.within(ms(within));
            }
            let mut service = builder.into_service().unwrap();
            let begun = Instant::now();
            let answer = service.ready().await.unwrap().call(7).await;
            (answer, begun.elapsed())
        }};
    }
    let builder = AggregateLayer::for_many::<u32, Probe>();
    let (answer, elapsed) = if case.stands_in {
        run!(builder.or_with(|_| 99))
    } else {
        run!(builder)
    };
    for (_, handle) in &instances {
        handle.assert_contract_kept();
        assert!(handle.counts().is_idle(), "something goes on");
        assert!(handle.counts().peak_in_flight <= 1);
    }
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap();
    let told = |outcome: PartOutcome<u32>| {
        let elapsed = millis(outcome.elapsed());
        let told = match outcome.into_result() {
            PartResult::Value(7) => Told::Value,
            PartResult::Fallback(99, why) => Told::Fallback(why.kind()),
            PartResult::Missing(why) => Told::Missing(why.kind()),
            other => panic!("{other:?}"),
        };
        (told, elapsed)
    };
    Seen {
        outcome: match answer {
            Ok(parts) => {
                let listed: Vec<_> = parts.failed().map(|part| part.name().to_owned()).collect();
                let failed = parts.values.iter().filter(|part| part.failed());
                let failed: Vec<_> = failed.map(|part| part.name().to_owned()).collect();
                assert_eq!(listed, failed);
                Ok(parts.into_values().into_iter().map(told).collect())
            }
            Err(missing) => Err((missing.name().parse().unwrap(), missing.cause().kind())),
        },
        at: millis(elapsed),
        asked: instances
            .iter()
            .map(|(_, handle)| handle.counts().calls > 0)
            .collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_aggregate_does_what_the_model_says(case in case()) {
        // A case in which somebody hangs for ever is not one.
        if expected(&case, None).is_none() {
            return Ok(());
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let seen = runtime.block_on(async {
            tokio::time::timeout(Duration::from_hours(1), observed(&case)).await
        });
        let seen = seen.unwrap();
        let expected = expected(&case, Some(&seen)).unwrap();
        prop_assert_eq!(seen, expected, "{:?}", case);
    }
}
