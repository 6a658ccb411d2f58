//! Services and keys to test with.

use std::time::Duration;

use brownout::{aggregate::PartKey, core::BoxError};
use brownout_testing::{Behaviour, ProbeHandle, ProbeService, TestError};

pub(crate) type Probe = ProbeService<u32, u32, BoxError>;
pub(crate) type Handle = ProbeHandle<u32, u32, BoxError>;

macro_rules! keys {
    ($($key:ident $name:literal)*) => {$(
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $key;

        impl PartKey for $key {
            type Value = u32;
            const NAME: &'static str = $name;
        }
    )*};
}

keys!(A "a" B "b" C "c" D "d" E "e");

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A service that answers each request with itself, and the handle that makes it do otherwise.
pub(crate) fn probe() -> (Probe, Handle) {
    ProbeService::new(Ok)
}

/// A service that does this with every call.
pub(crate) fn doing(behaviour: Behaviour<u32, u32, BoxError>) -> (Probe, Handle) {
    let (service, handle) = probe();
    handle.always(behaviour);
    (service, handle)
}

/// A service that answers this after a while.
pub(crate) fn slow(answer: u32, milliseconds: u64) -> (Probe, Handle) {
    doing(Behaviour::answer(move |_| Ok(answer)).after(ms(milliseconds)))
}

/// A service that fails with this text.
pub(crate) fn down(text: &'static str) -> (Probe, Handle) {
    doing(failing(text))
}

/// A service that never answers.
pub(crate) fn hanging() -> (Probe, Handle) {
    doing(Behaviour::hang())
}

pub(crate) fn failing(text: &'static str) -> Behaviour<u32, u32, BoxError> {
    Behaviour::answer(move |_| Err(TestError::new(text).into()))
}
