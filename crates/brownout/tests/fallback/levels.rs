//! Marks of one chain and of several, one in another.

use brownout::{
    Registry,
    core::{Degraded, Marks},
    fallback::{FallbackLayer, Tier},
    registry::DegradationLevel,
};
use brownout_testing::TestError;
use bytes::Bytes;
use http::{Method, Response};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneService};

use crate::common::{
    order, search,
    uploads::{Upload, bad, marks, request, server},
};

type Plain = BoxCloneService<Upload, Response<Full<Bytes>>, TestError>;

/// A chain of which the primary has failed and this tier answers.
fn over(tier: Plain, registry: &Registry, name: &str) -> Plain {
    let covered = registry.dependency(name).public_name(name);
    let layer = FallbackLayer::for_http()
        .covering(&covered.register().unwrap())
        .tier(Tier::new("other", tier))
        .build()
        .unwrap();
    let service = layer.layer(bad());
    // Brought back to the type of body that it began with.
    BoxCloneService::new(
        service.map_response(|response| response.map(|_| Full::from("from a chain"))),
    )
}

#[tokio::test(start_paused = true)]
async fn a_chain_over_a_chain_marks_what_each_of_them_did_the_inner_first() {
    let registry = Registry::new();
    let inner = over(BoxCloneService::new(server().0), &registry, "inner");
    let outer = over(inner, &registry, "outer");
    let answer = outer.oneshot(request(Method::GET, "")).await.unwrap();
    assert_eq!(
        marks(&answer),
        [
            "inner;tier=other;reason=failed",
            "outer;tier=other;reason=failed"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn marks_are_bounded_and_the_innermost_are_kept() {
    let registry = Registry::new();
    let mut service: Plain = BoxCloneService::new(server().0);
    for n in 0..20 {
        service = over(service, &registry, &format!("level-{n}"));
    }
    let answer = service.oneshot(request(Method::GET, "")).await.unwrap();
    let marks = marks(&answer);
    assert_eq!(marks.len(), Marks::MAX);
    assert_eq!(marks[0], "level-0;tier=other;reason=failed");
    assert_eq!(marks[15], "level-15;tier=other;reason=failed");
}

#[tokio::test(start_paused = true)]
async fn an_outer_chain_adds_nothing_to_an_answer_that_it_only_passes_on() {
    let registry = Registry::new();
    let inner = over(BoxCloneService::new(server().0), &registry, "inner");
    let layer = FallbackLayer::for_http()
        .covering(&search())
        .last("cache", |_| async { Response::new("cached".to_owned()) })
        .unwrap();
    let Ok(answer) = layer.layer(inner).oneshot(request(Method::GET, "")).await;
    assert_eq!(marks(&answer), ["inner;tier=other;reason=failed"]);
}

#[tokio::test(start_paused = true)]
async fn the_marks_of_a_failed_answer_go_with_it() {
    // The primary answered with a degraded failure: none of it is in the tier's answer.
    let primary = service_fn(|_: Upload| {
        let mut response = Response::new(Full::<Bytes>::from("broken"));
        *response.status_mut() = http::StatusCode::BAD_GATEWAY;
        let mut marks = Marks::default();
        marks.push(mark("stale"));
        response.extensions_mut().insert(marks);
        std::future::ready(Ok::<_, TestError>(response))
    });
    let layer = FallbackLayer::for_http()
        .covering(&search())
        .last("cache", |_| async { Response::new("cached".to_owned()) })
        .unwrap();
    let Ok(answer) = layer.layer(primary).oneshot(request(Method::GET, "")).await;
    assert_eq!(marks(&answer), ["search;tier=cache;reason=failed"]);
}

#[tokio::test(start_paused = true)]
async fn a_mark_has_the_public_name_if_there_is_one_and_the_level_of_its_time() {
    let registry = Registry::new();
    let secret = registry.dependency("db-7.internal").register().unwrap();
    let layer = FallbackLayer::for_http()
        .covering(&secret)
        .last("cache", |_| async { Response::new(String::new()) })
        .unwrap();
    let service = layer.layer(bad());
    let mark = async || {
        let Ok(answer) = service.clone().oneshot(request(Method::GET, "")).await;
        let marks = answer.extensions().get::<Marks>().unwrap();
        let [mark] = marks
            .iter()
            .cloned()
            .collect::<Vec<_>>()
            .try_into()
            .unwrap();
        mark
    };
    let first: Degraded = mark().await;
    assert_eq!(first.dependency, None);
    assert_eq!(first.level, DegradationLevel::Full);
    let level = DegradationLevel::Minimal;
    registry.override_level(level, order()).unwrap();
    // A public name may come later.
    let named = registry.dependency("db-7.internal").public_name("users");
    named.register().unwrap();
    let second = mark().await;
    assert_eq!(second.dependency.as_deref(), Some("users"));
    assert_eq!(second.level, level);
    assert_eq!(second.age, None);
    assert!(!second.head_only);
}

fn mark(dependency: &str) -> Degraded {
    let mut mark = Degraded::new(brownout::core::DegradeReason::Failed);
    mark.dependency = Some(dependency.into());
    mark.level = DegradationLevel::Full;
    mark
}
