//! The flag itself, call by call beside the model.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use brownout::{
    core::BoxError,
    flag::{Flag, FlagLayer},
};
use proptest::prelude::*;
use tokio::time::{Instant, advance, timeout};
use tower::{Layer, Service, ServiceExt};

use crate::common::{Handle, adding, exact_in, probe, registry};

use super::{
    Counted, End, Seen,
    case::{Call, Case, Kind, TTL},
    spec::Model,
};

/// The flag itself.
struct Real {
    flag: Flag,
    service: Handle,
    degraded: Handle,
    marks: Arc<Mutex<Vec<String>>>,
}

impl Real {
    async fn call<S>(&self, stack: &S, call: Call) -> Seen
    where
        S: Service<u32, Response = u32, Error = BoxError, Future: Send> + Clone + Send + 'static,
    {
        if let Some(state) = call.configure {
            self.flag.configure(state);
        }
        advance(Duration::from_millis(call.pause)).await;
        let (does, delay) = call.service;
        does.set_up(&self.service, "service", delay);
        let (does, delay) = call.degraded;
        does.set_up(&self.degraded, "degraded", delay);
        let begun = Instant::now();
        let asked = stack.clone().oneshot(7);
        // One who leaves when the answer comes has got it.
        let patience = Duration::from_millis(call.patience);
        let end = match tokio::spawn(timeout(patience, asked)).await {
            Ok(Ok(Ok(answer))) => End::Answer(answer),
            Ok(Ok(Err(error))) => End::Error(error.to_string()),
            Ok(Err(_)) => End::Left,
            Err(panic) => {
                assert!(panic.is_panic());
                End::Panic
            }
        };
        let took = begun.elapsed().as_millis().try_into().unwrap();
        for handle in [&self.service, &self.degraded] {
            handle.assert_contract_kept();
            assert!(handle.counts().is_idle(), "something goes on");
        }
        let totals = self.flag.stats().totals;
        let mut marks = self.marks.lock().unwrap();
        assert!(marks.len() <= 1, "{marks:?}");
        Seen {
            end,
            took,
            mark: marks.pop(),
            state: self.flag.state(),
            counted: Counted {
                successes: totals.successes,
                failures: totals.failures,
                abandoned: totals.abandoned,
                service: self.service.counts().calls,
                degraded: self.degraded.counts().calls,
            },
        }
    }
}

pub(super) async fn both(case: &Case) -> Result<(), TestCaseError> {
    let registry = registry();
    let ledger = registry.dependency("ledger").register().unwrap();
    let ttl = Duration::from_millis(TTL);
    let mut flag = exact_in(&registry)
        .errors(case.errors)
        .min_ratio(0.0)
        .ttl(ttl)
        .ttl_at_most(ttl)
        .no_ramp();
    if case.named {
        flag = flag.dependency(&ledger);
    }
    let flag = flag.build().unwrap();
    let ((service, service_handle), (degraded, degraded_handle)) = (probe(), probe());
    let marks = Arc::<Mutex<Vec<String>>>::default();
    let real = Real {
        flag: flag.clone(),
        service: service_handle,
        degraded: degraded_handle,
        marks: Arc::clone(&marks),
    };
    let mut model = Model::new(case);
    let layer = FlagLayer::for_results(flag)
        .degraded(degraded.map_response(|n| n + 100))
        .disabled(adding(1_000).0)
        .mark_with(move |_: &mut u32, mark: brownout::core::Degraded| {
            let tier = mark.tier.unwrap();
            let mark = format!("{tier} {}", mark.reason.as_str());
            marks.lock().unwrap().push(mark);
        })
        .fall_through();
    macro_rules! run {
        ($layer:expr) => {{
            let stack = $layer.layer(service);
            for (n, call) in case.calls.iter().enumerate() {
                let expected = model.call(*call);
                let seen = real.call(&stack, *call).await;
                prop_assert_eq!(seen, expected, "call {} of {:#?}", n, case);
            }
        }};
    }
    match case.kind {
        Kind::Writes => run!(layer),
        Kind::Idempotent => run!(layer.idempotent()),
        Kind::Safe => run!(layer.safe()),
    }
    Ok(())
}
