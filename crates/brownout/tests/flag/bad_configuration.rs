//! What is configured wrongly is refused where it is written, by an error that names the field.

use std::time::Duration;

use brownout::{
    flag::{FlagBuilder, Flags},
    registry::DegradationLevel::{Emergency, Full, Minimal},
};

use crate::common::{MINUTE, SECOND, exact, registry};

fn field(builder: FlagBuilder) -> &'static str {
    builder.build().unwrap_err().field()
}

#[test]
fn each_setting_has_its_range_and_its_name() {
    for errors in [0, 1_000_001] {
        assert_eq!(field(exact().errors(errors)), "errors");
    }
    for share in [-0.1, 1.1, f64::NAN] {
        assert_eq!(field(exact().min_ratio(share)), "min_ratio");
        assert_eq!(field(exact().jitter(share)), "jitter");
    }
    for time in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        assert_eq!(field(exact().window(time)), "window");
        assert_eq!(field(exact().ttl(time)), "ttl");
        assert_eq!(field(exact().ttl_at_most(time)), "ttl_at_most");
        assert_eq!(field(exact().ramp(time)), "ramp");
    }
    assert_eq!(field(exact().degrade_at(Full)), "degrade_at");
    assert_eq!(field(exact().disable_at(Full)), "disable_at");
    for name in ["", "two\nlines", "naïve"] {
        assert_eq!(field(exact().public_name(name)), "public_name");
    }
}

#[test]
fn the_extremes_of_what_is_allowed_work() {
    let year = Duration::from_hours(8760);
    let builders = [
        exact()
            .errors(1)
            .min_ratio(0.0)
            .window(Duration::from_millis(1)),
        exact().errors(1_000_000).min_ratio(1.0).window(year),
        exact().ttl(year).ttl_at_most(year).jitter(1.0).ramp(year),
        exact()
            .public_name("a b")
            .degrade_at(Minimal)
            .disable_at(Emergency),
    ];
    for builder in builders {
        let flag = builder.build().unwrap();
        for _ in 0..10 {
            if let Ok(ticket) = flag.admit() {
                ticket.failure();
            }
        }
    }
}

#[test]
fn what_contradicts_itself_is_refused() {
    assert_eq!(field(exact().ttl(MINUTE).ttl_at_most(SECOND)), "ttl");
    let gates = exact().degrade_at(Emergency).disable_at(Minimal);
    assert_eq!(field(gates), "degrade_at");
    let gates = exact().degrade_at(Minimal).disable_at(Minimal);
    assert_eq!(field(gates), "degrade_at");
}

#[test]
fn the_first_mistake_is_the_one_that_is_reported() {
    assert_eq!(field(exact().errors(0).min_ratio(2.0)), "errors");
}

#[test]
fn a_name_is_valid_and_nobody_elses() {
    let flags = Flags::new(&registry());
    let long = "x".repeat(129);
    for name in ["", "two words", "a:b", &long] {
        assert_eq!(flags.flag(name).unwrap_err().field(), "name");
        assert_eq!(field(flags.builder(name)), "name");
    }
    flags.flag("ml_recs").unwrap();
    let error = flags.builder("ml_recs").build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "`name` cannot be \"ml_recs\": a flag of that name exists already; `Flags::get` finds it"
    );
}

#[test]
fn a_dependency_of_another_registry_is_refused() {
    let stranger = registry().dependency("recs").register().unwrap();
    assert_eq!(field(exact().dependency(&stranger)), "dependency");
}

#[test]
fn a_name_that_is_none_forges_no_line_of_a_log() {
    let forged = "ml_recs\nERROR all is lost";
    let error = Flags::new(&registry()).flag(forged).unwrap_err();
    assert_eq!(error.to_string().lines().count(), 1);
}

#[test]
fn an_error_says_what_was_given_and_what_is_allowed() {
    let error = exact().errors(0).build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "`errors` cannot be 0: it must lie between 1 and 1000000"
    );
}
