//! Services to test with.

use std::time::Duration;

use brownout::core::BoxError;
use brownout_testing::{Behaviour, ProbeHandle, ProbeService, TestError};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) type Probe = ProbeService<u32, u32, BoxError>;
pub(crate) type Handle = ProbeHandle<u32, u32, BoxError>;

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A service that answers each request with itself, and the handle that makes it do otherwise.
pub(crate) fn probe() -> (Probe, Handle) {
    ProbeService::new(Ok)
}

/// A service that fails with this text.
pub(crate) fn down(text: &'static str) -> (Probe, Handle) {
    let (service, handle) = probe();
    handle.always(failing(text));
    (service, handle)
}

/// A service that never answers.
pub(crate) fn hanging() -> (Probe, Handle) {
    let (service, handle) = probe();
    handle.always(Behaviour::hang());
    (service, handle)
}

pub(crate) fn failing(text: &'static str) -> Behaviour<u32, u32, BoxError> {
    Behaviour::answer(move |_| Err(TestError::new(text).into()))
}
