//! What a process says of itself.

use std::time::Duration;

use brownout::report::{Lifecycle, Phase};
use tokio::time::timeout;

type Move = (&'static str, fn(&Lifecycle));

fn moves() -> [Move; 4] {
    [
        ("started", Lifecycle::started),
        ("pause", Lifecycle::pause),
        ("resume", Lifecycle::resume),
        ("stop", Lifecycle::stop),
    ]
}

#[test]
fn a_process_goes_the_ways_of_its_diagram_and_no_other() {
    use Phase::{Paused, Serving, Starting, Stopping};
    let table = [
        (Starting, [Serving, Starting, Starting, Stopping]),
        (Serving, [Serving, Paused, Serving, Stopping]),
        (Paused, [Paused, Paused, Serving, Stopping]),
        (Stopping, [Stopping, Stopping, Stopping, Stopping]),
    ];
    for (from, row) in table {
        for ((name, go), to) in moves().into_iter().zip(row) {
            let process = at(from);
            go(&process.clone());
            assert_eq!(process.phase(), to, "{name} from {from:?}");
        }
    }
}

#[test]
fn a_new_process_is_starting() {
    assert_eq!(Lifecycle::new().phase(), Phase::Starting);
    assert_eq!(Lifecycle::default().phase(), Phase::Starting);
    assert_eq!(Lifecycle::serving().phase(), Phase::Serving);
    assert_eq!(format!("{:?}", Lifecycle::new()), "Lifecycle(Starting)");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_told_of_changes_alone() {
    let process = Lifecycle::new();
    assert_eq!(process.other_than(Phase::Serving).await, Phase::Starting);
    let waiting = tokio::spawn({
        let process = process.clone();
        async move { process.other_than(Phase::Starting).await }
    });
    tokio::task::yield_now().await;
    process.pause();
    process.resume();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!waiting.is_finished());
    process.started();
    assert_eq!(waiting.await.unwrap(), Phase::Serving);
    let wait = timeout(Duration::from_hours(1), process.other_than(Phase::Serving));
    assert!(wait.await.is_err());
}

fn at(phase: Phase) -> Lifecycle {
    let process = Lifecycle::new();
    if phase != Phase::Starting {
        process.started();
    }
    match phase {
        Phase::Paused => process.pause(),
        Phase::Stopping => process.stop(),
        Phase::Starting | Phase::Serving => {}
    }
    assert_eq!(process.phase(), phase);
    process
}
