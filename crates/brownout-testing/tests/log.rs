//! Log capture.
#![allow(
    clippy::unwrap_used,
    reason = "a test that meets the unexpected should stop there"
)]

use brownout_testing::{LogCapture, TestError};
use tracing::{Level, info, info_span, trace, warn};

#[test]
fn events_are_captured_with_level_target_message_and_fields() {
    let logs = LogCapture::start();
    let error = TestError::new("refused");
    warn!(
        target: "brownout::circuit",
        dependency = "payments",
        generation = 7_u64,
        slow = true,
        error = &error as &(dyn std::error::Error + 'static),
        shape = ?Some(1),
        "circuit {}", "opened"
    );
    let [record] = <[_; 1]>::try_from(logs.records()).unwrap();
    assert_eq!(
        (record.level, record.target.as_str()),
        (Level::WARN, "brownout::circuit")
    );
    assert_eq!(record.message, "circuit opened");
    assert_eq!(record.field("dependency"), Some("payments"));
    assert_eq!(record.field("generation"), Some("7"));
    assert_eq!(record.field("slow"), Some("true"));
    assert_eq!(record.field("error"), Some("refused"));
    assert_eq!(record.field("shape"), Some("Some(1)"));
    assert_eq!(record.field("absent"), None);
    assert!(
        record
            .to_string()
            .starts_with("WARN brownout::circuit: circuit opened dependency=payments")
    );
}

#[test]
fn records_are_counted_found_and_cleared() {
    let logs = LogCapture::start();
    info!("one");
    info!("two");
    warn!("two more");
    assert_eq!(
        (
            logs.count(Level::INFO),
            logs.count(Level::WARN),
            logs.count(Level::ERROR)
        ),
        (2, 1, 0)
    );
    assert_eq!(logs.find("two").unwrap().level, Level::INFO);
    assert_eq!(logs.find_all("two").len(), 2);
    assert!(logs.find("three").is_none());
    logs.clear();
    assert_eq!(logs.records(), []);
}

#[test]
fn less_severe_events_are_left_out_where_a_level_is_given() {
    let logs = LogCapture::at(Level::INFO);
    trace!("detail");
    info!("news");
    assert_eq!(logs.records().len(), 1);
    assert_eq!(logs.missed(), 0);
}

#[test]
fn spans_are_named_outermost_first() {
    let logs = LogCapture::start();
    let _outer = info_span!("outer").entered();
    let _inner = info_span!("inner").entered();
    info!("inside");
    assert_eq!(logs.find("inside").unwrap().spans, ["outer", "inner"]);
}

#[test]
fn a_capture_ends_with_its_value_and_covers_its_thread_only() {
    let outer = LogCapture::start();
    let inner = LogCapture::start();
    info!("to the inner one");
    std::thread::scope(|threads| {
        threads.spawn(|| info!("to nobody"));
        threads.spawn(|| {
            tracing::dispatcher::with_default(&inner.dispatch(), || info!("from another thread"));
        });
    });
    let seen: Vec<_> = inner
        .records()
        .into_iter()
        .map(|record| record.message)
        .collect();
    assert_eq!(seen, ["to the inner one", "from another thread"]);
    drop(inner);
    info!("to the outer one");
    assert_eq!(outer.records().len(), 1);
}

#[tokio::test]
async fn tasks_of_the_same_thread_are_covered() {
    let logs = LogCapture::start();
    tokio::spawn(async { info!("from a task") }).await.unwrap();
    assert!(logs.find("from a task").is_some());
}

#[test]
fn a_field_that_logs_while_it_is_formatted_does_not_deadlock() {
    struct Chatty;
    impl std::fmt::Debug for Chatty {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            info!("while formatting");
            f.write_str("chatty")
        }
    }
    let logs = LogCapture::start();
    warn!(field = ?Chatty, "outer event");
    assert_eq!(
        logs.find("outer event").unwrap().field("field"),
        Some("chatty")
    );
}
