//! What is said of answers that are less than they could be.

use std::{convert::Infallible, future::poll_fn, pin::pin, time::Duration};

use brownout::{
    Registry,
    aggregate::AggregateLayer,
    core::{DegradeReason, Degraded, Marks},
    fallback::FallbackLayer,
    flag::{FlagLayer, Flags},
    registry::FeatureState,
    report::{AdoptDegradedLayer, DegradedLayer, carry, note},
};
use brownout_testing::{
    MockBody, TestError,
    body::{data, trailers},
};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Body;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn};

type Answer = Response<MockBody>;

fn mark(name: &str) -> Degraded {
    let mut mark = Degraded::new(DegradeReason::Failed);
    mark.dependency = Some(name.into());
    mark
}

fn page() -> Answer {
    Response::new(MockBody::full("page"))
}

/// The head of the answer of a handler below the layer.
async fn head<Fut>(handler: impl Fn(Request<()>) -> Fut) -> http::response::Parts
where
    Fut: Future<Output = Answer>,
{
    ask(Request::new(()), handler).await.into_parts().0
}

async fn ask<Fut>(
    request: Request<()>,
    handler: impl Fn(Request<()>) -> Fut,
) -> Response<impl Body<Data = bytes::Bytes, Error = TestError>>
where
    Fut: Future<Output = Answer>,
{
    let service = service_fn(|request| {
        let answer = handler(request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    DegradedLayer::new()
        .layer(service)
        .oneshot(request)
        .await
        .unwrap()
}

fn degraded(head: &http::response::Parts) -> Option<&str> {
    let mut values = head.headers.get_all("degraded").iter();
    let value = values.next()?.to_str().unwrap();
    assert_eq!(values.next(), None, "one line");
    Some(value)
}

#[tokio::test]
async fn an_answer_that_is_whole_is_left_as_it_is() {
    let head = head(async |_| page()).await;
    assert!(head.headers.is_empty());
    assert!(head.extensions.get::<Marks>().is_none());
}

#[tokio::test]
async fn a_fallback_in_a_client_that_the_handler_calls_is_told_of() {
    let registry = Registry::new();
    let recs = registry.dependency("recs").public_name("recommendations");
    let recs = recs.register().unwrap();
    let head = head(async |_| {
        // A plain service, whose answers nobody marks.
        let client = ServiceBuilder::new()
            .layer(
                FallbackLayer::for_results()
                    .covering(&recs)
                    .safe()
                    .last("popular", |_| async { 7 })
                    .unwrap(),
            )
            .service(service_fn(|_: u32| async {
                Err::<u32, _>(BoxError::from("down"))
            }));
        assert_eq!(client.oneshot(1).await.unwrap(), 7);
        page()
    })
    .await;
    assert_eq!(
        degraded(&head),
        Some("recommendations;tier=popular;reason=failed")
    );
    assert_eq!(head.headers["cache-control"], "no-store");
    assert_eq!(head.extensions.get::<Marks>().unwrap().iter().count(), 1);
}

#[tokio::test]
async fn a_flag_in_front_of_the_handler_is_told_of_once() {
    let flags = Flags::new(&Registry::new());
    let flag = flags
        .builder("ml")
        .public_name("recommendations")
        .build()
        .unwrap();
    flag.configure(FeatureState::Degraded);
    let full = service_fn(async |_: Request<()>| Ok::<_, BoxError>(page()));
    let simple = service_fn(async |_: Request<()>| Ok::<_, BoxError>(page()));
    let service = ServiceBuilder::new()
        .layer(DegradedLayer::new())
        .layer(FlagLayer::for_http(flag).degraded(simple))
        .service(full);
    let head = service
        .oneshot(Request::new(()))
        .await
        .unwrap()
        .into_parts()
        .0;
    assert_eq!(
        degraded(&head),
        Some("recommendations;tier=degraded;reason=flag-degraded")
    );
}

#[tokio::test]
async fn a_part_that_is_missing_is_told_of_also_where_no_answer_can_be_marked() {
    let registry = Registry::new();
    let recs = registry.dependency("recs").public_name("recommendations");
    let recs = recs.register().unwrap();
    let head = head(async |_| {
        let down = service_fn(async |_: u32| Err::<u32, _>(BoxError::from("down")));
        let parts = AggregateLayer::for_many::<u32, _>()
            .optional("recs", down)
            .covering(&recs)
            .into_service()
            .unwrap();
        parts.oneshot(1).await.unwrap();
        page()
    })
    .await;
    assert_eq!(degraded(&head), Some("recommendations;reason=failed"));
}

#[tokio::test(start_paused = true)]
async fn requests_that_are_handled_at_once_do_not_mix() {
    let handle = |name: &'static str| {
        head(async move |_| {
            for _ in 0..3 {
                tokio::task::yield_now().await;
                note(&mark(name));
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            page()
        })
    };
    let whole = head(async |_| {
        tokio::time::sleep(Duration::from_millis(2)).await;
        page()
    });
    let (one, two, whole) = tokio::join!(handle("one"), handle("two"), whole);
    assert_eq!(degraded(&one), Some("one;reason=failed"));
    assert_eq!(degraded(&two), Some("two;reason=failed"));
    assert_eq!(degraded(&whole), None);
}

#[tokio::test]
async fn a_task_adds_its_marks_if_it_was_told_whose_they_are() {
    let head = head(async |_| {
        let lost = tokio::spawn(async { note(&mark("lost")) });
        let told = tokio::spawn(carry(async {
            tokio::task::yield_now().await;
            note(&mark("told"));
            // And a task of that task.
            tokio::spawn(carry(async { note(&mark("grandchild")) }))
                .await
                .unwrap();
        }));
        let (lost, told) = tokio::join!(lost, told);
        lost.and(told).unwrap();
        page()
    })
    .await;
    assert_eq!(
        degraded(&head),
        Some("told;reason=failed, grandchild;reason=failed")
    );
}

#[tokio::test]
async fn what_is_noted_for_no_request_is_dropped() {
    note(&mark("nobody"));
    carry(async { note(&mark("nobody")) }).await;
    let head = head(async |_| page()).await;
    assert_eq!(degraded(&head), None);
}

#[tokio::test]
async fn a_name_that_is_not_public_stays_private_and_the_answer_uncached() {
    let head = head(async |_| {
        note(&Degraded::new(DegradeReason::TimedOut));
        page()
    })
    .await;
    assert_eq!(degraded(&head), None);
    assert_eq!(head.headers["cache-control"], "no-store");
    assert_eq!(head.extensions.get::<Marks>().unwrap().iter().count(), 1);
}

#[tokio::test]
async fn a_handler_that_says_how_to_cache_its_answer_is_heeded() {
    let head = head(async |_| {
        note(&mark("recs"));
        let mut page = page();
        let value = "max-age=5".parse().unwrap();
        page.headers_mut().insert("cache-control", value);
        page
    })
    .await;
    assert_eq!(head.headers["cache-control"], "max-age=5");
    assert_eq!(degraded(&head), Some("recs;reason=failed"));
}

#[tokio::test]
async fn no_header_holds_more_than_16_marks_or_a_kibibyte() {
    let many = head(async |_| {
        for n in 0..40 {
            note(&mark(&format!("d{n}")));
            note(&mark("d0"));
        }
        page()
    })
    .await;
    let value = degraded(&many).unwrap();
    assert_eq!(value.split(", ").count(), 16);
    assert!(
        value.starts_with("d0;reason=failed, d1;reason=failed, d2"),
        "{value}"
    );

    let long = head(async |_| {
        for n in 0..16 {
            let mut long = mark(&format!("{n}{}", "x".repeat(100)));
            long.tier = Some("y".repeat(if n == 3 { 900 } else { 10 }).into());
            note(&long);
        }
        page()
    })
    .await;
    let value = degraded(&long).unwrap();
    assert!((900..=1024).contains(&value.len()), "{}", value.len());
    // What does not fit is left out as a whole.
    assert!(!value.contains("\"3x"));
    assert!(value.contains("\"4x"));
}

/// A layer knows that a tier has answered, and the tier alone how old its copy is.
#[tokio::test]
async fn of_two_marks_the_one_that_says_more_is_shown() {
    let mut by_tier = mark("users");
    by_tier.tier = Some("cache".into());
    let mut aged = by_tier.clone();
    aged.age = Some(Duration::from_secs(42));
    let mut elsewhere = mark("users");
    elsewhere.tier = Some("database".into());
    for order in [
        [&mark("users"), &by_tier, &aged, &elsewhere],
        [&aged, &by_tier, &mark("users"), &elsewhere],
    ] {
        let head = head(async |_| {
            order.into_iter().for_each(note);
            page()
        });
        let head = head.await;
        assert_eq!(
            degraded(&head),
            Some("users;tier=cache;reason=failed;age=42, users;tier=database;reason=failed")
        );
    }
}

#[tokio::test]
async fn marks_that_nobody_may_see_take_no_room_from_others() {
    let head = head(async |_| {
        for age in 0..40 {
            let mut private = Degraded::new(DegradeReason::TimedOut);
            private.age = Some(Duration::from_secs(age));
            note(&private);
        }
        for public in 0..20 {
            note(&mark(&format!("d{public}")));
        }
        page()
    })
    .await;
    assert_eq!(degraded(&head).unwrap().split(", ").count(), 16);
    let marks: &Marks = head.extensions.get().unwrap();
    assert_eq!(marks.iter().count(), 16);
}

#[tokio::test]
async fn a_header_that_the_caller_sent_is_taken_out_and_one_that_the_handler_copied_too() {
    let mut request = Request::new(());
    for value in ["forged", "twice"] {
        request
            .headers_mut()
            .append("degraded", value.parse().unwrap());
    }
    let answer = ask(request, async |request: Request<()>| {
        assert!(!request.headers().contains_key("degraded"));
        let mut page = page();
        page.headers_mut()
            .insert("degraded", "copied;reason=failed".parse().unwrap());
        page
    })
    .await;
    assert!(!answer.headers().contains_key("degraded"));
}

#[tokio::test]
async fn an_upstreams_header_counts_where_its_client_trusts_it() {
    let upstream = service_fn(async |_: Request<()>| {
        let mut page = page();
        for value in [
            "stock;tier=cache;reason=circuit-open;age=42, prices",
            "(no list)",
            "tax;reason=new",
        ] {
            page.headers_mut()
                .append("degraded", value.parse().unwrap());
        }
        Ok::<_, Infallible>(page)
    });
    let trusting = AdoptDegradedLayer::new().layer(upstream);
    let adopted = head(async |_| {
        let answer = trusting.clone().oneshot(Request::new(())).await.unwrap();
        // The client's answer is what it was.
        assert_eq!(answer.headers().get_all("degraded").iter().count(), 3);
        page()
    })
    .await;
    assert_eq!(
        degraded(&adopted),
        Some(
            "stock;tier=cache;reason=circuit-open;age=42, prices;reason=failed, tax;reason=failed"
        )
    );
    let ignored = head(async |_| {
        upstream
            .oneshot(Request::new(()))
            .await
            .map(|_| page())
            .unwrap()
    })
    .await;
    assert_eq!(degraded(&ignored), None);
}

#[tokio::test]
async fn a_public_name_reads_the_same_however_many_services_hand_it_on() {
    let said = "\"live prices\";tier=\"the cache\";reason=timed-out";
    let upstream = service_fn(move |_: Request<()>| async move {
        let mut page = page();
        page.headers_mut()
            .insert("degraded", HeaderValue::from_static(said));
        Ok::<_, Infallible>(page)
    });
    let trusting = AdoptDegradedLayer::new().layer(upstream);
    let adopted = head(async |_| {
        trusting.clone().oneshot(Request::new(())).await.unwrap();
        page()
    })
    .await;
    assert_eq!(degraded(&adopted), Some(said));
}

/// A body that notes a mark before each of its frames.
struct Noting(std::pin::Pin<Box<MockBody>>, u32);

impl Body for Noting {
    type Data = bytes::Bytes;
    type Error = TestError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, TestError>>> {
        self.1 += 1;
        note(&mark(&format!("late{}", self.1)));
        self.0.as_mut().poll_frame(cx)
    }
}

async fn trailers_of(content_type: &'static str) -> (HeaderMap, HeaderMap) {
    let service = service_fn(async |_: Request<()>| {
        note(&mark("early"));
        let mut end = HeaderMap::new();
        end.insert("grpc-status", "0".parse().unwrap());
        let body = MockBody::new([data("one"), trailers(end)]);
        let mut answer = Response::new(Noting(Box::pin(body), 0));
        answer
            .headers_mut()
            .insert("content-type", content_type.parse().unwrap());
        Ok::<_, Infallible>(answer)
    });
    let answer = DegradedLayer::new()
        .layer(service)
        .oneshot(Request::new(()))
        .await
        .unwrap();
    let (head, body) = answer.into_parts();
    let mut body = pin!(body);
    loop {
        let frame = poll_fn(|cx| body.as_mut().poll_frame(cx))
            .await
            .unwrap()
            .unwrap();
        if let Ok(trailers) = frame.into_trailers() {
            return (head.headers, trailers);
        }
    }
}

#[tokio::test]
async fn marks_that_come_with_the_body_are_in_the_trailers_of_a_grpc_answer() {
    for content_type in ["application/grpc", "application/grpc+proto"] {
        let (head, trailers) = trailers_of(content_type).await;
        assert_eq!(head["degraded"], "early;reason=failed");
        assert!(!head.contains_key("cache-control"));
        assert_eq!(
            trailers["degraded"],
            "late1;reason=failed, late2;reason=failed"
        );
        assert_eq!(trailers["grpc-status"], "0");
    }
}

#[tokio::test]
async fn trailers_of_other_answers_are_left_alone() {
    let (head, trailers) = trailers_of("text/html").await;
    assert_eq!(head["degraded"], "early;reason=failed");
    assert_eq!(trailers.len(), 1);
}

#[tokio::test]
async fn a_layer_on_a_route_and_one_on_the_whole_say_the_same() {
    let inner = service_fn(async |_: Request<()>| {
        note(&mark("inner"));
        Ok::<_, Infallible>(page())
    });
    let layer = DegradedLayer::new();
    let between = service_fn(move |request| {
        note(&mark("between"));
        layer.layer(inner).oneshot(request)
    });
    let answer = layer
        .layer(between)
        .oneshot(Request::new(()))
        .await
        .unwrap();
    let head = answer.into_parts().0;
    assert_eq!(
        degraded(&head),
        Some("between;reason=failed, inner;reason=failed")
    );
}

#[tokio::test]
async fn what_a_service_called_by_the_handler_shows_the_handlers_own_answer_shows_too() {
    let inner = DegradedLayer::new().layer(service_fn(async |_: Request<()>| {
        note(&mark("inner"));
        Ok::<_, Infallible>(page())
    }));
    let head = head(async |_| {
        inner.clone().oneshot(Request::new(())).await.unwrap();
        page()
    })
    .await;
    assert_eq!(degraded(&head), Some("inner;reason=failed"));
}

fn broken_handler() -> Result<Answer, Infallible> {
    panic!("in the handler")
}

#[tokio::test]
async fn a_handler_that_panics_leaves_no_collector_behind() {
    let mut service = DegradedLayer::new().layer(service_fn(|_: Request<()>| async {
        note(&mark("before"));
        broken_handler()
    }));
    let call = service.ready().await.unwrap().call(Request::new(()));
    let mut call = Box::pin(call);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let poll = std::panic::AssertUnwindSafe(|| call.as_mut().poll(&mut cx).is_ready());
    assert!(std::panic::catch_unwind(poll).is_err());
    let orphan = format!("{:?}", carry(async {}));
    assert_eq!(orphan, "Carry { for_a_request: false, .. }");
    let clean = head(async |_| page()).await;
    assert_eq!(degraded(&clean), None);
}

#[tokio::test]
async fn an_error_is_the_services_own() {
    let service = service_fn(async |_: Request<()>| {
        note(&mark("recs"));
        Err::<Answer, _>(TestError::new("down"))
    });
    let outcome = DegradedLayer::new()
        .layer(service)
        .oneshot(Request::new(()))
        .await;
    assert_eq!(outcome.map(|_| ()).unwrap_err(), TestError::new("down"));
}
