//! The services behind the shop, each an HTTP server of its own that can be made to fail while it runs.

mod door;
mod fault;
mod half_body;
mod payments;
mod stock;
mod switch;

#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr, sync::Arc};

use axum::{Router, middleware, routing::get};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use self::{
    door::{Door, Order},
    switch::Switch,
};
pub(crate) use self::{
    fault::{Fault, UnknownFault},
    payments::Ledger,
};

/// Where a service says whether it works, which is no call: whoever watches over it asks.
const HEALTH: &str = "/health";
/// What no customer may ever read, and what a service that fails says nevertheless, in its body and in a header.
pub(crate) const SECRET: &str = "db-password=hunter2@10.0.0.7";

/// All of them.
#[derive(Debug)]
pub(crate) struct Upstreams {
    pub(crate) recommendations: Upstream,
    pub(crate) users: Upstream,
    pub(crate) payments: Upstream,
    pub(crate) orders: Upstream,
    pub(crate) notifications: Upstream,
    pub(crate) balance: Upstream,
    /// What the payment service has charged.
    pub(crate) ledger: Arc<Ledger>,
}

/// One service: its server, and the switch by which it fails. Dropping it stops the server.
#[derive(Debug)]
pub(crate) struct Upstream {
    name: &'static str,
    address: SocketAddr,
    switch: Arc<Switch>,
    orders: mpsc::Sender<Order>,
    /// The server's only task, which owns the listener and every connection.
    _server: JoinSet<()>,
}

impl Upstreams {
    pub(crate) async fn start() -> io::Result<Self> {
        let ledger = Arc::new(Ledger::default());
        let charges = payments::routes(Arc::clone(&ledger));
        Ok(Self {
            recommendations: Upstream::start("recommendations", stock::recommendations()).await?,
            users: Upstream::start("users", stock::users()).await?,
            payments: Upstream::start("payments", charges).await?,
            orders: Upstream::start("orders", stock::orders()).await?,
            notifications: Upstream::start("notifications", stock::notifications()).await?,
            balance: Upstream::start("balance", stock::balance()).await?,
            ledger,
        })
    }

    pub(crate) fn all(&self) -> [&Upstream; 6] {
        [
            &self.recommendations,
            &self.users,
            &self.payments,
            &self.orders,
            &self.notifications,
            &self.balance,
        ]
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Upstream> {
        self.all()
            .into_iter()
            .find(|upstream| upstream.name == name)
    }
}

impl Upstream {
    /// Serves `routes` on a free port.
    async fn start(name: &'static str, routes: Router) -> io::Result<Self> {
        let switch = Arc::new(Switch::default());
        let app = routes
            .route(HEALTH, get(async || "well"))
            .layer(middleware::from_fn_with_state(
                Arc::clone(&switch),
                switch::fail,
            ));
        let door = Door::open_anywhere().await?;
        let address = door.address();
        let (orders, receiver) = mpsc::channel(1);
        let mut server = JoinSet::new();
        server.spawn(door.serve(app, receiver));
        Ok(Self {
            name,
            address,
            switch,
            orders,
            _server: server,
        })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests have arrived, whatever became of them.
    pub(crate) fn calls(&self) -> u64 {
        self.switch.calls()
    }

    pub(crate) fn fault(&self) -> Fault {
        self.switch.fault()
    }

    /// Makes the service fail in this way, or work again. What was asked for is so when this returns.
    ///
    /// # Errors
    ///
    /// The port could not be opened again, or could not be held while it was closed.
    pub(crate) async fn set_fault(&self, fault: Fault) -> io::Result<()> {
        self.switch.set(fault);
        let (done, outcome) = oneshot::channel();
        let order = Order {
            open: fault != Fault::ClosedPort,
            done,
        };
        let gone = || io::Error::other("its server has stopped");
        self.orders.send(order).await.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }
}
