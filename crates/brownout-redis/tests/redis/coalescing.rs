//! What many decisions at once cost the server, and everybody who listens to it.

use brownout_registry::FeatureState;
use brownout_registry::fleet::{Changes, FleetStore, Message};
use futures_util::future::join_all;

use crate::support::{Member, Server, replica, store, until};

const FLIPS: usize = 100;

/// Two writes hold a hundred targets. One more is for decisions that come while the first is under way.
const MESSAGES: usize = 3;

#[tokio::test]
async fn a_hundred_flips_at_once_are_at_most_three_messages() {
    let server = Server::start();
    let [one, other] = ["one", "other"].map(|name| Member::join(store(&server.url()), name));
    until("both are in touch", || {
        one.fleet.is_in_touch() && other.fleet.is_in_touch()
    })
    .await;
    let witness = store(&server.url());
    let mut told = witness.subscribe(&replica("witness")).await.unwrap();

    let names: Vec<_> = (0..FLIPS).map(|number| format!("flag-{number}")).collect();
    let flips = names
        .iter()
        .map(|name| one.set(name, FeatureState::Disabled));
    join_all(flips).await;

    // What was acknowledged has been published, and comes before what is published now.
    witness.ping(&replica("witness"), 7).await.unwrap();
    let (mut messages, mut changed) = (0, 0);
    loop {
        match told.next().await.unwrap() {
            Message::Changed { changes, .. } => {
                messages += 1;
                changed += changes.len();
            }
            Message::Canary(7) => break,
            other => panic!("the witness was told {other:?}"),
        }
    }
    assert_eq!(changed, FLIPS, "each flip is told once");
    assert!(
        messages <= MESSAGES,
        "{FLIPS} flips took {messages} messages"
    );
    until("the other has heard of all", || {
        names
            .iter()
            .all(|name| other.imposed(name) == Some(FeatureState::Disabled))
    })
    .await;
    assert_eq!(other.held(), one.held());
}
