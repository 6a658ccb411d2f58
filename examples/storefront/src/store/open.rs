//! Finding the database, or making it.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use crate::customer::everybody;

const FILE: &str = "storefront.sqlite3";
/// Says in the file's head whose database it is ("shop" in ASCII), so that nobody else's is taken for it.
const APPLICATION: i32 = 0x7368_6f70;
/// Counted up when the tables change.
const VERSION: i32 = 1;
/// How long another process may hold the file. Well below what a look-up may take.
const BUSY: Duration = Duration::from_secs(1);

/// Why there is no database to fall back on.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// The directory cannot be made.
    Directory(PathBuf, io::Error),
    /// What is there is another program's, or another version's.
    Foreign(PathBuf),
    /// `SQLite` says why.
    Sqlite(PathBuf, rusqlite::Error),
    /// There is no thread to be had.
    Thread(io::Error),
}

/// The database in that directory, whole and seeded.
pub(super) fn open(directory: &Path) -> Result<Connection, OpenError> {
    fs::create_dir_all(directory)
        .map_err(|error| OpenError::Directory(directory.to_owned(), error))?;
    let path = directory.join(FILE);
    let mut connection = connect(&path).map_err(|error| OpenError::Sqlite(path.clone(), error))?;
    match prepare(&mut connection) {
        Ok(true) => Ok(connection),
        Ok(false) => Err(OpenError::Foreign(path)),
        Err(error) => Err(OpenError::Sqlite(path, error)),
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

/// Whether the database is ours; a new one is seeded. A database that is there already may be read-only.
pub(super) fn prepare(connection: &mut Connection) -> rusqlite::Result<bool> {
    if is_new(connection)? {
        // Two shops may be starting at once: the second waits here, and then finds that there is nothing to do.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if is_new(&transaction)? {
            seed(&transaction)?;
        }
        transaction.commit()?;
    }
    let ours = number(connection, "application_id")? == APPLICATION
        && number(connection, "user_version")? == VERSION;
    if ours {
        check(connection)?;
    }
    Ok(ours)
}

/// Whether nobody has written anything to it.
fn is_new(connection: &Connection) -> rusqlite::Result<bool> {
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(tables == 0 && number(connection, "application_id")? == 0)
}

/// All or nothing: a shop that is killed meanwhile leaves a file that is still new.
fn seed(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(
        "CREATE TABLE customers (
            id INTEGER PRIMARY KEY,
            tier TEXT NOT NULL,
            language TEXT NOT NULL,
            newsletter INTEGER NOT NULL
        ) STRICT",
    )?;
    let mut insert = transaction.prepare("INSERT INTO customers VALUES (?1, ?2, ?3, ?4)")?;
    for profile in everybody() {
        let id = profile.id.0.cast_signed();
        insert.execute((
            id,
            profile.tier.as_str(),
            profile.language,
            profile.newsletter,
        ))?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)
}

/// A file that was damaged is better found now than when it is needed.
fn check(connection: &Connection) -> rusqlite::Result<()> {
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" {
        return Ok(());
    }
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Err(rusqlite::Error::SqliteFailure(code, Some(verdict)))
}

fn number(connection: &Connection, pragma: &str) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, pragma, |row| row.get(0))
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path, error) => write!(
                f,
                "the data directory {} cannot be made: {error}. Choose another with `--data-dir DIRECTORY`",
                path.display()
            ),
            Self::Foreign(path) => write!(
                f,
                "{} is another program's database, or another version's. Move it away, or choose another directory \
                 with `--data-dir DIRECTORY`",
                path.display()
            ),
            Self::Sqlite(path, error) => {
                write!(
                    f,
                    "the database {} cannot be used: {error}. ",
                    path.display()
                )?;
                f.write_str(match error.sqlite_error_code() {
                    Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                        "It is damaged: delete it and it is made anew, or choose another directory with `--data-dir \
                         DIRECTORY`"
                    }
                    Some(ErrorCode::DiskFull) => {
                        "Make room on the disk, or choose another directory with `--data-dir DIRECTORY`"
                    }
                    Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                        "Another process holds it: end that one, or choose another directory with `--data-dir \
                         DIRECTORY`"
                    }
                    _ => "Choose a directory that can be read and written with `--data-dir DIRECTORY`",
                })
            }
            Self::Thread(error) => write!(f, "the database gets no thread: {error}"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Directory(_, error) | Self::Thread(error) => Some(error),
            Self::Sqlite(_, error) => Some(error),
            Self::Foreign(_) => None,
        }
    }
}
