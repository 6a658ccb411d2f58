use std::{fmt, marker::PhantomData, time::Duration};

use brownout_registry::{Dependency, Registry};
use tower_service::Service;

use crate::core::{Cause, ConfigError, ErrWith, Same};

use super::{
    ask::{Asking, ByClosure, Made, This},
    failed::RequiredPart,
    form::Pairs,
    key::{Need, Optional, PartKey, Required},
    layer::AggregateLayer,
    list::{And, NoParts},
    outcome::Name,
    service::{Aggregate, Gatherer, HandOver},
    settings::Settings,
    source::{Fit, Given},
};

/// Configures an [`AggregateLayer`]. Parts see a `Seen` of the request; `F` says how the composing service gets them, `X`
/// what comes of a call whose required part is missing, and `L` are the parts so far.
///
/// [`asking`](Self::asking), [`timeout`](Self::timeout), [`or`](Self::or), [`or_with`](Self::or_with),
/// [`causes`](Self::causes) and [`covering`](Self::covering) are about the latest part,
/// [`within`](Self::within), [`concurrency`](Self::concurrency) and [`reject`](Self::reject) about the whole.
#[must_use = "an aggregate is a layer only after `build`"]
pub struct AggregateBuilder<Seen, F, X, L = NoParts> {
    parts: L,
    settings: Settings,
    form: F,
    reject: X,
    seen: PhantomData<fn(&Seen)>,
}

/// With a part more.
type With<Seen, F, X, L, K, N, P> = AggregateBuilder<Seen, F, X, And<L, K, N, P>>;

impl<Seen, F, X> AggregateBuilder<Seen, F, X> {
    pub(super) const fn new(form: F, reject: X) -> Self {
        Self {
            parts: NoParts(()),
            settings: Settings::new(),
            form,
            reject,
            seen: PhantomData,
        }
    }
}

impl<Seen, F, X, L> AggregateBuilder<Seen, F, X, L> {
    /// Adds a part without which there is no answer.
    ///
    /// Its service answers the key's [`Value`](PartKey::Value). It fails by `Err` alone: let a client's own stack turn
    /// bad statuses into errors. It is asked with a clone of what parts see, unless [`asking`](Self::asking) says
    /// otherwise, and is cloned for each call: let it be cheap to clone.
    pub fn part<K: PartKey, S>(
        self,
        key: K,
        service: S,
    ) -> With<Seen, F, X, L, K, Required, Given<S>> {
        self.add(key, service)
    }

    /// Adds a part that an answer can do without: what composes the answer gets a
    /// [`PartOutcome`](super::PartOutcome). For the rest it is a [`part`](Self::part).
    pub fn optional<K: PartKey, S>(
        self,
        key: K,
        service: S,
    ) -> With<Seen, F, X, L, K, Optional, Given<S>> {
        self.add(key, service)
    }

    /// The longest that all parts together may take, from when the call's future is first polled. Those that still run then are dropped and are
    /// missing, those that have not begun never do, and those that are done are kept. It does not bound the service that
    /// composes the answer. Between a millisecond and a year; none by default, and then a part without a timeout that
    /// hangs makes the whole hang.
    pub fn within(mut self, deadline: Duration) -> Self {
        self.settings.within(deadline);
        self
    }

    /// Counts what becomes of each part, under this name, for whoever exports the registry's
    /// [readings](Registry::readings). The name is 1 to 128 visible ASCII characters; aggregates of one name are counted
    /// together. Without it nothing is counted.
    pub fn named(mut self, registry: &Registry, name: &str) -> Self {
        self.settings.named(registry, name);
        self
    }

    /// How many parts may run at once, 5 by default and at most 1,024. Further ones begin, in the order in which they
    /// were declared, as others end.
    pub fn concurrency(mut self, parts: u32) -> Self {
        self.settings.concurrency(parts);
        self
    }

    /// What becomes of a call whose required part is missing: a strategy of [`Reject`](crate::core::Reject), such as
    /// [`Fail`](crate::core::Fail).
    pub fn reject<Y>(self, reject: Y) -> AggregateBuilder<Seen, F, Y, L> {
        AggregateBuilder {
            parts: self.parts,
            settings: self.settings,
            form: self.form,
            reject,
            seen: PhantomData,
        }
    }

    /// The same by a closure, which answers or fails as the composing service does.
    pub fn reject_with<G, Res, E>(self, missing: G) -> AggregateBuilder<Seen, F, ErrWith<G>, L>
    where
        G: Fn(RequiredPart) -> Result<Res, E>,
    {
        self.reject(ErrWith(missing))
    }

    fn add<K: PartKey, N: Need, S>(
        mut self,
        _: K,
        service: S,
    ) -> With<Seen, F, X, L, K, N, Given<S>> {
        let index = self.settings.add(Name::Static(K::NAME), N::REQUIRED);
        self.map(|earlier| And {
            earlier,
            source: Given::new(service),
            index,
            key: PhantomData,
        })
    }

    fn map<M>(self, parts: impl FnOnce(L) -> M) -> AggregateBuilder<Seen, F, X, M> {
        AggregateBuilder {
            parts: parts(self.parts),
            settings: self.settings,
            form: self.form,
            reject: self.reject,
            seen: PhantomData,
        }
    }
}

#[allow(
    clippy::type_complexity,
    reason = "the list of parts is the type; an alias more would hide it"
)]
impl<Seen, F, X, L, K, N, S, A, E, O> With<Seen, F, X, L, K, N, Given<S, A, E, O>>
where
    K: PartKey,
{
    /// Makes the latest part's request of what parts see. The closure runs when the part's service is ready.
    pub fn asking<G, Q>(self, ask: G) -> With<Seen, F, X, L, K, N, Given<S, Asking<G>, E, O>>
    where
        G: Fn(&Seen) -> Q,
        S: Service<Q>,
    {
        self.given(|given| Given {
            service: given.service,
            ask: Asking(ask),
            explain: given.explain,
            or: given.or,
        })
    }

    /// Says what the latest part's errors mean, where `Display` cannot: which variant of an error enum is a refusal,
    /// say. A closure that uses static texts allocates nothing.
    pub fn causes<G, Er>(self, causes: G) -> With<Seen, F, X, L, K, N, Given<S, A, ByClosure<G>, O>>
    where
        G: Fn(&Er) -> Cause,
    {
        self.given(|given| Given {
            service: given.service,
            ask: given.ask,
            explain: ByClosure(causes),
            or: given.or,
        })
    }

    /// Lets clones of this value stand in for the latest part where it fails. A required part is not missing then, and
    /// its failure shows only in the list of failed parts and in the marks.
    pub fn or(self, value: K::Value) -> With<Seen, F, X, L, K, N, Given<S, A, E, This<K::Value>>>
    where
        K::Value: Clone,
    {
        self.given(|given| Given {
            service: given.service,
            ask: given.ask,
            explain: given.explain,
            or: This(value),
        })
    }

    /// The same with what a closure makes of the cause. (For what takes its time, or can fail, give the part's service
    /// a fallback chain.)
    pub fn or_with<G>(self, value: G) -> With<Seen, F, X, L, K, N, Given<S, A, E, Made<G>>>
    where
        G: Fn(&Cause) -> K::Value,
    {
        self.given(|given| Given {
            service: given.service,
            ask: given.ask,
            explain: given.explain,
            or: Made(value),
        })
    }

    /// The longest that the latest part may take, from when it begins, its readiness included. Between a millisecond
    /// and a year, and no longer than the [whole](Self::within); without one, only the whole's deadline bounds it.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout(timeout);
        self
    }

    /// Says which dependency the latest part stands for: marks and problem documents carry its public name, and the
    /// registry and the log hear when the part begins to be missing and when it no longer is.
    pub fn covering(mut self, dependency: &Dependency) -> Self {
        self.settings.covering(dependency);
        self
    }

    fn given<P>(self, change: impl FnOnce(Given<S, A, E, O>) -> P) -> With<Seen, F, X, L, K, N, P> {
        self.map(|parts| And {
            earlier: parts.earlier,
            source: change(parts.source),
            index: parts.index,
            key: PhantomData,
        })
    }
}

#[allow(
    clippy::type_complexity,
    reason = "the list of parts is the type; an alias more would hide it"
)]
impl<Seen, F, X, L, K, N, P> With<Seen, F, X, L, K, N, P>
where
    And<L, K, N, P>: Fit<Seen>,
{
    /// The layer. Fails if two parts have the same name, if a name is not 1 to 128 visible ASCII characters, if a time or
    /// the concurrency lies out of range, or if a part may take longer than the whole.
    pub fn build(self) -> Result<AggregateLayer<Fitted<Seen, L, K, N, P>, F, X>, ConfigError> {
        Ok(AggregateLayer {
            gather: Gatherer {
                parts: self.parts.fit(),
                plan: self.settings.plan()?,
                form: self.form,
                reject: self.reject,
            },
        })
    }
}

#[allow(
    clippy::type_complexity,
    reason = "the list of parts is the type; an alias more would hide it"
)]
impl<Seen, L, K, N, P> With<Seen, Pairs, Same, L, K, N, P>
where
    And<L, K, N, P>: Fit<Seen>,
{
    /// A service that answers the [`Parts`](super::Parts) themselves, or fails with the [`RequiredPart`] that is missing.
    ///
    /// Fails as [`build`](Self::build) does.
    pub fn into_service(
        self,
    ) -> Result<Aggregate<HandOver, Fitted<Seen, L, K, N, P>, Pairs, Same>, ConfigError> {
        let layer = self.build()?;
        Ok(Aggregate::new(HandOver(()), layer.gather))
    }
}

/// The parts so far, known to fit.
type Fitted<Seen, L, K, N, P> = <And<L, K, N, P> as Fit<Seen>>::Fitted;

impl<Seen, F: Clone, X: Clone, L: Clone> Clone for AggregateBuilder<Seen, F, X, L> {
    fn clone(&self) -> Self {
        Self {
            parts: self.parts.clone(),
            settings: self.settings.clone(),
            form: self.form.clone(),
            reject: self.reject.clone(),
            seen: PhantomData,
        }
    }
}

impl<Seen, F, X, L: fmt::Debug> fmt::Debug for AggregateBuilder<Seen, F, X, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AggregateBuilder")
            .field("parts", &self.parts)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
