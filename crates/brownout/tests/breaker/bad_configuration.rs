//! What cannot be right is refused where it is written, by an error that names the field and what is allowed.

use std::time::Duration;

use brownout::{
    Registry,
    breaker::{Abandoned, KeyedCircuits, Policy, PolicyBuilder},
    core::{ConfigError, Ratio},
    registry::{CircuitMode, Order, OverrideError},
};

use crate::common::{SECOND, circuit, dependency, exact, half_open, ms, refused, succeed, trip};

const YEAR: Duration = Duration::from_hours(365 * 24);

fn refusal_of(policy: PolicyBuilder) -> ConfigError {
    match policy.build() {
        Err(error) => error,
        Ok(policy) => panic!("accepted: {policy:?}"),
    }
}

fn assert_refused(policy: PolicyBuilder, field: &str, allowed: &str) {
    let error = refusal_of(policy);
    assert_eq!(error.field(), field);
    let text = error.to_string();
    assert!(text.contains(&format!("`{field}`")), "{text}");
    assert!(text.contains(allowed), "{text:?} does not say {allowed:?}");
}

#[test]
fn a_threshold_is_above_zero_and_at_most_one() {
    for share in [0.0, -0.0, 1e-12] {
        assert_refused(exact().failure_ratio(share), "failure_ratio", "above 0.0");
        assert_refused(exact().slow_calls(SECOND, share), "slow_calls", "above 0.0");
    }
    for share in [
        -0.1,
        1.000_001,
        50.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ] {
        assert_refused(
            exact().failure_ratio(share),
            "failure_ratio",
            "between 0.0 and 1.0",
        );
        assert_refused(
            exact().slow_calls(SECOND, share),
            "slow_calls",
            "between 0.0 and 1.0",
        );
        assert_refused(
            Policy::builder().jitter(share),
            "jitter",
            "between 0.0 and 1.0",
        );
    }
    for share in [1e-9, 0.5, 1.0] {
        exact().failure_ratio(share).build().unwrap();
    }
    for share in [0.0, 0.5, 1.0] {
        exact().jitter(share).build().unwrap();
    }
}

#[test]
fn a_duration_is_between_a_millisecond_and_a_year() {
    type Setter = fn(PolicyBuilder, Duration) -> PolicyBuilder;
    let setters: [(&str, Setter); 6] = [
        ("window", PolicyBuilder::window),
        ("open_for", PolicyBuilder::open_for),
        ("open_for_at_most", PolicyBuilder::open_for_at_most),
        ("lease", PolicyBuilder::lease),
        ("ramp", PolicyBuilder::ramp),
        ("slow_calls", |policy, limit| policy.slow_calls(limit, 0.5)),
    ];
    for (field, set) in setters {
        for absurd in [
            Duration::ZERO,
            ms(1) - Duration::from_nanos(1),
            YEAR + SECOND,
            Duration::MAX,
        ] {
            assert_refused(set(exact(), absurd), field, "between 1 ms and 365 days");
        }
        for sane in [ms(1), SECOND, YEAR] {
            set(exact().open_for(ms(1)).open_for_at_most(YEAR), sane)
                .build()
                .unwrap();
        }
    }
}

#[test]
fn the_time_after_which_giving_up_is_a_failure_is_a_duration_like_any_other() {
    for absurd in [Duration::ZERO, Duration::MAX] {
        let policy = exact().abandoned(Abandoned::FailureIfSlowerThan(absurd));
        assert_refused(policy, "abandoned", "between 1 ms and 365 days");
    }
}

#[test]
fn a_count_is_between_one_and_its_limit() {
    type Setter = fn(PolicyBuilder, u32) -> PolicyBuilder;
    let setters: [(&str, Setter, u32); 5] = [
        ("minimum_calls", PolicyBuilder::minimum_calls, 1_000_000),
        (
            "consecutive_failures",
            PolicyBuilder::consecutive_failures,
            1_000_000,
        ),
        ("window_of_calls", PolicyBuilder::window_of_calls, 1_000_000),
        ("probes", PolicyBuilder::probes, 1_000),
        (
            "close_after",
            |policy, trials| policy.close_after(1, trials),
            1_000,
        ),
    ];
    for (field, set, limit) in setters {
        for absurd in [0, limit + 1, u32::MAX] {
            let allowed = format!("between 1 and {limit}");
            assert_refused(set(exact(), absurd), field, &allowed);
        }
        set(exact(), limit).build().unwrap();
    }
    assert_refused(exact().close_after(0, 3), "close_after", "between 1 and 3");
    assert_refused(exact().close_after(4, 3), "close_after", "between 1 and 3");
}

#[test]
fn what_could_never_open_is_refused() {
    let never = exact().no_failure_ratio().no_consecutive_failures();
    assert_refused(
        never.clone(),
        "consecutive_failures",
        "nothing would ever open",
    );
    never.slow_calls(SECOND, 0.5).build().unwrap();
}

#[test]
fn a_minimum_that_its_window_never_holds_is_refused() {
    let policy = exact().window_of_calls(10).minimum_calls(11);
    assert_refused(
        policy,
        "minimum_calls",
        "a window of 10 calls never holds that many",
    );
    exact()
        .window_of_calls(10)
        .minimum_calls(10)
        .build()
        .unwrap();
}

#[test]
fn an_open_time_above_its_own_limit_is_refused() {
    let policy = exact().open_for(SECOND * 61);
    assert_refused(policy, "open_for", "`open_for_at_most`, which is 60s");
    exact().open_for(SECOND * 60).build().unwrap();
}

#[test]
fn the_first_mistake_is_the_one_that_is_reported() {
    let policy = exact()
        .probes(0)
        .lease(Duration::ZERO)
        .failure_ratio(f64::NAN);
    assert_refused(policy, "probes", "between 1 and 1000");
    // A later correction does not hide it: whoever wrote it should see it.
    assert_refused(exact().probes(0).probes(3), "probes", "between 1 and 1000");
}

#[tokio::test(start_paused = true)]
async fn the_extremes_of_what_is_allowed_work() {
    let policy = exact()
        .failure_ratio(1e-9)
        .window(YEAR)
        .minimum_calls(1_000_000)
        .consecutive_failures(1_000_000)
        .slow_calls(YEAR, 1.0)
        .open_for(YEAR)
        .open_for_at_most(YEAR)
        .lease(YEAR)
        .ramp(YEAR)
        .jitter(1.0);
    let longest = circuit(policy);
    succeed(&longest, 10);
    trip(&longest);
    let rejected = refused(&longest);
    assert!(rejected.retry_after().unwrap() <= YEAR * 2);
    assert!(rejected.retry_after_seconds().is_some());

    let shortest = circuit(
        exact()
            .window(ms(1))
            .slow_calls(ms(1), 1e-9)
            .open_for(ms(1))
            .open_for_at_most(ms(1))
            .lease(ms(1))
            .ramp(ms(1)),
    );
    succeed(&shortest, 10);
    half_open(&shortest).await.success();
}

#[test]
fn a_family_of_circuits_has_a_sane_capacity() {
    for absurd in [0, 1_000_001, u32::MAX] {
        let error =
            KeyedCircuits::<u32>::with(&dependency(), Policy::default(), absurd).unwrap_err();
        assert_eq!(error.field(), "capacity");
        assert!(
            error.to_string().contains("between 1 and 1000000"),
            "{error}"
        );
    }
    KeyedCircuits::<u32>::with(&dependency(), Policy::default(), 1).unwrap();
}

#[test]
fn a_ratio_is_a_number_between_zero_and_one() {
    for absurd in [f64::NAN, -1.0, 1.1, f64::INFINITY] {
        assert_eq!(Ratio::new(absurd), None);
    }
    assert_eq!(Ratio::new(0.0), Some(Ratio::ZERO));
    assert_eq!(Ratio::new(0.5), Some(Ratio::HALF));
    assert_eq!(Ratio::new(1.0), Some(Ratio::ONE));
    let seven_percent = Ratio::new(0.07).unwrap();
    assert!(seven_percent.reached_by(7, 100) && !seven_percent.reached_by(69_999, 1_000_000));
    assert!(
        !Ratio::ZERO.reached_by(0, 0),
        "nothing of nothing is no share"
    );
    assert!(Ratio::ONE.reached_by(u32::MAX, u32::MAX));
}

#[test]
fn a_name_that_would_not_do_is_refused() {
    for name in [
        "",
        "with space",
        "with:colon",
        "ünïcode",
        "new\nline",
        &"x".repeat(129),
    ] {
        let error = Registry::new().dependency(name).register().unwrap_err();
        assert!(
            error.to_string().contains("1 to 128 visible ASCII"),
            "{error}"
        );
    }
    let registry = Registry::new();
    let error = registry
        .dependency("search")
        .public_name("a b")
        .register()
        .unwrap_err();
    assert!(error.to_string().contains("public_name"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_order_without_actor_reason_or_sane_end_is_refused_and_changes_nothing() {
    let circuit = circuit(exact());
    let week = Order::MAX_TTL;
    for (expected, order) in [
        ("actor", Order::new(" ", "maintenance", SECOND)),
        ("reason", Order::new("kim", "\t", SECOND)),
        ("ttl", Order::new("kim", "maintenance", Duration::ZERO)),
        (
            "ttl",
            Order::new("kim", "maintenance", week + Duration::from_nanos(1)),
        ),
        ("ttl", Order::new("kim", "maintenance", Duration::MAX)),
    ] {
        let outcome = circuit
            .dependency()
            .override_circuit(CircuitMode::ForcedOpen, order);
        match outcome {
            Err(OverrideError::InvalidOrder { field, .. }) => assert_eq!(field, expected),
            other => panic!("{expected}: {other:?}"),
        }
        succeed(&circuit, 1);
    }
    let order = Order::new("kim", "maintenance", week);
    circuit
        .dependency()
        .override_circuit(CircuitMode::ForcedOpen, order)
        .unwrap();
    refused(&circuit);
}
