//! A subscription: a connection of its own that makes sure that it still hears.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use brownout_registry::Random;
use brownout_registry::fleet::{Changes, Message, ReplicaId, StoreError};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until, timeout};

use crate::connection::Connection;
use crate::error::RedisStoreError;
use crate::format::{self, Canary};
use crate::line::Line;
use crate::mailbox::{Found, Letter, Letters, mailbox};

/// What a [`RedisStore`](crate::RedisStore) tells one subscriber.
///
/// After some time without a message it sends one to itself, over the very connection that it listens on. One that does
/// not come back in time ends it: nobody stays subscribed to a connection that is dead, or that the server has forgotten.
pub struct RedisChanges {
    line: Arc<Line>,
    connection: Connection,
    letters: Letters,
    changes: String,
    canary: String,
    random: Random,
    heard: Instant,
    doubt: Option<Doubt>,
}

/// A message to ourselves that is on its way.
struct Doubt {
    number: u64,
    until: Instant,
    /// Its sending: none when that is done.
    sending: Option<BoxFuture<'static, Result<(), RedisStoreError>>>,
}

/// What has happened.
enum Next {
    Found(Option<Found>),
    Sent(Result<(), RedisStoreError>),
    Time,
}

impl RedisChanges {
    /// Subscribes, and does not believe it before a message to itself has come back.
    pub(crate) async fn open(
        line: &Arc<Line>,
        replica: &ReplicaId,
    ) -> Result<Self, RedisStoreError> {
        let settings = Arc::clone(&line.settings);
        let within = settings.timeout;
        let mut met = None;
        let opening = async {
            let (mailbox, letters) = mailbox();
            let connection = line.apart(mailbox).await?;
            met = Some(connection.clone());
            let changes = settings.namespace.changes();
            let canary = settings.namespace.canary(replica);
            connection
                .subscribe(&[changes.clone(), canary.clone()])
                .await?;
            let mut this = Self {
                line: Arc::clone(line),
                connection,
                letters,
                changes,
                canary,
                random: settings.random.child(),
                heard: Instant::now(),
                doubt: None,
            };
            this.prove().await?;
            Ok(this)
        };
        let opened = timeout(within, opening).await;
        let opened = opened.unwrap_or_else(|_| Err(settings.peer().is_silent("subscribe", within)));
        if let (Err(error), Some(connection)) = (&opened, &met) {
            line.lost(connection, error);
        }
        opened
    }

    /// Waits until a message to ourselves comes back. What comes before it was written before anybody could rely on us.
    async fn prove(&mut self) -> Result<(), RedisStoreError> {
        self.doubt = Some(self.doubt());
        while self.doubt.is_some() {
            self.step().await?;
        }
        Ok(())
    }

    /// Something happens, which may be a message worth telling.
    async fn step(&mut self) -> Result<Option<Message>, RedisStoreError> {
        match self.event().await {
            Next::Found(Some(Found::Letter(letter))) => Ok(self.read(&letter)),
            Next::Found(Some(Found::Missed)) => Ok(Some(Message::Missed(None))),
            Next::Found(None) => Err(self.connection.peer.has_hung_up()),
            Next::Sent(sent) => {
                if let Some(doubt) = &mut self.doubt {
                    doubt.sending = None;
                }
                sent.map(|()| None)
            }
            Next::Time if self.doubt.is_some() => {
                let peer = &self.connection.peer;
                Err(peer.is_silent("a message to ourselves", self.line.settings.timeout))
            }
            Next::Time => {
                self.doubt = Some(self.doubt());
                Ok(None)
            }
        }
    }

    async fn event(&mut self) -> Next {
        let due = match &self.doubt {
            Some(doubt) => doubt.until,
            None => self.heard + self.line.settings.silence,
        };
        let mut sending = self.doubt.as_mut().and_then(|doubt| doubt.sending.as_mut());
        let mut found = pin!(self.letters.next());
        let mut time = pin!(sleep_until(due));
        poll_fn(|context| {
            if let Poll::Ready(found) = found.as_mut().poll(context) {
                return Poll::Ready(Next::Found(found));
            }
            if let Some(sending) = &mut sending
                && let Poll::Ready(sent) = sending.as_mut().poll(context)
            {
                return Poll::Ready(Next::Sent(sent));
            }
            time.as_mut().poll(context).map(|()| Next::Time)
        })
        .await
    }

    fn read(&mut self, letter: &Letter) -> Option<Message> {
        self.heard = Instant::now();
        let told = if letter.channel == self.changes.as_bytes() {
            format::message(&letter.payload).map(Some)
        } else {
            format::canary(&letter.payload).map(|canary| self.canary_came(canary))
        };
        told.unwrap_or_else(|fault| {
            let channel = String::from_utf8_lossy(&letter.channel).into_owned();
            Some(Message::Missed(Some(fault.of(channel).into())))
        })
    }

    fn canary_came(&mut self, canary: Canary) -> Option<Message> {
        match canary {
            Canary::Ping(number) => Some(Message::Canary(number)),
            Canary::Own(number) => {
                if self
                    .doubt
                    .as_ref()
                    .is_some_and(|doubt| doubt.number == number)
                {
                    self.doubt = None;
                }
                None
            }
        }
    }

    fn doubt(&self) -> Doubt {
        let number = self.random.next_u64();
        let connection = self.connection.clone();
        let mut command = redis::cmd("PUBLISH");
        command.arg(&self.canary).arg(Canary::Own(number).text());
        let sending = async move { connection.send(&command).await.map(drop) };
        Doubt {
            number,
            until: Instant::now() + self.line.settings.timeout,
            sending: Some(sending.boxed()),
        }
    }
}

impl Changes for RedisChanges {
    async fn next(&mut self) -> Result<Message, StoreError> {
        loop {
            match self.step().await {
                Ok(Some(message)) => return Ok(message),
                Ok(None) => {}
                Err(error) => {
                    // Whoever loses one subscription after another has to wait, as with connections that fail.
                    self.line.lost(&self.connection, &error);
                    return Err(error.into());
                }
            }
        }
    }
}

impl fmt::Debug for RedisChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisChanges")
            .field("connection", &self.connection)
            .field("letters", &self.letters)
            .field("heard", &self.heard)
            .finish_non_exhaustive()
    }
}
