//! The connection that a store's commands share: made when it is first needed, and made anew when it is of no use.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::{Instant, timeout};

use crate::connection::Connection;
use crate::error::RedisStoreError;
use crate::gate::Gate;
use crate::mailbox::Mailbox;
use crate::settings::Settings;

/// A store's way to its server.
pub(crate) struct Line {
    pub(crate) settings: Arc<Settings>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    gate: Gate,
    attempt: Option<Attempt>,
    /// Since when a command has been without an answer, and none later has had one.
    unanswered: Option<Instant>,
}

/// A connection, or the making of one. All who need it wait for the same; nobody's leaving stops it for the others.
struct Attempt {
    begun: Instant,
    outcome: Opening,
}

type Opening = Shared<BoxFuture<'static, Result<Connection, RedisStoreError>>>;

/// A command on its way. One that is given up leaves a mark on the line.
struct OnItsWay<'a> {
    line: &'a Line,
    begun: Instant,
    answered: bool,
}

impl Line {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings: Arc::new(settings),
            state: Mutex::default(),
        }
    }

    /// Runs an operation over the connection, within the time that one may take.
    pub(crate) async fn run<T>(
        &self,
        doing: &'static str,
        operation: impl AsyncFnOnce(&Connection) -> Result<T, RedisStoreError>,
    ) -> Result<T, RedisStoreError> {
        let within = self.settings.timeout;
        let mut peer = None;
        let all = async {
            let connection = self.connection().await?;
            peer = Some(Arc::clone(&connection.peer));
            let mut way = OnItsWay {
                line: self,
                begun: Instant::now(),
                answered: false,
            };
            let result = operation(&connection).await;
            way.answered = true;
            drop(way);
            match &result {
                Err(error) if error.ends_connection() => self.lost(&connection, error),
                _ => self.lock().unanswered = None,
            }
            result
        };
        let result = timeout(within, all).await;
        result.unwrap_or_else(|_| {
            Err(match peer {
                Some(peer) => peer.is_silent(doing, within),
                None => self.settings.peer().is_silent("connect", within),
            })
        })
    }

    /// A connection of its own, for a subscription.
    pub(crate) async fn apart(&self, mailbox: Mailbox) -> Result<Connection, RedisStoreError> {
        self.lock().gate.admits(Instant::now())?;
        let opened = Connection::open(&self.settings, Some(Arc::new(mailbox))).await;
        let mut state = self.lock();
        match &opened {
            Ok(_) => state.gate.connected(),
            Err(error) => state
                .gate
                .failed(error.clone(), Instant::now(), &self.settings.random),
        }
        drop(state);
        opened
    }

    /// A connection is of no use any more.
    pub(crate) fn lost(&self, connection: &Connection, error: &RedisStoreError) {
        let mut state = self.lock();
        let now = Instant::now();
        state
            .gate
            .lost(connection.begun, error.clone(), now, &self.settings.random);
        state.forget(connection);
    }

    async fn connection(&self) -> Result<Connection, RedisStoreError> {
        let outcome = self.attempt()?;
        let connected = outcome.clone().await;
        let mut state = self.lock();
        // Whoever gets here first tells of it.
        if let Some(attempt) = &state.attempt
            && attempt.outcome.ptr_eq(&outcome)
        {
            match &connected {
                Ok(_) => state.gate.connected(),
                Err(error) => {
                    let now = Instant::now();
                    state.gate.failed(error.clone(), now, &self.settings.random);
                    state.attempt = None;
                }
            }
        }
        connected
    }

    /// The present attempt, or a new one where there is none, or none of use.
    fn attempt(&self) -> Result<Opening, RedisStoreError> {
        let now = Instant::now();
        let mut state = self.lock();
        if let Some(attempt) = &state.attempt {
            let useless = attempt.fault(state.unanswered, now, &self.settings);
            let Some(error) = useless else {
                return Ok(attempt.outcome.clone());
            };
            let begun = attempt.begun;
            state.attempt = None;
            state.unanswered = None;
            state.gate.lost(begun, error, now, &self.settings.random);
        }
        state.gate.admits(now)?;
        let settings = Arc::clone(&self.settings);
        let opening = async move { Connection::open(&settings, None).await };
        let outcome = opening.boxed().shared();
        state.attempt = Some(Attempt {
            begun: now,
            outcome: outcome.clone(),
        });
        Ok(outcome)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Puts a connection away, unless there is another by now.
    fn forget(&mut self, connection: &Connection) {
        let present = self
            .attempt
            .as_ref()
            .and_then(|attempt| attempt.outcome.peek());
        if let Some(Ok(present)) = present
            && present.same(connection)
        {
            self.attempt = None;
            self.unanswered = None;
        }
    }
}

impl Attempt {
    /// Why it is of no use, if it is not. `unanswered` says since when commands have had no answer.
    fn fault(
        &self,
        unanswered: Option<Instant>,
        now: Instant,
        settings: &Settings,
    ) -> Option<RedisStoreError> {
        let within = settings.timeout;
        let overdue = |since: Instant| now.saturating_duration_since(since) >= within;
        match self.outcome.peek() {
            // Nobody has waited for it to the end, so nobody has noticed that its time is over.
            None => overdue(self.begun).then(|| settings.peer().is_silent("connect", within)),
            Some(Err(error)) => Some(error.clone()),
            Some(Ok(connection)) if connection.is_closed() => Some(connection.peer.has_hung_up()),
            Some(Ok(connection)) => unanswered
                .is_some_and(overdue)
                .then(|| connection.peer.is_silent("the last commands", within)),
        }
    }
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        if !self.answered {
            let mut state = self.line.lock();
            state.unanswered = Some(state.unanswered.unwrap_or(self.begun).min(self.begun));
        }
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
