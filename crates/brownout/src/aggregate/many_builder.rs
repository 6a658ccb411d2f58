use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use brownout_registry::{Dependency, Registry};
use tower_service::Service;

use crate::core::{Cause, ConfigError, Same};

use super::{
    ask::{Asking, ByClosure, ByDisplay, Made, Nothing, Whole},
    form::Pairs,
    layer::AggregateLayer,
    many::Many,
    outcome::Name,
    service::{Aggregate, Gatherer, HandOver},
    settings::Settings,
    source::{Fit, Given},
};

/// Configures an [`AggregateLayer`] whose parts are known only at run time: shards, replicas, the entries of a
/// configuration file.
///
/// All parts are services of one type `S` (a boxed one, where they differ) and leave a [`PartOutcome`](super::PartOutcome)
/// each, in the order in which they were added; also the required ones, which have a value then. How parts are asked, how
/// their errors are read and what stands in for them is said for all; [`timeout`](Self::timeout) and
/// [`covering`](Self::covering) are about the latest.
///
/// ```
/// # use std::time::Duration;
/// # use brownout::aggregate::AggregateLayer;
/// # use tower::{BoxError, ServiceExt, service_fn};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// let mut search = AggregateLayer::for_many();
/// for shard in 0..3_u32 {
///     let service = service_fn(move |word: String| async move {
///         if shard == 1 { Err("down") } else { Ok(format!("{word} in {shard}")) }
///     });
///     search = search.optional(format!("shard-{shard}"), service).timeout(Duration::from_millis(200));
/// }
/// let found = search.into_service()?.oneshot("rust".to_owned()).await?;
/// assert!(found.is_partial());
/// let hits: Vec<_> = found.into_values().into_iter().filter_map(|shard| shard.into_value()).collect();
/// assert_eq!(hits, ["rust in 0", "rust in 2"]);
/// # Ok(()) }
/// ```
#[must_use = "an aggregate is a layer only after `build`"]
pub struct AggregateManyBuilder<Seen, S, A = Whole, E = ByDisplay, O = Nothing> {
    services: Vec<(Arc<str>, S)>,
    /// How all of them are asked and read.
    how: Given<(), A, E, O>,
    settings: Settings,
    seen: PhantomData<fn(&Seen)>,
}

impl<Seen, S> AggregateManyBuilder<Seen, S> {
    pub(super) const fn new() -> Self {
        Self {
            services: Vec::new(),
            how: Given::new(()),
            settings: Settings::new(),
            seen: PhantomData,
        }
    }
}

impl<Seen, S, A, E, O> AggregateManyBuilder<Seen, S, A, E, O> {
    /// Adds a part without which there is no answer.
    pub fn part(self, name: impl Into<String>, service: S) -> Self {
        self.add(name.into(), true, service)
    }

    /// Adds a part that an answer can do without.
    pub fn optional(self, name: impl Into<String>, service: S) -> Self {
        self.add(name.into(), false, service)
    }

    /// The longest that the latest part may take, as of [any other](super::AggregateBuilder::timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout(timeout);
        self
    }

    /// Says which dependency the latest part stands for, as of [any other](super::AggregateBuilder::covering).
    pub fn covering(mut self, dependency: &Dependency) -> Self {
        self.settings.covering(dependency);
        self
    }

    /// The longest that all parts together may take, as of [any others](super::AggregateBuilder::within).
    pub fn within(mut self, deadline: Duration) -> Self {
        self.settings.within(deadline);
        self
    }

    /// Counts what becomes of each part, as of [any others](super::AggregateBuilder::named).
    pub fn named(mut self, registry: &Registry, name: &str) -> Self {
        self.settings.named(registry, name);
        self
    }

    /// How many parts may run at once, 5 by default and at most 1,024.
    pub fn concurrency(mut self, parts: u32) -> Self {
        self.settings.concurrency(parts);
        self
    }

    /// Makes the parts' requests of what comes in.
    pub fn asking<G, Q>(self, ask: G) -> AggregateManyBuilder<Seen, S, Asking<G>, E, O>
    where
        G: Fn(&Seen) -> Q,
        S: Service<Q>,
    {
        self.map(|how| Given {
            service: (),
            ask: Asking(ask),
            explain: how.explain,
            or: how.or,
        })
    }

    /// Says what the parts' errors mean, where `Display` cannot.
    pub fn causes<G, Er>(self, causes: G) -> AggregateManyBuilder<Seen, S, A, ByClosure<G>, O>
    where
        G: Fn(&Er) -> Cause,
    {
        self.map(|how| Given {
            service: (),
            ask: how.ask,
            explain: ByClosure(causes),
            or: how.or,
        })
    }

    /// Lets what a closure makes of the cause stand in for any part that fails.
    pub fn or_with<G, T>(self, value: G) -> AggregateManyBuilder<Seen, S, A, E, Made<G>>
    where
        G: Fn(&Cause) -> T,
    {
        self.map(|how| Given {
            service: (),
            ask: how.ask,
            explain: how.explain,
            or: Made(value),
        })
    }

    fn add(mut self, name: String, required: bool, service: S) -> Self {
        let name: Arc<str> = name.into();
        self.settings.add(Name::Shared(Arc::clone(&name)), required);
        self.services.push((name, service));
        self
    }

    fn map<B, C, D>(
        self,
        change: impl FnOnce(Given<(), A, E, O>) -> Given<(), B, C, D>,
    ) -> AggregateManyBuilder<Seen, S, B, C, D> {
        AggregateManyBuilder {
            services: self.services,
            how: change(self.how),
            settings: self.settings,
            seen: PhantomData,
        }
    }
}

/// The parts, known to fit.
type ManyFitted<Seen, S, A, E, O> = Many<<Given<S, A, E, O> as Fit<Seen>>::Fitted>;

#[allow(
    clippy::type_complexity,
    reason = "the list of parts is the type; an alias more would hide it"
)]
impl<Seen, S, A, E, O> AggregateManyBuilder<Seen, S, A, E, O>
where
    Given<S, A, E, O>: Fit<Seen>,
    A: Clone,
    E: Clone,
    O: Clone,
{
    /// The layer, in front of a service of `(Request, Parts<Vec<PartOutcome<T>>>)`.
    ///
    /// Fails as [that of other parts](super::AggregateBuilder::build). No parts at all are no mistake: there is nothing
    /// to wait for then.
    pub fn build(
        self,
    ) -> Result<AggregateLayer<ManyFitted<Seen, S, A, E, O>, Pairs, Same>, ConfigError> {
        let Given {
            ask, explain, or, ..
        } = self.how;
        let fit = |(name, service)| {
            let given = Given {
                service,
                ask: ask.clone(),
                explain: explain.clone(),
                or: or.clone(),
            };
            (name, given.fit())
        };
        Ok(AggregateLayer {
            gather: Gatherer {
                parts: Many(self.services.into_iter().map(fit).collect()),
                plan: self.settings.plan()?,
                form: Pairs(()),
                reject: Same,
            },
        })
    }

    /// A service that answers the parts themselves, or fails with the [`RequiredPart`](super::RequiredPart) that is
    /// missing.
    ///
    /// Fails as [`build`](Self::build) does.
    pub fn into_service(
        self,
    ) -> Result<Aggregate<HandOver, ManyFitted<Seen, S, A, E, O>, Pairs, Same>, ConfigError> {
        let layer = self.build()?;
        Ok(Aggregate::new(HandOver(()), layer.gather))
    }
}

impl<Seen, S: Clone, A: Clone, E: Clone, O: Clone> Clone
    for AggregateManyBuilder<Seen, S, A, E, O>
{
    fn clone(&self) -> Self {
        Self {
            services: self.services.clone(),
            how: self.how.clone(),
            settings: self.settings.clone(),
            seen: PhantomData,
        }
    }
}

impl<Seen, S, A, E, O> fmt::Debug for AggregateManyBuilder<Seen, S, A, E, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AggregateManyBuilder")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
