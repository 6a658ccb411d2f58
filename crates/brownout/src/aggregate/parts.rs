use super::{
    failed::{FailedPart, FailedParts},
    key::{Need, PartKey},
    list::{NoSlots, Slots},
};

/// The parts of an answer, as a service gets them that is neither HTTP nor gRPC.
///
/// The values are a tuple, in the order of declaration: of a required part the value itself, of an optional one its
/// [`PartOutcome`](super::PartOutcome). (Parts known only at run time are a `Vec` of outcomes.)
#[derive(Clone, Debug)]
pub struct Parts<T> {
    /// The values.
    pub values: T,
    failed: FailedParts,
}

impl<T> Parts<T> {
    pub(super) const fn new(values: T, failed: FailedParts) -> Self {
        Self { values, failed }
    }

    /// The values, without what is known of failures.
    pub fn into_values(self) -> T {
        self.values
    }

    /// Whether any part failed.
    pub const fn is_partial(&self) -> bool {
        self.failed.is_partial()
    }

    /// The parts that failed, in the order of declaration. Those that another value stands in for are among them.
    pub fn failed(&self) -> impl Iterator<Item = &FailedPart> {
        self.failed.iter()
    }

    /// The same, to be kept.
    pub const fn failed_parts(&self) -> &FailedParts {
        &self.failed
    }
}

/// What parts left, as the values that a service gets.
#[diagnostic::on_unimplemented(
    message = "so many parts make no tuple",
    note = "a tuple has up to 16 parts; beyond that, let one part be an aggregate of its own"
)]
pub trait IntoValues {
    /// The values.
    type Values;

    /// The values; `None` if somebody has taken one, which nobody does before.
    fn into_values(self) -> Option<Self::Values>;
}

/// A tuple to which another value can be added.
pub trait Append<T> {
    /// The longer tuple.
    type Longer;

    /// Adds the value at the end.
    fn append(self, value: T) -> Self::Longer;
}

impl IntoValues for NoSlots {
    type Values = ();

    #[allow(clippy::inline_always, reason = "see `ResponseFuture::new`")]
    #[inline(always)]
    fn into_values(self) -> Option<()> {
        Some(())
    }
}

impl<L, K, N> IntoValues for Slots<L, K, N>
where
    L: IntoValues,
    K: PartKey,
    N: Need,
    L::Values: Append<N::Out<K::Value>>,
{
    type Values = <L::Values as Append<N::Out<K::Value>>>::Longer;

    #[allow(clippy::inline_always, reason = "see `ResponseFuture::new`")]
    #[inline(always)]
    fn into_values(self) -> Option<Self::Values> {
        let earlier = self.earlier.into_values()?;
        Some(earlier.append(self.out?))
    }
}

macro_rules! append {
    ($($name:ident)*) => {
        impl<$($name,)* T> Append<T> for ($($name,)*) {
            type Longer = ($($name,)* T,);

            #[inline]
            #[allow(non_snake_case, reason = "a variable is named for its type")]
            fn append(self, value: T) -> Self::Longer {
                let ($($name,)*) = self;
                ($($name,)* value,)
            }
        }
    };
}

append!();
append!(A);
append!(A B);
append!(A B C);
append!(A B C D);
append!(A B C D E);
append!(A B C D E F);
append!(A B C D E F G);
append!(A B C D E F G H);
append!(A B C D E F G H I);
append!(A B C D E F G H I J);
append!(A B C D E F G H I J K);
append!(A B C D E F G H I J K L);
append!(A B C D E F G H I J K L M);
append!(A B C D E F G H I J K L M N);
append!(A B C D E F G H I J K L M N O);
