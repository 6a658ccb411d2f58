//! A store that says nonsense: what can be used is, and nothing grows, panics or spins.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use brownout_registry::fleet::{
    Change, Message, Picture, Replicas, Sick, StoreErrorKind, StoreTime, Trip, Version, limits,
};
use brownout_registry::{DegradationLevel, FeatureState, Order, OverrideValue, Status, Target};
use tokio::sync::mpsc;
use tokio::time::{Instant, advance, sleep};

use super::common::{Calls, SECOND, registry, settings, soon, target};
use super::says::{Says, entry, joined, says, stack, summary};

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_left_out_and_what_has_no_end_gets_one() {
    let disabled = OverrideValue::Flag(FeatureState::Disabled);
    let picture = Picture {
        version: Version {
            epoch: 3,
            revision: u64::MAX,
        },
        now: StoreTime(0),
        stacks: vec![
            stack(
                target("good"),
                (0..100).map(|id| entry(id, disabled)).collect(),
            ),
            stack(target("a:b"), vec![entry(1, disabled)]),
            stack(target(""), vec![entry(1, disabled)]),
            stack(target("of another kind"), vec![entry(1, disabled)]),
            stack(
                target("mixed"),
                vec![entry(1, OverrideValue::Status(Status::Healthy))],
            ),
            stack(Target::Level, vec![entry(1, disabled)]),
        ],
        trips: vec![
            Trip {
                flag: "good".into(),
                until: StoreTime(u64::MAX),
            },
            Trip {
                flag: "no name".into(),
                until: StoreTime(u64::MAX),
            },
        ],
        damage: None,
    };
    let (registry, guard, say) = joined(picture, false);
    soon().await;
    let held = registry.overrides();
    assert_eq!(held.len(), limits::ENTRIES);
    assert!(held.iter().all(|info| info.target == target("good")));
    let one = &held[0];
    assert!(one.actor.len() <= Order::MAX_TEXT && !one.actor.contains(['\n', '\u{202e}']));
    let longest = Instant::now() + Order::MAX_TTL;
    assert!(one.until.at <= longest);
    let trip = registry.flag_trip("good").unwrap().get().unwrap();
    assert!(trip.until <= longest);

    // Nothing comes after the last revision there is.
    for (epoch, revision) in [(3, 0), (3, u64::MAX), (2, 5), (u64::MAX, u64::MAX)] {
        let message = Message::Changed {
            version: Version { epoch, revision },
            now: StoreTime(u64::MAX),
            changes: vec![Change::Stack(stack(target("good"), Vec::new()))],
        };
        say.send(message).unwrap();
    }
    soon().await;
    assert_eq!(registry.overrides().len(), limits::ENTRIES);
    let view = guard.fleet().view();
    assert_eq!(view.replicas.len(), limits::SUMMARIES);
    drop(guard);
    assert!(registry.overrides().is_empty());
}

#[tokio::test(start_paused = true)]
async fn more_than_a_store_may_hold_is_not_held_here_either() {
    let value = OverrideValue::Flag(FeatureState::Disabled);
    let stacks = (0..limits::VALUES + 50)
        .map(|n| stack(target(&format!("flag-{n}")), vec![entry(1, value)]))
        .collect();
    let picture = Picture {
        version: Version {
            epoch: 3,
            revision: 9,
        },
        stacks,
        ..Picture::default()
    };
    let (registry, _guard, _say) = joined(picture, false);
    soon().await;
    assert_eq!(registry.overrides().len(), limits::VALUES);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_writes_nothing_of_what_it_is_asked_has_refused_it() {
    let picture = Picture {
        version: Version {
            epoch: 3,
            revision: 0,
        },
        ..Picture::default()
    };
    let (registry, guard, _say) = joined(picture, false);
    soon().await;
    let order = Order::new("ops", "drill", SECOND * 60);
    let value = OverrideValue::Flag(FeatureState::Disabled);
    let set = guard.fleet().set(target("search"), value, order).await;
    assert!(set.is_err(), "{set:?}");
    assert!(registry.overrides().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_messages_lets_others_run() {
    let (registry, guard, _say) = joined(Picture::default(), true);
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(registry.level(), DegradationLevel::Full);
    drop(guard);
    sleep(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_messages_does_not_hide_that_our_own_is_missing() {
    let (_registry, guard, _say) = joined(Picture::default(), true);
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(guard.fleet().view().trouble, None, "it may come yet");
    advance(SECOND * 3).await;
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    let trouble = guard.fleet().view().trouble;
    assert_eq!(trouble, Some(StoreErrorKind::Unreachable));
}

#[tokio::test(start_paused = true)]
async fn however_often_something_is_said_to_be_missing_pictures_stay_as_far_apart() {
    let (say, messages) = mpsc::unbounded_channel();
    let store = says(say.clone(), messages);
    let pictures = Arc::clone(&store.pictures);
    let registry = registry(1);
    let _guard = registry.join_fleet(store, settings("one")).unwrap();
    for _ in 0..60_000 {
        say.send(Message::Missed(None)).unwrap();
        sleep(Duration::from_millis(1)).await;
    }
    // A second apart on average, as when it is said once in a while.
    let pictures = pictures.load(Ordering::Relaxed);
    assert!((30..120).contains(&pictures), "{pictures} in a minute");
}

#[tokio::test(start_paused = true)]
async fn what_a_store_loses_over_and_over_is_not_kept_without_end() {
    let value = OverrideValue::Flag(FeatureState::Disabled);
    let stacks = (0..limits::VALUES)
        .map(|n| stack(target(&format!("flag-{n}")), vec![entry(1, value)]))
        .collect();
    let (say, messages) = mpsc::unbounded_channel();
    let store = Says {
        picture: Picture {
            stacks,
            ..Picture::default()
        },
        forgets: true,
        ..says(say, messages)
    };
    let registry = registry(1);
    let _guard = registry.join_fleet(store, settings("one")).unwrap();
    sleep(SECOND * 150).await;
    assert_eq!(registry.overrides().len(), limits::VALUES);
}

#[tokio::test(start_paused = true)]
async fn names_of_flags_that_a_store_makes_up_leave_room_for_those_of_the_service() {
    let (registry, _guard, say) = joined(Picture::default(), false);
    soon().await;
    let search = registry.flag_trip("search").unwrap();
    // More names than a registry has room for, each for a moment.
    for revision in 1..=270 {
        let trip = |n| {
            Change::Trip(Trip {
                flag: format!("{revision}-{n}").into(),
                until: StoreTime(1),
            })
        };
        let message = Message::Changed {
            version: Version { epoch: 0, revision },
            now: StoreTime(0),
            changes: (0..4_000).map(trip).collect(),
        };
        say.send(message).unwrap();
        sleep(SECOND / 20).await;
    }
    let late = registry.flag_override("late").unwrap();
    let order = Order::new("ops", "drill", SECOND * 60);
    registry
        .override_flag("late", FeatureState::Disabled, order)
        .unwrap();
    assert_eq!(late.get().unwrap().value, FeatureState::Disabled);
    // What the service has asked for is still its own.
    let trip = Change::Trip(Trip {
        flag: "search".into(),
        until: StoreTime(60_000),
    });
    let version = Version {
        epoch: 0,
        revision: 271,
    };
    let now = StoreTime(0);
    let changes = vec![trip];
    say.send(Message::Changed {
        version,
        now,
        changes,
    })
    .unwrap();
    soon().await;
    assert_eq!(search.get().unwrap().value, FeatureState::Degraded);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_is_heard_twice_is_one_and_says_no_more_than_it_may() {
    let sick = |dependency: &str| Sick {
        dependency: dependency.into(),
        status: Status::Unhealthy,
    };
    let mut says_much = summary(0);
    says_much.sick = vec![sick("search"), sick("no\nname")];
    says_much
        .sick
        .extend((0..1_000).map(|n| sick(&format!("dependency-{n}"))));
    says_much.flags = (0..1_000)
        .map(|n| (format!("flag-{n}").into(), FeatureState::Disabled))
        .collect();
    let (say, messages) = mpsc::unbounded_channel();
    let store = Says {
        replicas: Replicas {
            now: StoreTime(7),
            live: 2,
            summaries: vec![(says_much, StoreTime(u64::MAX)); 3],
            damage: None,
        },
        ..says(say, messages)
    };
    let registry = registry(1);
    let search = registry.dependency("search").register().unwrap();
    let guard = registry
        .join_fleet(store, settings("one").opinions(true))
        .unwrap();
    sleep(SECOND * 30).await;
    let heard = guard.fleet().view().replicas;
    assert_eq!(heard.len(), 1);
    let heard = &heard[0].summary;
    assert!(heard.sick.len() <= limits::NAMED && heard.flags.len() <= limits::NAMED);
    let forged = |sick: &Sick| sick.dependency.contains('\n');
    assert!(!heard.sick.iter().any(forged));
    assert_eq!(search.status(), Status::Healthy, "one is no quorum of two");
}

#[tokio::test(start_paused = true)]
async fn a_trip_is_renewed_though_there_is_no_room_for_another() {
    let trip = |n: usize, seconds: u64| Trip {
        flag: format!("flag-{n}").into(),
        until: StoreTime(seconds * 1_000),
    };
    let picture = Picture {
        trips: (0..limits::VALUES).map(|n| trip(n, 60)).collect(),
        ..Picture::default()
    };
    let (registry, _guard, say) = joined(picture, false);
    soon().await;
    let version = Version {
        epoch: 0,
        revision: 1,
    };
    say.send(Message::Changed {
        version,
        now: StoreTime(0),
        changes: vec![Change::Trip(trip(7, 600))],
    })
    .unwrap();
    soon().await;
    let until = registry.flag_trip("flag-7").unwrap().get().unwrap().until;
    assert!(until > Instant::now() + SECOND * 500);
}

#[tokio::test(start_paused = true)]
async fn one_that_a_store_does_not_take_back_keeps_it_from_no_other() {
    let value = OverrideValue::Flag(FeatureState::Disabled);
    let stacks = (0..200).map(|n| {
        let mut stack = stack(target(&format!("flag-{n:03}")), vec![entry(1, value)]);
        stack.stamp.version = Version::default();
        stack
    });
    let (say, messages) = mpsc::unbounded_channel();
    let store = Says {
        picture: Picture {
            stacks: stacks.collect(),
            ..Picture::default()
        },
        refuses: Some(target("flag-000")),
        ..says(say.clone(), messages)
    };
    let written = Arc::clone(&store.written);
    let registry = registry(1);
    let _guard = registry.join_fleet(store, settings("one")).unwrap();
    soon().await;
    say.send(Message::Missed(None)).unwrap();
    sleep(SECOND * 4).await;
    assert_eq!(written.load(Ordering::Relaxed), 199);
}

#[tokio::test(start_paused = true)]
async fn a_flag_whose_counts_are_damaged_keeps_no_later_one_from_being_counted() {
    let (say, messages) = mpsc::unbounded_channel();
    let store = Says {
        damaged: Some("flag-0000"),
        ..says(say, messages)
    };
    let counted = Arc::clone(&store.counted);
    let registry = registry(1);
    let guard = registry.join_fleet(store, settings("one")).unwrap();
    let flags: Vec<_> = (0..limits::COUNTS * 3)
        .map(|n| Calls::of(&registry, &format!("flag-{n:04}")))
        .collect();
    sleep(SECOND * 3).await;
    for calls in &flags {
        calls.fail(1);
    }
    sleep(SECOND * 2).await;
    let counted = counted.lock().unwrap().len();
    assert_eq!(counted, limits::COUNTS * 2, "all parts but the first");
    let trouble = guard.fleet().view().trouble;
    assert_eq!(trouble, Some(StoreErrorKind::Damaged), "and it is told");
}
