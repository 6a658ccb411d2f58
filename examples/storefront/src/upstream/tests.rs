//! Each fault as a client meets it, over real sockets.

use std::time::Duration;

use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use tokio::time::timeout;
use tower::BoxError;

use super::{Fault, HEALTH, SECRET, Upstream, stock};
use crate::client::http_client;

/// Longer than any answer takes that is not held back on purpose.
const LONG: Duration = Duration::from_secs(10);
/// What a call that hangs is watched for. Real time, since real sockets are.
const A_WHILE: Duration = Duration::from_millis(200);

async fn upstream() -> Upstream {
    Upstream::start("recommendations", stock::recommendations())
        .await
        .unwrap()
}

/// Status and body, asked for over a connection of its own.
async fn ask(upstream: &Upstream) -> Result<(StatusCode, usize), BoxError> {
    let request = Request::get(format!("http://{}/recommendations", upstream.address()))
        .body(Body::empty())?;
    let response = http_client().request(request).await?;
    let status = response.status();
    let body = to_bytes(Body::new(response.into_body()), usize::MAX).await?;
    Ok((status, body.len()))
}

#[tokio::test]
async fn a_service_works_until_it_is_told_otherwise() {
    let upstream = upstream().await;
    let (status, length) = ask(&upstream).await.unwrap();
    assert_eq!(status, StatusCode::OK);
    assert!(length > 0);
    assert_eq!(upstream.calls(), 1);
}

#[tokio::test]
async fn a_status_is_answered_and_counted_as_a_call() {
    let upstream = upstream().await;
    let fault = Fault::Status(StatusCode::INSUFFICIENT_STORAGE);
    upstream.set_fault(fault).await.unwrap();
    let (status, said) = ask(&upstream).await.unwrap();
    assert_eq!(status, StatusCode::INSUFFICIENT_STORAGE);
    assert_eq!(said, SECRET.len(), "it says what it should keep to itself");
    assert_eq!(upstream.calls(), 1);
}

#[tokio::test]
async fn asking_how_a_service_is_fails_as_a_call_does_and_is_none() {
    let upstream = upstream().await;
    let client = http_client();
    let health = async || {
        let uri = format!("http://{}{HEALTH}", upstream.address());
        let request = Request::get(uri).body(Body::empty()).unwrap();
        client.request(request).await.map(|answer| answer.status())
    };
    assert_eq!(health().await.unwrap(), StatusCode::OK);
    let fault = Fault::Status(StatusCode::BAD_GATEWAY);
    upstream.set_fault(fault).await.unwrap();
    assert_eq!(health().await.unwrap(), StatusCode::BAD_GATEWAY);
    upstream.set_fault(Fault::ClosedPort).await.unwrap();
    assert!(health().await.is_err());
    assert_eq!(upstream.calls(), 0);
}

#[tokio::test]
async fn latency_delays_a_right_answer() {
    let upstream = upstream().await;
    upstream.set_fault(Fault::Latency(A_WHILE)).await.unwrap();
    let asked = tokio::time::Instant::now();
    let (status, _) = ask(&upstream).await.unwrap();
    assert_eq!(status, StatusCode::OK);
    assert!(asked.elapsed() >= A_WHILE);
}

#[tokio::test]
async fn a_hanging_service_takes_the_call_and_never_answers() {
    let upstream = upstream().await;
    upstream.set_fault(Fault::Hang).await.unwrap();
    assert!(timeout(A_WHILE, ask(&upstream)).await.is_err());
    assert_eq!(upstream.calls(), 1);
}

#[tokio::test]
async fn half_a_body_comes_with_a_good_head_and_breaks_off() {
    let upstream = upstream().await;
    let (_, whole) = ask(&upstream).await.unwrap();
    upstream.set_fault(Fault::HalfBody).await.unwrap();

    let request = Request::get(format!("http://{}/recommendations", upstream.address()))
        .body(Body::empty())
        .unwrap();
    let response = http_client().request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        response.headers()["content-length"],
        whole.to_string().as_str()
    );
    let body = timeout(LONG, to_bytes(Body::new(response.into_body()), usize::MAX));
    assert!(body.await.unwrap().is_err());
}

#[tokio::test]
async fn a_closed_port_refuses_and_cuts_off_who_was_connected_and_opens_again_where_it_was() {
    let upstream = upstream().await;
    let client = http_client();
    let address = upstream.address();
    let get = || {
        Request::get(format!("http://{address}/recommendations"))
            .body(Body::empty())
            .unwrap()
    };
    assert!(client.request(get()).await.is_ok());

    upstream.set_fault(Fault::ClosedPort).await.unwrap();
    let connect = tokio::net::TcpStream::connect(address).await;
    let refused = connect.unwrap_err().kind();
    assert_eq!(refused, std::io::ErrorKind::ConnectionRefused);
    assert!(
        client.request(get()).await.is_err(),
        "the pooled connection went on"
    );

    upstream.set_fault(Fault::None).await.unwrap();
    assert_eq!(upstream.address(), address);
    assert!(ask(&upstream).await.is_ok());
}

#[tokio::test]
async fn closing_twice_and_opening_twice_is_no_error() {
    let upstream = upstream().await;
    for fault in [
        Fault::ClosedPort,
        Fault::ClosedPort,
        Fault::None,
        Fault::None,
    ] {
        upstream.set_fault(fault).await.unwrap();
    }
    assert!(ask(&upstream).await.is_ok());
}

#[tokio::test]
async fn a_dropped_service_is_gone() {
    let upstream = upstream().await;
    let address = upstream.address();
    drop(upstream);
    let gone = async {
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, gone).await.unwrap();
}
