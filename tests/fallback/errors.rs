//! Chains around services whose error is an enum of the application's own.

use std::{fmt, time::Duration};

use brownout::{
    breaker::CircuitBreakerLayer,
    core::{Cause, Rejected, Verdict},
    fallback::{Exhausted, Failed, Failure, FallbackLayer, Tier},
};
use brownout_tests::{
    circuit::{circuit, lasting, trip},
    server::Hits,
};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

/// An application's own error, with places for what guards and chains have to say.
#[derive(Clone, Debug, PartialEq)]
enum PaymentError {
    Declined,
    Broken(&'static str),
    Refused { by: String },
    NobodyLeft { tiers: Vec<&'static str> },
}

impl From<Rejected> for PaymentError {
    fn from(rejected: Rejected) -> Self {
        let by = rejected.dependency().to_owned();
        Self::Refused { by }
    }
}

impl From<Exhausted> for PaymentError {
    fn from(exhausted: Exhausted) -> Self {
        let tiers = exhausted.failures().map(Failure::tier).collect();
        Self::NobodyLeft { tiers }
    }
}

impl fmt::Display for PaymentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for PaymentError {}

/// What these errors mean, which a chain cannot guess.
fn meaning(error: &PaymentError) -> Cause {
    match error {
        PaymentError::Refused { .. } => Cause::connect("refused by a guard"),
        _ => Cause::failed("payments"),
    }
}

/// Pays even amounts, and breaks at the others.
async fn pay(amount: u32) -> Result<u32, PaymentError> {
    match amount % 2 {
        0 => Ok(amount),
        _ => Err(PaymentError::Broken("odd")),
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_enum_of_the_applications_own_stays_what_it_is_under_chain_and_breaker() {
    let circuit = circuit("payments", lasting());
    let later = Hits::default();
    let queued = later.clone();
    let mut payments = ServiceBuilder::new()
        .layer(
            FallbackLayer::for_results()
                .causes(meaning)
                .last("later", move |f: Failed<u32>| {
                    queued.hit();
                    async move { 100 * f.request }
                })
                .unwrap(),
        )
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_results())
        .service_fn(pay);
    let mut pay = async |amount| payments.ready().await.unwrap().call(amount).await;

    assert_eq!(pay(2).await, Ok(2));
    // It may have been made.
    assert_eq!(pay(1).await, Err(PaymentError::Broken("odd")));
    assert_eq!(later.count(), 0);
    circuit.clear_counts();
    trip(&circuit);
    // It was refused.
    assert_eq!(pay(1).await, Ok(100));
    assert_eq!(later.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_chain_without_an_end_fails_with_the_applications_own_error() {
    let layer = FallbackLayer::for_results()
        .safe()
        .within(Duration::from_secs(1))
        .tier(Tier::new("twice", service_fn(pay)))
        .tier_fn("never", |_| {
            std::future::pending::<Result<u32, PaymentError>>()
        })
        .tier_fn("declines", |_| async { Err(PaymentError::Declined) })
        .build()
        .unwrap();
    let mut payments = layer.layer(service_fn(pay));
    // Nothing was left of the time for the last, which so has no error of its own.
    assert_eq!(
        payments.ready().await.unwrap().call(1).await,
        Err(PaymentError::NobodyLeft {
            tiers: vec!["primary", "twice", "never", "declines"]
        })
    );
}

#[tokio::test(start_paused = true)]
async fn the_primarys_error_is_neutral_where_the_application_says_so() {
    let declined = service_fn(|_: u32| async { Err::<u32, _>(PaymentError::Declined) });
    let mut payments = FallbackLayer::for_results()
        .safe()
        .classify(|result: Result<&u32, &PaymentError>| match result {
            Ok(_) => Verdict::Success,
            Err(PaymentError::Declined) => Verdict::Neutral,
            Err(_) => Verdict::Failure,
        })
        .tier(Tier::new("other", service_fn(pay)))
        .build()
        .unwrap()
        .layer(declined);
    let answer = payments.ready().await.unwrap().call(2).await;
    assert_eq!(answer, Err(PaymentError::Declined));
}
