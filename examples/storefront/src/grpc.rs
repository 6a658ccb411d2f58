//! The shop's health over gRPC (`grpc.health.v1`), for orchestrators and balancers that ask that way.

use std::time::Duration;

use brownout_tonic::{HealthService, NameTaken};
use tokio::{net::TcpListener, sync::oneshot};
use tonic::transport::{Server, server::TcpIncoming};

use crate::system::System;

/// What takes payments: whoever asks for it is told whether a payment would be made now.
pub(crate) const PAYMENTS: &str = "storefront.Payments";

/// How long calls may take to end once the server is told to. Who watches has been told that the shop stops, and would
/// go on watching for ever.
const FAREWELL: Duration = Duration::from_millis(500);
/// How often it is asked whether who says nothing is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// More calls than that of one connection wait for each other.
const MAX_STREAMS: u32 = 64;

/// `""` is the shop as a whole, `liveness` and `readiness` are the process. None of the services behind the shop is needed
/// for readiness, as on [its other port](crate::health).
pub(crate) fn health(system: &System) -> Result<HealthService, NameTaken> {
    let payments = system.backends.payments.dependency();
    HealthService::new(&system.registry, &system.process).service(PAYMENTS, [payments])
}

/// Serves until `stop`, and a moment longer for calls that are under way.
pub(crate) async fn serve(
    door: TcpListener,
    health: Option<HealthService>,
    stop: impl Future<Output = ()>,
) {
    let (stopping, stopped) = oneshot::channel::<()>();
    let incoming = TcpIncoming::from(door).with_nodelay(Some(true));
    let server = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .max_concurrent_streams(MAX_STREAMS)
        .add_optional_service(health)
        .serve_with_incoming_shutdown(incoming, async {
            // Nothing is ever sent: the end of the channel is the news.
            let _ = stopped.await;
        });
    let ending = async {
        stop.await;
        drop(stopping);
        tokio::time::sleep(FAREWELL).await;
    };
    tokio::select! {
        ended = server => {
            if let Err(error) = ended {
                tracing::error!(%error, "the gRPC server has stopped");
            }
        }
        () = ending => {}
    }
}
