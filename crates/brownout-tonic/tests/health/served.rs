//! A server and its client, and dependencies to speak of.

use std::{collections::HashMap, time::Duration};

use brownout::{
    Criticality, Dependency, Registry,
    registry::{Report, Reporter, ReporterKind, Status as Health},
};
use brownout_tonic::HealthService;
use http::uri::PathAndQuery;
use tokio::{net::TcpListener, task::JoinHandle, time::timeout};
use tonic::{
    Code, Request, Streaming,
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_client::HealthClient,
};
use tonic_prost::ProstCodec;
/// How long a change may take to arrive, and how long nothing has to come to say that nothing comes.
pub(crate) const WHILE: Duration = Duration::from_millis(200);

pub(crate) struct Served {
    pub(crate) client: HealthClient<Channel>,
    pub(crate) channel: Channel,
    task: JoinHandle<()>,
}

impl Served {
    pub(crate) async fn new(service: HealthService) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap());
        let incoming = TcpIncoming::from(listener);
        let server = Server::builder().add_service(service);
        let task = tokio::spawn(async { server.serve_with_incoming(incoming).await.unwrap() });
        let channel = Endpoint::from_shared(uri).unwrap().connect_lazy();
        Self {
            client: HealthClient::new(channel.clone()),
            channel,
            task,
        }
    }

    pub(crate) async fn check(&self, service: &str) -> Result<ServingStatus, Code> {
        let answer = self.client.clone().check(request(service)).await;
        let answer = answer.map_err(|status| status.code())?;
        Ok(answer.into_inner().status())
    }

    pub(crate) async fn watch(&self, service: &str) -> Streaming<HealthCheckResponse> {
        self.client
            .clone()
            .watch(request(service))
            .await
            .unwrap()
            .into_inner()
    }

    pub(crate) async fn list(&self) -> Result<HashMap<String, i32>, Code> {
        let mut grpc = tonic::client::Grpc::new(self.channel.clone());
        grpc.ready().await.unwrap();
        let path = PathAndQuery::from_static("/grpc.health.v1.Health/List");
        let codec = ProstCodec::<ListRequest, ListResponse>::default();
        let answer = grpc.unary(Request::new(ListRequest {}), path, codec).await;
        let answer = answer.map_err(|status| status.code())?.into_inner();
        Ok(answer
            .statuses
            .into_iter()
            .map(|(name, check)| (name, check.status))
            .collect())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct ListRequest {}

#[derive(Clone, PartialEq, prost::Message)]
struct ListResponse {
    #[prost(map = "string, message", tag = "1")]
    statuses: HashMap<String, HealthCheckResponse>,
}

pub(crate) fn request(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

pub(crate) async fn next(watch: &mut Streaming<HealthCheckResponse>) -> ServingStatus {
    let message = timeout(10 * WHILE, watch.message()).await.unwrap();
    message.unwrap().unwrap().status()
}

pub(crate) async fn silent(watch: &mut Streaming<HealthCheckResponse>) -> bool {
    timeout(WHILE, watch.message()).await.is_err()
}

pub(crate) fn critical(registry: &Registry, name: &str) -> Dependency {
    let builder = registry.dependency(name).criticality(Criticality::Critical);
    builder.register().unwrap()
}

pub(crate) fn say(dependency: &Dependency, kind: ReporterKind, status: Health) -> Reporter {
    let reporter = dependency.reporter(kind, "test");
    reporter.report(Report::new(status));
    reporter
}
