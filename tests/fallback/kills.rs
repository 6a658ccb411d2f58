//! Primaries that are killed in the middle of traffic, with their connections, and come back: every caller gets an
//! answer, and no write is made twice.

use std::{
    collections::HashSet,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, atomic::Ordering::Relaxed},
};

use ::tonic::{body::Body, transport::Endpoint};
use brownout::{
    breaker::CircuitBreakerLayer,
    fallback::{Cause, Failed, FallbackLayer},
    http::{ReplayBody, ReplayLayer},
    registry::CircuitState,
};
use brownout_tests::{
    Server,
    circuit::swift,
    client,
    grpc::{Ask, MeterClient, tick},
    server::full,
};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_util::client::legacy;
use tokio::task::JoinSet;
use tower::{Service, ServiceBuilder, service_fn};

use crate::{
    common::{covered, see, spells},
    traffic::{ANYWHERE, CALLERS, Hold, Tally, after_ten_quiet_seconds},
};

/// Writes, known by their paths.
#[derive(Clone, Debug, Default)]
struct Writes(Arc<Mutex<HashSet<String>>>);

impl Writes {
    fn note<B>(&self, request: &Request<B>) {
        if request.method() == Method::POST {
            let path = request.uri().path().to_owned();
            let new = self.0.lock().unwrap().insert(path);
            assert!(new, "made twice in one place");
        }
    }

    fn none_is_in(&self, others: &Self) -> bool {
        let others = others.0.lock().unwrap();
        self.0.lock().unwrap().is_disjoint(&others)
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// A primary that knows what was asked of it.
async fn primary(address: SocketAddr, hold: &Hold, writes: &Writes) -> Server {
    let (hold, writes) = (hold.clone(), writes.clone());
    let answer = move |request: Request<Incoming>| {
        writes.note(&request);
        let hold = hold.clone();
        async move {
            hold.wait().await;
            Ok::<_, Infallible>(Response::new(full("primary")))
        }
    };
    Server::hyper_at(address, service_fn(answer)).await
}

/// Makes a call, and counts who has answered it.
async fn call<S, B>(
    mut stack: S,
    request: Request<Empty<Bytes>>,
    tally: Arc<Tally>,
    unanswered: Writes,
) where
    S: Service<Request<Empty<Bytes>>, Response = Response<B>, Error = Infallible>,
    B: http_body::Body<Error: std::fmt::Debug>,
{
    let head = request.clone();
    let (status, body, marks) = see(&mut stack, request).await;
    match (status, &*body) {
        (200, "primary") => {
            tally.primary.fetch_add(1, Relaxed);
        }
        (200, "tier") => {
            assert!(marks.starts_with("recommendations;tier=tier;reason="));
            tally.tier.fetch_add(1, Relaxed);
        }
        // Nobody can say what became of a write that was under way.
        _ => {
            assert_eq!((status, head.method()), (503, &Method::POST));
            unanswered.note(&head);
        }
    }
}

#[tokio::test]
async fn an_http_primary_is_killed_and_comes_back_and_nobody_hangs_and_no_write_is_made_twice() {
    for client in [client::http1(), client::http2()] {
        let (recs, circuit) = covered(swift());
        let (hold, tally) = (Hold::default(), Arc::<Tally>::default());
        let [here, elsewhere, unanswered] = [(); 3].map(|()| Writes::default());
        let made = elsewhere.clone();
        let layer = FallbackLayer::for_http()
            .covering(&recs)
            .causes(|error: &legacy::Error| {
                if error.is_connect() {
                    Cause::connect("no connection")
                } else {
                    Cause::describe(error)
                }
            })
            .last("tier", move |f: Failed<Request<_>>| {
                made.note(&f.request);
                async { Response::new(full("tier")) }
            })
            .unwrap();
        let chain = layer.chain();
        let mut stack = ServiceBuilder::new()
            .layer(layer)
            .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
            .service(client);

        let server = primary(ANYWHERE, &hold, &here).await;
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let (stack, tally, unanswered) = (stack.clone(), tally.clone(), unanswered.clone());
            let uri = server.uri("");
            callers.spawn(async move {
                let one = |number| {
                    let method = [Method::GET, Method::POST][caller % 2].clone();
                    let request = client::request(method, &format!("{uri}/{caller}/{number}"));
                    call(stack.clone(), request, tally.clone(), unanswered.clone())
                };
                tally.calls(one).await;
            });
        }
        let again = async |address| primary(address, &hold, &here).await;
        let closed = || circuit.state() == CircuitState::Closed;
        let server = tally.outage(&hold, server, again, closed).await;
        while let Some(caller) = callers.join_next().await {
            caller.unwrap();
        }

        assert!(here.none_is_in(&elsewhere), "a write was made twice");
        assert!(unanswered.none_is_in(&elsewhere));
        // Half of those who were cut off wrote.
        assert!((CALLERS / 2..2 * CALLERS).contains(&unanswered.count()));

        assert_eq!(spells(&recs).len(), 1);
        after_ten_quiet_seconds().await;
        let last = see(&mut stack, client::get(&server.uri("/"))).await;
        assert_eq!(last.1, "primary");
        let said = spells(&recs);
        assert!(said[0].starts_with("tier: "), "{said:?}");
        assert_eq!(said[1..], [format!("tier ended: {}", tally.tier())]);
        let answered = chain.tiers().map(|tier| tier.answered());
        assert_eq!(answered.collect::<Vec<_>>(), [tally.tier() as u64]);
    }
}

#[tokio::test]
async fn a_grpc_primary_is_killed_and_comes_back_and_every_read_is_answered() {
    let (meters, circuit) = covered(swift());
    let (hold, tally) = (Hold::default(), Arc::<Tally>::default());
    let serve = {
        let hold = hold.clone();
        async move |address| {
            let hold = hold.clone();
            let answer = service_fn(move |_: Request<Incoming>| {
                let hold = hold.clone();
                async move {
                    hold.wait().await;
                    Ok::<_, Infallible>(tick(1))
                }
            });
            Server::hyper_at(address, answer).await
        }
    };
    let server = serve(ANYWHERE).await;
    let channel = Endpoint::from_shared(server.uri("")).unwrap();
    let stack = ServiceBuilder::new()
        .layer(ReplayLayer::new().of_unknown_size())
        .layer(
            FallbackLayer::for_grpc()
                .safe()
                .covering(&meters)
                .last("tier", |_| async { tick(100) })
                .unwrap(),
        )
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_grpc())
        .map_request(|request: Request<ReplayBody<_>>| request.map(Body::new))
        .service(channel.connect_lazy());

    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (stack, tally) = (stack.clone(), tally.clone());
        callers.spawn(async move {
            let one = |_| {
                let (mut client, tally) = (MeterClient::new(stack.clone()), tally.clone());
                async move {
                    let counter = match client.read(Ask::ticks(7)).await.unwrap().number {
                        1 => &tally.primary,
                        _ => &tally.tier,
                    };
                    counter.fetch_add(1, Relaxed);
                }
            };
            tally.calls(one).await;
        });
    }
    let closed = || circuit.state() == CircuitState::Closed;
    let server = tally.outage(&hold, server, serve, closed).await;
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
    assert_eq!(spells(&meters).len(), 1);
    after_ten_quiet_seconds().await;
    let last = MeterClient::new(stack).read(Ask::default()).await;
    assert_eq!(last.unwrap().number, 1);
    assert_eq!(
        spells(&meters)[1..],
        [format!("tier ended: {}", tally.tier())]
    );
    drop(server);
}
