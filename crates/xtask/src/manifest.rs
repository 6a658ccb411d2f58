//! What the tasks need to know of the workspace's manifests, read line by line.
//!
//! Ours are written by hand, one key a line, so a TOML parser would be a dependency for nothing.

use std::path::PathBuf;

use crate::command::{Failure, Workspace};

/// A package under `crates/` that users can depend on.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) name: String,
    /// All features but `default`, in the order of the manifest.
    pub(crate) features: Vec<String>,
    /// Its `src`, from the workspace's root.
    pub(crate) source: PathBuf,
}

/// The packages under `crates/` that do not say `publish = false`, by name.
pub(crate) fn published(workspace: &Workspace) -> Result<Vec<Published>, Failure> {
    let crates = workspace.root.join("crates");
    let unreadable = |error| Failure::new(format!("cannot list {}: {error}", crates.display()));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&crates).map_err(unreadable)? {
        let folder = PathBuf::from("crates").join(entry.map_err(unreadable)?.file_name());
        let file = folder.join("Cargo.toml");
        if !workspace.root.join(&file).is_file() {
            continue;
        }
        let manifest = workspace.read(&file)?;
        if value(&manifest, "package", "publish") == Some("false") {
            continue;
        }
        let name = value(&manifest, "package", "name").ok_or_else(|| {
            Failure::new(format!("{} has no `name` in [package]", file.display()))
        })?;
        found.push(Published {
            name: name.to_owned(),
            features: features(&manifest),
            source: folder.join("src"),
        });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn features(manifest: &str) -> Vec<String> {
    keys(manifest, "features")
        .map(|(key, _)| key.to_owned())
        .filter(|key| key != "default")
        .collect()
}

fn value<'a>(manifest: &'a str, section: &'a str, wanted: &str) -> Option<&'a str> {
    keys(manifest, section)
        .find(|(key, _)| *key == wanted)
        .map(|(_, value)| value.trim_matches('"'))
}

/// The `key = value` lines of one section; lines inside a list of several lines have no bare key and are passed over.
fn keys<'a>(manifest: &'a str, section: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    manifest
        .lines()
        .map(str::trim)
        .skip_while(move |line| heading(line) != Some(section))
        .skip(1)
        .take_while(|line| heading(line).is_none())
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim(), value.trim()))
        .filter(|(key, _)| {
            key.chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        })
}

fn heading(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.strip_suffix(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"
[package]
name = "brownout"
version.workspace = true

[features]
default = ["http"]
# A comment with an = sign in it.
http = [
    "dep:bytes",
    "dep:http",
]
coarse-clock = ["dep:coarsetime"]

[dependencies]
name = "not this one"
bytes = { workspace = true, optional = true }
"#;

    #[test]
    fn features_are_the_keys_of_their_section_without_default() {
        assert_eq!(features(MANIFEST), ["http", "coarse-clock"]);
    }

    #[test]
    fn a_value_is_read_from_its_own_section() {
        assert_eq!(value(MANIFEST, "package", "name"), Some("brownout"));
        assert_eq!(value(MANIFEST, "package", "publish"), None);
        assert_eq!(value(MANIFEST, "lints", "workspace"), None);
    }

    #[test]
    fn the_task_runner_is_not_among_the_published_crates() {
        let names: Vec<String> = published(&Workspace::find().unwrap())
            .unwrap()
            .into_iter()
            .map(|package| package.name)
            .collect();
        assert!(names.contains(&"brownout".to_owned()), "{names:?}");
        assert!(!names.contains(&"xtask".to_owned()), "{names:?}");
    }
}
