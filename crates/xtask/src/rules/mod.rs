//! The architecture's rules, checked over sources and dependency trees.
//!
//! 1. A pattern of `brownout` imports no other pattern: patterns meet only in a user's `ServiceBuilder`.
//! 2. `brownout`'s core imports no pattern.
//! 3. Published crates decide by tokio's clock, never by `std::time::Instant`, so that paused tests drive them.
//! 4. The registry depends on neither tower nor http, and heavy dependencies stay in crates made for them.

mod dependencies;
mod modules;
mod paths;
mod tokens;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::command::{Cmd, Failure, Workspace};
use crate::manifest;
use crate::steps::Outcome;

/// A rule broken: where, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    place: String,
    text: String,
}

/// A Rust file as the rules see it.
#[derive(Debug)]
struct Source {
    /// From the workspace's root, for the message.
    file: PathBuf,
    /// The module it holds, from the crate's root: `["breaker", "layer"]`.
    module: Vec<String>,
    text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// Checks every rule and shows every violation before it fails.
pub(crate) fn check(workspace: &Workspace) -> Result<Outcome, Failure> {
    let mut violations = Vec::new();
    for package in manifest::published(workspace)? {
        let sources = sources(workspace, &package.source)?;
        if package.name == "brownout" {
            violations.extend(modules::patterns_stay_apart(&sources));
        }
        violations.extend(sources.iter().flat_map(modules::decides_by_tokios_clock));
        let tree = Cmd::cargo(workspace, dependencies::TREE)
            .arg(&package.name)
            .output()?;
        violations.extend(dependencies::stay_light(&package.name, &tree));
    }

    if violations.is_empty() {
        return Ok(Outcome::Passed);
    }
    for violation in &violations {
        println!("   {violation}");
    }
    Err(Failure::new(format!(
        "{} broken; they are listed above",
        match violations.len() {
            1 => "one rule is".to_owned(),
            many => format!("{many} rules are"),
        }
    )))
}

fn sources(workspace: &Workspace, src: &Path) -> Result<Vec<Source>, Failure> {
    let mut found = Vec::new();
    let mut folders = vec![src.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let absolute = workspace.root.join(&folder);
        let unreadable =
            |error| Failure::new(format!("cannot list {}: {error}", absolute.display()));
        for entry in std::fs::read_dir(&absolute).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = folder.join(entry.file_name());
            if entry.file_type().map_err(unreadable)?.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(Source {
                    module: module_of(path.strip_prefix(src).unwrap_or(&path)),
                    text: workspace.read(&path)?,
                    file: path,
                });
            }
        }
    }
    found.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(found)
}

/// The module that a file of `src` holds: `breaker/mod.rs` and `breaker.rs` are `breaker`, `lib.rs` is the root.
fn module_of(file: &Path) -> Vec<String> {
    let mut module: Vec<String> = file
        .with_extension("")
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    let names_no_module = match module.last().map(String::as_str) {
        Some("mod") => true,
        Some("lib" | "main") => module.len() == 1,
        _ => false,
    };
    if names_no_module {
        module.pop();
    }
    module
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_module() {
        let module = |file: &str| module_of(Path::new(file)).join("::");
        assert_eq!(module("lib.rs"), "");
        assert_eq!(module("breaker/mod.rs"), "breaker");
        assert_eq!(module("breaker.rs"), "breaker");
        assert_eq!(module("breaker/layer.rs"), "breaker::layer");
    }

    #[test]
    fn the_sources_of_the_published_crates_are_found() {
        let workspace = Workspace::find().unwrap();
        for package in manifest::published(&workspace).unwrap() {
            let sources = sources(&workspace, &package.source).unwrap();
            assert!(
                sources.iter().any(|source| source.module.is_empty()),
                "{} has no root module",
                package.name
            );
        }
    }
}
