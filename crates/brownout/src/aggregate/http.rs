//! How HTTP and gRPC services get parts: in the request's extensions.

use std::{
    any::{Any, TypeId},
    error::Error,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use http::{Request, Response, request};

use crate::core::Marks;

use super::{
    failed::FailedParts,
    form::{Compose, Held, MarkPartial, Receive},
    key::{Need, PartKey},
    list::{NoSlots, Slots},
    outcome::PartOutcome,
};

/// Puts parts into the extensions of a request, where they are taken once, and marks into those of the answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct InExtensions(pub(super) ());

/// The parts of an answer, in the extensions of the request. Clones hold the same parts.
///
/// Each part can be taken once. What nobody takes is dropped with the request.
#[derive(Clone)]
pub struct PartValues {
    values: Arc<dyn TakeOnce>,
    failed: FailedParts,
    /// Those of an aggregate further out.
    outer: Option<Arc<Self>>,
}

/// A part cannot be had: a mistake in the program, which its first request shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPart {
    part: &'static str,
    why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    NotDeclared,
    Taken,
    OtherNeed,
}

/// A request whose parts see its head.
#[derive(Debug)]
pub struct Message<B> {
    head: request::Parts,
    body: B,
}

/// What parts left, from which each can be taken once.
pub trait Keyed {
    /// Moves the part of that key into an `Option` of what its need makes of it; `None` where no part has that key.
    fn take(&mut self, key: TypeId, into: &mut dyn Any) -> Option<Found>;
}

/// What became of an attempt to take a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Here it is.
    Here,
    /// It was taken before.
    Taken,
    /// It is declared as required and was asked for as optional, or the other way round.
    OtherNeed,
}

trait TakeOnce: Send + Sync {
    fn take(&self, key: TypeId, into: &mut dyn Any) -> Option<Found>;
}

impl PartValues {
    /// Takes the value of a required part.
    pub fn value<K: PartKey>(&self) -> Result<K::Value, NoPart> {
        self.take::<K, K::Value>()
    }

    /// Takes the outcome of an optional part.
    pub fn outcome<K: PartKey>(&self) -> Result<PartOutcome<K::Value>, NoPart> {
        self.take::<K, PartOutcome<K::Value>>()
    }

    /// The parts that failed.
    pub const fn failed(&self) -> &FailedParts {
        &self.failed
    }

    fn take<K: PartKey, T: 'static>(&self) -> Result<T, NoPart> {
        let mut taken: Option<T> = None;
        let why = match self.find(TypeId::of::<K>(), &mut taken) {
            None => Why::NotDeclared,
            Some(Found::OtherNeed) => Why::OtherNeed,
            Some(Found::Taken | Found::Here) => Why::Taken,
        };
        taken.ok_or(NoPart::new::<K>(why))
    }

    fn find(&self, key: TypeId, into: &mut dyn Any) -> Option<Found> {
        let found = self.values.take(key, into);
        found.or_else(|| self.outer.as_ref()?.find(key, into))
    }
}

impl NoPart {
    fn new<K: PartKey>(why: Why) -> Self {
        Self { part: K::NAME, why }
    }

    /// There is no aggregate in front of whoever asks for this part.
    #[cfg(feature = "axum")]
    pub(super) fn undeclared<K: PartKey>() -> Self {
        Self::new::<K>(Why::NotDeclared)
    }

    /// The part's name.
    pub const fn part(&self) -> &'static str {
        self.part
    }
}

impl fmt::Display for NoPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = self.part;
        match self.why {
            Why::NotDeclared => {
                write!(
                    f,
                    "no aggregate in front of this service declares the part `{part}`"
                )
            }
            Why::Taken => write!(f, "the part `{part}` has been taken before"),
            Why::OtherNeed => write!(
                f,
                "the part `{part}` is declared otherwise: a required part is taken as its value, an optional one as its \
                 outcome"
            ),
        }
    }
}

impl Error for NoPart {}

impl<B> Receive<Request<B>> for InExtensions {
    type Held = Message<B>;

    #[inline]
    fn hold(&self, request: Request<B>) -> Message<B> {
        let (head, body) = request.into_parts();
        Message { head, body }
    }
}

impl<B> Held for Message<B> {
    type Seen = request::Parts;

    #[inline]
    fn seen(&self) -> &request::Parts {
        &self.head
    }
}

impl<B, T: Keyed + Send + 'static> Compose<Message<B>, T> for InExtensions {
    type Request = Request<B>;

    fn compose(&self, held: Message<B>, slots: T, failed: FailedParts) -> Option<Request<B>> {
        let Message { mut head, body } = held;
        let outer: Option<PartValues> = head.extensions.remove();
        head.extensions.insert(PartValues {
            values: Arc::new(Mutex::new(slots)),
            failed: match &outer {
                Some(outer) => failed.and(&outer.failed),
                None => failed,
            },
            outer: outer.map(Arc::new),
        });
        Some(Request::from_parts(head, body))
    }
}

impl<B> MarkPartial<Response<B>> for InExtensions {
    fn mark(&self, response: &mut Response<B>, failed: &FailedParts) {
        let marks: &mut Marks = response.extensions_mut().get_or_insert_default();
        for part in failed.iter() {
            marks.push(part.mark());
        }
    }
}

impl<T: Keyed + Send> TakeOnce for Mutex<T> {
    fn take(&self, key: TypeId, into: &mut dyn Any) -> Option<Found> {
        let mut slots = self.lock().unwrap_or_else(PoisonError::into_inner);
        slots.take(key, into)
    }
}

impl Keyed for NoSlots {
    fn take(&mut self, _: TypeId, _: &mut dyn Any) -> Option<Found> {
        None
    }
}

impl<L: Keyed, K: PartKey, N: Need> Keyed for Slots<L, K, N> {
    fn take(&mut self, key: TypeId, into: &mut dyn Any) -> Option<Found> {
        if key != TypeId::of::<K>() {
            return self.earlier.take(key, into);
        }
        let Some(into) = into.downcast_mut::<Option<N::Out<K::Value>>>() else {
            return Some(Found::OtherNeed);
        };
        *into = self.out.take();
        Some(if into.is_some() {
            Found::Here
        } else {
            Found::Taken
        })
    }
}

impl fmt::Debug for PartValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartValues")
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
