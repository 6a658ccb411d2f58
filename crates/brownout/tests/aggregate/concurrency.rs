//! How many parts run at once, and in which order they begin and end.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use brownout::{aggregate::AggregateLayer, core::BoxError};
use tower::{ServiceExt, service_fn};

use crate::common::{A, B, C, D, E, ms, slow};

#[tokio::test(start_paused = true)]
async fn whatever_order_parts_end_in_they_are_handed_on_as_declared() {
    for order in permutations(&[10, 20, 30, 40]) {
        for concurrency in 1..=4 {
            let service = AggregateLayer::for_results::<u32>()
                .part(A, slow(1, order[0]).0)
                .optional(B, slow(2, order[1]).0)
                .part(C, slow(3, order[2]).0)
                .optional(D, slow(4, order[3]).0)
                .concurrency(concurrency)
                .into_service()
                .unwrap();
            let (a, b, c, d) = service.oneshot(7).await.unwrap().into_values();
            assert_eq!((a, b.name(), c, d.name()), (1, "b", 3, "d"));
            assert_eq!((b.into_value(), d.into_value()), (Some(2), Some(4)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_order_parts_fail_in_they_are_listed_as_declared() {
    for order in permutations(&[10, 20, 30, 40]) {
        let late = |milliseconds| {
            slow(0, milliseconds)
                .0
                .and_then(|_| async { Err::<u32, BoxError>("late".into()) })
        };
        let service = AggregateLayer::for_results::<u32>()
            .optional(A, late(order[0]))
            .optional(B, late(order[1]))
            .optional(C, late(order[2]))
            .or(3)
            .optional(D, late(order[3]))
            .into_service()
            .unwrap();
        let parts = service.oneshot(7).await.unwrap();
        let failed: String = parts
            .failed()
            .map(brownout::aggregate::FailedPart::name)
            .collect();
        assert_eq!(failed, "abcd");
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_parts_run_at_once_than_are_allowed_and_they_begin_in_order() {
    for (concurrency, expected) in [(1, 1), (2, 2), (4, 4), (5, 5), (100, 5)] {
        let running = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let begun = Arc::new(Mutex::new(Vec::new()));
        let part = |name: &'static str, milliseconds| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            let begun = Arc::clone(&begun);
            service_fn(move |n: u32| {
                let (running, most) = (Arc::clone(&running), Arc::clone(&most));
                begun.lock().unwrap().push(name);
                async move {
                    let now = running.fetch_add(1, Ordering::Relaxed) + 1;
                    most.fetch_max(now, Ordering::Relaxed);
                    tokio::time::sleep(ms(milliseconds)).await;
                    running.fetch_sub(1, Ordering::Relaxed);
                    Ok::<_, BoxError>(n)
                }
            })
        };
        let service = AggregateLayer::for_results::<u32>()
            .part(A, part("a", 50))
            .part(B, part("b", 10))
            .part(C, part("c", 40))
            .part(D, part("d", 20))
            .part(E, part("e", 30))
            .concurrency(concurrency)
            .into_service()
            .unwrap();
        service.oneshot(7).await.unwrap();
        assert_eq!(most.load(Ordering::Relaxed), expected);
        assert_eq!(*begun.lock().unwrap(), ["a", "b", "c", "d", "e"]);
    }
}

#[tokio::test(start_paused = true)]
async fn five_parts_run_at_once_where_nothing_is_said() {
    let mut builder = AggregateLayer::for_many::<u32, _>();
    for n in 0..7 {
        builder = builder.part(format!("part-{n}"), slow(n, 10).0);
    }
    let begun = tokio::time::Instant::now();
    builder.into_service().unwrap().oneshot(7).await.unwrap();
    assert_eq!(begun.elapsed(), ms(20));
}

fn permutations(of: &[u64]) -> Vec<Vec<u64>> {
    let Some((first, rest)) = of.split_first() else {
        return vec![Vec::new()];
    };
    let mut all = Vec::new();
    for shorter in permutations(rest) {
        for place in 0..=shorter.len() {
            let mut longer = shorter.clone();
            longer.insert(place, *first);
            all.push(longer);
        }
    }
    all
}
