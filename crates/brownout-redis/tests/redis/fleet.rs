//! Registries in a fleet over a real server: what becomes of their agreement when the server fails.

use std::time::Duration;

use brownout_redis::RedisStore;
use brownout_registry::{FeatureState, Status};
use tokio::time::Instant;

use crate::support::{Cable, Member, Server, builder, until};

const REPLICAS: usize = 3;

/// A store that gives up soon, though not on a machine that is merely busy.
fn impatient(url: &str) -> RedisStore {
    let second = Duration::from_secs(1);
    let builder = builder(url).timeout(second).silence(second);
    builder.build().unwrap()
}

async fn fleet(server: &Server) -> Vec<Member> {
    let join = |number| Member::join(impatient(&server.url()), &format!("replica-{number}"));
    let members: Vec<_> = (0..REPLICAS).map(join).collect();
    until("all are in touch", || {
        members.iter().all(|member| member.fleet.is_in_touch())
    })
    .await;
    members
}

fn all(members: &[Member], flag: &str, state: FeatureState) -> bool {
    members
        .iter()
        .all(|member| member.imposed(flag) == Some(state))
}

#[tokio::test]
async fn replicas_agree_keep_what_they_know_without_the_server_and_agree_again() {
    let mut server = Server::start();
    let members = fleet(&server).await;
    let id = members[0].set("search", FeatureState::Degraded).await;
    until("all have heard", || {
        all(&members, "search", FeatureState::Degraded)
    })
    .await;

    server.kill();
    until("all have noticed", || {
        members
            .iter()
            .all(|member| member.store_status().0 == Status::Degraded)
    })
    .await;
    assert!(
        all(&members, "search", FeatureState::Degraded),
        "they keep what they know"
    );

    // Empty: the server has lost what people have decided, and the replicas have not.
    server.restart();
    until("all are in touch again", || {
        members.iter().all(|member| member.fleet.is_in_touch())
    })
    .await;
    until("all are healthy", || {
        members
            .iter()
            .all(|member| member.store_status().0 == Status::Healthy)
    })
    .await;
    let expected = members[0].held();
    assert_eq!(expected, [(crate::support::flag("search"), id)]);
    members[1].set("other", FeatureState::Disabled).await;
    until("all agree on both", || {
        let first = members[0].held();
        first.len() == 2 && members.iter().all(|member| member.held() == first)
    })
    .await;
    // And the store holds it for those who come later.
    let late = Member::join(impatient(&server.url()), "late");
    until("the late one agrees", || late.held() == members[0].held()).await;
}

#[tokio::test]
async fn a_server_that_is_flushed_is_told_again_what_people_have_decided() {
    let server = Server::start();
    let members = fleet(&server).await;
    members[2].set("search", FeatureState::Disabled).await;
    until("all have heard", || {
        all(&members, "search", FeatureState::Disabled)
    })
    .await;
    assert_eq!(server.run(&["FLUSHALL"]), "+OK");
    let holds = || server.run(&["EXISTS", "{shop}:o:flag:search"]) == ":1";
    until("the server holds it again", holds).await;
    assert!(
        all(&members, "search", FeatureState::Disabled),
        "nobody has let go of it"
    );
}

#[tokio::test]
async fn a_server_that_stands_still_keeps_nobody_from_what_they_know() {
    let server = Server::start();
    let members = fleet(&server).await;
    members[0].set("search", FeatureState::Degraded).await;
    until("all have heard", || {
        all(&members, "search", FeatureState::Degraded)
    })
    .await;
    server.pause();
    until("all have noticed", || {
        members.iter().all(|member| !member.fleet.is_in_touch())
    })
    .await;
    let begun = Instant::now();
    assert!(all(&members, "search", FeatureState::Degraded));
    assert!(
        begun.elapsed().as_millis() < 100,
        "reading is of local memory"
    );
    server.go_on();
    until("all are in touch again", || {
        members.iter().all(|member| member.fleet.is_in_touch())
    })
    .await;
    members[1].set("search", FeatureState::Disabled).await;
    until("all have heard", || {
        all(&members, "search", FeatureState::Disabled)
    })
    .await;
}

#[tokio::test]
async fn a_replica_that_was_cut_off_makes_up_for_what_it_missed() {
    let server = Server::start();
    let members = fleet(&server).await;
    let cable = Cable::to(server.port()).await;
    let far = Member::join(impatient(&cable.url()), "far");
    until("it is in touch", || far.fleet.is_in_touch()).await;
    cable.die();
    members[0].set("search", FeatureState::Disabled).await;
    until("it has noticed", || !far.fleet.is_in_touch()).await;
    assert_eq!(far.imposed("search"), None);
    cable.mend();
    until("it has heard", || {
        far.imposed("search") == Some(FeatureState::Disabled)
    })
    .await;
}

#[tokio::test]
async fn a_fleet_is_joined_without_its_server_and_found_when_that_comes() {
    let mut server = Server::start();
    server.kill();
    let early = Member::join(impatient(&server.url()), "early");
    until("it says so", || early.store_status().0 == Status::Degraded).await;
    let said = early.store_status().1;
    assert!(said.contains("unreachable"), "{said}");
    assert_eq!(
        early.imposed("search"),
        None,
        "flags are as they were compiled"
    );
    server.restart();
    until("it is in touch", || early.fleet.is_in_touch()).await;
    early.set("search", FeatureState::Degraded).await;
}

/// An index that is gone, by an eviction say, is what says that the values are gone: they are offered and written again.
#[tokio::test]
async fn overrides_whose_index_was_lost_are_there_again_and_can_be_released() {
    let server = Server::start();
    let members = fleet(&server).await;
    let id = members[0].set("search", FeatureState::Degraded).await;
    until("all have heard", || {
        all(&members, "search", FeatureState::Degraded)
    })
    .await;
    server.run(&["DEL", "{shop}:index"]);
    // Longer than two pictures.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let late = Member::join(impatient(&server.url()), "late");
    until("the late one is told", || late.held() == members[0].held()).await;
    assert_eq!(late.held().len(), 1);
    let search = crate::support::flag("search");
    members[1].fleet.release(search, id).await.unwrap();
    until("it is released", || {
        members.iter().all(|member| member.held().is_empty())
    })
    .await;
}

#[tokio::test]
async fn one_place_that_somebody_else_has_taken_keeps_no_other_override_from_being_given_back() {
    let server = Server::start();
    let members = fleet(&server).await;
    for flag in ["a", "b", "c"] {
        members[0].set(flag, FeatureState::Degraded).await;
    }
    until("all have heard", || {
        all(&members, "c", FeatureState::Degraded)
    })
    .await;
    for spoiled in ["garbage", "2 of a version to come"] {
        let script =
            format!("redis.call('FLUSHALL') redis.call('SET', '{{shop}}:o:flag:a', '{spoiled}')");
        server.run(&["EVAL", &script, "0"]);
        let there = |flag| format!("{{shop}}:o:flag:{flag}");
        until("the others are given back", || {
            server.run(&["EXISTS", &there("b"), &there("c")]) == ":2"
        })
        .await;
    }
}
