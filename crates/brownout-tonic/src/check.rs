use std::{error::Error, fmt, pin::Pin};

use http::uri::PathAndQuery;
use http_body::Body;
use prost::bytes::Bytes;
use tonic::{Request, Status, client::GrpcService};
use tonic_prost::ProstCodec;

use crate::messages::{CheckRequest, CheckResponse, Condition};

/// Why a gRPC server is not healthy; for operators, for it quotes the server.
#[derive(Clone, Debug)]
pub struct NotServing(String);

/// A check, for a [`Probe`](brownout::registry::Probe), that asks a gRPC server for its health and passes where it says
/// `SERVING`. The service's name may be `""`.
///
/// Readiness of the transport, call and answer together are bounded by the probe's timeout.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use brownout::{Registry, registry::Probe};
/// use tonic::transport::Endpoint;
///
/// let registry = Registry::new();
/// let search = registry.dependency("search").register()?;
/// let channel = Endpoint::from_static("http://search:50051").connect_lazy();
/// search.probe(Probe::new(brownout_tonic::check(channel, "search.Index")))?;
/// # Ok(()) }
/// ```
pub fn check<T>(
    transport: T,
    service: impl Into<String>,
) -> impl Fn() -> Pin<Box<dyn Future<Output = Result<(), NotServing>> + Send>> + Send + Sync + 'static
where
    T: GrpcService<tonic::body::Body, Future: Send> + Clone + Send + Sync + 'static,
    T::ResponseBody: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let service = service.into();
    move || {
        let (transport, service) = (transport.clone(), service.clone());
        Box::pin(async move {
            let status = ask(transport, service).await;
            let said = match status.map(|answer| Condition::try_from(answer.status)) {
                Ok(Ok(Condition::Serving)) => return Ok(()),
                Ok(Ok(Condition::NotServing)) => "answered NOT_SERVING".to_owned(),
                Ok(Ok(Condition::ServiceUnknown)) => "answered SERVICE_UNKNOWN".to_owned(),
                // A status that no specification knows is to count as unknown.
                Ok(Ok(Condition::Unknown) | Err(_)) => "answered UNKNOWN".to_owned(),
                Err(status) => status.to_string(),
            };
            Err(NotServing(said))
        })
    }
}

async fn ask<T>(transport: T, service: String) -> Result<CheckResponse, Status>
where
    T: GrpcService<tonic::body::Body>,
    T::ResponseBody: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let mut grpc = tonic::client::Grpc::new(transport);
    grpc.ready()
        .await
        .map_err(|error| Status::from_error(error.into()))?;
    let path = PathAndQuery::from_static("/grpc.health.v1.Health/Check");
    let codec = ProstCodec::<CheckRequest, CheckResponse>::default();
    let request = Request::new(CheckRequest { service });
    Ok(grpc.unary(request, path, codec).await?.into_inner())
}

impl fmt::Display for NotServing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for NotServing {}
