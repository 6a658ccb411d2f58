//! The database on a real disk, in good order and in bad.

use std::{fs, time::Duration};

use rusqlite::Connection;
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use super::{Database, NotInStore};
use crate::customer::{Profile, Tier, UserId};

const FILE: &str = "storefront.sqlite3";
const LONG: Duration = Duration::from_mins(1);

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

async fn look_up(database: &Database, id: u64) -> Result<Option<Profile>, NotInStore> {
    let answer = database.clone().get(UserId(id)).await;
    answer.map(|answer| answer.value)
}

fn refusal(directory: &TempDir) -> String {
    Database::open(directory.path()).unwrap_err().to_string()
}

#[tokio::test]
async fn it_is_made_and_seeded_on_first_run_and_found_again() {
    let directory = directory();
    for run in ["first", "second"] {
        let database = Database::open(directory.path()).unwrap();
        let gold = look_up(&database, 20).await.unwrap().unwrap();
        assert_eq!(gold.tier, Tier::Gold, "{run}");
        assert_eq!(
            look_up(&database, 10_000).await.unwrap().unwrap().id.0,
            10_000
        );
        for stranger in [0, 10_001, u64::MAX] {
            assert_eq!(look_up(&database, stranger).await, Err(NotInStore::Unknown));
        }
    }
}

#[tokio::test]
async fn shops_that_start_at_once_share_it() {
    let directory = directory();
    let opened = std::thread::scope(|scope| {
        let opening = [(); 4].map(|()| scope.spawn(|| Database::open(directory.path())));
        opening.map(|thread| thread.join().unwrap())
    });
    for database in opened {
        assert!(look_up(&database.unwrap(), 42).await.is_ok());
    }
}

#[test]
fn a_file_that_is_no_database_is_a_clear_error() {
    let directory = directory();
    fs::write(
        directory.path().join(FILE),
        "not a database at all, but long enough to be read as one".repeat(20),
    )
    .unwrap();
    let error = refusal(&directory);
    assert!(error.contains("damaged") && error.contains(FILE), "{error}");
}

#[test]
fn a_database_with_a_damaged_page_is_a_clear_error() {
    let directory = directory();
    drop(Database::open(directory.path()).unwrap());
    let path = directory.path().join(FILE);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xff);
    fs::write(&path, bytes).unwrap();
    let error = refusal(&directory);
    assert!(error.contains("damaged"), "{error}");
}

#[test]
fn somebody_elses_database_is_left_alone() {
    let directory = directory();
    let path = directory.path().join(FILE);
    let theirs = Connection::open(&path).unwrap();
    theirs
        .execute_batch("CREATE TABLE customers (name)")
        .unwrap();
    let error = refusal(&directory);
    assert!(error.contains("another program's"), "{error}");
    let columns: i64 = theirs
        .query_row(
            "SELECT count(*) FROM pragma_table_info('customers')",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(columns, 1);
}

#[test]
fn a_file_where_the_directory_should_be_is_a_clear_error() {
    let directory = directory();
    let path = directory.path().join("file");
    fs::write(&path, "").unwrap();
    let error = Database::open(&path).unwrap_err().to_string();
    assert!(error.contains("--data-dir"), "{error}");
}

#[test]
fn a_directory_where_the_file_should_be_is_a_clear_error() {
    let directory = directory();
    fs::create_dir(directory.path().join(FILE)).unwrap();
    let error = refusal(&directory);
    assert!(
        error.contains("cannot be used") && error.contains("--data-dir"),
        "{error}"
    );
}

/// A disk has no quota that a test could use, but a database can be told to be full.
#[test]
fn a_full_disk_leaves_a_file_that_is_still_new() {
    let directory = directory();
    let path = directory.path().join(FILE);
    let mut full = Connection::open(&path).unwrap();
    full.pragma_update(None, "max_page_count", 4).unwrap();
    let error = super::open::prepare(&mut full).unwrap_err();
    assert_eq!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::DiskFull)
    );
    drop(full);
    assert!(
        Database::open(directory.path()).is_ok(),
        "it is seeded where there is room"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_database_that_cannot_be_written_is_read() {
    use std::os::unix::fs::PermissionsExt;

    let directory = directory();
    drop(Database::open(directory.path()).unwrap());
    let path = directory.path().join(FILE);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    let database = Database::open(directory.path()).unwrap();
    assert!(look_up(&database, 42).await.is_ok());
}

#[tokio::test]
async fn a_database_that_breaks_later_is_a_failed_look_up_and_a_failed_check() {
    let directory = directory();
    let database = Database::open(directory.path()).unwrap();
    let vandal = Connection::open(directory.path().join(FILE)).unwrap();
    assert_eq!(database.check().await, Ok(()));
    vandal.execute_batch("DROP TABLE customers").unwrap();
    assert_eq!(look_up(&database, 42).await, Err(NotInStore::Broken));
    assert_eq!(database.check().await, Err(NotInStore::Broken));
}

/// Real time passes, since it is `SQLite` that waits.
#[tokio::test]
async fn a_database_that_another_process_holds_is_a_failed_look_up_and_no_endless_wait() {
    let directory = directory();
    let database = Database::open(directory.path()).unwrap();
    let holder = Connection::open(directory.path().join(FILE)).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let asked = Instant::now();
    let answer = timeout(LONG, look_up(&database, 42)).await.unwrap();
    assert_eq!(answer, Err(NotInStore::Broken));
    assert!(
        asked.elapsed() >= Duration::from_millis(500),
        "it was not waited for"
    );

    holder.execute_batch("ROLLBACK").unwrap();
    assert!(look_up(&database, 42).await.is_ok());
}

#[tokio::test]
async fn look_ups_that_nobody_can_serve_in_time_are_refused_and_not_piled_up() {
    let directory = directory();
    let database = Database::open(directory.path()).unwrap();
    let holder = Connection::open(directory.path().join(FILE)).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let mut asking = tokio::task::JoinSet::new();
    for id in 1..=200 {
        let database = database.clone();
        asking.spawn(async move { look_up(&database, id).await });
    }
    let first = timeout(LONG, asking.join_next()).await.unwrap().unwrap();
    assert_eq!(first.unwrap(), Err(NotInStore::Busy));
    // Who is gone is not looked up, so that there is soon room.
    asking.shutdown().await;
    holder.execute_batch("ROLLBACK").unwrap();
    let answered = async {
        while look_up(&database, 42).await == Err(NotInStore::Busy) {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, answered).await.unwrap();
    assert!(look_up(&database, 42).await.is_ok());
}
