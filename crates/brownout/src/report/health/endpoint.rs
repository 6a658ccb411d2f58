use std::mem;

use crate::core::ConfigError;

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Does this process run? `/livez`.
    Live,
    /// Should this process get requests? `/readyz`.
    Ready,
    /// Has this process started? `/startupz`.
    Startup,
    /// How is the whole system, for people and dashboards? `/health`.
    Health,
}

impl Endpoint {
    pub(super) const ALL: [Self; 4] = [Self::Live, Self::Ready, Self::Startup, Self::Health];

    /// Its name, which is its default path without the slash.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Live => "livez",
            Self::Ready => "readyz",
            Self::Startup => "startupz",
            Self::Health => "health",
        }
    }
}

/// Where each endpoint is.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    all: [Option<Box<str>>; 4],
    /// The length of the shortest, and the bytes that come second in them, by which nearly every other path is told
    /// apart at once.
    shortest: usize,
    seconds: u128,
}

impl Paths {
    fn of(all: [Option<Box<str>>; 4]) -> Self {
        let paths = all.iter().flatten();
        let seconds = paths.clone().filter_map(|path| path.bytes().nth(1));
        Self {
            shortest: paths.map(|path| path.len()).min().unwrap_or(usize::MAX),
            // Any byte may be encoded.
            seconds: seconds.map(bit).fold(bit(b'%'), |all, bit| all | bit),
            all,
        }
    }

    pub(super) fn new() -> Self {
        let all = Endpoint::ALL.map(|endpoint| Some(format!("/{}", endpoint.name()).into()));
        Self::of(all)
    }

    pub(super) fn set(&mut self, endpoint: Endpoint, path: String) -> Result<(), ConfigError> {
        if !is_path(&path) {
            return Err(ConfigError::new(
                "path",
                format_args!("{path:?}"),
                "it must begin with `/` and hold visible ASCII without `?`, `#` and `%`, at most 256 bytes",
            ));
        }
        let taken = Endpoint::ALL
            .into_iter()
            .zip(&self.all)
            .any(|(other, there)| other != endpoint && there.as_deref() == Some(path.as_str()));
        if taken {
            return Err(ConfigError::new(
                "path",
                format_args!("{path:?}"),
                "another endpoint is there",
            ));
        }
        self.all[endpoint as usize] = Some(path.into());
        *self = Self::of(mem::take(&mut self.all));
        Ok(())
    }

    pub(super) fn remove(&mut self, endpoint: Endpoint) {
        self.all[endpoint as usize] = None;
        *self = Self::of(mem::take(&mut self.all));
    }

    /// What a request's path asks for, if it is one of ours.
    #[inline]
    pub(super) fn find(&self, path: &str) -> Option<Endpoint> {
        let second = path.as_bytes().get(1);
        let may_be_ours = path.len() >= self.shortest
            && second.is_none_or(|&second| self.seconds & bit(second) != 0);
        if may_be_ours { self.search(path) } else { None }
    }

    #[cold]
    fn search(&self, path: &str) -> Option<Endpoint> {
        let asked =
            |there: &Option<Box<str>>| there.as_deref().is_some_and(|ours| same(ours, path));
        let found = self.all.iter().position(asked)?;
        Endpoint::ALL.get(found).copied()
    }
}

/// The bit of a byte, if it is ASCII as all of ours are.
#[inline]
fn bit(byte: u8) -> u128 {
    1_u128.checked_shl(byte.into()).unwrap_or_default()
}

const LONGEST: usize = 256;

fn is_path(path: &str) -> bool {
    path.starts_with('/')
        && path.len() <= LONGEST
        && path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"?#%".contains(&byte))
}

/// Whether the text asks for more than a word.
pub(super) fn is_verbose(query: Option<&str>) -> bool {
    query.is_some_and(|query| {
        query.split('&').any(|pair| {
            let name = pair.split_once('=').map_or(pair, |(name, _)| name);
            same("verbose", name)
        })
    })
}

/// Whether a part of a URI is this text, some of it percent-encoded or not (RFC 3986, section 6.2.2.2).
#[inline]
fn same(ours: &str, theirs: &str) -> bool {
    ours == theirs
        || (theirs.len() > ours.len() && same_decoded(ours.as_bytes(), theirs.as_bytes()))
}

/// Reads no further than to the first difference, so that a long URI costs no more than a short one.
#[cold]
fn same_decoded(ours: &[u8], mut theirs: &[u8]) -> bool {
    for &byte in ours {
        let (read, rest) = match theirs {
            [b'%', high, low, rest @ ..] => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, rest),
                _ => return false,
            },
            [read, rest @ ..] => (*read, rest),
            [] => return false,
        };
        // An encoded delimiter is not the delimiter (section 2.2).
        if read != byte || (read == b'/' && theirs[0] == b'%') {
            return false;
        }
        theirs = rest;
    }
    theirs.is_empty()
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_paths_are_the_paths_that_they_encode() {
        let paths = Paths::new();
        assert_eq!(paths.find("/livez"), Some(Endpoint::Live));
        assert_eq!(paths.find("/%6Civ%65z"), Some(Endpoint::Live));
        assert_eq!(paths.find("/%6civez"), Some(Endpoint::Live));
        for other in [
            "",
            "*",
            "/",
            "/livez/",
            "/Livez",
            "//livez",
            "%2Flivez",
            "/live%",
            "/live%7",
            "/live%zz",
            "/live%7A%7A",
            "/livez%00",
            "/live",
        ] {
            assert_eq!(paths.find(other), None, "{other}");
        }
    }

    proptest::proptest! {
        /// Ours are few, and the others near enough for some to be ours.
        #[test]
        fn what_is_told_apart_at_once_is_none_of_ours(
            ours in proptest::array::uniform4(proptest::option::of("/[ab]{0,2}")),
            asked in "/([ab]|%6[12]){0,2}|[/*%ä]{0,3}",
        ) {
            let mut paths = Paths::new();
            for (endpoint, path) in Endpoint::ALL.into_iter().zip(ours) {
                match path {
                    // One that is taken leaves the endpoint where it was.
                    Some(path) => drop(paths.set(endpoint, path)),
                    None => paths.remove(endpoint),
                }
            }
            proptest::prop_assert_eq!(paths.find(&asked), paths.search(&asked));
        }
    }

    #[test]
    fn verbose_is_one_of_the_querys_names() {
        for query in [
            "verbose",
            "verbose=1",
            "a=b&verbose",
            "verbose&a",
            "%76erbose=",
            "&&verbose=",
        ] {
            assert!(is_verbose(Some(query)), "{query}");
        }
        for query in [
            "",
            "a=verbose",
            "verboser",
            "verbos",
            "Verbose",
            "a&b=verbose",
        ] {
            assert!(!is_verbose(Some(query)), "{query}");
        }
        assert!(!is_verbose(None));
    }
}
