//! Breakers around services of every shape: boxed, buffered, neither `Sync` nor `Send`, with errors of their own.
//!
//! No socket here, so the clock is paused.
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::{
    cell::Cell,
    convert::Infallible,
    fmt,
    future::Ready,
    rc::Rc,
    task::{Context, Poll},
};

use brownout::{
    breaker::CircuitBreakerLayer,
    core::{BoxError, Fail, RejectReason, Rejected, refusal_of},
    registry::CircuitState,
};
use brownout_tests::{
    circuit::{TRIPS_AT, circuit, lasting, trip},
    server::full,
};
use http::{Request, Response, StatusCode};
use tower::{
    Service, ServiceBuilder, ServiceExt,
    buffer::Buffer,
    service_fn,
    util::{BoxCloneService, BoxCloneSyncService, BoxService},
};

/// Doubles a number; fails for zero.
async fn double(number: u32) -> Result<u32, BoxError> {
    if number == 0 {
        Err("nothing to double".into())
    } else {
        Ok(2 * number)
    }
}

/// Drives a service with boxed errors into opening its circuit.
async fn opens<S>(mut service: S)
where
    S: Service<u32, Response = u32, Error = BoxError>,
{
    assert_eq!(service.ready().await.unwrap().call(2).await.unwrap(), 4);
    for _ in 0..TRIPS_AT {
        let error = service.ready().await.unwrap().call(0).await.unwrap_err();
        assert!(refusal_of(error.as_ref()).is_none());
    }
    let error = service.ready().await.unwrap().call(2).await.unwrap_err();
    let rejected = refusal_of(error.as_ref()).unwrap();
    assert_eq!(rejected.reason(), RejectReason::CircuitOpen);
}

#[tokio::test(start_paused = true)]
async fn boxed_services_go_under_a_breaker_and_breakers_into_boxes() {
    let layer = || CircuitBreakerLayer::with(circuit("x", lasting())).for_results();
    let stack = || ServiceBuilder::new().layer(layer());

    opens(stack().service(BoxService::new(service_fn(double)))).await;
    opens(stack().service(BoxCloneService::new(service_fn(double)))).await;
    opens(stack().service(BoxCloneSyncService::new(service_fn(double)))).await;
    opens(BoxService::new(stack().service(service_fn(double)))).await;
    opens(BoxCloneService::new(stack().service(service_fn(double)))).await;
    opens(BoxCloneSyncService::new(
        stack().service(service_fn(double)),
    ))
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_buffer_goes_above_a_breaker_and_below_it() {
    let circuit = circuit("x", lasting());
    let layer = CircuitBreakerLayer::with(circuit.clone()).for_results();
    opens(
        ServiceBuilder::new()
            .buffer(8)
            .layer(layer.clone())
            .service(service_fn(double)),
    )
    .await;
    assert_eq!(circuit.state(), CircuitState::Open);

    let circuit = self::circuit("x", lasting());
    let layer = CircuitBreakerLayer::with(circuit.clone()).for_results();
    opens(
        ServiceBuilder::new()
            .layer(layer)
            .buffer(8)
            .service(service_fn(double)),
    )
    .await;
    assert_eq!(circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_buffer_above_an_open_circuit_lives_on() {
    let circuit = circuit("x", lasting());
    let breaker = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_results())
        .service(Dead);
    trip(&circuit);
    // Behind a closed circuit the readiness error would end the buffer's worker for good.
    let buffer = Buffer::new(breaker, 4);
    for _ in 0..3 {
        let error = buffer.clone().oneshot(()).await.unwrap_err();
        assert!(refusal_of(error.as_ref()).is_some(), "{error}");
    }
}

/// A connection that is gone: never ready again.
#[derive(Debug)]
struct Dead;

impl Service<()> for Dead {
    type Response = ();
    type Error = BoxError;
    type Future = Ready<Result<(), BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Err("the connection is gone".into()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        std::future::ready(Err("called without being ready".into()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_not_sync_needs_no_wrapping() {
    fn sendable<T: Send>(value: T) -> T {
        value
    }

    /// `Send` and not `Sync`.
    #[derive(Debug)]
    struct Counting(Cell<u32>);

    impl Service<u32> for Counting {
        type Response = u32;
        type Error = BoxError;
        type Future = Ready<Result<u32, BoxError>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, number: u32) -> Self::Future {
            self.0.set(self.0.get() + 1);
            std::future::ready(if number == 0 {
                Err("zero".into())
            } else {
                Ok(2 * number)
            })
        }
    }

    let stack = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(circuit("x", lasting())).for_results())
        .service(Counting(Cell::new(0)));
    tokio::spawn(sendable(opens(stack))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_not_send_needs_no_wrapping() {
    let calls = Rc::new(Cell::new(0));
    let counter = Rc::clone(&calls);
    let mut stack = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(circuit("x", lasting())).for_results())
        .service_fn(move |number: Rc<u32>| {
            let counter = Rc::clone(&counter);
            async move {
                counter.set(counter.get() + 1);
                double(*number).await.map(Rc::new)
            }
        });
    assert_eq!(
        *stack.ready().await.unwrap().call(Rc::new(2)).await.unwrap(),
        4
    );
    for _ in 0..=TRIPS_AT {
        stack
            .ready()
            .await
            .unwrap()
            .call(Rc::new(0))
            .await
            .unwrap_err();
    }
    assert_eq!(calls.get(), 1 + TRIPS_AT, "the last call was refused");
}

/// An application's own error, with a place for refusals.
#[derive(Debug, PartialEq)]
enum PaymentError {
    Declined,
    Unavailable { retry_in: u64 },
}

impl From<Rejected> for PaymentError {
    fn from(rejected: Rejected) -> Self {
        Self::Unavailable {
            retry_in: rejected.retry_after().unwrap_or_default().as_secs(),
        }
    }
}

impl fmt::Display for PaymentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for PaymentError {}

#[tokio::test(start_paused = true)]
async fn an_error_enum_of_the_applications_own_stays_what_it_is() {
    let mut pay = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(circuit("payments", lasting())).for_results())
        .service_fn(|_amount: u32| async { Err::<(), _>(PaymentError::Declined) });
    for _ in 0..TRIPS_AT {
        assert_eq!(
            pay.ready().await.unwrap().call(1).await,
            Err(PaymentError::Declined)
        );
    }
    assert_eq!(
        pay.ready().await.unwrap().call(1).await,
        Err(PaymentError::Unavailable { retry_in: 60 })
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_that_knows_no_refusals_is_boxed_where_that_is_asked_for() {
    let stack = ServiceBuilder::new()
        .layer(
            CircuitBreakerLayer::with(circuit("x", lasting()))
                .for_results()
                .reject(Fail),
        )
        .service_fn(|number: u32| async move {
            if number == 0 {
                Err(fmt::Error)
            } else {
                Ok(2 * number)
            }
        });
    opens(stack).await;
}

#[tokio::test(start_paused = true)]
async fn a_chain_of_infallible_http_services_stays_infallible() {
    let circuit = circuit("x", lasting());
    let mut stack = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
        .service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(full("hello"))) });
    trip(&circuit);
    let Ok(refusal) = stack.ready().await.unwrap().call(Request::new(())).await;
    assert_eq!(refusal.status(), StatusCode::SERVICE_UNAVAILABLE);
}

/// What an application writes: one function, checked to be `Send` because it is spawned. Inference is at its worst
/// here, and nothing is spelled out.
#[tokio::test(start_paused = true)]
async fn stacks_with_boxed_errors_infer_inside_a_spawned_async_function() {
    async fn fetch(number: u32) -> Result<u32, BoxError> {
        let registry = brownout::Registry::new();
        let dependency = registry.dependency("x").register()?;
        let breaker = CircuitBreakerLayer::new(&dependency).for_results();
        let mut stack = ServiceBuilder::new()
            .buffer(4)
            .layer(breaker.clone())
            .timeout(std::time::Duration::from_secs(1))
            .layer(breaker)
            .concurrency_limit(4)
            .service_fn(double);
        let doubled = stack.ready().await?.call(number).await?;
        let clone = stack.clone();
        clone.oneshot(doubled).await
    }

    assert_eq!(tokio::spawn(fetch(1)).await.unwrap().unwrap(), 4);
    assert!(tokio::spawn(fetch(0)).await.unwrap().is_err());
}

/// The same for HTTP over real clients, whose bodies nobody else can make: compiled is proven.
#[tokio::test]
async fn http_stacks_infer_inside_a_spawned_async_function() {
    async fn fetch(uri: String) -> Result<StatusCode, BoxError> {
        let registry = brownout::Registry::new();
        let dependency = registry.dependency("x").register()?;
        let mut client = ServiceBuilder::new()
            .buffer(4)
            .layer(CircuitBreakerLayer::new(&dependency).for_http())
            .timeout(std::time::Duration::from_secs(1))
            .service(brownout_tests::client::http1());
        let request = brownout_tests::client::get(&uri);
        Ok(client.ready().await?.call(request).await?.status())
    }

    let server = brownout_tests::Server::saying(brownout_tests::server::FINE).await;
    assert_eq!(
        tokio::spawn(fetch(server.uri("/"))).await.unwrap().unwrap(),
        200
    );
}
