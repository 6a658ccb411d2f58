//! A family of keyed circuits over one probe service.

use brownout::{
    breaker::{ByKey, CircuitBreakerLayer, KeyedCircuits, PolicyBuilder},
    core::{AtHead, BoxError, ErrIsFailure, Same},
    registry::Status,
};
use brownout_testing::{Behaviour, TestError};
use tower::{Layer, ServiceExt};

use crate::common::{Handle, Probe, dependency, probe};

type KeyedLayer<K, F> = CircuitBreakerLayer<AtHead<ErrIsFailure>, Same, ByKey<K, F>>;

/// Requests are their own keys; those above a million fail, a million and n with the key n.
pub(crate) struct Family<F> {
    circuits: KeyedCircuits<u32>,
    pub(crate) layer: KeyedLayer<u32, F>,
    pub(crate) service: Probe,
    pub(crate) inner: Handle,
}

pub(crate) const BAD: u32 = 1_000_000;

pub(crate) fn family(policy: PolicyBuilder, capacity: u32) -> Family<impl Fn(&u32) -> u32 + Clone> {
    let circuits = KeyedCircuits::with(&dependency(), policy.build().unwrap(), capacity).unwrap();
    let (service, inner) = probe();
    inner.always(Behaviour::answer(|n| {
        if n >= BAD {
            Err(TestError::new("down").into())
        } else {
            Ok(n)
        }
    }));
    Family {
        circuits: circuits.clone(),
        layer: CircuitBreakerLayer::keyed(circuits, |n: &u32| n % BAD).for_results(),
        service,
        inner,
    }
}

impl<F: Fn(&u32) -> u32 + Clone> Family<F> {
    pub(crate) fn circuits(&self) -> &KeyedCircuits<u32> {
        &self.circuits
    }

    pub(crate) fn status(&self) -> Status {
        self.circuits().overflow().dependency().status()
    }

    pub(crate) async fn call(&self, request: u32) -> Result<u32, BoxError> {
        self.layer
            .layer(self.service.clone())
            .oneshot(request)
            .await
    }

    pub(crate) async fn fail(&self, key: u32) {
        assert_eq!(self.call(BAD + key).await.unwrap_err().to_string(), "down");
    }
}
