//! Interleavings of the window's counts, explored by loom: `cargo xtask test --only loom`.

use std::{sync::Arc, time::Duration};

use loom::thread;

use super::window::Window;

/// Ten sub-buckets of ten nanoseconds, so that a moment's tens are its sub-bucket's number.
const LENGTH: Duration = Duration::from_nanos(100);

/// Loom explores all schedules with up to this many preemptions: enough for every known bug of this kind (Musuvathi
/// and Qadeer, "Iterative context bounding", PLDI 2007), and minutes instead of days.
fn explore(test: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(test);
}

#[test]
fn of_calls_that_race_for_a_new_sub_bucket_none_is_lost() {
    explore(|| {
        let window = Arc::new(Window::new(LENGTH));
        window.failure(0);
        let other = Arc::clone(&window);
        // The place of the first sub-bucket is that of the eleventh, and nobody clears it.
        let failing = thread::spawn(move || other.failure(100));
        window.success(105, Duration::ZERO);
        failing.join().unwrap();
        let held = window.held(105);
        assert_eq!((held.calls, held.failures), (2, 1));
    });
}

#[test]
fn who_looks_while_a_sub_bucket_begins_sees_nothing_of_the_one_that_had_its_place() {
    explore(|| {
        let window = Arc::new(Window::new(LENGTH));
        for _ in 0..3 {
            window.failure(0);
        }
        let other = Arc::clone(&window);
        let failing = thread::spawn(move || other.failure(100));
        let seen = window.held(100);
        assert!(seen.calls <= 1 && seen.failures <= 1, "{seen:?}");
        failing.join().unwrap();
        assert_eq!(window.held(100).failures, 1);
    });
}

#[test]
fn of_two_who_count_and_look_the_later_has_seen_both() {
    explore(|| {
        let window = Arc::new(Window::new(LENGTH));
        let other = Arc::clone(&window);
        let failing = thread::spawn(move || {
            other.failure(0);
            other.look(0)
        });
        window.failure(0);
        let looks = [window.look(0), failing.join().unwrap()];
        let (number, held) = looks.into_iter().max_by_key(|(number, _)| *number).unwrap();
        assert_eq!((number, held.calls, held.failures), (2, 2, 2));
    });
}
