//! Customers who pay while their payment service breaks and heals all the time, and do not give up.

use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{Shop, payments::LONG};
use crate::{settings::Safeguard, upstream::Fault};

const CUSTOMERS: u64 = 8;
const PAYMENTS: u64 = 30;
/// How long a fault lasts, and longer than most customers take from one payment to the next. Real time, since real
/// sockets are.
const WEATHER: Duration = Duration::from_millis(30);
const PAUSE: Duration = Duration::from_millis(10);

const PATIENCE: Duration = Duration::from_millis(200);

/// How customers were answered.
#[derive(Debug, Default)]
struct Answers {
    charged: u64,
    queued: u64,
    unclear: u64,
}

/// Changes for the worse and back until it is aborted.
async fn weather(shop: Arc<Shop>) {
    let faults = [
        Fault::HangAfterCharge,
        Fault::None,
        Fault::ClosedPort,
        Fault::HalfBody,
        Fault::None,
        Fault::Status(StatusCode::SERVICE_UNAVAILABLE),
        Fault::Latency(WEATHER),
    ];
    for fault in faults.into_iter().cycle() {
        shop.payments_fail(fault).await;
        sleep(WEATHER).await;
    }
}

/// Pays, and repeats what has no clear answer by the same key.
async fn customer(shop: Arc<Shop>, number: u64) -> Answers {
    let mut answers = Answers::default();
    for n in 1..=PAYMENTS {
        let amount = number * 1_000 + n;
        loop {
            let status = shop.pay(&format!("k-{amount}"), amount).await.status;
            sleep(PAUSE).await;
            match status {
                StatusCode::CREATED => answers.charged += 1,
                StatusCode::ACCEPTED => answers.queued += 1,
                status => {
                    assert!(status.is_server_error(), "{status}");
                    answers.unclear += 1;
                    continue;
                }
            }
            break;
        }
    }
    answers
}

async fn storm(without: &[Safeguard]) {
    let shop = Arc::new(Shop::with_times(without, PATIENCE, WEATHER).await);
    let mut weather_changes = JoinSet::new();
    weather_changes.spawn(weather(Arc::clone(&shop)));
    let mut customers = JoinSet::new();
    for number in 0..CUSTOMERS {
        customers.spawn(customer(Arc::clone(&shop), number));
    }
    let answers = timeout(LONG, customers.join_all()).await.unwrap();
    let total = |count: fn(&Answers) -> u64| answers.iter().map(count).sum::<u64>();
    for count in [
        total(|answers| answers.charged),
        total(|answers| answers.queued),
        total(|answers| answers.unclear),
    ] {
        assert!(count > 0, "a storm has some of everything: {answers:?}");
    }
    // What was queued is made up for in bad weather too.
    sleep(20 * WEATHER).await;
    weather_changes.shutdown().await;

    shop.payments_fail(Fault::None).await;
    let made_up_for = async {
        while shop.system.outbox.waiting() > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, made_up_for).await.unwrap();
    for number in 0..CUSTOMERS {
        for n in 1..=PAYMENTS {
            let amount = number * 1_000 + n;
            assert_eq!(shop.times_charged(amount), 1, "{amount}");
            assert_eq!(shop.state(&format!("k-{amount}")).await, "charged");
        }
    }
    let charges = shop.system.upstreams.ledger.len();
    assert_eq!(charges as u64, CUSTOMERS * PAYMENTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_payment_is_charged_once_whatever_the_weather() {
    storm(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_breaker_every_payment_is_charged_once_too() {
    storm(&[Safeguard::Breaker]).await;
}
