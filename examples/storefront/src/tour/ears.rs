//! Listening for what no stranger may be told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::HeaderMap;

use super::promises::Promises;
use crate::upstream::{SECRET, Upstreams};

/// More than that shows nothing new.
const MOST: usize = 8;

/// Hears all that a shop says. Clones add to the same book, as do the ears in other shops of the tour.
#[derive(Clone, Debug, Default)]
pub(super) struct Ears {
    forbidden: Vec<String>,
    book: Book,
}

#[derive(Clone, Debug, Default)]
struct Book(Arc<Mutex<Heard>>);

#[derive(Debug, Default)]
struct Heard {
    answers: usize,
    leaks: Vec<String>,
}

impl Ears {
    /// The same for a shop before these services, whose addresses are nobody's business either.
    pub(super) fn in_front_of(&self, services: &Upstreams) -> Self {
        let addresses = services.all().map(|service| service.address().to_string());
        Self {
            forbidden: addresses.into_iter().chain([SECRET.to_owned()]).collect(),
            book: self.book.clone(),
        }
    }

    /// Hears an HTTP answer.
    pub(super) fn hear(&self, asked: &str, headers: &HeaderMap, body: &[u8]) {
        let headers = headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            format!("{name}: {value}\n")
        });
        let body = String::from_utf8_lossy(body);
        self.hear_text(asked, &(headers.collect::<String>() + &body));
    }

    /// Hears anything else.
    pub(super) fn hear_text(&self, asked: &str, said: &str) {
        let leaked = self.forbidden.iter().find(|text| said.contains(*text));
        let mut heard = self.book.lock();
        heard.answers += 1;
        if let Some(text) = leaked.filter(|_| heard.leaks.len() < MOST) {
            heard.leaks.push(format!("{asked} told {text:?}"));
        }
    }

    /// Whether anything was heard that should not be.
    pub(super) fn judge(&self, promises: &mut Promises) {
        let heard = self.book.lock();
        promises.check(
            "nobody is told what services that fail say of themselves, or where they are",
            heard.leaks.is_empty() && heard.answers > 0,
            format!("of {} answers, {}", heard.answers, heard.leaks.join(", ")),
        );
    }
}

impl Book {
    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_leak(headers: &[(&'static str, &'static str)], body: &str) -> bool {
        let ears = Ears {
            forbidden: vec!["hunter2".to_owned(), "127.0.0.1:4711".to_owned()],
            ..Ears::default()
        };
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        ears.hear("/", &headers, body.as_bytes());
        let mut promises = Promises::default();
        ears.judge(&mut promises);
        promises.tally().to_string() == "0 of 1"
    }

    #[test]
    fn a_secret_is_heard_in_heads_and_bodies() {
        assert!(is_leak(&[("x-trace", "by hunter2")], ""));
        assert!(is_leak(&[], "{\"detail\":\"127.0.0.1:4711 refused\"}"));
        assert!(!is_leak(&[("x-trace", "hunter")], "127.0.0.1"));
    }

    #[test]
    fn who_hears_nothing_has_nothing_to_say_for_the_shop() {
        let mut promises = Promises::default();
        Ears::default().judge(&mut promises);
        assert_eq!(promises.tally().to_string(), "0 of 1");
    }
}
