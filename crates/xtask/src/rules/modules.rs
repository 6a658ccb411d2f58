//! Rules on what a module may name.

use std::collections::{BTreeMap, BTreeSet};

use super::paths::{self, Named, Root};
use super::{Source, Violation};

/// What every pattern stands on; it knows none of them.
const CORE: &str = "core";

/// Top-level modules that are neither core nor pattern: what only one protocol or one optional dependency needs.
/// Anything else at the top level of `brownout` is taken for a pattern, so that a new one is under the rule at once.
const EDGES: &[&str] = &["http", "grpc", "axum", "metrics", "serde"];

/// The top level of `brownout`: its modules, and the names that the root takes out of patterns.
#[derive(Debug)]
struct TopLevel {
    modules: BTreeSet<String>,
    exports: BTreeMap<String, String>,
}

/// No pattern names another, in whatever way, and the core names none.
pub(super) fn patterns_stay_apart(sources: &[Source]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let top = TopLevel::of(sources, &mut violations);
    for source in sources {
        let Some(home) = source.module.first() else {
            continue;
        };
        if home != CORE && !is_pattern(home) {
            continue;
        }
        for path in paths::named(&source.text, &source.module) {
            if path.root == Root::Crate {
                let broken = top.breach(home, &path);
                violations.extend(broken.map(|text| source.violation(&path, text)));
            }
        }
    }
    violations
}

/// Nothing published reads std's clock, which no test can pause.
pub(super) fn decides_by_tokios_clock(source: &Source) -> Vec<Violation> {
    paths::named(&source.text, &source.module)
        .iter()
        .filter(|path| {
            path.segments
                .starts_with(&["std", "time", "Instant"].map(str::to_owned))
        })
        .map(|path| {
            source.violation(
                path,
                "`std::time::Instant` cannot be paused by a test; use `tokio::time::Instant`"
                    .to_owned(),
            )
        })
        .collect()
}

impl TopLevel {
    fn of(sources: &[Source], violations: &mut Vec<Violation>) -> Self {
        let modules = sources
            .iter()
            .filter_map(|source| source.module.first().cloned())
            .collect();
        let mut top = Self {
            modules,
            exports: BTreeMap::new(),
        };
        for root in sources.iter().filter(|source| source.module.is_empty()) {
            for path in paths::named(&root.text, &[]) {
                let (Some(module), Some(name)) = (path.segments.first(), path.segments.last())
                else {
                    continue;
                };
                if !top.modules.contains(module) || !is_pattern(module) {
                    continue;
                }
                if name == "*" {
                    violations.push(root.violation(
                        &path,
                        format!(
                            "name what the root takes from `{module}`: behind a glob, one pattern can reach another \
                             through the root unseen"
                        ),
                    ));
                } else {
                    let export = path.alias.as_ref().unwrap_or(name);
                    top.exports.insert(export.clone(), module.clone());
                }
            }
        }
        top
    }

    /// What is wrong with a path from the module `home`, if anything.
    fn breach(&self, home: &str, path: &Named) -> Option<String> {
        let first = path.segments.first()?;
        if first == "*" {
            return Some(format!(
                "`{home}` imports the whole root, patterns included; import what is needed by name"
            ));
        }
        let owner = if self.modules.contains(first) {
            first
        } else {
            self.exports.get(first)?
        };
        if owner == home || !is_pattern(owner) {
            return None;
        }
        let shown = path.segments.join("::");
        Some(if home == CORE {
            format!(
                "the core names `crate::{shown}` of the pattern `{owner}`; patterns stand on the core, not it on them"
            )
        } else {
            format!(
                "the pattern `{home}` names `crate::{shown}` of the pattern `{owner}`; patterns meet only in a user's \
                 `ServiceBuilder`, so move what both need into `core` (a module that is no pattern is listed in xtask's \
                 rules/modules.rs)"
            )
        })
    }
}

impl Source {
    fn violation(&self, path: &Named, text: String) -> Violation {
        Violation {
            place: format!("{}:{}", self.file.display(), path.line),
            text,
        }
    }
}

fn is_pattern(module: &str) -> bool {
    module != CORE && !EDGES.contains(&module)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::module_of;

    const ROOT: (&str, &str) = (
        "lib.rs",
        "pub mod breaker; pub mod core; pub mod fallback; mod http;\n\
         pub use fallback::{FallbackLayer, layer::Tier as Step};",
    );

    fn crate_of(files: &[(&str, &str)]) -> Vec<Source> {
        [
            ROOT,
            ("core/mod.rs", ""),
            ("fallback/mod.rs", ""),
            ("http.rs", ""),
        ]
        .iter()
        .filter(|(file, _)| !files.iter().any(|(given, _)| given == file))
        .chain(files)
        .map(|(file, text)| Source {
            file: file.into(),
            module: module_of(file.as_ref()),
            text: (*text).to_owned(),
        })
        .collect()
    }

    fn places(files: &[(&str, &str)]) -> Vec<String> {
        patterns_stay_apart(&crate_of(files))
            .into_iter()
            .map(|violation| violation.place)
            .collect()
    }

    #[test]
    fn a_pattern_may_name_itself_the_core_and_the_edges() {
        let text = "use crate::breaker::policy::Policy; use crate::core::Verdict; use crate::http::Body;\n\
                    use super::future::ResponseFuture; use brownout_registry::Registry;";
        assert_eq!(places(&[("breaker/layer.rs", text)]), [""; 0]);
    }

    #[test]
    fn a_pattern_that_imports_another_is_found_with_its_line() {
        assert_eq!(
            places(&[(
                "breaker/layer.rs",
                "\nuse crate::{core::A, fallback::Tier};"
            )]),
            ["breaker/layer.rs:2"]
        );
        assert_eq!(
            places(&[("breaker/layer.rs", "use super::super::fallback;")]),
            ["breaker/layer.rs:1"]
        );
        assert_eq!(
            places(&[("breaker/mod.rs", "fn f() { super::fallback::answer() }")]),
            ["breaker/mod.rs:1"]
        );
    }

    #[test]
    fn a_pattern_that_reaches_another_through_the_root_is_found() {
        let file = "breaker/layer.rs";
        assert_eq!(
            places(&[(file, "use crate::FallbackLayer;")]),
            ["breaker/layer.rs:1"]
        );
        assert_eq!(
            places(&[(file, "use crate::Step;")]),
            ["breaker/layer.rs:1"]
        );
        assert_eq!(places(&[(file, "use crate::*;")]), ["breaker/layer.rs:1"]);
        assert_eq!(places(&[(file, "use crate::Unrelated;")]), [""; 0]);
    }

    #[test]
    fn a_new_module_is_taken_for_a_pattern() {
        assert_eq!(
            places(&[("shed/mod.rs", "use crate::fallback::Tier;")]),
            ["shed/mod.rs:1"]
        );
    }

    #[test]
    fn the_core_that_names_a_pattern_is_found() {
        assert_eq!(
            places(&[("core/mod.rs", "use crate::fallback::Tier;")]),
            ["core/mod.rs:1"]
        );
    }

    #[test]
    fn the_root_takes_names_out_of_patterns_but_no_globs() {
        assert_eq!(places(&[("lib.rs", "pub use fallback::Tier;")]), [""; 0]);
        assert_eq!(places(&[("lib.rs", "pub use fallback::*;")]), ["lib.rs:1"]);
        assert_eq!(
            places(&[("lib.rs", "pub use self::fallback::*;")]),
            ["lib.rs:1"]
        );
    }

    #[test]
    fn documentation_may_name_any_pattern() {
        assert_eq!(
            places(&[("breaker/mod.rs", "//! See [`crate::fallback::Tier`].")]),
            [""; 0]
        );
    }

    #[test]
    fn the_clock_of_std_is_found_and_tokios_is_not() {
        let found = |text: &str| {
            let sources = crate_of(&[("breaker/clock.rs", text)]);
            sources.iter().flat_map(decides_by_tokios_clock).count()
        };
        assert_eq!(found("use std::{sync::Arc, time::{Duration, Instant}};"), 1);
        assert_eq!(found("let now = std::time::Instant::now();"), 1);
        assert_eq!(
            found("use std::time::{Duration, SystemTime}; use tokio::time::Instant;"),
            0
        );
    }
}
