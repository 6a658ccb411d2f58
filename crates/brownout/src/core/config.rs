use std::{borrow::Cow, error::Error, fmt, time::Duration};

/// A share between 0 and 1, exact to a billionth.
///
/// Kept as an integer, so that comparing counts with it never suffers from rounding: 7 of 100 reaches 7 %.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ratio(u32);

const WHOLE: u32 = 1_000_000_000;

impl Ratio {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// One half.
    pub const HALF: Self = Self(WHOLE / 2);
    /// All.
    pub const ONE: Self = Self(WHOLE);

    /// A share from a number between 0.0 and 1.0; `None` for anything else, NaN included.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked just before"
    )]
    pub fn new(share: f64) -> Option<Self> {
        (0.0..=1.0)
            .contains(&share)
            .then(|| Self((share * f64::from(WHOLE)).round() as u32))
    }

    /// The share as a number between 0.0 and 1.0.
    pub fn get(self) -> f64 {
        f64::from(self.0) / f64::from(WHOLE)
    }

    /// Whether `part` of `whole` is at least this share. Nothing of nothing is not.
    #[inline]
    pub fn reached_by(self, part: u32, whole: u32) -> bool {
        whole > 0 && u64::from(part) * u64::from(WHOLE) >= u64::from(self.0) * u64::from(whole)
    }

    pub(crate) const fn billionths(self) -> u32 {
        self.0
    }

    pub(crate) const fn from_billionths(n: u32) -> Self {
        Self(if n > WHOLE { WHOLE } else { n })
    }
}

impl fmt::Debug for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.get() * 100.0)
    }
}

/// A setting that was refused: which field, what was given, and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    field: &'static str,
    given: String,
    allowed: Cow<'static, str>,
}

impl ConfigError {
    pub(crate) fn new(
        field: &'static str,
        given: impl fmt::Display,
        allowed: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            field,
            given: given.to_string(),
            allowed: allowed.into(),
        }
    }

    /// The name of the setter whose value was refused.
    pub fn field(&self) -> &'static str {
        self.field
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` cannot be {}: {}",
            self.field, self.given, self.allowed
        )
    }
}

impl Error for ConfigError {}

pub(crate) fn ratio(field: &'static str, share: f64) -> Result<Ratio, ConfigError> {
    Ratio::new(share)
        .ok_or_else(|| ConfigError::new(field, share, "it must lie between 0.0 and 1.0"))
}

/// A share that triggers something: zero would trigger it on pure success.
pub(crate) fn threshold(field: &'static str, share: f64) -> Result<Ratio, ConfigError> {
    match ratio(field, share)? {
        Ratio::ZERO => Err(ConfigError::new(
            field,
            share,
            "it must be above 0.0 and at most 1.0",
        )),
        ratio => Ok(ratio),
    }
}

pub(crate) fn duration(field: &'static str, given: Duration) -> Result<Duration, ConfigError> {
    /// Far above any sensible setting, far below where arithmetic on clocks could overflow.
    const YEAR: Duration = Duration::from_hours(8760);
    if given < Duration::from_millis(1) || given > YEAR {
        return Err(ConfigError::new(
            field,
            format_args!("{given:?}"),
            "it must lie between 1 ms and 365 days",
        ));
    }
    Ok(given)
}

pub(crate) fn count(field: &'static str, given: u32, max: u32) -> Result<u32, ConfigError> {
    if given == 0 || given > max {
        return Err(ConfigError::new(
            field,
            given,
            format!("it must lie between 1 and {max}"),
        ));
    }
    Ok(given)
}
