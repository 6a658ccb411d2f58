//! Texts from outside: bounded, and unable to forge a line of a log.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::time::Duration;

use brownout_registry::{
    DegradationLevel, Order, OverrideError, Probe, RegisterError, Registry, Report, ReporterKind,
};
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);

/// A line break, an escape sequence, a separator that browsers and editors break lines at, and a reversal.
const FORGED: &str = "reset\nWARN admin\u{1b}[2J\u{85}\u{2028}x\u{202e}y";
const CLEANED: &str = "reset WARN admin\u{fffd}[2J  x\u{fffd}y";

#[tokio::test(start_paused = true)]
async fn texts_from_outside_cannot_forge_a_line_of_a_log() {
    let registry = Registry::new();
    let search = registry.dependency("search").register().unwrap();
    let fails = || async { Err::<(), _>(FORGED) };
    search.probe(Probe::new(fails).name(FORGED)).unwrap();
    let reporter = search.reporter(ReporterKind::Code, FORGED);
    reporter.report(Report::degraded(FORGED).detail(FORGED));
    let _driver = registry.drive();
    sleep(SECOND * 2).await;
    let snapshot = registry.snapshot();
    let view = snapshot.dependency("search").unwrap();
    let probe = &view.probes[0];
    assert_eq!(probe.name.as_ref(), CLEANED);
    assert_eq!(probe.private_error.as_deref(), Some(CLEANED));
    let said = &view.reports[1];
    assert_eq!(said.reporter.as_ref(), CLEANED);
    assert_eq!(said.message.as_deref(), Some(CLEANED));
    assert_eq!(said.private_detail.as_deref(), Some(CLEANED));
}

#[tokio::test(start_paused = true)]
async fn texts_stay_within_their_bytes_though_what_replaces_a_character_is_longer() {
    let registry = Registry::new();
    let search = registry.dependency("search").register().unwrap();
    let reporter = search.reporter(ReporterKind::Code, &"\u{1b}".repeat(1000));
    reporter.report(Report::degraded("\u{1b}".repeat(1000)));
    let view = registry.snapshot().dependency("search").unwrap().clone();
    assert_eq!(
        view.reports[0].reporter.as_ref(),
        "\u{fffd}".repeat(128 / 3)
    );
    assert_eq!(
        view.reports[0].message.as_deref(),
        Some("\u{fffd}".repeat(256 / 3).as_str())
    );
}

/// An error that would never end to say what is wrong.
struct Endless;

impl std::fmt::Display for Endless {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        loop {
            f.write_str("again and ")?;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_is_written_no_further_than_it_is_kept() {
    let registry = Registry::new();
    let search = registry.dependency("search").register().unwrap();
    let fails = || async { Err::<(), _>(Endless) };
    search.probe(Probe::new(fails)).unwrap();
    let _driver = registry.drive();
    sleep(SECOND * 2).await;
    let view = registry.snapshot().dependency("search").unwrap().clone();
    assert_eq!(
        view.probes[0].private_error.as_deref().map(str::len),
        Some(256)
    );
}

#[test]
fn an_override_is_by_somebody_and_for_a_reason_that_can_be_seen() {
    let registry = Registry::new();
    let set = |actor: &str, reason: &str| {
        registry.override_level(DegradationLevel::Full, Order::new(actor, reason, SECOND))
    };
    for invisible in [
        "\u{200b}",
        "\u{ad}\u{feff}",
        "\u{2060} \u{200d}",
        "\u{3164}",
    ] {
        let refused = set(invisible, "why");
        assert!(
            matches!(
                refused,
                Err(OverrideError::InvalidOrder { field: "actor", .. })
            ),
            "{refused:?}"
        );
    }
    for forged in ["a\u{202e}b", "a\u{2028}b", "a\u{2066}b"] {
        let refused = set("me", forged);
        assert!(
            matches!(
                refused,
                Err(OverrideError::InvalidOrder {
                    field: "reason",
                    ..
                })
            ),
            "{refused:?}"
        );
    }
    set("Zoë 👩\u{200d}💻", "نسخة").unwrap();
}

#[test]
fn descriptions_cannot_forge_a_line_either() {
    let registry = Registry::new();
    let refused = registry
        .dependency("a")
        .description("a\u{2029}b")
        .register();
    assert!(
        matches!(
            refused,
            Err(RegisterError::Invalid {
                field: "description",
                ..
            })
        ),
        "{refused:?}"
    );
}
