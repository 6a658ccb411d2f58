//! Calls whose verdict travels in the answer's body.

use std::pin::pin;

use brownout::{
    breaker::{Circuit, CircuitBreakerLayer, Ticket},
    http::{LocalBody, ObservedBody},
    registry::CircuitState,
};
use brownout_testing::{
    MockBody, NotSend, NotSync, TestError,
    body::{Step, data, error, hang, panic, trailers},
};
use http::{HeaderMap, Response};
use http_body::{Body, Frame};
use tokio::time::advance;
use tower::{Layer, ServiceExt, service_fn};

use crate::common::{HOUR, SECOND, circuit, exact, half_open, ms, pass_the_deadline, trip};

type Observed<B> = Response<LocalBody<ObservedBody<B, Ticket>>>;

async fn answered<B: Body>(circuit: &Circuit, status: u16, body: B) -> Observed<B>
where
    B::Data: From<bytes::Bytes>,
{
    let layer = CircuitBreakerLayer::with(circuit.clone()).for_http();
    let mut answer = Some(Response::builder().status(status).body(body).unwrap());
    let service =
        service_fn(move |()| std::future::ready(Ok::<_, TestError>(answer.take().unwrap())));
    layer.layer(service).oneshot(()).await.unwrap()
}

async fn next<B: Body>(body: std::pin::Pin<&mut B>) -> Option<Result<Frame<B::Data>, B::Error>> {
    let mut body = body;
    std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await
}

/// Successes, neutrals, failures and abandoned calls so far.
fn counted(circuit: &Circuit) -> [u64; 4] {
    let totals = circuit.stats().totals;
    [
        totals.successes,
        totals.neutral,
        totals.failures,
        totals.abandoned,
    ]
}

const NOTHING: [u64; 4] = [0, 0, 0, 0];
const SUCCESS: [u64; 4] = [1, 0, 0, 0];
const NEUTRAL: [u64; 4] = [0, 1, 0, 0];
const FAILURE: [u64; 4] = [0, 0, 1, 0];
const ABANDONED: [u64; 4] = [0, 0, 0, 1];

/// A body whose end cannot be foreseen, as of a chunked answer.
fn chunked(steps: impl IntoIterator<Item = Step<TestError>>) -> MockBody {
    MockBody::new(steps).with_end_stream(false)
}

#[tokio::test(start_paused = true)]
async fn a_body_read_to_its_end_is_a_success_and_not_before() {
    let circuit = circuit(exact());
    let response = answered(&circuit, 200, chunked([data("one"), data("two")])).await;
    assert_eq!(counted(&circuit), NOTHING);
    let mut body = pin!(response.into_body());
    for expected in ["one", "two"] {
        let frame = next(body.as_mut()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), expected);
        assert_eq!(counted(&circuit), NOTHING);
    }
    assert!(next(body.as_mut()).await.is_none());
    assert_eq!(counted(&circuit), SUCCESS);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_says_it_is_over_is_judged_without_being_polled_again() {
    let circuit = circuit(exact());
    let response = answered(&circuit, 200, MockBody::full("all")).await;
    let mut body = pin!(response.into_body());
    next(body.as_mut()).await.unwrap().unwrap();
    assert_eq!(counted(&circuit), SUCCESS);
}

#[tokio::test(start_paused = true)]
async fn trailers_end_a_body() {
    let circuit = circuit(exact());
    let response = answered(
        &circuit,
        200,
        chunked([data("all"), trailers(HeaderMap::new())]),
    )
    .await;
    let mut body = pin!(response.into_body());
    next(body.as_mut()).await.unwrap().unwrap();
    assert_eq!(counted(&circuit), NOTHING);
    assert!(next(body.as_mut()).await.unwrap().unwrap().is_trailers());
    assert_eq!(counted(&circuit), SUCCESS);
}

#[tokio::test(start_paused = true)]
async fn an_empty_body_ends_with_its_head() {
    for (status, verdict) in [
        (200, SUCCESS),
        (204, SUCCESS),
        (304, SUCCESS),
        (404, NEUTRAL),
        (503, FAILURE),
    ] {
        let circuit = circuit(exact());
        let response = answered(&circuit, status, MockBody::empty()).await;
        assert_eq!(counted(&circuit), verdict, "{status}");
        drop(response);
        assert_eq!(counted(&circuit), verdict, "{status}, and only once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_off_is_a_failure() {
    let circuit = circuit(exact());
    let reset = TestError::new("reset");
    let response = answered(
        &circuit,
        200,
        MockBody::new([data("half"), error(reset.clone())]),
    )
    .await;
    let mut body = pin!(response.into_body());
    next(body.as_mut()).await.unwrap().unwrap();
    assert_eq!(next(body.as_mut()).await.unwrap().unwrap_err(), reset);
    assert_eq!(counted(&circuit), FAILURE);
}

#[tokio::test(start_paused = true)]
async fn five_bodies_that_break_off_open_the_circuit() {
    let circuit = circuit(exact());
    for _ in 0..5 {
        let body = MockBody::new([data("half"), error(TestError::new("reset"))]);
        let response = answered(&circuit, 200, body).await;
        let mut body = pin!(response.into_body());
        while let Some(Ok(_)) = next(body.as_mut()).await {}
    }
    assert_eq!(circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_fails_is_judged_without_its_body() {
    let circuit = circuit(exact());
    let response = answered(
        &circuit,
        500,
        chunked([data("sorry"), error(TestError::new("reset"))]),
    )
    .await;
    assert_eq!(counted(&circuit), FAILURE);
    let mut body = pin!(response.into_body());
    while let Some(Ok(_)) = next(body.as_mut()).await {}
    assert_eq!(counted(&circuit), FAILURE);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_nobody_wanted_is_judged_by_its_head() {
    for (status, verdict) in [(200, SUCCESS), (404, NEUTRAL), (500, FAILURE)] {
        let circuit = circuit(exact());
        let response = answered(&circuit, status, chunked([data("unread")])).await;
        drop(response);
        assert_eq!(counted(&circuit), verdict, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_dropped_half_way_is_an_abandoned_call() {
    let circuit = circuit(exact());
    let response = answered(&circuit, 200, chunked([data("one"), data("two")])).await;
    {
        let mut body = pin!(response.into_body());
        next(body.as_mut()).await.unwrap().unwrap();
    }
    assert_eq!(counted(&circuit), ABANDONED);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_panics_is_a_failure() {
    let circuit = circuit(exact());
    let response = answered(&circuit, 200, MockBody::new([panic::<TestError>()])).await;
    let read = tokio::spawn(async move {
        let mut body = pin!(response.into_body());
        next(body.as_mut()).await.is_some()
    });
    assert!(read.await.unwrap_err().is_panic());
    assert_eq!(counted(&circuit), FAILURE);
}

#[tokio::test(start_paused = true)]
async fn a_body_passes_unchanged() {
    let circuit = circuit(exact());
    let extra = HeaderMap::from_iter([("x-sum".parse().unwrap(), "6".parse().unwrap())]);
    let steps = || {
        [
            data("one"),
            data("two"),
            trailers::<TestError>(extra.clone()),
        ]
    };
    let (plain, watch) = MockBody::new(steps()).watched();
    let response = answered(&circuit, 200, plain).await;
    assert_eq!(response.body().size_hint().exact(), Some(6));
    assert!(!response.body().is_end_stream());
    let mut body = pin!(response.into_body());
    let mut text = String::new();
    let mut seen = None;
    while let Some(frame) = next(body.as_mut()).await {
        match frame.unwrap().into_data() {
            Ok(bytes) => text.push_str(std::str::from_utf8(&bytes).unwrap()),
            Err(frame) => seen = frame.into_trailers().ok(),
        }
    }
    assert_eq!(text, "onetwo");
    assert_eq!(seen, Some(extra));
    assert_eq!(watch.polls(), 4, "no poll of our own");
}

#[tokio::test(start_paused = true)]
async fn a_body_read_slowly_by_its_caller_is_not_a_slow_call() {
    let circuit = circuit(exact().slow_calls(SECOND, 0.5));
    for status in [200, 404] {
        let response = answered(&circuit, status, chunked([data("one"), data("two")])).await;
        let mut body = pin!(response.into_body());
        while let Some(Ok(_)) = next(body.as_mut()).await {
            advance(SECOND * 2).await;
        }
    }
    assert_eq!(circuit.stats().totals.slow, 0);
}

#[tokio::test(start_paused = true)]
async fn answers_whose_bodies_are_still_being_read_do_not_hang() {
    for status in [200, 404] {
        let circuit = circuit(exact().slow_calls(SECOND, 0.5));
        let mut open = Vec::new();
        for _ in 0..50 {
            open.push(answered(&circuit, status, chunked([hang()])).await);
        }
        advance(SECOND * 10).await;
        open.push(answered(&circuit, status, chunked([hang()])).await);
        assert_eq!(circuit.state(), CircuitState::Closed, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_endless_body_with_a_good_head_is_a_good_probe() {
    let circuit = circuit(exact().probes(1));
    trip(&circuit);
    pass_the_deadline(&circuit).await;
    let _first = answered(&circuit, 200, chunked([hang()])).await;
    assert_eq!(circuit.state(), CircuitState::HalfOpen);
    let _second = answered(&circuit, 200, chunked([hang()])).await;
    assert_eq!(circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn an_endless_body_with_a_neutral_head_is_an_answer_and_holds_no_place() {
    let circuit = circuit(exact().probes(1));
    drop(half_open(&circuit).await);
    let _first = answered(&circuit, 404, chunked([hang()])).await;
    let _second = answered(&circuit, 404, chunked([hang()])).await;
    advance(SECOND * 5).await;
    assert_eq!(circuit.state(), CircuitState::Closed, "it lives");
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_body_breaks_off_reopens() {
    let circuit = circuit(exact());
    trip(&circuit);
    pass_the_deadline(&circuit).await;
    let response = answered(&circuit, 200, chunked([error(TestError::new("reset"))])).await;
    assert_eq!(circuit.state(), CircuitState::HalfOpen);
    let mut body = pin!(response.into_body());
    assert!(next(body.as_mut()).await.unwrap().is_err());
    assert_eq!(circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_ends_long_after_its_circuit_has_moved_on_moves_nothing() {
    let circuit = circuit(exact());
    let response = answered(&circuit, 200, chunked([error(TestError::new("reset"))])).await;
    drop(half_open(&circuit).await);
    let before = circuit.stats().generation;
    advance(ms(1)).await;
    let mut body = pin!(response.into_body());
    assert!(next(body.as_mut()).await.unwrap().is_err());
    let stats = circuit.stats();
    assert_eq!(
        (stats.generation, stats.state),
        (before, CircuitState::HalfOpen)
    );
    advance(HOUR).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_of_a_body() {
    let circuit = circuit(exact());
    let response = answered(&circuit, 200, NotSend::new(MockBody::full("a"))).await;
    let mut body = pin!(response.into_body());
    next(body.as_mut()).await.unwrap().unwrap();
    let response = answered(&circuit, 200, NotSync::new(MockBody::full("b"))).await;
    let read = tokio::spawn(async move {
        let mut body = pin!(response.into_body());
        next(body.as_mut()).await.unwrap().unwrap();
    });
    read.await.unwrap();
    assert_eq!(circuit.stats().totals.successes, 2);
}
