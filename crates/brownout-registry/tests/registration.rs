//! Registering dependencies and finding them again.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use brownout_registry::{
    Criticality, DegradationLevel, RegisterError, Registry, Report, ReporterKind, Status,
    SystemHealth,
};

#[test]
fn a_dependency_belongs_to_its_own_registry_and_no_other() {
    let (one, other) = (Registry::new(), Registry::new());
    let search = one.dependency("search").register().unwrap();
    let _namesake = other.dependency("search").register().unwrap();
    assert!(search.belongs_to(&one.clone()));
    assert!(!search.belongs_to(&other));
}

#[test]
fn the_same_name_finds_the_same_dependency() {
    let registry = Registry::new();
    let one = registry.dependency("search").register().unwrap();
    let two = registry.dependency("search").register().unwrap();
    let reporter = one.reporter(ReporterKind::Code, "one");
    reporter.report(Report::unhealthy("gone"));
    assert_eq!(two.status(), Status::Unhealthy);
    assert_eq!(registry.get("search").unwrap().status(), Status::Unhealthy);
    assert_eq!(registry.dependencies().len(), 1);
    assert!(registry.get("payments").is_none());
}

#[test]
fn dependencies_come_sorted_by_name() {
    let registry = Registry::new();
    for name in ["b", "c", "a"] {
        registry.dependency(name).register().unwrap();
    }
    let names: Vec<_> = registry
        .dependencies()
        .iter()
        .map(|each| each.name().to_owned())
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn a_criticality_said_later_fills_in_one_left_open() {
    let registry = Registry::new();
    let search = registry.dependency("search").register().unwrap();
    assert_eq!(search.criticality(), Criticality::Important);
    let reporter = search.reporter(ReporterKind::Code, "one");
    reporter.report(Report::unhealthy("gone"));
    assert_eq!(registry.level(), DegradationLevel::Reduced);
    registry
        .dependency("search")
        .criticality(Criticality::Critical)
        .register()
        .unwrap();
    assert_eq!(search.criticality(), Criticality::Critical);
    assert_eq!(
        registry.level(),
        DegradationLevel::Emergency,
        "the level follows"
    );
    registry.dependency("search").register().unwrap();
    assert_eq!(
        search.criticality(),
        Criticality::Critical,
        "leaving it open contradicts nothing"
    );
    drop(reporter);
    assert_eq!(registry.health(), SystemHealth::Healthy);
}

#[test]
fn two_different_criticalities_are_a_conflict_that_changes_nothing() {
    let registry = Registry::new();
    registry
        .dependency("search")
        .criticality(Criticality::Optional)
        .register()
        .unwrap();
    let error = registry
        .dependency("search")
        .criticality(Criticality::Critical)
        .description("never taken")
        .register()
        .unwrap_err();
    let expected = RegisterError::CriticalityConflict {
        dependency: "search".to_owned(),
        registered: Criticality::Optional,
        requested: Criticality::Critical,
    };
    assert_eq!(error, expected);
    let snapshot = registry.snapshot();
    let view = snapshot.dependency("search").unwrap();
    assert_eq!(
        (view.criticality, view.description.as_deref()),
        (Criticality::Optional, None)
    );
}

#[test]
fn what_was_left_empty_is_filled_in_and_what_was_said_stays() {
    let registry = Registry::new();
    let search = registry
        .dependency("search")
        .description("first")
        .register()
        .unwrap();
    assert_eq!(search.public_name(), None);
    registry
        .dependency("search")
        .description("second")
        .public_name("Search")
        .affects(["/", "/search"])
        .covered_by("popular")
        .register()
        .unwrap();
    registry
        .dependency("search")
        .public_name("Other")
        .affects(["/other"])
        .register()
        .unwrap();
    assert_eq!(search.public_name(), Some("Search"));
    let snapshot = registry.snapshot();
    let view = snapshot.dependency("search").unwrap();
    assert_eq!(view.description.as_deref(), Some("first"));
    assert_eq!(view.covered_by.as_deref(), Some("popular"));
    assert_eq!(
        view.affects
            .iter()
            .map(AsRef::as_ref)
            .collect::<Vec<&str>>(),
        ["/", "/search"]
    );
}

#[test]
fn registering_again_without_news_changes_no_revision() {
    let registry = Registry::new();
    registry
        .dependency("search")
        .criticality(Criticality::Critical)
        .description("x")
        .register()
        .unwrap();
    let revision = registry.snapshot().revision;
    registry
        .dependency("search")
        .criticality(Criticality::Critical)
        .description("x")
        .register()
        .unwrap();
    assert_eq!(registry.snapshot().revision, revision);
}

#[test]
fn texts_that_do_not_fit_are_refused_with_their_field() {
    let registry = Registry::new();
    let (long, longer) = ("x".repeat(129), "x".repeat(257));
    let cases = [
        ("name", registry.dependency("").register()),
        ("name", registry.dependency("a:b").register()),
        ("name", registry.dependency("two words").register()),
        ("name", registry.dependency("bücher").register()),
        ("name", registry.dependency(long.as_str()).register()),
        (
            "public_name",
            registry.dependency("a").public_name("two words").register(),
        ),
        (
            "description",
            registry.dependency("a").description(longer).register(),
        ),
        (
            "description",
            registry.dependency("a").description("a\nb").register(),
        ),
        ("affects", registry.dependency("a").affects([""]).register()),
        (
            "affects",
            registry
                .dependency("a")
                .affects(std::iter::repeat("/"))
                .register(),
        ),
        (
            "covered_by",
            registry
                .dependency("a")
                .covered_by(long.as_str())
                .register(),
        ),
    ];
    for (expected, result) in cases {
        match result {
            Err(RegisterError::Invalid { field, .. }) => assert_eq!(field, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
    assert!(registry.dependencies().is_empty());
    assert!(registry.dependency("x".repeat(128)).register().is_ok());
}
