//! Serving and stopping, over real sockets.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Request, StatusCode},
    routing::get,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Notify,
    time::{Instant, sleep},
};

use super::*;
use crate::client::http_client;

#[tokio::test]
async fn a_busy_port_is_an_error_that_says_what_to_do() {
    let first = listen(0, "--port").await.unwrap();
    let port = first.local_addr().unwrap().port();
    let error = listen(port, "--port").await.unwrap_err().to_string();
    assert!(error.contains(&format!("127.0.0.1:{port}")), "{error}");
    assert!(error.contains("--port 0"), "{error}");
}

#[tokio::test]
async fn a_request_in_flight_finishes_when_the_server_is_told_to_stop() {
    let listener = listen(0, "--port").await.unwrap();
    let address = listener.local_addr().unwrap();
    let request = Request::get(format!("http://{address}/")).body(Body::empty());
    let (arrived, released, stop) = <(Arc<Notify>, Arc<Notify>, Arc<Notify>)>::default();
    let app = {
        let (arrived, released) = (Arc::clone(&arrived), Arc::clone(&released));
        let handler = async move || {
            arrived.notify_one();
            released.notified().await;
        };
        Router::new().route("/", get(handler))
    };
    let server = serve_until(listener, app, stop.notified());
    let client = http_client();
    let closing = async {
        arrived.notified().await;
        stop.notify_one();
        let late = Request::get(format!("http://{address}/late")).body(Body::empty());
        let late = client.request(late.unwrap()).await.unwrap();
        released.notify_one();
        late
    };
    let answer = client.request(request.unwrap());
    let ((), answer, late) = tokio::join!(server, answer, closing);
    assert_eq!(answer.unwrap().status(), StatusCode::OK);
    assert_eq!(late.status(), StatusCode::NOT_FOUND, "it was answered too");
    assert_eq!(late.headers()["connection"], "close");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn who_comes_while_requests_finish_and_says_nothing_keeps_nobody_waiting() {
    let listener = listen(0, "--port").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (arrived, released, stop) = <(Arc<Notify>, Arc<Notify>, Arc<Notify>)>::default();
    let app = {
        let (arrived, released) = (Arc::clone(&arrived), Arc::clone(&released));
        let handler = async move || {
            arrived.notify_one();
            released.notified().await;
        };
        Router::new().route("/", get(handler))
    };
    let server = async {
        serve_until(listener, app, stop.notified()).await;
        Instant::now()
    };
    let visits = async {
        let mut client = TcpStream::connect(address).await.unwrap();
        client
            .write_all(b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n")
            .await
            .unwrap();
        arrived.notified().await;
        stop.notify_one();
        let silent = TcpStream::connect(address).await.unwrap();
        released.notify_one();
        (Instant::now(), client, silent)
    };
    let (ended, (released, ..)) = tokio::join!(server, visits);
    assert!(ended - released < GRACE, "{:?}", ended - released);
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_makes_room_for_others() {
    let listener = listen(0, "--port").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/", get(async || "here"));
    let visits = async {
        let mut silent = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
            silent.push(client);
        }
        let mut client = TcpStream::connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n";
        client.write_all(request).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    };
    tokio::select! {
        () = serve_until(listener, app, std::future::pending()) => unreachable!("nobody stops it"),
        answer = visits => assert!(answer.ends_with("here"), "{answer}"),
        () = sleep(2 * MAX_SILENCE + GRACE) => panic!("the silent are still there"),
    }
}
