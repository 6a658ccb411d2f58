//! A server that is started from a backup: the same epoch, at an earlier revision.

use std::time::Duration;

use brownout_registry::fleet::{FleetStore, StoreTime};
use brownout_registry::{FeatureState, FleetOverrideId};
use tokio::time::sleep;

use crate::support::{Calls, Member, Server, flag, stack, store, until, written};

const REPLICAS: usize = 3;

/// Longer than what was acknowledged counts before what a picture says.
const SETTLED: Duration = Duration::from_secs(6);

fn join(server: &Server, name: &str) -> Member {
    Member::join(store(&server.url()), name)
}

async fn fleet(server: &Server) -> Vec<Member> {
    let names = (0..REPLICAS).map(|number| format!("replica-{number}"));
    let members: Vec<_> = names.map(|name| join(server, &name)).collect();
    until("all are in touch", || all(&members, in_touch)).await;
    members
}

fn in_touch(member: &Member) -> bool {
    member.fleet.is_in_touch()
}

fn all(members: &[Member], holds: impl Fn(&Member) -> bool) -> bool {
    members.iter().all(holds)
}

async fn trip(members: &[Member], name: &str) {
    // A quorum of them, with one more than is too much.
    let calls = [0, 1].map(|number| Calls::of(&members[number].registry, name));
    for calls in &calls {
        calls.add(0, 3);
    }
    until("it trips", || all(members, |member| member.tripped(name))).await;
}

/// Waits until all hold these overrides, newest last on each flag, and no other.
async fn hold(members: &[Member], expected: &[(&str, FleetOverrideId)]) {
    let mut expected: Vec<_> = expected
        .iter()
        .map(|&(name, id)| (flag(name), id))
        .collect();
    expected.sort();
    until("all agree on what is in force", || {
        all(members, |member| member.held() == expected)
    })
    .await;
}

/// What becomes of everything when a server that had gone on for so long is replaced by its backup.
async fn is_restored(gone_on: Duration) {
    let mut server = Server::start();
    let members = fleet(&server).await;
    let [one, other, third] = &members[..] else {
        panic!("there are three")
    };
    let (degraded, disabled) = (FeatureState::Degraded, FeatureState::Disabled);
    let kept = one.set("kept", degraded).await;
    let below = one.set("twice", degraded).await;
    let released = one.set("released", degraded).await;
    trip(&members, "early").await;
    let backup = server.copy();

    hold(
        &members,
        &[("kept", kept), ("twice", below), ("released", released)],
    )
    .await;
    let new = other.set("new", disabled).await;
    let above = other.set("twice", disabled).await;
    third
        .fleet
        .release(flag("released"), released)
        .await
        .unwrap();
    let brief = third.set("brief", disabled).await;
    hold(
        &members,
        &[
            ("kept", kept),
            ("new", new),
            ("twice", below),
            ("twice", above),
            ("brief", brief),
        ],
    )
    .await;
    third.fleet.release(flag("brief"), brief).await.unwrap();
    trip(&members, "late").await;
    sleep(gone_on).await;
    let before = one.fleet.view().version.unwrap();

    server.kill();
    server.restore(&backup);
    let restored = store(&server.url()).picture().await.unwrap().version;
    assert_eq!(restored.epoch, before.epoch);
    assert!(restored.revision < before.revision);
    until(
        "all are in touch, and what automation decided since is dropped",
        || {
            // Nobody lets go of these for a moment: they are offered to the store from here.
            assert!(all(&members, |member| member.imposed("new") == Some(disabled)));
            assert!(all(&members, |member| member.imposed("kept") == Some(degraded)));
            all(&members, |member| {
                in_touch(member) && !member.tripped("late")
            })
        },
    )
    .await;
    // Of a target that the store knows, it counts what the store says, though it is older: what people had added is gone,
    // and what they had released is in force again, until somebody looks, or its time is over.
    let expected = [
        ("kept", kept),
        ("new", new),
        ("twice", below),
        ("released", released),
    ];
    hold(&members, &expected).await;
    for member in &members {
        assert_eq!(member.imposed("twice"), Some(degraded));
        assert_eq!(
            member.imposed("brief"),
            None,
            "it was released where it was known"
        );
        assert!(member.tripped("early"), "the store still had it");
    }
    let late = [join(&server, "late")];
    hold(&late, &expected).await;

    // And people can decide about all of it.
    late[0]
        .fleet
        .release(flag("released"), released)
        .await
        .unwrap();
    late[0].fleet.release(flag("new"), new).await.unwrap();
    let above = one.set("twice", disabled).await;
    let expected = [("kept", kept), ("twice", below), ("twice", above)];
    hold(&members, &expected).await;
    hold(&late, &expected).await;
}

#[tokio::test]
async fn a_server_restored_from_a_backup_is_followed_and_gets_what_it_has_lost() {
    is_restored(SETTLED).await;
}

#[tokio::test]
async fn a_server_restored_right_after_decisions_is_followed_as_well() {
    is_restored(Duration::ZERO).await;
}

#[tokio::test]
async fn a_server_restored_that_has_gone_on_by_another_way_to_the_same_revision_is_followed() {
    let mut server = Server::start();
    let members = fleet(&server).await;
    let kept = members[0].set("kept", FeatureState::Degraded).await;
    let backup = server.copy();
    let here = members[1].set("here", FeatureState::Disabled).await;
    let both = members[2].set("both", FeatureState::Disabled).await;
    hold(&members, &[("kept", kept), ("here", here), ("both", both)]).await;
    sleep(SETTLED).await;
    let before = members[0].fleet.view().version.unwrap();

    server.kill();
    server.restore(&backup);
    // Faster than the first of them is back, most likely; if not, all of this is true all the same.
    let stranger = store(&server.url());
    let now = stranger.picture().await.unwrap().now;
    let lasting = |name: &str, id| {
        let mut lasting = stack(flag(name), None, &[id]);
        lasting.entries[0].set_at = now;
        lasting.entries[0].until = StoreTime(now.0 + 60_000);
        lasting
    };
    written(&stranger, lasting("there", 1)).await;
    let after = written(&stranger, lasting("both", 2)).await;
    assert_eq!(after.epoch, before.epoch);
    let [there, anew] = [1, 2].map(FleetOverrideId::from_u64);
    until("all are in touch", || all(&members, in_touch)).await;
    let expected = [
        ("kept", kept),
        ("here", here),
        ("there", there),
        ("both", anew),
    ];
    hold(&members, &expected).await;
    hold(&[join(&server, "late")], &expected).await;
}
