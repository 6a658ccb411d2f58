//! A machine that asks the shop by gRPC how it is.

use std::{fmt, time::Duration};

use tokio::time::{Instant, timeout_at};
use tonic::{
    Streaming,
    transport::{Channel, Endpoint, Error},
};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_client::HealthClient};

use super::ears::Ears;

/// Nobody waits longer than this for an answer. It keeps the tour from hanging where the shop does.
const GIVES_UP_AFTER: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
pub(super) struct Machine {
    client: HealthClient<Channel>,
    ears: Ears,
}

/// What it is told as things change.
#[derive(Debug)]
pub(super) struct Watching {
    news: Option<Streaming<HealthCheckResponse>>,
    last: String,
    ears: Ears,
}

impl Machine {
    /// `door` is host and port.
    pub(super) fn new(door: &impl fmt::Display, ears: &Ears) -> Result<Self, Error> {
        let door = Endpoint::from_shared(format!("http://{door}"))?;
        Ok(Self {
            client: HealthClient::new(door.timeout(GIVES_UP_AFTER).connect_lazy()),
            ears: ears.clone(),
        })
    }

    /// `SERVING` or not, or why nobody says.
    pub(super) async fn check(&self, service: &str) -> String {
        let answer = self.client.clone().check(request(service)).await;
        self.ears.hear_text("gRPC Check", &format!("{answer:?}"));
        match answer {
            Ok(answer) => said(*answer.get_ref()),
            Err(status) => format!("{:?}", status.code()),
        }
    }

    pub(super) async fn watch(&self, service: &str) -> Watching {
        let news = self.client.clone().watch(request(service)).await;
        self.ears.hear_text("gRPC Watch", &format!("{news:?}"));
        Watching {
            last: match &news {
                Ok(_) => "silence".to_owned(),
                Err(status) => format!("{:?}", status.code()),
            },
            news: news.ok().map(tonic::Response::into_inner),
            ears: self.ears.clone(),
        }
    }
}

impl Watching {
    /// The latest news, as soon as it is this, or when that has had its time.
    pub(super) async fn hears(&mut self, expected: &str, within: Duration) -> &str {
        let end = Instant::now() + within;
        while self.last != expected {
            let Some(news) = &mut self.news else { break };
            let message = timeout_at(end, news.message()).await;
            self.ears.hear_text("gRPC Watch", &format!("{message:?}"));
            match message {
                Ok(Ok(Some(message))) => self.last = said(message),
                Ok(_) => self.news = None,
                Err(_) => break,
            }
        }
        &self.last
    }
}

fn request(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

fn said(answer: HealthCheckResponse) -> String {
    answer.status().as_str_name().to_owned()
}
