/// Names a part, and says of what type it is.
///
/// A key is a type without values of interest, so that a handler's `Part<Profile>` is checked when it is compiled.
///
/// ```
/// use brownout::aggregate::PartKey;
///
/// struct Profile;
///
/// impl PartKey for Profile {
///     type Value = String;
///     const NAME: &'static str = "profile";
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no key of a part",
    note = "a key is a type of its own: `struct Profile; impl PartKey for Profile {{ type Value = …; const NAME: &'static str = \"profile\"; }}`"
)]
pub trait PartKey: 'static {
    /// What the part's service answers.
    type Value: Send + 'static;

    /// The part's name: 1 to 128 visible ASCII characters. Strangers see it in partial answers.
    const NAME: &'static str;
}

/// Says whether an aggregate can do without a part, and so what becomes of the part's outcome.
pub trait Need: 'static {
    /// What is handed on: the value itself, or a [`PartOutcome`](super::PartOutcome).
    type Out<V: Send + 'static>: Send + 'static;

    /// Whether the answer cannot be made without the part.
    const REQUIRED: bool;

    /// Hands on an outcome. `None` where a required part is missing: then nothing is handed on at all.
    fn out<V: Send + 'static>(outcome: super::PartOutcome<V>) -> Option<Self::Out<V>>;
}

/// The answer cannot be made without the part.
#[derive(Clone, Copy, Debug)]
pub enum Required {}

/// The answer can be made without the part.
#[derive(Clone, Copy, Debug)]
pub enum Optional {}

impl Need for Required {
    type Out<V: Send + 'static> = V;

    const REQUIRED: bool = true;

    #[inline]
    fn out<V: Send + 'static>(outcome: super::PartOutcome<V>) -> Option<V> {
        outcome.into_value()
    }
}

impl Need for Optional {
    type Out<V: Send + 'static> = super::PartOutcome<V>;

    const REQUIRED: bool = false;

    #[inline]
    fn out<V: Send + 'static>(outcome: super::PartOutcome<V>) -> Option<super::PartOutcome<V>> {
        Some(outcome)
    }
}
