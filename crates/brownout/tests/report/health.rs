//! What each path answers, in each state of the system and of the process.

use std::{convert::Infallible, time::Duration};

use brownout::{
    Criticality::{Critical, Important, Optional},
    registry::{
        Order, Probe, Report, ReporterKind,
        Status::{self, Degraded, Healthy, Unhealthy, Unknown},
    },
    report::{HealthLayer, Lifecycle},
};
use http::Method;

use crate::common::{Seen, ask, dependency, get, registry, say};

/// What every answer of these paths is, but for status and word.
fn assert_is(seen: &Seen, status: u16, word: &str, uri: &str) {
    let text = format!(r#"{{"status":"{word}"}}"#);
    assert_eq!((seen.status, &seen.text), (status, &text), "{uri}");
    assert_eq!(seen.headers.len(), 3, "{uri}: {:?}", seen.headers);
    assert_eq!(seen.header("content-type"), Some("application/health+json"));
    assert_eq!(seen.header("cache-control"), Some("no-store"));
    assert_eq!(seen.header("content-length"), Some("17"));
}

async fn assert_table(layer: &HealthLayer, table: [(&str, u16, &str); 4]) {
    for (uri, status, word) in table {
        for uri in [uri.to_owned(), format!("{uri}?verbose")] {
            let seen = get(layer, &uri).await;
            assert_is(&seen, status, word, &uri);
            let head = ask(layer, Method::HEAD, &uri).await;
            let text = String::new();
            assert_eq!(head, Seen { text, ..seen }, "HEAD {uri}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_path_answers_by_the_table_whatever_a_dependencys_criticality_and_status() {
    for criticality in [Critical, Important, Optional] {
        for status in [Healthy, Degraded, Unhealthy] {
            let registry = registry();
            let ledger = dependency(&registry, "ledger", criticality);
            let _says = say(&ledger, status);
            let health = match (criticality, status) {
                (_, Healthy) => ("/health", 200, "pass"),
                (Critical, Unhealthy) => ("/health", 503, "fail"),
                _ => ("/health", 200, "warn"),
            };
            let alone = HealthLayer::new(&registry);
            let pass = |uri| (uri, 200, "pass");
            let rest = [pass("/livez"), pass("/readyz"), pass("/startupz")];
            assert_table(&alone, [rest[0], rest[1], rest[2], health]).await;

            let needing = HealthLayer::new(&registry).ready_when(&ledger);
            let ready = match status {
                Healthy => ("/readyz", 200, "pass"),
                Unhealthy => ("/readyz", 503, "fail"),
                _ => ("/readyz", 200, "warn"),
            };
            assert_table(&needing, [rest[0], ready, rest[2], health]).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_has_observed_holds_back_start_and_readiness_of_those_who_need_it_alone() {
    let registry = registry();
    let ledger = dependency(&registry, "ledger", Critical);
    ledger
        .probe(Probe::new(|| async { Ok::<_, Infallible>(()) }))
        .unwrap();
    assert_eq!(ledger.status(), Unknown);
    let needing = HealthLayer::new(&registry).ready_when(&ledger);
    let warned = ("/health", 200, "warn");
    let fails = |uri| (uri, 503, "fail");
    let pass = |uri| (uri, 200, "pass");
    let waiting = [pass("/livez"), fails("/readyz"), fails("/startupz"), warned];
    assert_table(&needing, waiting).await;
    let alone = HealthLayer::new(&registry);
    assert_table(
        &alone,
        [pass("/livez"), pass("/readyz"), pass("/startupz"), warned],
    )
    .await;

    // The probe's first answer.
    let driver = registry.drive();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let all = ["/livez", "/readyz", "/startupz", "/health"].map(pass);
    assert_table(&needing, all).await;

    // What was observed once has been observed: nobody looks any more, but the process has long started.
    drop(driver);
    assert_eq!(ledger.status(), Unknown);
    let blind = [
        pass("/livez"),
        ("/readyz", 200, "warn"),
        pass("/startupz"),
        warned,
    ];
    assert_table(&needing, blind).await;
}

#[tokio::test(start_paused = true)]
async fn a_dependency_that_nobody_is_about_to_observe_holds_nothing_back() {
    let registry = registry();
    let ledger = dependency(&registry, "ledger", Critical);
    let layer = HealthLayer::new(&registry).ready_when(&ledger);
    assert_eq!(get(&layer, "/readyz").await.status, 200);
    assert_eq!(get(&layer, "/startupz").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_process_says_itself_when_it_has_started_pauses_and_ends() {
    let process = Lifecycle::new();
    let layer = HealthLayer::new(&registry()).process(&process);
    let expect = async |ready: u16, startup: u16| {
        let word = |status| if status == 200 { "pass" } else { "fail" };
        let table = [
            ("/livez", 200, "pass"),
            ("/readyz", ready, word(ready)),
            ("/startupz", startup, word(startup)),
            ("/health", 200, "pass"),
        ];
        assert_table(&layer, table).await;
    };
    expect(503, 503).await;
    process.started();
    expect(200, 200).await;
    process.pause();
    expect(503, 200).await;
    process.resume();
    expect(200, 200).await;
    process.stop();
    expect(503, 200).await;
    process.resume();
    expect(503, 200).await;
}

#[tokio::test(start_paused = true)]
async fn a_process_that_needs_two_dependencies_is_as_ready_as_the_worse() {
    let registry = registry();
    let (disk, sidecar) = (
        dependency(&registry, "disk", Optional),
        dependency(&registry, "sidecar", Optional),
    );
    let layer = HealthLayer::new(&registry)
        .ready_when(&disk)
        .ready_when(&sidecar);
    let _disk = say(&disk, Degraded);
    assert_is(&get(&layer, "/readyz").await, 200, "warn", "/readyz");
    let sidecar = say(&sidecar, Unhealthy);
    assert_is(&get(&layer, "/readyz").await, 503, "fail", "/readyz");
    drop(sidecar);
    assert_is(&get(&layer, "/readyz").await, 200, "warn", "/readyz");
}

#[tokio::test(start_paused = true)]
async fn readiness_does_not_latch_on_what_only_traffic_could_show() {
    let registry = registry();
    let ledger = dependency(&registry, "ledger", Critical);
    let layer = HealthLayer::new(&registry).ready_when(&ledger);
    for kind in [ReporterKind::Circuit, ReporterKind::Traffic] {
        let reporter = ledger.reporter(kind, "test");
        reporter.report(Report::new(Unhealthy));
        assert_eq!(get(&layer, "/health").await.status, 503);
        assert_eq!(get(&layer, "/readyz").await.status, 200, "{kind}");
    }
    for kind in [ReporterKind::Probe, ReporterKind::Code, ReporterKind::Flag] {
        let reporter = ledger.reporter(kind, "test");
        reporter.report(Report::new(Unhealthy));
        assert_eq!(get(&layer, "/readyz").await.status, 503, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_operators_word_counts_and_ends_by_itself() {
    let registry = registry();
    let ledger = dependency(&registry, "ledger", Critical);
    let layer = HealthLayer::new(&registry).ready_when(&ledger);
    let order = Order::new("kim", "being moved", Duration::from_mins(1));
    ledger.override_status(Status::Unhealthy, order).unwrap();
    for uri in ["/readyz", "/health"] {
        assert_eq!(get(&layer, uri).await.status, 503);
    }
    tokio::time::advance(Duration::from_mins(1)).await;
    for uri in ["/readyz", "/health"] {
        assert_eq!(get(&layer, uri).await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn all_services_of_a_layer_answer_alike_also_those_made_before() {
    let registry = registry();
    let ledger = dependency(&registry, "ledger", Critical);
    let layer = HealthLayer::new(&registry);
    let before = layer.clone();
    let _says = say(&ledger, Unhealthy);
    for layer in [before, layer] {
        assert_eq!(get(&layer, "/health").await.status, 503);
    }
}
