//! The ways in which a service can fail.

use std::{fmt, str::FromStr, time::Duration};

use axum::http::StatusCode;

/// How a service fails at the moment. Written and read as people type it: `status 500`, `latency 3s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It works.
    #[default]
    None,
    /// It answers every call with this status.
    Status(StatusCode),
    /// It answers rightly, after this time.
    Latency(Duration),
    /// It takes calls and never answers.
    Hang,
    /// Nobody listens on its port.
    ClosedPort,
    /// It sends the head and half of the body, and then the connection is cut.
    HalfBody,
    /// It does what it is asked to, and never says so. Of the payment service: the charge is made, the answer never comes.
    HangAfterCharge,
}

/// A text that names no fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnknownFault;

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let words: Vec<_> = text.split_whitespace().collect();
        match words[..] {
            ["none"] => Ok(Self::None),
            ["status", code] => code
                .parse::<u16>()
                .ok()
                .filter(|code| (400..=599).contains(code))
                .and_then(|code| StatusCode::from_u16(code).ok())
                .map(Self::Status)
                .ok_or(UnknownFault),
            ["latency", time] => humantime::parse_duration(time)
                .map(Self::Latency)
                .map_err(|_| UnknownFault),
            ["hang"] => Ok(Self::Hang),
            ["closed-port"] => Ok(Self::ClosedPort),
            ["half-body"] => Ok(Self::HalfBody),
            ["hang-after-charge"] => Ok(Self::HangAfterCharge),
            _ => Err(UnknownFault),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Status(status) => write!(f, "status {}", status.as_u16()),
            Self::Latency(time) => write!(f, "latency {time:?}"),
            Self::Hang => f.write_str("hang"),
            Self::ClosedPort => f.write_str("closed-port"),
            Self::HalfBody => f.write_str("half-body"),
            Self::HangAfterCharge => f.write_str("hang-after-charge"),
        }
    }
}

impl fmt::Display for UnknownFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a fault is one of: none, status CODE (400 to 599), latency TIME (as in 3s or 250ms), hang, closed-port, \
             half-body, hang-after-charge (payments only)",
        )
    }
}

impl std::error::Error for UnknownFault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_as_it_is_written() {
        for fault in [
            Fault::None,
            Fault::Status(StatusCode::SERVICE_UNAVAILABLE),
            Fault::Latency(Duration::from_millis(250)),
            Fault::Hang,
            Fault::ClosedPort,
            Fault::HalfBody,
            Fault::HangAfterCharge,
        ] {
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
    }

    #[test]
    fn what_is_no_fault_is_refused() {
        for text in [
            "",
            "status",
            "status 200",
            "status 1000",
            "latency soon",
            "hang 3s",
            "Hang",
        ] {
            assert_eq!(text.parse::<Fault>(), Err(UnknownFault), "{text}");
        }
    }
}
