//! How many files a process may have open: each connection is one, here and in the server.

/// What there is beside the replicas' connections, and the 32 that Redis keeps for itself.
const BESIDE: u64 = 128;

/// Raises the limit of open files as far as this process may, and says where it is now; none, if it has none or none can
/// be known. A server that is started later has the same.
#[cfg(unix)]
pub(super) fn raised() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Where even that is forbidden, what there is has to do.
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// Raises nothing: other systems have no such limit.
#[cfg(not(unix))]
pub(super) fn raised() -> Option<u64> {
    None
}

/// Whether so many connections fit below that limit.
pub(super) fn hold(limit: Option<u64>, connections: usize) -> Result<(), String> {
    let needed = (connections as u64).saturating_add(BESIDE);
    match limit {
        Some(limit) if limit < needed => Err(format!(
            "{connections} connections need {needed} open files, and the hard limit (`ulimit -Hn`) is {limit}"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_too_low_is_named() {
        let why =
            "1000 connections need 1128 open files, and the hard limit (`ulimit -Hn`) is 1127";
        assert_eq!(hold(Some(1_127), 1_000), Err(why.to_owned()));
        assert_eq!(hold(Some(1_128), 1_000), Ok(()));
        assert_eq!(hold(None, 1_000), Ok(()));
    }

    #[test]
    fn the_limit_is_raised_once_and_stays() {
        assert_eq!(raised(), raised());
    }
}
