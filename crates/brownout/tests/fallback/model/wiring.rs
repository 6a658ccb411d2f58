//! Chains of every type that a case can ask for.

use std::sync::{Arc, Mutex};

use brownout::{
    Dependency,
    core::{BoxError, Degraded, Rejected, Verdict},
    fallback::{
        Chain, Exercise, Exhausted, Failed, Failure, FallbackBuilder, FallbackLayer, Tier,
        parts::Watching,
    },
};
use tower::{Layer, Service, ServiceExt, util::BoxService};

use super::{
    Fail, NAMES, NOBODY,
    case::{Case, Ending, Kind, Requests},
};
use crate::common::{Probe, ms};

pub(super) type Told = Arc<Mutex<Vec<(&'static str, Vec<Fail>)>>>;
pub(super) type Marks = Arc<Mutex<Vec<Degraded>>>;

/// A chain that runs: two services of it, and its handle.
pub(super) struct Wired {
    pub(super) services: [Boxed; 2],
    pub(super) chain: Option<Chain>,
}

pub(super) type Boxed = BoxService<u32, u32, BoxError>;

/// What chains are made of.
pub(super) struct Parts<'a> {
    pub(super) case: &'a Case,
    pub(super) probes: &'a [Probe],
    pub(super) dependencies: &'a [Dependency],
    pub(super) told: &'a Told,
    pub(super) marks: &'a Marks,
}

/// Makes the chain of the case.
pub(super) fn wire(parts: &Parts<'_>) -> Wired {
    let base = FallbackLayer::for_results().classify(judge);
    // The methods of the builder change its type: each `match` has arms of as many types.
    macro_rules! services {
        ($layer:ident) => {
            [parts.probes[0].clone(), parts.probes[0].clone()]
                .map(|probe| boxed($layer.layer(probe)))
        };
    }
    macro_rules! finished {
        (bare $built:expr) => {{
            let layer = $built.unwrap();
            Wired {
                services: services!(layer),
                chain: None,
            }
        }};
        ($kind:ident $built:expr) => {{
            let layer = $built.unwrap();
            Wired {
                services: services!(layer),
                chain: Some(layer.chain()),
            }
        }};
    }
    macro_rules! built {
        ($kind:ident $builder:expr) => {{
            let builder = $builder;
            match parts.case.tiers.len() {
                1 => finished!($kind builder.tier(parts.tier(1)).build()),
                2 => finished!($kind builder
                    .tier(parts.tier(1))
                    .tier_fn(NAMES[2], parts.closure(2))
                    .build()),
                _ => finished!($kind builder
                    .tier(parts.tier(1))
                    .tier_fn(NAMES[2], parts.closure(2))
                    .tier(parts.tier(3))
                    .build()),
            }
        }};
    }
    macro_rules! with_last {
        ($kind:ident $builder:expr) => {{
            let builder = $builder;
            match parts.case.tiers.len() {
                1 => finished!($kind builder.last(NAMES[1], parts.last(1))),
                2 => finished!($kind builder.tier(parts.tier(1)).last(NAMES[2], parts.last(2))),
                _ => finished!($kind builder
                    .tier(parts.tier(1))
                    .tier_fn(NAMES[2], parts.closure(2))
                    .last(NAMES[3], parts.last(3))),
            }
        }};
    }
    macro_rules! ended {
        ($kind:ident $builder:expr) => {{
            let builder = $builder;
            match parts.case.ending {
                Ending::OwnError => built!($kind builder),
                Ending::With(answers) => built!($kind builder.exhausted_with(exhausted(answers))),
                Ending::Fails => built!($kind builder.exhausted_fails()),
                Ending::Last => with_last!($kind builder),
            }
        }};
    }
    macro_rules! watched {
        ($builder:expr) => {{
            let builder = $builder;
            match (parts.case.kind, parts.case.ending) {
                (Kind::Bare, Ending::Last) => with_last!(bare builder),
                (Kind::Bare, _) => built!(bare builder),
                (Kind::Watched, _) => {
                    // A dependency of which nobody says anything.
                    let watched = builder.skip_when_unhealthy(&parts.dependencies[3]);
                    let watched = parts.told(watched);
                    match parts.case.within {
                        Some(within) => ended!(watched watched.within(ms(within))),
                        None => ended!(watched watched),
                    }
                }
                (Kind::Exercised, _) => {
                    let exercised = parts.told(builder.exercise(parts.exercise()));
                    ended!(watched exercised.within(parts.case.within.map(ms)))
                }
            }
        }};
    }
    let base = base.mark_with(parts.mark());
    match parts.case.requests {
        Requests::Safe => watched!(base.safe()),
        Requests::Idempotent => watched!(base.idempotent()),
        Requests::Writes => watched!(base),
    }
}

fn boxed<S>(service: S) -> Boxed
where
    S: Service<u32, Response = u32, Error: Into<BoxError>, Future: Send> + Send + 'static,
{
    BoxService::new(service.map_err(Into::into))
}

impl Parts<'_> {
    /// What the case says of the chain as a whole, but for its deadline.
    fn told<J, Q, M, X, T, W: Watching<AndWatched = W>>(
        &self,
        mut builder: FallbackBuilder<J, Q, M, X, T, W>,
    ) -> FallbackBuilder<J, Q, M, X, T, W> {
        let case = self.case;
        if case.covers {
            builder = builder.covering(&self.dependencies[0]);
        }
        for (passes_over, dependency) in case.passes_over.iter().zip(self.dependencies) {
            if *passes_over {
                builder = builder.skip_when_unhealthy(dependency);
            }
        }
        for (name, tier) in NAMES[1..].iter().zip(&case.tiers) {
            if let Some(of) = tier.stands_for {
                builder = builder.tier_stands_for(name, &self.dependencies[of]);
            }
        }
        builder
    }

    fn exercise(&self) -> Exercise {
        let patience = ms(self.case.patience);
        Exercise::share(1.0)
            .at_most(self.case.at_most)
            .patience(patience)
    }

    fn mark(&self) -> impl Fn(&mut u32, Degraded) + Clone + Send + 'static {
        let marks = Arc::clone(self.marks);
        move |_, mark| marks.lock().unwrap().push(mark)
    }

    fn tier(&self, place: usize) -> Tier<Probe> {
        let tier = Tier::new(NAMES[place], self.probes[place].clone());
        match self.case.tiers[place - 1].timeout {
            Some(timeout) => tier.timeout(ms(timeout)),
            None => tier,
        }
    }

    fn closure(&self, place: usize) -> impl Fn(Failed<u32>) -> Asked + Clone + Send + 'static {
        let (probe, told) = (self.probes[place].clone(), Arc::clone(self.told));
        move |failed: Failed<u32>| {
            told.lock()
                .unwrap()
                .push((NAMES[place], fails(failed.failures())));
            Box::pin(probe.clone().oneshot(failed.request))
        }
    }

    fn last(&self, place: usize) -> impl Fn(Failed<u32>) -> Always + Clone + Send + 'static {
        let ask = self.closure(place);
        move |failed| {
            let asked = ask(failed);
            Box::pin(async { asked.await.unwrap() })
        }
    }
}

type Asked = std::pin::Pin<Box<dyn Future<Output = Result<u32, BoxError>> + Send>>;
type Always = std::pin::Pin<Box<dyn Future<Output = u32> + Send>>;

fn exhausted(
    answers: bool,
) -> impl Fn(Exhausted) -> Result<u32, BoxError> + Clone + Send + 'static {
    move |exhausted| {
        if answers {
            Ok(NOBODY)
        } else {
            Err(exhausted.into())
        }
    }
}

pub(super) fn fails<'a>(failures: impl Iterator<Item = &'a Failure>) -> Vec<Fail> {
    let fail = |failure: &Failure| Fail {
        who: failure.tier(),
        kind: failure.cause().kind().as_str(),
        elapsed: failure
            .elapsed()
            .map(|it| u64::try_from(it.as_millis()).unwrap()),
    };
    failures.map(fail).collect()
}

/// By what answers and errors say of themselves. To it a refusal is neutral, as to the classifiers of guards.
fn judge(outcome: Result<&u32, &BoxError>) -> Verdict {
    match outcome {
        Ok(answer) => match answer / 10_000 % 100 {
            0 => Verdict::Success,
            1 => Verdict::Neutral,
            _ => Verdict::Failure,
        },
        Err(error) if error.is::<Rejected>() => Verdict::Neutral,
        Err(error) => match error.to_string() {
            text if text.contains("Success") => Verdict::Success,
            text if text.contains("Neutral") => Verdict::Neutral,
            _ => Verdict::Failure,
        },
    }
}
