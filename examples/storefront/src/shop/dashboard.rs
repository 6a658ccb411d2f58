//! `GET /api/v1/dashboard?user_id=`: a page made of what five services say, which comes whatever they do.

use std::time::Duration;

use axum::{
    Extension, Json,
    extract::{Query, Request, State, rejection::QueryRejection},
    http::{StatusCode, request},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use brownout::{
    Registry,
    aggregate::{AggregateLayer, FailedParts, MaybePart, PartKey},
    core::ConfigError,
};
use serde::{Deserialize, Serialize};
use tower::{ServiceExt, util::BoxCloneSyncService};

use super::{
    parts::{Credit, Notifications, Orders, Recommendations, Services, Users},
    profile::no_such_customer,
    recommendations::{Picks, Recommender, Taste},
};
use crate::{
    account::{Balance, Notification, PastOrder},
    call::CallError,
    catalogue::Product,
    client::Backend,
    customer::{NoUserId, Profile, UserId},
    problem::Problem,
    settings::{Patience, Safeguard, Safeguards},
    system::Backends,
};

/// How much longer a part may take than the shop waits for the head of its answer. What is too slow has to fail inside
/// the breaker: a call that is dropped tells it nothing.
const SLACK: Duration = Duration::from_millis(500);

/// The page, as it is routed to.
#[derive(Clone, Debug)]
pub(crate) struct Dashboard(pub(super) MethodRouter);

/// What the page shows. Each part has a value for when its service does not say.
#[derive(Debug, Serialize)]
struct Page {
    /// Else what can be said of anybody.
    profile: Profile,
    /// Else none.
    orders: Vec<PastOrder>,
    /// Else what everybody likes.
    recommendations: Vec<Product>,
    /// Else none.
    notifications: Vec<Notification>,
    /// Else nothing is said: nobody guesses money.
    balance: Option<Balance>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    user_id: String,
}

impl Dashboard {
    pub(crate) fn new(
        registry: &Registry,
        backends: &Backends,
        recommender: &Recommender,
        patience: &Patience,
        safeguards: &Safeguards,
    ) -> Result<Self, ConfigError> {
        let services = Services::new(backends, recommender);
        let page = if safeguards.has(Safeguard::Aggregate) {
            aggregated(registry, services, patience)?
        } else {
            get(all_or_nothing).with_state(services)
        };
        Ok(Self(page.route_layer(from_fn(known_user))))
    }
}

/// Five services are asked at the same time, each behind its breaker and under a deadline of its own.
fn aggregated(
    registry: &Registry,
    services: Services,
    patience: &Patience,
) -> Result<MethodRouter, ConfigError> {
    let whole = patience.dashboard;
    let at_most = |patience: Duration| patience.saturating_add(SLACK).min(whole);
    let Services {
        backends,
        users,
        orders,
        notifications,
        balance,
        recommender,
    } = services;
    let layer = AggregateLayer::for_http()
        // Who asks is known to the handler, which can say of a customer what can be said of anybody.
        .optional(Users, users)
        .asking(user)
        .causes(CallError::cause)
        .covering(backends.users.dependency())
        .timeout(at_most(patience.users))
        .optional(Orders, orders)
        .asking(user)
        .causes(CallError::cause)
        .covering(backends.orders.dependency())
        .timeout(at_most(patience.orders))
        .or(Vec::new())
        // Behind its flag, as on the page of its own.
        .optional(Recommendations, recommender.ranked())
        .asking(|head: &request::Parts| Taste::of(user(head)))
        .causes(CallError::cause)
        .covering(backends.recommendations.dependency())
        .timeout(at_most(patience.recommendations))
        .or_with(|_| Picks::popular())
        .optional(Notifications, notifications)
        .asking(user)
        .causes(CallError::cause)
        .covering(backends.notifications.dependency())
        .timeout(at_most(patience.notifications))
        .or(Vec::new())
        .optional(Credit, balance.map_response(Some))
        .asking(user)
        .causes(CallError::cause)
        .covering(backends.balance.dependency())
        .timeout(at_most(patience.balance))
        .or(None)
        .within(whole)
        .named(registry, "dashboard")
        .build()?;
    Ok(get(dashboard).route_layer(layer))
}

async fn dashboard(
    Extension(user): Extension<UserId>,
    MaybePart(profile): MaybePart<Users>,
    MaybePart(orders): MaybePart<Orders>,
    MaybePart(picks): MaybePart<Recommendations>,
    MaybePart(notifications): MaybePart<Notifications>,
    MaybePart(balance): MaybePart<Credit>,
    failed: FailedParts,
) -> Response {
    let profile = match profile.into_value() {
        Some(None) => return no_such_customer(Users::NAME),
        known => known.flatten(),
    };
    let picks = picks.into_value().unwrap_or_else(Picks::popular).value;
    let page = Page {
        profile: profile.unwrap_or_else(|| Profile::minimal(user)),
        orders: orders.into_value().unwrap_or_default(),
        recommendations: picks.items,
        notifications: notifications.into_value().unwrap_or_default(),
        balance: balance.into_value().flatten(),
    };
    Json(failed.envelope(page)).into_response()
}

/// The same without the aggregate: every part is there, or there is no page.
async fn all_or_nothing(
    State(services): State<Services>,
    Extension(user): Extension<UserId>,
) -> Response {
    let backends = &services.backends;
    let model = services.recommender.ranked();
    let parts = tokio::try_join!(
        told(services.users, &backends.users, user),
        told(services.orders, &backends.orders, user),
        told(model, &backends.recommendations, Taste::of(user)),
        told(services.notifications, &backends.notifications, user),
        told(services.balance, &backends.balance, user),
    );
    let (profile, orders, picks, notifications, balance) = match parts {
        Ok(parts) => parts,
        Err(problem) => return problem,
    };
    let Some(profile) = profile else {
        return no_such_customer(Users::NAME);
    };
    let page = Page {
        profile,
        orders,
        recommendations: picks.value.items,
        notifications,
        balance: Some(balance),
    };
    Json(FailedParts::default().envelope(page)).into_response()
}

/// What a service says, or the problem that it has.
async fn told<Q, T>(
    service: BoxCloneSyncService<Q, T, CallError>,
    backend: &Backend,
    asked: Q,
) -> Result<T, Response> {
    let answer = service.oneshot(asked).await;
    answer.map_err(|error| error.problem(backend))
}

/// Lets nobody be asked on account of a request that does not say for whom.
async fn known_user(
    asked: Result<Query<Asked>, QueryRejection>,
    mut request: Request,
    next: Next,
) -> Response {
    let user = match asked {
        Ok(Query(asked)) => asked
            .user_id
            .parse::<UserId>()
            .map_err(|NoUserId| "the user id is a whole number, as in ?user_id=42".to_owned()),
        Err(wrong) => Err(wrong.body_text()),
    };
    match user {
        Ok(user) => {
            request.extensions_mut().insert(user);
            next.run(request).await
        }
        Err(wrong) => Problem::new(StatusCode::BAD_REQUEST, wrong).into_response(),
    }
}

/// Who asks, as [`known_user`] noted. Nobody has the number 0.
fn user(head: &request::Parts) -> UserId {
    head.extensions.get().copied().unwrap_or(UserId(0))
}
