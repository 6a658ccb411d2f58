//! Chains around clients whose server breaks off, hangs, or stops half way.

use std::{convert::Infallible, time::Duration};

use ::axum::{Router, body::Body};
use brownout::{
    core::BoxError,
    fallback::{FallbackLayer, Tier},
};
use brownout_tests::{
    Server,
    circuit::until,
    client,
    server::{FINE, Hits},
};
use futures_util::stream;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;
use tower::{Service, ServiceBuilder, ServiceExt};

use crate::{
    common::{fine, nowhere, see},
    mirror::{at, mirror},
};

const LONG: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_connection_that_breaks_before_the_answer_sends_a_read_elsewhere_and_no_write() {
    let hits = Hits::default();
    let mirror = mirror(&hits).await;
    let (orderly, switch) = Server::switched(FINE).await;
    switch.off();
    // What was not read is answered with a reset.
    let abrupt = Server::raw(async |stream| drop(stream)).await;
    for primary in [orderly, abrupt] {
        let mut client = ServiceBuilder::new()
            .layer(
                FallbackLayer::for_http()
                    .tier(Tier::new("mirror", at(&mirror, client::http1())).timeout(LONG))
                    .build()
                    .unwrap(),
            )
            .service(client::http1());
        let before = hits.count();
        let answer = see(&mut client, client::get(&primary.uri("/"))).await;
        assert_eq!(answer, fine("mirror", "unnamed;tier=mirror;reason=failed"));
        let write = client::request(Method::POST, &primary.uri("/"));
        let error = client.ready().await.unwrap().call(write).await.unwrap_err();
        assert!(!error.is_connect(), "{error}");
        assert_eq!(hits.count(), before + 1);
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_half_way_is_the_callers_as_it_is() {
    let hits = Hits::default();
    let mirror = mirror(&hits).await;
    let half = Server::saying(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly so much").await;
    let mut client = ServiceBuilder::new()
        .layer(
            FallbackLayer::for_http()
                .tier(Tier::new("mirror", at(&mirror, client::http1())))
                .build()
                .unwrap(),
        )
        .service(client::http1());
    for method in [Method::GET, Method::POST] {
        let request = client::request(method, &half.uri("/"));
        let answer = client.ready().await.unwrap().call(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(answer.into_body().collect().await.is_err());
    }
    assert_eq!(hits.count(), 0);
}

#[tokio::test]
async fn a_primary_that_hangs_is_given_up_at_its_own_timeout_or_at_the_chains() {
    let hits = Hits::default();
    let mirror = mirror(&hits).await;
    let hung = Server::hung().await;
    let chain = || {
        FallbackLayer::for_http()
            .tier(Tier::new("mirror", at(&mirror, client::http1())).timeout(LONG))
    };
    let mut client = ServiceBuilder::new()
        .layer(chain().exhausted_answers().build().unwrap())
        .timeout(SHORT)
        .service(client::http1());
    let answer = see(&mut client, client::get(&hung.uri("/"))).await;
    assert_eq!(answer, fine("mirror", "unnamed;tier=mirror;reason=failed"));
    // It may have been made.
    let write = client::request(Method::POST, &hung.uri("/"));
    assert_eq!(see(&mut client, write).await.0, 503);
    assert_eq!(hits.count(), 1);

    // The deadline is the chain's: what remains is nothing, and the mirror is not asked.
    let mut client = ServiceBuilder::new()
        .layer(chain().within(SHORT).exhausted_answers().build().unwrap())
        .service(client::http1());
    for method in [Method::GET, Method::POST] {
        let request = client::request(method, &hung.uri("/"));
        assert_eq!(see(&mut client, request).await.0, 503);
    }
    assert_eq!(hits.count(), 1);
}

#[tokio::test]
async fn a_tier_that_does_not_answer_is_given_up_and_the_next_is_asked() {
    let hits = Hits::default();
    let mirror = mirror(&hits).await;
    let hung = Server::hung().await;
    // Says that it will answer, and does not go on.
    let stuck = Server::raw(async |mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        std::future::pending::<()>().await;
    })
    .await;
    let mut client = ServiceBuilder::new()
        .layer(
            FallbackLayer::for_http()
                .within(LONG)
                .tier(Tier::new("hung", at(&hung, client::http1())).timeout(SHORT))
                .tier(Tier::new("stuck", at(&stuck, client::http1())).timeout(SHORT))
                .tier(Tier::new("mirror", at(&mirror, client::http1())))
                .exhausted_answers()
                .build()
                .unwrap(),
        )
        .map_err(BoxError::from)
        .service(client::http1());
    let answer = see(&mut client, client::get(&nowhere())).await;
    assert_eq!(
        answer,
        fine("mirror", "unnamed;tier=mirror;reason=unreachable")
    );
    // A tier that may have made the write is the last that is asked.
    let write = client::request(Method::POST, &nowhere());
    assert_eq!(see(&mut client, write).await.0, 503);
    assert_eq!(hits.count(), 1);
}

#[tokio::test]
async fn an_endless_failure_of_the_primary_is_dropped_before_the_mirror_is_asked() {
    struct Sending(Hits);
    impl Drop for Sending {
        fn drop(&mut self) {
            self.0.hit();
        }
    }
    let (hits, dropped) = (Hits::default(), Hits::default());
    let mirror = mirror(&hits).await;
    let drops = dropped.clone();
    let fails = async move || {
        let sending = Sending(drops.clone());
        let pieces = stream::repeat_with(move || {
            let _ = &sending;
            Ok::<_, Infallible>("it is all so very sad ")
        });
        (StatusCode::BAD_GATEWAY, Body::from_stream(pieces))
    };
    let primary = Server::axum(Router::new().fallback(fails)).await;
    for (calls, client) in (1..).zip([client::http1(), client::http2()]) {
        let mut client = ServiceBuilder::new()
            .layer(
                FallbackLayer::for_http()
                    .tier(Tier::new("mirror", at(&mirror, client.clone())).timeout(LONG))
                    .build()
                    .unwrap(),
            )
            .service(client);
        let answer = see(&mut client, client::get(&primary.uri("/"))).await;
        assert_eq!(answer, fine("mirror", "unnamed;tier=mirror;reason=failed"));
        until("the primary has stopped sending", || {
            dropped.count() == calls
        })
        .await;
    }
}
