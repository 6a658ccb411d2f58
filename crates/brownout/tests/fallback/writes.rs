//! Writes do not happen twice.

use std::{fmt, io};

use brownout::{
    Registry,
    breaker::{Circuit, CircuitBreakerLayer},
    core::{BoxError, Origin, RejectReason, Rejected, Verdict},
    fallback::{Cause, Exhausted, Failed, FallbackLayer, Tier},
};
use brownout_testing::Behaviour;
use tokio::time::Instant;
use tower::{Layer, ServiceBuilder, service_fn};

use crate::common::{SECOND, down, hanging, ms, probe};

fn refusal(name: &str) -> Rejected {
    let dependency = Registry::new().dependency(name).register().unwrap();
    Rejected::new(
        Origin::new(&dependency, Instant::now()),
        RejectReason::CircuitOpen,
        None,
    )
}

/// Whether a request that may be a write descends after this error.
async fn descends(error: impl Fn() -> BoxError + Send + Sync + 'static) -> bool {
    let (primary, inner) = probe();
    inner.always(Behaviour::answer(move |_| Err(error())));
    let chain = FallbackLayer::for_results()
        .tier(Tier::new("tier", probe().0))
        .build()
        .unwrap()
        .layer(primary);
    chain.oneshot(1).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn a_write_that_may_have_had_its_effect_is_not_made_elsewhere() {
    let (tier, seen) = probe();
    let layer = FallbackLayer::for_results()
        .tier(Tier::new("tier", tier))
        .within(SECOND)
        .build()
        .unwrap();
    let error = layer
        .layer(down("disk full").0)
        .oneshot(1)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "disk full");
    // A charge that hangs may have been made.
    let error = layer.layer(hanging().0).oneshot(1).await.unwrap_err();
    assert!(error.is::<Exhausted>(), "{error}");
    assert_eq!(seen.counts().calls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_write_descends_where_the_error_itself_proves_that_it_was_not_sent() {
    assert!(descends(|| refusal("ledger").into()).await);
    assert!(descends(|| io::Error::from(io::ErrorKind::ConnectionRefused).into()).await);
}

/// An error with another one as its source.
#[derive(Debug)]
struct Wrapped(BoxError);

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the second step failed")
    }
}

impl std::error::Error for Wrapped {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.0.as_ref())
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_among_an_errors_sources_proves_nothing_for_an_earlier_step_may_have_been_done() {
    assert!(!descends(|| Wrapped(refusal("mail").into()).into()).await);
    assert!(
        !descends(|| Wrapped(io::Error::from(io::ErrorKind::ConnectionRefused).into()).into())
            .await
    );
    assert!(!descends(|| io::Error::from(io::ErrorKind::ConnectionReset).into()).await);
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_covers_a_dependency_trusts_no_other_ones_refusals() {
    for (guard, trusted) in [("ledger", true), ("mail", false)] {
        let registry = Registry::new();
        let ledger = registry.dependency("ledger").register().unwrap();
        let (primary, inner) = probe();
        inner.always(Behaviour::answer(move |_| Err(refusal(guard).into())));
        let chain = FallbackLayer::for_results()
            .covering(&ledger)
            .tier(Tier::new("tier", probe().0))
            .build()
            .unwrap()
            .layer(primary);
        assert_eq!(chain.oneshot(1).await.is_ok(), trusted, "{guard}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_may_have_done_the_write_ends_the_descent() {
    let (third, seen) = probe();
    let chain = FallbackLayer::for_results()
        .tier(Tier::new("second", hanging().0).timeout(ms(20)))
        .tier(Tier::new("third", third))
        .build()
        .unwrap()
        .layer(service_fn(|_: u32| async {
            Err::<u32, BoxError>(refusal("first").into())
        }));
    let error = chain.oneshot(1).await.unwrap_err();
    assert!(error.to_string().contains("second timed-out"), "{error}");
    assert_eq!(seen.counts().calls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_write_through_an_open_breaker_goes_to_the_tier() {
    let registry = Registry::new();
    let ledger = registry.dependency("ledger").register().unwrap();
    let circuit = Circuit::new(&ledger);
    let (primary, inner) = probe();
    let service = ServiceBuilder::new()
        .layer(
            FallbackLayer::for_results()
                .covering(&ledger)
                .tier_fn("queue", |f: Failed<u32>| async move {
                    Ok::<u32, BoxError>(f.request + 1_000)
                })
                .build()
                .unwrap(),
        )
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_results())
        .service(primary);
    assert_eq!(service.clone().oneshot(1).await.unwrap(), 1);
    circuit
        .admit()
        .unwrap()
        .settle(Verdict::Trip { open_for: SECOND });
    assert_eq!(service.oneshot(1).await.unwrap(), 1_001);
    assert_eq!(inner.counts().calls, 1);
}

/// An error enum that knows its refusals.
#[derive(Debug)]
enum Own {
    Refused(Rejected),
    Database,
    Exhausted,
}

impl From<Rejected> for Own {
    fn from(refused: Rejected) -> Self {
        Self::Refused(refused)
    }
}

impl From<Exhausted> for Own {
    fn from(_: Exhausted) -> Self {
        Self::Exhausted
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_enum_says_which_variant_is_a_refusal() {
    let layer = FallbackLayer::for_results()
        .causes(|e: &Own| match e {
            Own::Refused(refused) => Cause::rejected(refused),
            Own::Database | Own::Exhausted => Cause::failed("database"),
        })
        .last("queue", |_| async { 99 })
        .unwrap();
    let refused = layer.layer(service_fn(|_: u32| async {
        Err::<u32, _>(Own::from(refusal("db")))
    }));
    assert_eq!(refused.oneshot(1).await.unwrap(), 99);
    let broken = layer.layer(service_fn(|_: u32| async { Err::<u32, _>(Own::Database) }));
    assert!(matches!(broken.oneshot(1).await, Err(Own::Database)));
}
