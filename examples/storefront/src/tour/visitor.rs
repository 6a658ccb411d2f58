//! A customer of the shop, with a watch.

use std::{fmt, time::Duration};

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{self, Request, header},
};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};
use tower::BoxError;

use super::{
    answers::{Answer, Answers},
    ears::Ears,
};
use crate::{
    client::{HttpClient, http_client},
    payment::{Key, Order},
};

/// Nobody waits longer than this for a page. It keeps the tour from hanging where the shop does.
const GIVES_UP_AFTER: Duration = Duration::from_secs(5);
/// What a request says that would have others believe something of the shop's answer.
const FORGED: &str = "payments;tier=forged;reason=failed";
const MAX_BODY: usize = 1024 * 1024;

/// Asks the shop for what its customers want.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    client: HttpClient,
    shop: String,
    ears: Ears,
}

/// What a customer wants.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    Page(&'static str),
    /// The same, in a request that says of itself that it is degraded.
    Forged(&'static str),
    Pay(Key, Order),
    /// To know what became of a payment.
    State(Key),
}

/// How customers come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Crowd {
    /// So many at once.
    Together(usize),
    /// So many, one after the other.
    InTurn(usize),
}

impl Visitor {
    /// `shop` is host and port.
    pub(super) fn new(shop: &impl fmt::Display, ears: &Ears) -> Self {
        Self {
            client: http_client(),
            shop: format!("http://{shop}"),
            ears: ears.clone(),
        }
    }

    pub(super) async fn ask(&self, wish: Wish) -> Answer {
        let request = match wish {
            Wish::Page(path) => Request::get(self.uri(path)).body(Body::empty()),
            Wish::Forged(path) => Request::get(self.uri(path))
                .header("degraded", FORGED)
                .body(Body::empty()),
            Wish::State(key) => {
                let path = format!("/api/v1/payments/{key}");
                Request::get(self.uri(&path)).body(Body::empty())
            }
            Wish::Pay(key, order) => Request::post(self.uri("/api/v1/payments"))
                .header(Key::HEADER, key.as_str())
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(serde_json::to_vec(&order).unwrap_or_default())),
        };
        self.send(request).await
    }

    /// Asks for all of it, and gives the answers in the same order.
    pub(super) async fn ask_all(&self, crowd: Crowd, wishes: Vec<Wish>) -> Answers {
        match crowd {
            Crowd::InTurn(_) => {
                let mut answers = Vec::new();
                for wish in wishes {
                    answers.push(self.ask(wish).await);
                }
                answers.into_iter().collect()
            }
            Crowd::Together(_) => {
                let mut asking = JoinSet::new();
                for (n, wish) in wishes.into_iter().enumerate() {
                    let visitor = self.clone();
                    asking.spawn(async move { (n, visitor.ask(wish).await) });
                }
                let mut answers = asking.join_all().await;
                answers.sort_unstable_by_key(|(n, _)| *n);
                answers.into_iter().map(|(_, answer)| answer).collect()
            }
        }
    }

    async fn send(&self, request: http::Result<Request<Body>>) -> Answer {
        let asked = Instant::now();
        let answer = timeout(GIVES_UP_AFTER, self.fetch(request)).await;
        let took = asked.elapsed();
        match answer {
            Ok(Ok(answer)) => Answer { took, ..answer },
            Ok(Err(_)) | Err(_) => Answer {
                status: None,
                degraded: None,
                no_store: false,
                body: Bytes::new(),
                took,
            },
        }
    }

    async fn fetch(&self, request: http::Result<Request<Body>>) -> Result<Answer, BoxError> {
        let request = request?;
        let asked = request.uri().path().to_owned();
        let (head, body) = self.client.request(request).await?.into_parts();
        let body = to_bytes(Body::new(body), MAX_BODY).await?;
        self.ears.hear(&asked, &head.headers, &body);
        let degraded = head.headers.get("degraded");
        Ok(Answer {
            status: Some(head.status),
            degraded: degraded.map(|mark| String::from_utf8_lossy(mark.as_bytes()).into_owned()),
            no_store: head
                .headers
                .get(header::CACHE_CONTROL)
                .is_some_and(|value| value == "no-store"),
            body,
            took: Duration::ZERO,
        })
    }

    fn uri(&self, path: &str) -> String {
        format!("{}{path}", self.shop)
    }
}

impl Crowd {
    pub(super) fn size(self) -> usize {
        match self {
            Self::Together(size) | Self::InTurn(size) => size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_shop_that_is_not_there_gives_no_status() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert_eq!(
            Visitor::new(&address, &Ears::default())
                .ask(Wish::Page("/"))
                .await
                .status,
            None
        );
    }
}
