use std::{
    convert::Infallible,
    error::Error,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use brownout::{Dependency, Registry, report::Lifecycle};
use http_body::Body;
use tonic::{
    Status,
    server::{Grpc, NamedService},
};
use tonic_prost::ProstCodec;
use tower_service::Service;

use crate::{
    rpc::{Check, List, Watch},
    serving::{NameTaken, State},
};

/// The service `grpc.health.v1.Health`, for `tonic::transport::Server::add_service`.
///
/// See the [crate's page](crate) for what it answers. Clones answer alike.
#[derive(Clone)]
pub struct HealthService {
    state: Arc<State>,
}

impl HealthService {
    /// Says how this process and the system of this registry are.
    ///
    /// A process that has never [started](Lifecycle::started) serves nothing.
    pub fn new(registry: &Registry, process: &Lifecycle) -> Self {
        Self {
            state: Arc::new(State::new(registry, process)),
        }
    }

    /// `readiness` should be `SERVING` only while this dependency is not unhealthy, and not before anybody knows how it is.
    ///
    /// Only for what *this* process needs and others may have. A dependency that all replicas share takes all of them
    /// out of service at once. It belongs to the registry that this service is over: watchers hear of changes in that
    /// one alone.
    pub fn ready_when(self, dependency: &Dependency) -> Self {
        let mut state = Arc::unwrap_or_clone(self.state);
        state.ready_when.push(dependency.clone());
        Self {
            state: Arc::new(state),
        }
    }

    /// Knows a service by its full name, such as `shop.Orders`, and what it cannot do without, of the same registry. A
    /// name that is given twice needs what was said each time.
    ///
    /// Fails for the names by which the server itself is asked for: `""`, `liveness` and `readiness`.
    pub fn service<'a>(
        self,
        name: impl Into<String>,
        needs: impl IntoIterator<Item = &'a Dependency>,
    ) -> Result<Self, NameTaken> {
        let mut state = Arc::unwrap_or_clone(self.state);
        state.add(name.into(), needs.into_iter().cloned().collect())?;
        Ok(Self {
            state: Arc::new(state),
        })
    }
}

impl NamedService for HealthService {
    const NAME: &'static str = "grpc.health.v1.Health";
}

/// Names are short; whoever sends more wants our memory.
const LONGEST_REQUEST: usize = 4096;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<B> Service<http::Request<B>> for HealthService
where
    B: Body + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let state = Arc::clone(&self.state);
        Box::pin(async move {
            let limit = Some(LONGEST_REQUEST);
            Ok(match request.uri().path() {
                "/grpc.health.v1.Health/Check" => {
                    let grpc = Grpc::new(ProstCodec::default());
                    let mut grpc = grpc.apply_max_message_size_config(limit, None);
                    grpc.unary(Check(state), request).await
                }
                "/grpc.health.v1.Health/List" => {
                    let grpc = Grpc::new(ProstCodec::default());
                    let mut grpc = grpc.apply_max_message_size_config(limit, None);
                    grpc.unary(List(state), request).await
                }
                "/grpc.health.v1.Health/Watch" => {
                    let grpc = Grpc::new(ProstCodec::default());
                    let mut grpc = grpc.apply_max_message_size_config(limit, None);
                    grpc.server_streaming(Watch(state), request).await
                }
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

impl fmt::Debug for HealthService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthService")
            .field("process", &self.state.process)
            .field("names", &self.state.names().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
