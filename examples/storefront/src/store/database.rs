//! The shop's own copy of its customers, in `SQLite`.

use std::{fmt, io, path::Path, thread};

use rusqlite::{Connection, OptionalExtension};
use tokio::sync::{mpsc, oneshot};

use super::open::{OpenError, open};
use crate::{
    answer::Answer,
    customer::{Profile, Tier, UserId},
};

/// More look-ups than that do not wait for the disk; the next one fails at once.
const QUEUE: usize = 64;

/// A database with one thread of its own, since `SQLite` blocks whoever asks. Clones share it; with the last one the thread
/// ends.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    queue: mpsc::Sender<Question>,
}

/// What the database is asked.
#[derive(Debug)]
enum Question {
    Customer(UserId, oneshot::Sender<Result<Profile, NotInStore>>),
    /// Whether it answers at all.
    Alive(oneshot::Sender<Result<(), NotInStore>>),
}

/// Why the shop's own copies say nothing of a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotInStore {
    /// There is no copy.
    Unknown,
    /// Too many ask.
    Busy,
    /// The disk, or what is on it, does not do as it should.
    Broken,
}

impl Database {
    /// Opens the database in a directory. Makes and seeds it where there is none. Blocks while the disk does.
    pub(crate) fn open(directory: &Path) -> Result<Self, OpenError> {
        let connection = open(directory)?;
        let (queue, questions) = mpsc::channel(QUEUE);
        Self::spawn(connection, questions).map_err(OpenError::Thread)?;
        Ok(Self { queue })
    }

    fn spawn(connection: Connection, mut questions: mpsc::Receiver<Question>) -> io::Result<()> {
        let answer_all = move || {
            while let Some(question) = questions.blocking_recv() {
                match question {
                    Question::Customer(id, reply) if !reply.is_closed() => {
                        let _ = reply.send(look_up(&connection, id));
                    }
                    Question::Alive(reply) if !reply.is_closed() => {
                        let _ = reply.send(check(&connection));
                    }
                    // Nobody waits for the answer any more.
                    _ => {}
                }
            }
        };
        let thread = thread::Builder::new().name("database".to_owned());
        thread.spawn(answer_all).map(drop)
    }

    /// What the database says of a customer. Who stops waiting costs it nothing.
    pub(crate) async fn get(self, id: UserId) -> Result<Answer<Option<Profile>>, NotInStore> {
        let profile = self.ask(|reply| Question::Customer(id, reply)).await?;
        Ok(Answer::new(Some(profile)))
    }

    /// Whether it answers, for whoever watches over it.
    pub(crate) async fn check(&self) -> Result<(), NotInStore> {
        self.ask(Question::Alive).await
    }

    async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<Result<T, NotInStore>>) -> Question,
    ) -> Result<T, NotInStore> {
        let (reply, answer) = oneshot::channel();
        let queued = self.queue.try_send(question(reply));
        queued.map_err(|_| NotInStore::Busy)?;
        answer.await.map_err(|_| NotInStore::Broken)?
    }
}

fn look_up(connection: &Connection, id: UserId) -> Result<Profile, NotInStore> {
    let Ok(number) = i64::try_from(id.0) else {
        return Err(NotInStore::Unknown);
    };
    let found = connection
        .query_row(
            "SELECT tier, language, newsletter FROM customers WHERE id = ?1",
            [number],
            |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional();
    match found {
        Ok(Some((tier, language, newsletter))) => Ok(Profile {
            id,
            tier: Tier::named(&tier).unwrap_or(Tier::Standard),
            language,
            newsletter,
        }),
        Ok(None) => Err(NotInStore::Unknown),
        Err(error) => {
            tracing::warn!(%error, "the database has no answer");
            Err(NotInStore::Broken)
        }
    }
}

/// Reads from the table, so that a file that is gone or damaged is noticed.
fn check(connection: &Connection) -> Result<(), NotInStore> {
    let read = connection.query_row("SELECT 1 FROM customers LIMIT 1", [], |_| Ok(()));
    read.map_err(|error| {
        tracing::debug!(%error, "the database has no answer");
        NotInStore::Broken
    })
}

impl fmt::Display for NotInStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "no copy",
            Self::Busy => "too many ask",
            Self::Broken => "broken",
        })
    }
}

impl std::error::Error for NotInStore {}
