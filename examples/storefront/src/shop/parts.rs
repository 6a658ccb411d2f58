//! The parts of the dashboard, and who is asked for them.

use brownout::aggregate::PartKey;
use serde::de::DeserializeOwned;
use tower::{service_fn, util::BoxCloneSyncService};

use super::recommendations::{Picks, Recommender};
use crate::{
    account::{Balance, Notification, PastOrder},
    answer::Answer,
    call::CallError,
    client::Backend,
    customer::{Profile, UserId},
    system::Backends,
};

/// Who is asked for the parts.
#[derive(Clone, Debug)]
pub(super) struct Services {
    pub(super) backends: Backends,
    pub(super) users: Asking<Option<Profile>>,
    pub(super) orders: Asking<Vec<PastOrder>>,
    pub(super) notifications: Asking<Vec<Notification>>,
    pub(super) balance: Asking<Balance>,
    pub(super) recommender: Recommender,
}

pub(super) type Asking<T> = BoxCloneSyncService<UserId, T, CallError>;

#[derive(Debug)]
pub(super) struct Users;
#[derive(Debug)]
pub(super) struct Orders;
#[derive(Debug)]
pub(super) struct Recommendations;
#[derive(Debug)]
pub(super) struct Notifications;
#[derive(Debug)]
pub(super) struct Credit;

/// The profile, unless there is no such customer.
impl PartKey for Users {
    type Value = Option<Profile>;
    const NAME: &'static str = "users";
}

impl PartKey for Orders {
    type Value = Vec<PastOrder>;
    const NAME: &'static str = "orders";
}

impl PartKey for Recommendations {
    type Value = Answer<Picks>;
    const NAME: &'static str = "recommendations";
}

impl PartKey for Notifications {
    type Value = Vec<Notification>;
    const NAME: &'static str = "notifications";
}

impl PartKey for Credit {
    type Value = Option<Balance>;
    const NAME: &'static str = "balance";
}

impl Services {
    pub(super) fn new(backends: &Backends, recommender: &Recommender) -> Self {
        let users = backends.users.clone();
        Self {
            users: BoxCloneSyncService::new(service_fn(move |user| {
                let users = users.clone();
                async move {
                    users.unless_down()?;
                    users.get(&format!("/users/{user}/profile")).await
                }
            })),
            orders: asking(&backends.orders, "orders"),
            notifications: asking(&backends.notifications, "notifications"),
            balance: asking(&backends.balance, "balance"),
            backends: backends.clone(),
            recommender: recommender.clone(),
        }
    }
}

/// Asks a service for what it has of a customer.
fn asking<T>(backend: &Backend, what: &'static str) -> Asking<T>
where
    T: DeserializeOwned + Send + 'static,
{
    let backend = backend.clone();
    BoxCloneSyncService::new(service_fn(move |user: UserId| {
        let backend = backend.clone();
        async move {
            backend.unless_down()?;
            let said = backend.get(&format!("/users/{user}/{what}")).await?;
            said.ok_or(CallError::Nonsense)
        }
    }))
}
