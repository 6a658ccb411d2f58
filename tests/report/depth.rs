//! Marks that are made three servers further down, on their way up through whatever is between.

use axum::{Router, extract::State, routing::get};
use brownout::{
    Registry,
    aggregate::{AggregateLayer, Part, PartKey},
    core::{BoxError, DegradeReason, Degraded},
    fallback::FallbackLayer,
    report::{AdoptDegradedLayer, DegradedLayer, carry, note},
};
use brownout_tests::{
    Server, client,
    grpc::{Ask, Meter, MeterClient, Tick},
};
use futures_util::{StreamExt, future::ready, stream};
use http::{Response, StatusCode};
use http_body_util::{BodyStream, StreamBody};
use tonic::{
    Status,
    body::Body,
    metadata::MetadataMap,
    service::Routes,
    transport::{Channel, Endpoint, Server as TonicServer, server::TcpIncoming},
};
use tower::{Layer, ServiceBuilder, ServiceExt, layer::layer_fn, service_fn};

/// In which way a handler makes its call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Directly,
    /// In a task that carries what is collected.
    InATask,
    AsAPart,
    /// In a task that nobody has told whose it is.
    Untold,
}

use How::{AsAPart, Directly, InATask, Untold};

/// All orders of the three ways in which marks arrive.
const ORDERS: [[How; 3]; 6] = [
    [Directly, InATask, AsAPart],
    [Directly, AsAPart, InATask],
    [InATask, Directly, AsAPart],
    [InATask, AsAPart, Directly],
    [AsAPart, Directly, InATask],
    [AsAPart, InATask, Directly],
];

async fn make<F, Fut>(how: How, call: F)
where
    F: Fn() -> Fut + Clone,
    Fut: Future<Output = ()> + Send + 'static,
{
    match how {
        Directly => call().await,
        InATask => tokio::spawn(carry(call())).await.unwrap(),
        Untold => tokio::spawn(call()).await.unwrap(),
        AsAPart => {
            let part = service_fn(move |()| {
                let call = call();
                async move {
                    call.await;
                    Ok::<_, BoxError>(())
                }
            });
            let parts = AggregateLayer::for_many::<(), _>().part("upstream", part);
            parts.into_service().unwrap().oneshot(()).await.unwrap();
        }
    }
}

fn mark(name: &'static str) -> Degraded {
    let mut mark = Degraded::new(DegradeReason::Failed);
    mark.dependency = Some(name.into());
    mark
}

/// What is at the bottom: a service that has failed, and a tier that answers in its place.
async fn recommended<E>(asked: Result<u32, E>) -> u32
where
    E: std::fmt::Display + Clone + Send + 'static,
{
    let registry = Registry::new();
    let recs = registry.dependency("recs-db-7.internal");
    let recs = recs.public_name("recommendations").register().unwrap();
    let chain = FallbackLayer::for_results()
        .safe()
        .covering(&recs)
        .last("popular", |_| async { 7 })
        .unwrap();
    let service = chain.layer(service_fn(move |()| ready(asked.clone())));
    service.oneshot(()).await.unwrap()
}

const AT_THE_BOTTOM: &str = "recommendations;tier=popular;reason=failed";

/// What all of them say who are between the bottom and this answer.
fn through(names: &[&str]) -> String {
    let names = names.iter().map(|name| format!(", {name};reason=failed"));
    [AT_THE_BOTTOM.to_owned()]
        .into_iter()
        .chain(names)
        .collect()
}

mod http1 {
    use super::*;

    /// A server that asks another one before it answers.
    async fn hop(name: &'static str, how: How, upstream: &Server) -> Server {
        let call = async move |State(uri): State<String>| {
            make(how, move || {
                let asked = client::get(&uri);
                let trusting = AdoptDegradedLayer::new().layer(client::http1());
                async move {
                    let answer = trusting.oneshot(asked).await.unwrap();
                    assert_eq!(answer.status(), 200);
                }
            })
            .await;
            note(&mark(name));
            name
        };
        let app = Router::new()
            .route("/", get(call))
            .with_state(upstream.uri("/"))
            .layer(DegradedLayer::new());
        Server::axum(app).await
    }

    struct Upstream;

    impl PartKey for Upstream {
        type Value = StatusCode;
        const NAME: &'static str = "upstream";
    }

    /// The same by a layer, which asks before the handler does anything.
    async fn hop_by_layer(name: &'static str, upstream: &Server) -> Server {
        let uri = upstream.uri("/");
        let trusting = AdoptDegradedLayer::new().layer(client::http1());
        let parts = AggregateLayer::for_http()
            .part(Upstream, trusting.map_response(|answer| answer.status()))
            .asking(move |_| client::get(&uri))
            .build();
        let handler = async move |Part(status): Part<Upstream>| {
            note(&mark(name));
            (status, name)
        };
        let app = Router::new()
            .route("/", get(handler))
            .route_layer(parts.unwrap())
            .layer(DegradedLayer::new());
        Server::axum(app).await
    }

    async fn bottom() -> (Server, Server) {
        let broken = Router::new().fallback(|| async { StatusCode::BAD_GATEWAY });
        let broken = Server::axum(broken).await;
        let answer = async |State(uri): State<String>| {
            let asked = client::call(&mut client::http1(), client::get(&uri)).await;
            recommended::<String>(match asked.status().as_u16() {
                200 => Ok(1),
                status => Err(format!("{status} from 10.9.8.7")),
            })
            .await
            .to_string()
        };
        let app = Router::new()
            .route("/", get(answer))
            .with_state(broken.uri("/"))
            .layer(DegradedLayer::new());
        (Server::axum(app).await, broken)
    }

    async fn shown(server: &Server) -> String {
        let answer = client::read(&mut client::http1(), client::get(&server.uri("/"))).await;
        assert_eq!(
            (answer.status(), &answer.body()[..]),
            (StatusCode::OK, &b"front"[..])
        );
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let mut shown = answer.headers().get_all("degraded").iter();
        let value = shown.next().unwrap().to_str().unwrap().to_owned();
        assert_eq!(shown.next(), None, "one line");
        value
    }

    #[tokio::test]
    async fn what_is_missing_three_calls_down_stands_in_the_header_however_the_calls_are_made() {
        let (c, _broken) = bottom().await;
        for [first, second, third] in ORDERS {
            let b = hop("b", third, &c).await;
            let a = hop("a", second, &b).await;
            let front = hop("front", first, &a).await;
            assert_eq!(shown(&front).await, through(&["b", "a", "front"]));
        }
    }

    #[tokio::test]
    async fn what_is_missing_from_the_parts_of_handlers_stands_in_the_header_too() {
        let (c, _broken) = bottom().await;
        let b = hop("b", InATask, &c).await;
        let a = hop_by_layer("a", &b).await;
        let front = hop_by_layer("front", &a).await;
        assert_eq!(shown(&front).await, through(&["b", "a", "front"]));
    }

    #[tokio::test]
    async fn what_is_made_in_a_task_that_was_told_nothing_is_lost_from_there_on() {
        let (c, _broken) = bottom().await;
        let b = hop("b", Directly, &c).await;
        let a = hop("a", Untold, &b).await;
        let front = hop("front", Directly, &a).await;
        assert_eq!(shown(&front).await, "a;reason=failed, front;reason=failed");
    }
}

mod grpc {
    use super::*;

    fn channel(server: &Server) -> Channel {
        let endpoint = Endpoint::from_shared(server.uri("")).unwrap();
        endpoint.connect_lazy()
    }

    /// Whether a server makes its call before the head of its answer leaves, or only while it makes the body.
    #[derive(Clone, Copy, PartialEq)]
    enum When {
        Early,
        Late,
    }

    /// A meter that makes a call of its own for each that it gets.
    async fn meter<F, Fut>(when: When, call: F) -> Server
    where
        F: Fn() -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let calling = layer_fn(move |routes: Routes| {
            let call = call.clone();
            service_fn(move |request: http::Request<Body>| {
                let (routes, call) = (routes.clone(), call.clone());
                async move {
                    if when == When::Early {
                        call().await;
                        return routes.oneshot(request).await;
                    }
                    let answer: Response<Body> = routes.oneshot(request).await?;
                    Ok(answer.map(|body| {
                        let first = stream::once(async move { call().await });
                        let none = first.filter_map(|()| ready(None));
                        Body::new(StreamBody::new(none.chain(BodyStream::new(body))))
                    }))
                }
            })
        });
        let layers = ServiceBuilder::new()
            .layer(DegradedLayer::new())
            .layer(calling);
        Server::listening(|listener| async {
            let server = TonicServer::builder()
                .layer(layers)
                .add_service(Meter::default());
            let incoming = TcpIncoming::from(listener);
            server.serve_with_incoming(incoming).await.unwrap();
        })
        .await
    }

    async fn hop(name: &'static str, how: How, when: When, upstream: &Server) -> Server {
        let channel = channel(upstream);
        let ask = move || {
            let trusting = AdoptDegradedLayer::new().layer(channel.clone());
            async move {
                let answer = MeterClient::new(trusting).read(Ask::default()).await;
                assert_eq!(answer.unwrap(), Tick { number: 1 });
            }
        };
        meter(when, move || {
            let ask = ask.clone();
            async move {
                make(how, ask).await;
                note(&mark(name));
            }
        })
        .await
    }

    async fn bottom() -> (Server, Server) {
        let broken = Server::saying(b"").await;
        let channel = channel(&broken);
        let server = meter(When::Early, move || {
            let mut client = MeterClient::new(channel.clone());
            async move {
                let asked = client.read(Ask::default()).await;
                let asked = asked.map(|tick| tick.number);
                assert_eq!(recommended::<Status>(asked).await, 7);
            }
        });
        (server.await, broken)
    }

    /// What stands in the metadata, and what in the trailers, of a stream of two ticks.
    async fn shown(server: &Server) -> (Option<String>, Option<String>) {
        let value = |metadata: &MetadataMap| {
            let value = metadata.get("degraded")?;
            Some(value.to_str().unwrap().to_owned())
        };
        let mut grpc = tonic::client::Grpc::new(channel(server));
        grpc.ready().await.unwrap();
        let path = http::uri::PathAndQuery::from_static("/meter.Meter/Watch");
        let codec = tonic_prost::ProstCodec::<Ask, Tick>::default();
        let request = tonic::Request::new(Ask::ticks(2));
        let answer = grpc.server_streaming(request, path, codec).await.unwrap();
        let early = value(answer.metadata());
        let mut ticks = answer.into_inner();
        for number in 1..=2 {
            assert_eq!(ticks.message().await.unwrap(), Some(Tick { number }));
        }
        assert_eq!(ticks.message().await.unwrap(), None);
        let late = ticks.trailers().await.unwrap();
        (early, late.as_ref().and_then(value))
    }

    #[tokio::test]
    async fn what_is_missing_three_calls_down_stands_in_the_metadata_however_the_calls_are_made() {
        let (c, _broken) = bottom().await;
        for [first, second, third] in ORDERS {
            let b = hop("b", third, When::Early, &c).await;
            let a = hop("a", second, When::Early, &b).await;
            let front = hop("front", first, When::Early, &a).await;
            let early = Some(through(&["b", "a", "front"]));
            assert_eq!(shown(&front).await, (early, None));
        }
    }

    #[tokio::test]
    async fn what_is_found_missing_after_the_head_has_left_stands_in_the_trailers() {
        let (c, _broken) = bottom().await;
        for [first, second, third] in ORDERS {
            let b = hop("b", third, When::Early, &c).await;
            let a = hop("a", second, When::Early, &b).await;
            let front = hop("front", first, When::Late, &a).await;
            let late = Some(through(&["b", "a", "front"]));
            assert_eq!(shown(&front).await, (None, late));
        }
    }

    #[tokio::test]
    async fn what_an_upstream_says_in_its_trailers_is_not_adopted() {
        let (c, _broken) = bottom().await;
        let b = hop("b", Directly, When::Late, &c).await;
        let a = hop("a", Directly, When::Early, &b).await;
        assert_eq!(shown(&a).await, (Some("a;reason=failed".to_owned()), None));
    }
}
