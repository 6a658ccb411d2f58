//! The laws of a layer, checked over a strict probe service.

use std::sync::atomic::{AtomicBool, Ordering};

use brownout::{
    core::{BoxError, Fail},
    flag::{Flag, FlagBuilder, FlagLayer},
    registry::{
        DegradationLevel::Emergency,
        FeatureState::{Degraded, Disabled, Enabled},
    },
};
use brownout_testing::{
    Behaviour,
    contract::{Contract, ContractProbe, Law, check_layer_contract},
};
use tokio::time::advance;
use tower::{
    Layer, Service, ServiceBuilder, ServiceExt, buffer::Buffer, limit::ConcurrencyLimit,
    util::BoxCloneService,
};

use crate::common::{
    MINUTE, RAMP, TTL, adding, exact, exact_in, failing, flag, flagged, impose, probe, registry,
    trip,
};

/// Errors that the failures which the suite makes do not reach.
fn patient() -> FlagBuilder {
    exact().errors(1_000)
}

fn built(builder: FlagBuilder) -> Flag {
    builder.build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_flag_keeps_the_contract_while_it_is_enabled() {
    check_layer_contract(|inner: ContractProbe| {
        FlagLayer::for_results(built(patient())).layer(inner)
    })
    .await;
    check_layer_contract(|inner: ContractProbe| {
        FlagLayer::for_results(built(patient()))
            .reject(Fail)
            .degraded(adding(0).0)
            .disabled(adding(0).0)
            .layer(inner)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_flag_keeps_the_contract_where_it_has_to_look_closer() {
    check_layer_contract(|inner: ContractProbe| {
        FlagLayer::for_results(built(patient().degrade_at(Emergency))).layer(inner)
    })
    .await;
    check_layer_contract(|inner: ContractProbe| {
        let registry = registry();
        let flag = exact_in(&registry).errors(1_000).build().unwrap();
        impose(&registry, Enabled, MINUTE * 60);
        FlagLayer::for_results(flag).layer(inner)
    })
    .await;
}

/// The suite's probe is then whoever stands in, whose readiness is asked for within the call: its errors come with
/// the answer, as does what a service that is not ready makes callers wait for.
#[tokio::test(start_paused = true)]
async fn whoever_stands_in_is_held_to_the_contract_as_well() {
    for state in [Degraded, Disabled] {
        Contract::new(|inner: ContractProbe| {
            let flag = built(patient().configured(state));
            FlagLayer::for_results(flag)
                .degraded(inner.clone())
                .disabled(inner)
                .layer(adding(7).0)
        })
        .except(Law::ReadinessErrorSurfaces)
        .check()
        .await
        .unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_flag_that_falls_through_keeps_the_contract() {
    Contract::new(|inner: ContractProbe| {
        let (simpler, handle) = adding(0);
        handle.always(failing());
        FlagLayer::for_results(built(patient()))
            .degraded(simpler)
            .fall_through()
            .safe()
            .layer(inner)
    })
    .check()
    .await
    .unwrap();
    // The suite's probe is then the one that is gone on to.
    Contract::new(|inner: ContractProbe| {
        let (service, handle) = adding(7);
        handle.always(failing());
        FlagLayer::for_results(built(patient().min_ratio(0.0)))
            .degraded(inner)
            .fall_through()
            .safe()
            .layer(service)
    })
    .except(Law::ReadinessErrorSurfaces)
    .check()
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn stacks_of_flags_and_towers_own_layers_keep_the_contract() {
    check_layer_contract(|inner: ContractProbe| {
        BoxCloneService::new(
            ServiceBuilder::new()
                .layer(FlagLayer::for_results(built(patient())))
                .layer(FlagLayer::for_results(built(patient())))
                .concurrency_limit(1)
                .service(inner),
        )
    })
    .await;
    check_layer_contract(|inner: ContractProbe| {
        ConcurrencyLimit::new(FlagLayer::for_results(built(patient())).layer(inner), 3)
    })
    .await;
}

/// What the suite cannot do: hold a flag to the contract while it comes and goes.
#[tokio::test(start_paused = true)]
async fn the_contract_is_kept_through_all_states() {
    let flag = flag();
    let (service, inner) = probe();
    let (simpler, handle) = adding(100);
    let layer = FlagLayer::for_results(flag.clone()).degraded(simpler);
    let mut services: Vec<_> = (0..3).map(|_| layer.layer(service.clone())).collect();
    for round in 0..400_u32 {
        inner.always(if round % 20 < 10 {
            failing()
        } else {
            Behaviour::answer(Ok)
        });
        for service in &mut services {
            let _ = service.ready().await.unwrap().call(round).await;
        }
        advance(RAMP / 3).await;
    }
    inner.assert_contract_kept();
    handle.assert_contract_kept();
    let totals = flag.stats().totals;
    assert!(
        totals.diverted > 300 && totals.successes > 100 && totals.failures > 20,
        "{totals:?}"
    );
    assert!(inner.counts().is_idle() && handle.counts().is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_buffer_above_survives_a_flag_that_has_stepped_back() {
    let flag = flag();
    let (service, inner) = probe();
    let mut buffer = Buffer::new(flagged(&flag, service), 4);
    trip(&flag);
    for n in 0..10 {
        assert!(buffer.ready().await.unwrap().call(n).await.is_err());
    }
    advance(TTL + RAMP).await;
    assert_eq!(buffer.ready().await.unwrap().call(1).await.unwrap(), 1);
    inner.assert_contract_kept();
}

#[tokio::test(start_paused = true)]
async fn nothing_is_judged_marked_or_answered_before_the_future_is_polled() {
    // A buffer makes calls in its own worker; whatever a call records must be recorded where its caller polls.
    let (answered, marked) = (AtomicBool::new(false), AtomicBool::new(false));
    let flag = flag();
    let layer = FlagLayer::for_results(flag.clone())
        .degraded(adding(100).0)
        .mark_with(|_: &mut u32, _| marked.store(true, Ordering::Relaxed))
        .reject_with(|_| {
            answered.store(true, Ordering::Relaxed);
            Ok::<u32, BoxError>(0)
        });
    let mut service = layer.layer(probe().0);
    let call = service.ready().await.unwrap().call(1);
    assert_eq!(flag.stats().totals.successes, 0);
    assert_eq!(call.await.unwrap(), 1);
    assert_eq!(flag.stats().totals.successes, 1);

    flag.configure(Degraded);
    let call = service.ready().await.unwrap().call(1);
    assert!(!marked.load(Ordering::Relaxed));
    assert_eq!(call.await.unwrap(), 101);
    assert!(marked.load(Ordering::Relaxed));

    flag.configure(Disabled);
    let call = service.ready().await.unwrap().call(1);
    assert!(!answered.load(Ordering::Relaxed));
    assert_eq!(call.await.unwrap(), 0);
    assert!(answered.load(Ordering::Relaxed));
}

#[tokio::test(start_paused = true)]
async fn no_call_spawns_a_task() {
    let flag = flag();
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let (service, inner) = probe();
    inner.always(Behaviour::hang());
    for _ in 0..10 {
        let call = flagged(&flag, service.clone()).oneshot(1);
        let _ = tokio::time::timeout(RAMP, call).await;
    }
    assert_eq!(tasks(), before);
}
