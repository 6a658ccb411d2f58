//! Chains on gRPC.

use std::convert::Infallible;

use brownout::{core::Marks, fallback::FallbackLayer};
use http::{Request, Response};
use tower::{Layer, service_fn};

/// A body that is `Clone` and always there.
#[derive(Clone, Debug)]
struct Message(#[expect(dead_code, reason = "a message has something in it")] &'static str);

fn status(code: &'static str, from: &'static str) -> Response<Message> {
    let response = Response::builder()
        .header("grpc-status", code)
        .header("x-from", from);
    response.body(Message("")).unwrap()
}

async fn from(code: &'static str, layer_is_safe: bool) -> (String, bool) {
    let chain = FallbackLayer::for_grpc().cloning();
    let chain = if layer_is_safe { chain.safe() } else { chain };
    let layer = chain
        .last("tier", |_| async { status("0", "tier") })
        .unwrap();
    let primary = service_fn(move |_: Request<Message>| async move {
        Ok::<_, Infallible>(status(code, "primary"))
    });
    let Ok(response) = layer
        .layer(primary)
        .oneshot(Request::new(Message("hi")))
        .await;
    let marked = response.extensions().get::<Marks>().is_some();
    (
        response.headers()["x-from"].to_str().unwrap().to_owned(),
        marked,
    )
}

#[tokio::test]
async fn a_safe_call_descends_by_its_grpc_status() {
    for code in ["4", "13", "14"] {
        assert_eq!(from(code, true).await, ("tier".to_owned(), true), "{code}");
    }
    for code in ["0", "1", "5", "10"] {
        assert_eq!(
            from(code, true).await,
            ("primary".to_owned(), false),
            "{code}"
        );
    }
}

#[tokio::test]
async fn a_call_that_is_not_named_safe_stays_where_it_was_sent() {
    assert_eq!(from("14", false).await, ("primary".to_owned(), false));
}
