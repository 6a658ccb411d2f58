//! What those are told whom the authoriser knows, and nobody else.

use std::{convert::Infallible, time::Duration};

use brownout::{
    Criticality::{Critical, Important, Optional},
    Registry,
    registry::{Probe, Report, ReporterKind, Status},
    report::{HealthLayer, Lifecycle},
};
use http::Method;
use serde_json::json;
use tower::ServiceExt;

use crate::common::{Seen, ask, dependency, get, in_front, registry, request, say, seen};

fn known(registry: &Registry) -> HealthLayer {
    HealthLayer::new(registry).authorise(|_| true)
}

#[tokio::test(start_paused = true)]
async fn the_document_names_all_dependencies_and_how_they_are() {
    let registry = registry();
    let payments = dependency(&registry, "payments", Critical);
    let _recs = dependency(&registry, "recs", Optional);
    let reporter = payments.reporter(ReporterKind::Code, "ledger");
    let report = Report::unhealthy("cannot be \"reached\" \\ at all").detail("10.0.0.7: refused");
    reporter.report(report);
    let layer = known(&registry).service_id("sh\"op").release_id("1.4.2");
    let answer = get(&layer, "/health").await;
    assert_eq!(answer.status, 503);
    assert_eq!(
        answer.header("content-type"),
        Some("application/health+json")
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(!answer.text.contains("10.0.0.7"), "{}", answer.text);

    let mut document = answer.json();
    for name in ["payments", "recs"] {
        for key in ["since", "time"] {
            let time = document["checks"][name][0][key].take();
            let time = time.as_str().unwrap();
            assert!(
                time.len() == 20 && time.starts_with("20") && time.ends_with('Z'),
                "{time}"
            );
        }
    }
    assert_eq!(
        document,
        json!({
            "status": "fail",
            "serviceId": "sh\"op",
            "releaseId": "1.4.2",
            "level": "emergency",
            "checks": {
                "payments": [{
                    "componentId": "payments", "componentType": "component", "status": "fail", "state": "unhealthy",
                    "since": null, "critical": true, "time": null, "output": "cannot be \"reached\" \\ at all",
                }],
                "recs": [{
                    "componentId": "recs", "componentType": "component", "status": "pass", "state": "healthy",
                    "since": null, "critical": false, "time": null,
                }],
            },
        })
    );
    let head = ask(&layer, Method::HEAD, "/health").await;
    let length = answer.text.len().to_string();
    assert_eq!(
        (head.text.as_str(), head.header("content-length")),
        ("", Some(&*length))
    );
}

#[tokio::test(start_paused = true)]
async fn a_probes_response_time_is_a_check_of_its_own() {
    let registry = registry();
    let search = dependency(&registry, "search", Important);
    let check = || async {
        tokio::time::sleep(Duration::from_millis(250)).await;
        Ok::<_, Infallible>(())
    };
    search.probe(Probe::new(check)).unwrap();
    let document = get(&known(&registry), "/health").await.json();
    assert_eq!(document["checks"].as_object().unwrap().len(), 1);
    assert_eq!(document["checks"]["search"][0]["state"], "unknown");
    assert_eq!(document["checks"]["search"][0]["status"], "warn");

    let _driver = registry.drive();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let document = get(&known(&registry), "/health").await.json();
    let times = document["checks"]["search:responseTime"]
        .as_array()
        .unwrap();
    assert_eq!(times.len(), 1);
    assert_eq!(times[0]["observedUnit"], "ms");
    let value = times[0]["observedValue"].as_f64().unwrap();
    assert!((250.0..260.0).contains(&value), "{value}");
}

#[tokio::test(start_paused = true)]
async fn an_empty_registry_has_an_empty_document() {
    let document = get(&known(&registry()), "/health").await;
    assert_eq!(
        document.text,
        r#"{"status":"pass","level":"full","checks":{}}"#
    );
}

#[tokio::test(start_paused = true)]
async fn verbose_has_a_line_for_each_check() {
    let registry = registry();
    let (disk, sidecar) = (
        dependency(&registry, "disk", Optional),
        dependency(&registry, "sidecar", Critical),
    );
    let _other = dependency(&registry, "else", Critical);
    let (_disk, _sidecar) = (
        say(&disk, Status::Degraded),
        say(&sidecar, Status::Unhealthy),
    );
    let process = Lifecycle::new();
    let layer = known(&registry)
        .process(&process)
        .ready_when(&disk)
        .ready_when(&sidecar);
    let expect = async |uri: &str, status: u16, text: &str| {
        let Seen { text: is, .. } = get(&layer, uri).await;
        assert_eq!(is, text, "{uri}");
        let answer = get(&layer, uri).await;
        assert_eq!(answer.status, status);
        assert_eq!(
            answer.header("content-type"),
            Some("text/plain; charset=utf-8")
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    };
    expect("/livez?verbose", 200, "[+]process ok\nlivez check passed\n").await;
    expect(
        "/startupz?verbose=1",
        503,
        "[-]process failed: reason withheld\n[+]disk ok\n[+]sidecar ok\nstartupz check failed\n",
    )
    .await;
    process.started();
    expect(
        "/readyz?a&verbose",
        503,
        "[+]process ok\n[+]disk degraded\n[-]sidecar failed: reason withheld\nreadyz check failed\n",
    )
    .await;
    expect(
        "/health?verbose",
        503,
        "[+]disk degraded\n[+]else ok\n[-]sidecar failed: reason withheld\nhealth check failed\n",
    )
    .await;
}

/// A monitor that reads the lines sees no more green than one that reads the document.
#[tokio::test(start_paused = true)]
async fn verbose_says_ok_of_nothing_that_the_document_warns_of() {
    let registry = registry();
    let disk = dependency(&registry, "disk", Important);
    let layer = known(&registry).ready_when(&disk);
    for (status, word, line) in [
        (Status::Healthy, "pass", "[+]disk ok"),
        (Status::Degraded, "warn", "[+]disk degraded"),
        // Readiness goes by what was observed before.
        (Status::Unknown, "warn", "[+]disk unknown"),
        (Status::Unhealthy, "fail", "[-]disk failed: reason withheld"),
    ] {
        let _says = say(&disk, status);
        let document = get(&layer, "/health").await.json();
        assert_eq!(document["checks"]["disk"][0]["status"], word);
        for path in ["/health?verbose", "/readyz?verbose"] {
            let lines = get(&layer, path).await.text;
            assert!(lines.lines().any(|one| one == line), "{path}: {lines}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_told_more_is_decided_for_each_request_by_its_head() {
    let registry = registry();
    let _dependency = dependency(&registry, "secret-name", Critical);
    let layer = HealthLayer::new(&registry).authorise(|head| {
        head.headers.contains_key("x-operator") || head.extensions.get::<u8>().is_some()
    });
    for uri in [
        "/health",
        "/health?verbose",
        "/readyz?verbose",
        "/livez?verbose",
    ] {
        assert_eq!(get(&layer, uri).await.text, r#"{"status":"pass"}"#);
        let mut by_header = request(Method::GET, uri);
        by_header
            .headers_mut()
            .insert("x-operator", "kim".parse().unwrap());
        let mut by_extension = request(Method::GET, uri);
        by_extension.extensions_mut().insert(1_u8);
        for request in [by_header, by_extension] {
            let answer = seen(in_front(&layer).0.oneshot(request).await.unwrap()).await;
            assert_ne!(answer.text, r#"{"status":"pass"}"#, "{uri}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_authoriser_that_panics_has_authorised_nobody() {
    let layer = HealthLayer::new(&registry()).authorise(|_| panic!("no database of operators"));
    let answer = get(&layer, "/health").await;
    assert_eq!(
        (answer.status, &*answer.text),
        (200, r#"{"status":"pass"}"#)
    );
}

/// One who calls back into the registry from within.
#[tokio::test(start_paused = true)]
async fn an_authoriser_may_use_the_registry() {
    let registry = registry();
    let layer = {
        let inside = registry.clone();
        HealthLayer::new(&registry)
            .authorise(move |_| inside.dependency("asked").register().is_ok())
    };
    assert!(get(&layer, "/health").await.text.contains(r#""asked":["#));
}
