//! A customer of the shop, with a watch.

use std::{fmt, time::Duration};

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{Request, StatusCode, header},
};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use tokio::time::{Instant, timeout};
use tower::BoxError;

use crate::client::http_client;

/// Nobody waits longer than this for a page. It keeps the tour from hanging where the shop does.
const GIVES_UP_AFTER: Duration = Duration::from_secs(5);
const MAX_BODY: usize = 1024 * 1024;

/// Asks the shop for pages, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    client: Client<HttpConnector, Body>,
    shop: String,
}

/// What came back, and when the whole of it was there.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// None where nothing came that makes an answer.
    pub(super) status: Option<StatusCode>,
    pub(super) retry_after: bool,
    pub(super) body: Bytes,
    pub(super) took: Duration,
}

/// Some answers to the same question.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers(Vec<Answer>);

impl Visitor {
    /// `shop` is host and port.
    pub(super) fn new(shop: &impl fmt::Display) -> Self {
        Self {
            client: http_client(),
            shop: format!("http://{shop}"),
        }
    }

    pub(super) async fn ask(&self, path: &str) -> Answer {
        let asked = Instant::now();
        let answer = timeout(GIVES_UP_AFTER, self.fetch(path)).await;
        let took = asked.elapsed();
        match answer {
            Ok(Ok(answer)) => Answer { took, ..answer },
            Ok(Err(_)) | Err(_) => Answer {
                status: None,
                retry_after: false,
                body: Bytes::new(),
                took,
            },
        }
    }

    pub(super) async fn ask_times(&self, times: u32, path: &str) -> Answers {
        let mut answers = Answers::default();
        for _ in 0..times {
            answers.0.push(self.ask(path).await);
        }
        answers
    }

    async fn fetch(&self, path: &str) -> Result<Answer, BoxError> {
        let request = Request::get(format!("{}{path}", self.shop)).body(Body::empty())?;
        let response = self.client.request(request).await?;
        Ok(Answer {
            status: Some(response.status()),
            retry_after: response.headers().contains_key(header::RETRY_AFTER),
            body: to_bytes(Body::new(response.into_body()), MAX_BODY).await?,
            took: Duration::ZERO,
        })
    }
}

impl Answers {
    /// Whether every answer has this status.
    pub(super) fn are_all(&self, status: StatusCode) -> bool {
        self.0.iter().all(|answer| answer.status == Some(status))
    }

    /// Whether every answer says when to come back.
    pub(super) fn say_when_to_retry(&self) -> bool {
        self.0.iter().all(|answer| answer.retry_after)
    }

    /// The middle time: one hiccup of a busy machine does not move it.
    pub(super) fn median(&self) -> Duration {
        let mut times: Vec<_> = self.0.iter().map(|answer| answer.took).collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    }

    pub(super) fn slowest(&self) -> Duration {
        self.0
            .iter()
            .map(|answer| answer.took)
            .max()
            .unwrap_or_default()
    }
}

/// The statuses in order, repeated ones counted: `3×502 1×200`.
impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.0.chunk_by(|one, next| one.status == next.status);
        let words: Vec<_> = runs
            .map(|run| {
                let status = run.first().and_then(|answer| answer.status);
                match status {
                    Some(status) => format!("{}×{}", run.len(), status.as_u16()),
                    None => format!("{}×none", run.len()),
                }
            })
            .collect();
        f.pad(&words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: StatusCode, millis: u64) -> Answer {
        Answer {
            status: Some(status),
            retry_after: false,
            body: Bytes::new(),
            took: Duration::from_millis(millis),
        }
    }

    #[test]
    fn the_median_ignores_a_hiccup_and_the_slowest_does_not() {
        let answers = Answers([3, 900, 2].map(|time| answer(StatusCode::OK, time)).into());
        assert_eq!(answers.median(), Duration::from_millis(3));
        assert_eq!(answers.slowest(), Duration::from_millis(900));
    }

    #[test]
    fn answers_are_told_apart_by_status() {
        let (ok, bad) = (StatusCode::OK, StatusCode::BAD_GATEWAY);
        let answers = Answers([bad, bad, ok].map(|status| answer(status, 1)).into());
        assert_eq!(answers.to_string(), "2×502 1×200");
        assert!(!answers.are_all(bad));
    }

    #[tokio::test]
    async fn a_shop_that_is_not_there_gives_no_status() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert_eq!(Visitor::new(&address).ask("/").await.status, None);
    }
}
