//! Rules on what a published crate may depend on, itself or through others.

use super::Violation;

/// A dependency that is kept away from a crate.
#[derive(Debug)]
struct Ban {
    /// The dependency's name, or its beginning where this ends in `*`.
    dependency: &'static str,
    whom: Whom,
    reason: &'static str,
}

#[derive(Debug)]
enum Whom {
    /// Kept away from this crate.
    One(&'static str),
    /// Kept away from every published crate but these.
    AllBut(&'static [&'static str]),
}

/// Lists what a package, to be named next, brings into a user's build with all its features on.
pub(super) const TREE: &str =
    "tree --all-features --edges normal --prefix none --format {p} --package";

const BARE_REGISTRY: &str = "the registry serves programs that have no tower and no http in them";
const HEAVY: &str =
    "heavy dependencies live in crates of their own, never behind a feature of `brownout`";

const BANS: &[Ban] = &[
    Ban::one("tower*", "brownout-registry", BARE_REGISTRY),
    Ban::one("http*", "brownout-registry", BARE_REGISTRY),
    Ban::one("hyper*", "brownout-registry", BARE_REGISTRY),
    // axum's extractor traits are in axum-core, which is allowed.
    Ban::all_but("axum", &["brownout-console", "brownout-tonic"], HEAVY),
    Ban::all_but("tonic*", &["brownout-tonic"], HEAVY),
    Ban::all_but("redis", &["brownout-redis"], HEAVY),
    Ban::all_but("moka", &["brownout-stale"], HEAVY),
    Ban::all_but(
        "reqwest",
        &[],
        "a layer wraps its user's client and brings none",
    ),
];

/// What a crate's dependency tree, as printed by [`TREE`], holds against the rules.
pub(super) fn stay_light(package: &str, tree: &str) -> Vec<Violation> {
    let mut names: Vec<&str> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != package)
        .collect();
    names.sort_unstable();
    names.dedup();

    let broken = |name: &str| {
        let ban = BANS.iter().find(|ban| ban.forbids(package, name))?;
        Some(Violation {
            place: package.to_owned(),
            text: format!(
                "`{name}` is in its dependency tree (`cargo tree -p {package} -e normal --all-features -i {name}` \
                 shows how); {}",
                ban.reason
            ),
        })
    };
    names.into_iter().filter_map(broken).collect()
}

impl Ban {
    const fn one(dependency: &'static str, package: &'static str, reason: &'static str) -> Self {
        Self {
            dependency,
            whom: Whom::One(package),
            reason,
        }
    }

    const fn all_but(
        dependency: &'static str,
        packages: &'static [&'static str],
        reason: &'static str,
    ) -> Self {
        Self {
            dependency,
            whom: Whom::AllBut(packages),
            reason,
        }
    }

    fn forbids(&self, package: &str, dependency: &str) -> bool {
        let applies = match self.whom {
            Whom::One(name) => name == package,
            Whom::AllBut(names) => !names.contains(&package),
        };
        applies
            && match self.dependency.strip_suffix('*') {
                Some(beginning) => dependency.starts_with(beginning),
                None => dependency == self.dependency,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(package: &str, tree: &str) -> Vec<String> {
        stay_light(package, tree)
            .into_iter()
            .map(|violation| violation.text)
            .collect()
    }

    #[test]
    fn the_registry_is_found_out_when_it_knows_tower_or_http() {
        let tree = "brownout-registry v0.1.0 (/somewhere)\ntokio v1.54.0\ntower-layer v0.3.3\nhttp-body v1.1.0\n\
                    http-body v1.1.0 (*)\n";
        let broken = broken("brownout-registry", tree);
        assert_eq!(broken.len(), 2, "{broken:?}");
        assert!(broken[0].starts_with("`http-body`"), "{broken:?}");
        assert!(broken[1].starts_with("`tower-layer`"), "{broken:?}");
    }

    #[test]
    fn brownout_itself_may_know_tower_http_and_axum_core() {
        let tree = "brownout v0.1.0\ntower v0.5.3\nhttp v1.5.0\naxum-core v0.5.6\n";
        assert_eq!(broken("brownout", tree), [""; 0]);
    }

    #[test]
    fn a_heavy_dependency_is_found_however_deep_it_is() {
        let tree = "brownout v0.1.0\nsomething v1.0.0\ntonic-health v0.14.0\naxum v0.8.9\nreqwest v0.13.5\n";
        assert_eq!(broken("brownout", tree).len(), 3);
    }

    #[test]
    fn a_heavy_dependency_is_at_home_in_the_crate_made_for_it() {
        assert_eq!(
            broken("brownout-tonic", "tonic v0.14.0\naxum v0.8.9\n"),
            [""; 0]
        );
        assert_eq!(broken("brownout-redis", "moka v0.12.0\n").len(), 1);
    }
}
