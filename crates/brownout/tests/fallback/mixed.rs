//! Services of all kinds in one chain: bodies, errors, threads.

use std::{cell::Cell, convert::Infallible, fmt, rc::Rc};

use brownout::{
    core::BoxError,
    fallback::{Cause, CauseKind, Exhausted, Failed, FallbackLayer, Tier},
    http::LocalBody,
    registry::Status,
};
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};
use tower::{Layer, Service, ServiceExt, service_fn, util::BoxCloneService};

use crate::common::{
    SECOND, down, impose, probe, search, uncapped,
    uploads::{Upload, bad, marks, request},
};

#[tokio::test(start_paused = true)]
async fn the_bodies_of_a_chain_may_all_be_of_different_types() {
    for answering in ["string", "empty", "boxed", "last"] {
        let ok = move |name: &str| {
            if name == answering {
                StatusCode::OK
            } else {
                StatusCode::BAD_GATEWAY
            }
        };
        let layer = FallbackLayer::for_http()
            .tier_fn("string", move |_| async move {
                let response = Response::builder().status(ok("string"));
                Ok::<_, BoxError>(response.body("string".to_owned()).unwrap())
            })
            .tier_fn("empty", move |_| async move {
                let response = Response::builder().status(ok("empty"));
                Ok::<_, &str>(response.body(Empty::<Bytes>::new()).unwrap())
            })
            .tier(Tier::new(
                "boxed",
                service_fn(move |_: Upload| async move {
                    let body = UnsyncBoxBody::new(Full::<Bytes>::from("boxed"));
                    let response = Response::builder().status(ok("boxed"));
                    Ok::<_, Infallible>(response.body(body).unwrap())
                }),
            ))
            .last("last", |_| async { Response::new("last".to_owned()) })
            .unwrap();
        let Ok(answer) = layer.layer(bad()).oneshot(request(Method::GET, "")).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(
            marks(&answer),
            [format!("unnamed;tier={answering};reason=failed")]
        );
        let LocalBody::Inner(body) = answer.into_body() else {
            panic!("a tier's own body");
        };
        let text = body.collect().await.unwrap().to_bytes();
        let expected = if answering == "empty" { "" } else { answering };
        assert_eq!(text, expected);
    }
}

/// An error of which nothing can be said, and that cannot even be shown.
struct Opaque;

#[derive(Debug, PartialEq)]
enum Own {
    Timeout,
    Exhausted(usize),
}

impl fmt::Display for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl From<Exhausted> for Own {
    fn from(exhausted: Exhausted) -> Self {
        Self::Exhausted(exhausted.failures().count())
    }
}

/// What the last tier is told of a primary that fails with this.
async fn told<E: fmt::Display + Clone + 'static>(error: E) -> String {
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search())
        .last("last", |f| async move { f.cause().text().to_owned() })
        .unwrap();
    let primary = service_fn(move |_: u32| std::future::ready(Err::<String, E>(error.clone())));
    let Ok::<_, Infallible>(text) = layer.layer(primary).oneshot(1).await;
    text
}

#[tokio::test(start_paused = true)]
async fn the_primarys_error_may_be_of_any_type() {
    assert_eq!(told("static").await, "static");
    assert_eq!(told(String::from("owned")).await, "owned");
    assert_eq!(told(7_u8).await, "7");
    assert_eq!(told(Rc::new(3.5)).await, "3.5");
    // One that cannot be shown can be explained.
    let layer = FallbackLayer::for_results()
        .safe()
        .causes(|_: &Opaque| Cause::connect("no route"))
        .last("last", |f: Failed<u32>| async move { f.cause().kind() })
        .unwrap();
    let primary = service_fn(|_: u32| async { Err::<CauseKind, _>(Opaque) });
    assert_eq!(
        layer.layer(primary).oneshot(1).await,
        Ok(CauseKind::Connect)
    );
    // And one that never fails may have tiers too.
    let layer = FallbackLayer::for_results()
        .safe()
        .last("last", |_| async { 0_u32 })
        .unwrap();
    let primary = service_fn(|n: u32| async move { Ok::<_, Infallible>(n) });
    assert_eq!(layer.layer(primary).oneshot(1).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn an_error_enum_takes_in_the_list_of_all_who_failed_where_nobody_has_an_error() {
    let search = search();
    let layer = FallbackLayer::for_results()
        .safe()
        .within(SECOND)
        .skip_when_unhealthy(&search)
        .tier_fn("cache", |_| async { Err::<u32, _>(Own::Timeout) })
        .build()
        .unwrap();
    let primary = service_fn(|n: u32| async move {
        if n == 0 {
            Ok(n)
        } else {
            std::future::pending().await
        }
    });
    let mut service = layer.layer(primary);
    assert_eq!(service.ready().await.unwrap().call(0).await, Ok(0));
    // The deadline has passed, so the cache was not asked and has left no error.
    let late = service.ready().await.unwrap().call(1).await;
    assert_eq!(late, Err(Own::Exhausted(2)));
    impose(&search, Status::Unhealthy);
    let skipped = service.ready().await.unwrap().call(1).await;
    assert_eq!(skipped, Err(Own::Timeout));
}

#[tokio::test(start_paused = true)]
async fn a_watched_and_exercised_chain_asks_nobody_to_be_send() {
    let calls = Rc::new(Cell::new(0));
    let (one, two) = (Rc::clone(&calls), Rc::clone(&calls));
    let primary = service_fn(move |n: Rc<u32>| {
        one.set(one.get() + 1);
        async move { Ok::<_, Rc<str>>(n) }
    });
    let tier = service_fn(move |n: Rc<u32>| {
        two.set(two.get() + 10);
        std::future::ready(Err::<Rc<u32>, Rc<str>>(n.to_string().into()))
    });
    let search = search();
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search)
        .within(SECOND)
        .skip_when_unhealthy(&search)
        .exercise(uncapped(1.0))
        .tier(Tier::new("tier", tier))
        .last("last", |f: Failed<Rc<u32>>| async move { f.request })
        .unwrap();
    let Ok(answer) = layer.layer(primary).oneshot(Rc::new(3)).await;
    assert_eq!((*answer, calls.get()), (3, 11));
}

#[tokio::test(start_paused = true)]
async fn in_a_spawned_task_a_chain_of_boxed_errors_is_made_ready_and_called() {
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search())
        .exercise(0.5)
        .tier(Tier::new("down", down("down too").0))
        .tier_fn("list", |f| async move {
            Err::<u32, BoxError>(f.tiers().collect::<Vec<_>>().join(" ").into())
        })
        .build()
        .unwrap();
    let mut service = layer.layer(down("primary").0);
    let task = tokio::spawn(async move {
        let answer = service.ready().await?.call(1).await;
        tokio::task::yield_now().await;
        drop(service);
        answer
    });
    let error = task.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "primary down");
    // Where the service is to be used up, a box hides from the compiler what it cannot prove of the error's lifetime.
    let boxed = BoxCloneService::new(layer.layer(probe().0));
    let task = tokio::spawn(async move { boxed.oneshot(1).await });
    assert_eq!(task.await.unwrap().unwrap(), 1);
}
