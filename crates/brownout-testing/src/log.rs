//! The tracing events of the current thread, as records to assert on.
//!
//! [`LogCapture::start`] replaces the thread's subscriber until it is dropped; no global one is set, so tests that run in
//! parallel see only their own events. With tokio's current-thread runtime (what `#[tokio::test]` gives), that covers
//! every task of the test. Code on other threads is captured where it is given [`LogCapture::dispatch`].
//!
//! # Examples
//!
//! ```
//! use brownout_testing::LogCapture;
//! use tracing::Level;
//!
//! let logs = LogCapture::start();
//! tracing::warn!(dependency = "payments", from = "closed", to = "open", "circuit opened");
//!
//! assert_eq!(logs.count(Level::WARN), 1);
//! let record = logs.find("circuit opened").unwrap();
//! assert_eq!(record.field("dependency"), Some("payments"));
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Scope};

use crate::sync::lock;

/// How many records are kept; those that follow are only counted.
const CAPACITY: usize = 65_536;

/// Captures tracing events while it lives.
#[derive(Debug)]
#[must_use = "events are captured only while this value lives"]
pub struct LogCapture {
    captured: Arc<Mutex<Captured>>,
    dispatch: Dispatch,
    _guard: tracing::subscriber::DefaultGuard,
}

/// One event, as it was logged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogRecord {
    /// The event's level.
    pub level: Level,
    /// The event's target: the module path of the code, unless it says otherwise.
    pub target: String,
    /// The event's message, empty where it has none.
    pub message: String,
    /// All other fields, as text.
    pub fields: BTreeMap<String, String>,
    /// The names of the spans around it, outermost first.
    pub spans: Vec<String>,
}

#[derive(Debug, Default)]
struct Captured {
    records: Vec<LogRecord>,
    missed: usize,
}

struct CaptureLayer(Arc<Mutex<Captured>>);

#[derive(Default)]
struct Fields {
    message: String,
    others: BTreeMap<String, String>,
}

impl LogCapture {
    /// Captures the events of this thread, at every level.
    pub fn start() -> Self {
        Self::at(Level::TRACE)
    }

    /// Captures the events of this thread, at this level and the more severe ones.
    pub fn at(level: Level) -> Self {
        let captured = Arc::<Mutex<Captured>>::default();
        let layer = CaptureLayer(Arc::clone(&captured)).with_filter(LevelFilter::from_level(level));
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
        let guard = tracing::dispatcher::set_default(&dispatch);
        Self {
            captured,
            dispatch,
            _guard: guard,
        }
    }

    /// The subscriber, for code on other threads: `future.with_subscriber(logs.dispatch())`, or
    /// `tracing::dispatcher::with_default(&logs.dispatch(), || …)`.
    pub fn dispatch(&self) -> Dispatch {
        self.dispatch.clone()
    }

    /// All records so far, oldest first: the first 65,536.
    pub fn records(&self) -> Vec<LogRecord> {
        lock(&self.captured).records.clone()
    }

    /// How many events came when no more records were kept.
    pub fn missed(&self) -> usize {
        lock(&self.captured).missed
    }

    /// How many records have this level.
    pub fn count(&self, level: Level) -> usize {
        lock(&self.captured)
            .records
            .iter()
            .filter(|record| record.level == level)
            .count()
    }

    /// The first record whose message contains this text.
    pub fn find(&self, message: &str) -> Option<LogRecord> {
        lock(&self.captured)
            .records
            .iter()
            .find(|record| record.message.contains(message))
            .cloned()
    }

    /// All records whose message contains this text.
    pub fn find_all(&self, message: &str) -> Vec<LogRecord> {
        let captured = lock(&self.captured);
        captured
            .records
            .iter()
            .filter(|record| record.message.contains(message))
            .cloned()
            .collect()
    }

    /// Forgets all records.
    pub fn clear(&self) {
        *lock(&self.captured) = Captured::default();
    }
}

impl LogRecord {
    /// The text of this field, if the event has it.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }
}

impl fmt::Display for LogRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.level, self.target, self.message)?;
        self.fields
            .iter()
            .try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}

impl<S> Layer<S> for CaptureLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        // Formatted before the lock is taken: a field's `Debug` is somebody else's code, and may log.
        let mut fields = Fields::default();
        event.record(&mut fields);
        let spans = cx.event_scope(event).into_iter().flat_map(Scope::from_root);
        let record = LogRecord {
            level: *event.metadata().level(),
            target: event.metadata().target().to_owned(),
            message: fields.message,
            fields: fields.others,
            spans: spans.map(|span| span.name().to_owned()).collect(),
        };
        let mut captured = lock(&self.0);
        if captured.records.len() < CAPACITY {
            captured.records.push(record);
        } else {
            captured.missed += 1;
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.others.insert(field.name().to_owned(), text);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        // Without the quotation marks of `Debug`.
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.record_debug(field, &format_args!("{value}"));
    }
}
