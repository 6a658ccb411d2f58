//! `POST /api/v1/payments`: a charge, or a place in the queue. Never two charges, and never a guess.

use std::{future::ready, time::Duration};

use axum::{
    Json,
    extract::{
        FromRequest, Path, Request, State,
        rejection::{JsonRejection, PathRejection},
    },
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use brownout::{
    core::ConfigError,
    fallback::{Failed, FallbackLayer},
};
use serde::Serialize;
use tokio::time::timeout;
use tower::{ServiceBuilder, ServiceExt, service_fn, util::BoxCloneSyncService};

use crate::{
    answer::Answer,
    call::CallError,
    charge::{ChargeError, charge},
    client::Backend,
    outbox::{self, Outbox},
    payment::{Key, NoKey, Order, Payment},
    problem::Problem,
    settings::{Safeguard, Safeguards},
};

/// What is said of an outcome that nobody knows.
const UNKNOWN: &str = "whether the payment was made is not known; send it again with the same Idempotency-Key, and it is \
                       charged once at most";

/// How long an order may take to arrive. It is a line of JSON.
const ORDER_TIME: Duration = Duration::from_secs(10);

/// What became of a payment that was taken.
#[derive(Clone, Copy, Debug)]
enum Taken {
    Charged,
    Queued,
}

/// How payments are made.
#[derive(Clone, Debug)]
pub(crate) struct Till {
    payments: Backend,
    outbox: Outbox,
    chain: BoxCloneSyncService<Payment, Answer<Taken>, ChargeError>,
}

/// What is told of a payment.
#[derive(Debug, Serialize)]
struct Told<'a> {
    key: &'a str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

impl Till {
    /// A payment is a write, which is what a chain takes any request for that is not said to be safe: only one that was
    /// certainly not sent goes to the queue. One that may have been charged is the caller's to repeat.
    pub(crate) fn new(
        payments: &Backend,
        outbox: &Outbox,
        safeguards: &Safeguards,
    ) -> Result<Self, ConfigError> {
        let queue = outbox.clone();
        let fallback = FallbackLayer::for_results()
            .covering(payments.dependency())
            .causes(ChargeError::cause)
            .mark_with(Answer::<Taken>::mark)
            .tier_fn("outbox", move |f: Failed<Payment>| {
                let queued = queue.queue(&f.request);
                ready(
                    queued
                        .map(|()| Answer::new(Taken::Queued))
                        .map_err(|outbox::Full| ChargeError::QueueFull),
                )
            })
            .build()?;

        let backend = payments.clone();
        let charging = service_fn(move |payment| {
            let payments = backend.clone();
            async move {
                charge(&payments, &payment).await?;
                Ok(Answer::new(Taken::Charged))
            }
        });

        let chain = ServiceBuilder::new()
            .option_layer(safeguards.keep(Safeguard::Fallback, fallback))
            .service(charging);
        Ok(Self {
            payments: payments.clone(),
            outbox: outbox.clone(),
            chain: BoxCloneSyncService::new(chain),
        })
    }

    async fn take(self, payment: Payment) -> Response {
        let Self {
            payments,
            outbox,
            chain,
        } = self;
        let key = payment.key.clone();
        match outbox.begin(&payment) {
            // No outage can take back what is known.
            Ok(outbox::State::Charged) => return paid(&key),
            Ok(_) => {}
            Err(outbox::KeyReused) => return refuse(&ChargeError::KeyReused, &payments),
        }
        let taken = chain.oneshot(payment).await;
        match &taken {
            Ok(Answer {
                value: Taken::Charged,
                ..
            }) => outbox.settle(&key, outbox::State::Charged),
            Err(
                ChargeError::QueueFull
                | ChargeError::Call(
                    CallError::Refused(_) | CallError::KnownDown | CallError::Unreachable,
                ),
            ) => outbox.unsent(&key),
            Ok(_) | Err(ChargeError::Call(_)) => {}
            Err(ChargeError::Declined) => outbox.settle(&key, outbox::State::Failed),
            Err(ChargeError::KeyReused) => outbox.disown(&key),
        }
        let name = payments.public_name();
        match taken {
            Ok(
                answer @ Answer {
                    value: Taken::Charged,
                    ..
                },
            ) => answer
                .map(|_| Told::new(&key, outbox::State::Charged))
                .respond(StatusCode::CREATED, name),
            // Its twin, or the outbox, got through meanwhile.
            _ if outbox.state(&key) == Some(outbox::State::Charged) => paid(&key),
            Ok(queued) => queued
                .map(|_| Told {
                    note: Some("accepted, not durable"),
                    ..Told::new(&key, outbox::State::Pending)
                })
                .respond(StatusCode::ACCEPTED, name),
            Err(error) => refuse(&error, &payments),
        }
    }
}

impl<'a> Told<'a> {
    fn new(key: &'a Key, state: outbox::State) -> Self {
        Self {
            key: key.as_str(),
            state: state.as_str(),
            note: (state == outbox::State::Unknown).then_some(UNKNOWN),
        }
    }
}

/// What is said of a payment that was made before. The shop knows by itself.
fn paid(key: &Key) -> Response {
    Answer::new(Told::new(key, outbox::State::Charged)).respond(StatusCode::CREATED, "shop")
}

/// `POST /api/v1/payments`.
pub(super) async fn pay(State(till): State<Till>, request: Request) -> Response {
    let headers = request.headers().clone();
    let order = timeout(ORDER_TIME, Json::from_request(request, &()));
    let Ok(order) = order.await else {
        let detail = "the order did not arrive in time, and was not taken";
        return Problem::new(StatusCode::REQUEST_TIMEOUT, detail).into_response();
    };
    match read(&headers, order) {
        Ok(payment) => till.take(payment).await,
        Err(wrong) => wrong.into_response(),
    }
}

/// `GET /api/v1/payments/{key}`.
pub(super) async fn state(
    State(till): State<Till>,
    key: Result<Path<String>, PathRejection>,
) -> Response {
    let key: Key = match key.map_err(|_| NoKey).and_then(|Path(key)| key.parse()) {
        Ok(key) => key,
        Err(wrong) => return no_key(&wrong).into_response(),
    };
    let Some(state) = till.outbox.state(&key) else {
        let detail = "this shop knows of no payment by that key, or no longer";
        return Problem::new(StatusCode::NOT_FOUND, detail).into_response();
    };
    Answer::new(Told::new(&key, state)).respond(StatusCode::OK, "shop")
}

fn read(
    headers: &HeaderMap,
    order: Result<Json<Order>, JsonRejection>,
) -> Result<Payment, Problem> {
    let mut keys = headers.get_all(Key::HEADER).iter();
    let (Some(key), None) = (keys.next(), keys.next()) else {
        return Err(no_key(&"a payment needs one Idempotency-Key header"));
    };
    // What is not even text is no key either.
    let key = key.to_str().unwrap_or_default().parse();
    let key = key.map_err(|wrong| no_key(&wrong))?;
    let Json(order) = order.map_err(|wrong| Problem::new(wrong.status(), wrong.body_text()))?;
    let order = order.validate();
    let order = order.map_err(|wrong| Problem::new(StatusCode::BAD_REQUEST, wrong.to_string()))?;
    Ok(Payment { key, order })
}

fn no_key(wrong: &dyn std::fmt::Display) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, wrong.to_string())
}

/// What the caller of a payment that was not taken is told.
fn refuse(error: &ChargeError, payments: &Backend) -> Response {
    let name = payments.public_name();
    let about = |status| Problem::new(status, format!("{name} {error}")).on_account_of(name);
    let problem = match error {
        // Nothing was sent, so nothing is unknown.
        ChargeError::Call(
            call @ (CallError::Refused(_) | CallError::KnownDown | CallError::Unreachable),
        ) => {
            return call.problem(payments);
        }
        ChargeError::Call(call) => {
            let status = match call {
                CallError::TimedOut => StatusCode::GATEWAY_TIMEOUT,
                _ => StatusCode::BAD_GATEWAY,
            };
            Problem::new(status, format!("{name} {error}; {UNKNOWN}"))
                .on_account_of(name)
                .of_kind("urn:storefront:outcome-unknown")
        }
        ChargeError::Declined => about(StatusCode::PAYMENT_REQUIRED),
        ChargeError::KeyReused => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "that Idempotency-Key belongs to another payment; use one key for one payment",
        )
        .of_kind("urn:storefront:key-reused"),
        ChargeError::QueueFull => about(StatusCode::SERVICE_UNAVAILABLE).retry_after(5),
    };
    problem.into_response()
}
