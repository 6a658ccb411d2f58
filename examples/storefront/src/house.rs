//! The shop with its doors open, from its first request to its last.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::watch, time::timeout};
use tower::BoxError;

use crate::{
    cli::Ports,
    control, grpc,
    server::{self, ListenError},
    settings::Safeguard,
    shop,
    system::System,
};

/// How long payments that wait may take to be made once the last customer has gone.
const LAST_PAYMENTS: Duration = Duration::from_secs(5);

/// The ports at which the shop is spoken to.
#[derive(Debug)]
pub(crate) struct Doors {
    pub(crate) shop: TcpListener,
    pub(crate) control: TcpListener,
    pub(crate) grpc: TcpListener,
}

impl Doors {
    pub(crate) async fn listen(ports: &Ports) -> Result<Self, ListenError> {
        Ok(Self {
            shop: server::listen(ports.port, "--port").await?,
            control: server::listen(ports.control_port, "--control-port").await?,
            grpc: server::listen(ports.grpc_port, "--grpc-port").await?,
        })
    }
}

/// Serves until `stop`, and then to the end of what was begun.
///
/// The process says first that it stops, so that whoever sends requests may send them elsewhere. Requests in flight and
/// payments that wait have some seconds to finish. Operators have their door open until then.
pub(crate) async fn keep_open(
    doors: Doors,
    system: Arc<System>,
    stop: impl Future<Output = ()>,
) -> Result<(), BoxError> {
    let health = grpc::health(&system)?;
    let health = system.safeguards.keep(Safeguard::Health, health);
    let _driver = system.registry.drive();
    let (close, closing) = watch::channel(());
    let closed = |mut closing: watch::Receiver<()>| async move {
        // Nothing is ever sent: the end of the channel is the news.
        let _ = closing.changed().await;
    };
    let customers = async {
        let stop = async {
            stop.await;
            system.process.stop();
        };
        server::serve_until(doors.shop, shop::router(&system), stop).await;
        make_last_payments(&system).await;
        drop(close);
    };
    let operators = server::serve_until(
        doors.control,
        control::router(&system),
        closed(closing.clone()),
    );
    let machines = grpc::serve(doors.grpc, health, closed(closing));
    system.process.started();
    tokio::join!(customers, operators, machines);
    tracing::info!("the shop is closed");
    Ok(())
}

async fn make_last_payments(system: &System) {
    let outbox = &system.outbox;
    if timeout(LAST_PAYMENTS, outbox.emptied()).await.is_err() {
        let waiting = outbox.waiting();
        tracing::warn!(
            waiting,
            "payments that were accepted and not yet made are lost"
        );
    }
}
