//! `GET /api/v1/users/{id}/profile`: who the customer is, as well as anybody can tell.

use std::{convert::Infallible, future::ready, time::Duration};

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use brownout::{
    core::ConfigError,
    fallback::{Failed, FallbackLayer, Tier},
};
use tower::{ServiceBuilder, ServiceExt, service_fn, util::BoxCloneSyncService};

use crate::{
    answer::Answer,
    call::CallError,
    client::Backend,
    customer::{Profile, UserId},
    problem::Problem,
    settings::{Safeguard, Safeguards},
    store::{Cache, Database},
};

/// A profile, or that there is no such customer.
type Known = Answer<Option<Profile>>;

/// How profiles are looked up.
#[derive(Clone, Debug)]
pub(crate) struct Profiles {
    users: Backend,
    chain: BoxCloneSyncService<UserId, Known, CallError>,
}

impl Profiles {
    /// The users service, else what it said last, else the shop's own copy, else what can be said of anybody.
    pub(crate) fn new(
        users: &Backend,
        database: Database,
        safeguards: &Safeguards,
    ) -> Result<Self, ConfigError> {
        let cache = Cache::new();
        let copies = {
            let cache = cache.clone();
            service_fn(move |id| ready(cache.get(id)))
        };
        let database = service_fn(move |id| database.clone().get(id));
        let fallback = FallbackLayer::for_results()
            .safe()
            .covering(users.dependency())
            .skip_when_unhealthy(users.dependency())
            .causes(CallError::cause)
            .mark_with(Known::mark)
            .tier(Tier::new("cache", copies).timeout(Duration::from_millis(500)))
            .tier(Tier::new("database", database).timeout(Duration::from_secs(5)))
            .last("minimal", |f: Failed<UserId>| {
                ready(Answer::new(Some(Profile::minimal(f.request))))
            })?;

        let backend = users.clone();
        let remembering = service_fn(move |id| {
            let (users, cache) = (backend.clone(), cache.clone());
            async move {
                let profile = users.get(&format!("/users/{id}/profile")).await?;
                cache.note(id, profile.as_ref());
                Ok(Answer::new(profile))
            }
        });

        // A layer that can be left out may not change the type of the error either.
        let fallback = ServiceBuilder::new()
            .map_err(|never: Infallible| match never {})
            .layer(fallback);
        let chain = ServiceBuilder::new()
            .option_layer(safeguards.keep(Safeguard::Fallback, fallback))
            .service(remembering);
        Ok(Self {
            users: users.clone(),
            chain: BoxCloneSyncService::new(chain),
        })
    }
}

pub(super) async fn profile(
    State(profiles): State<Profiles>,
    id: Result<Path<String>, PathRejection>,
) -> Response {
    // Read as text first: the answer to a wrong id should not be in the words of a parser.
    let Some(id) = id.ok().and_then(|Path(id)| id.parse().ok()) else {
        let detail = "the user id must be a whole number, as in /api/v1/users/42/profile";
        return Problem::new(StatusCode::BAD_REQUEST, detail).into_response();
    };
    let Profiles { users, chain } = profiles;
    let name = users.public_name();
    match chain.oneshot(id).await {
        Ok(Answer { value: None, .. }) => no_such_customer(name),
        Ok(known) => known.respond(StatusCode::OK, name),
        Err(error) => error.problem(&users),
    }
}

/// What is said where the users service, by this name, knows better.
pub(super) fn no_such_customer(users: &str) -> Response {
    let detail = format!("{users} has no such customer");
    Problem::new(StatusCode::NOT_FOUND, detail)
        .on_account_of(users)
        .into_response()
}
