//! `GET /api/v1/recommendations`: what a customer may like, by a model, else by rules, else by what everybody likes.

use std::{convert::Infallible, fmt, future::ready};

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use brownout::{
    core::{ConfigError, Verdict},
    fallback::{Failed, FallbackLayer},
    flag::{Flag, FlagLayer},
};
use serde::{Deserialize, Serialize};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn, util::BoxCloneSyncService};

use crate::{
    answer::Answer,
    call::CallError,
    catalogue::{Category, NoCategory, Product, best_sellers, shelf},
    client::Backend,
    customer::{NoUserId, UserId},
    problem::Problem,
    settings::{Safeguard, Safeguards},
};

/// What is known of who asks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taste {
    user: Option<UserId>,
    category: Option<Category>,
}

/// The same, as it is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    user: Option<String>,
    category: Option<String>,
}

/// What is recommended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Picks {
    pub(super) items: Vec<Product>,
}

/// Who makes recommendations.
pub(super) type Picking = BoxCloneSyncService<Taste, Answer<Picks>, CallError>;

/// How recommendations are made.
#[derive(Clone, Debug)]
pub(crate) struct Recommender {
    model: Backend,
    /// The model, with rules in its place while its flag has stepped back.
    ranked: Picking,
    /// The model as long as its flag lets it be asked, and who else can be.
    chain: Picking,
}

impl Recommender {
    /// The model as long as its flag lets it be asked, else rules, else what everybody likes.
    pub(crate) fn new(
        model: &Backend,
        flag: &Flag,
        safeguards: &Safeguards,
    ) -> Result<Self, ConfigError> {
        // What it refuses goes on to the rules, as what failed does.
        let flag = FlagLayer::for_results(flag.clone())
            .classify(|picks: Result<&Answer<Picks>, &CallError>| judge(picks))
            .reject_with(|refused| Err(CallError::Refused(refused)));
        let fallback = FallbackLayer::for_results()
            .safe()
            .covering(model.dependency())
            .skip_when_unhealthy(model.dependency())
            .causes(CallError::cause)
            .mark_with(Answer::<Picks>::mark)
            .tier_fn("rules", |f: Failed<Taste>| ready(by_rules(f.request)))
            .last("popular", |_| ready(Picks::popular()))?;
        let fallback = ServiceBuilder::new()
            .map_err(|never: Infallible| match never {})
            .layer(fallback);
        let chain = ServiceBuilder::new()
            .option_layer(safeguards.keep(Safeguard::Fallback, fallback))
            .option_layer(safeguards.keep(Safeguard::Flag, flag.clone()))
            .service(asking(model));

        // Where there is no chain, the flag itself knows who stands in.
        let rules = service_fn(|taste| {
            let picks = by_rules(taste).unwrap_or_else(|Stranger| Picks::popular());
            ready(Ok(picks))
        });
        let ranked = ServiceBuilder::new()
            .option_layer(safeguards.keep(Safeguard::Flag, flag.degraded(rules)))
            .service(asking(model));
        Ok(Self {
            model: model.clone(),
            ranked: BoxCloneSyncService::new(ranked),
            chain: BoxCloneSyncService::new(chain),
        })
    }
}

impl Recommender {
    /// The model, with rules in its place while its flag has stepped back, and nobody else.
    pub(super) fn ranked(&self) -> Picking {
        self.ranked.clone()
    }
}

impl Picks {
    /// What everybody likes.
    pub(super) fn popular() -> Answer<Self> {
        Answer::new(Self {
            items: best_sellers(),
        })
    }
}

pub(super) async fn recommendations(
    State(Recommender { model, chain, .. }): State<Recommender>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let taste = match asked
        .map_err(|wrong| wrong.body_text())
        .and_then(|Query(asked)| asked.read())
    {
        Ok(taste) => taste,
        Err(wrong) => return Problem::new(StatusCode::BAD_REQUEST, wrong).into_response(),
    };
    match chain.oneshot(taste).await {
        Ok(picks) => picks.respond(StatusCode::OK, model.public_name()),
        Err(error) => error.problem(&model),
    }
}

/// The model itself.
fn asking(
    model: &Backend,
) -> impl Service<Taste, Response = Answer<Picks>, Error = CallError, Future: Send> + Clone + use<>
{
    let backend = model.clone();
    service_fn(move |taste: Taste| {
        let model = backend.clone();
        async move {
            model.unless_down()?;
            let picks = model.get(&taste.path()).await?;
            picks.map(Answer::new).ok_or(CallError::Nonsense)
        }
    })
}

/// A refusal by the circuit says nothing about the model: it would be the circuit that drives the flag. Nor does a call
/// that was not made.
fn judge(picks: Result<&Answer<Picks>, &CallError>) -> Verdict {
    match picks {
        Ok(_) => Verdict::Success,
        Err(CallError::Refused(_) | CallError::KnownDown) => Verdict::Neutral,
        Err(_) => Verdict::Failure,
    }
}

/// There is nothing to go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stranger;

/// Who looks at a shelf may like what stands on it, and who does not, what stands on their favourite one.
fn by_rules(taste: Taste) -> Result<Answer<Picks>, Stranger> {
    let category = taste.category.or_else(|| favourite(taste.user?));
    let items = shelf(category.ok_or(Stranger)?);
    Ok(Answer::new(Picks { items }))
}

/// Stands for what a shop knows of who bought what.
fn favourite(user: UserId) -> Option<Category> {
    let shelves = Category::ALL.iter().cycle();
    shelves.copied().nth(usize::try_from(user.0 % 3).ok()?)
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing to go by")
    }
}

impl Asked {
    fn read(self) -> Result<Taste, String> {
        let user = self.user.map(|id| id.parse()).transpose();
        let category = self.category.map(|name| name.parse()).transpose();
        Ok(Taste {
            user: user
                .map_err(|NoUserId| "the user is a whole number, as in ?user=42".to_owned())?,
            category: category.map_err(|unknown: NoCategory| unknown.to_string())?,
        })
    }
}

impl Taste {
    /// Nothing is known but who asks.
    pub(super) fn of(user: UserId) -> Self {
        Self {
            user: Some(user),
            category: None,
        }
    }

    /// Where the model is asked.
    fn path(self) -> String {
        let user = self.user.map(|id| format!("user={id}"));
        let category = self
            .category
            .map(|category| format!("category={}", category.as_str()));
        let query: Vec<_> = user.into_iter().chain(category).collect();
        format!("/recommendations?{}", query.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_go_by_the_shelf_before_they_go_by_the_customer() {
        let user = Some(UserId(42));
        let category = Some(Category::Cups);
        let items = |taste| by_rules(taste).map(|answer| answer.value.items);
        assert_eq!(items(Taste { user, category }), Ok(shelf(Category::Cups)));
        assert_eq!(
            items(Taste {
                user,
                category: None
            }),
            Ok(shelf(Category::Tea))
        );
        assert_eq!(items(Taste::default()), Err(Stranger));
    }
}
