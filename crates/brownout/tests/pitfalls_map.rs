//! Checks `tests/PITFALLS.md`: every test it names exists, and no fault is left without an answer.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that unwraps or panics says that something is wrong"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn map() -> String {
    fs::read_to_string(root().join("tests/PITFALLS.md")).unwrap()
}

/// The rows of all tables: the fault (or law), and what holds it.
fn rows(map: &str) -> Vec<(&str, &str)> {
    map.lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .map(|row| {
            row.split_once(" | ")
                .unwrap_or_else(|| panic!("no two cells: {row}"))
        })
        .filter(|(_, answer)| *answer != "what holds it")
        .collect()
}

/// What stands between backticks and names something of this repository: a path, or a test in one.
fn references(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split('`').skip(1).step_by(2);
    code.filter(|code| code.contains('/') || code.contains("::"))
}

/// Why a reference leads nowhere, if it does.
fn broken(reference: &str) -> Option<String> {
    let (path, name) = match reference.split_once("::") {
        Some((path, name)) => (path, Some(name)),
        None => (reference, None),
    };
    let Ok(source) = fs::read_to_string(root().join(path)) else {
        return Some(format!("{reference}: there is no file {path}"));
    };
    let name = name?;
    let Some((before, _)) = source.split_once(&format!("fn {name}(")) else {
        return Some(format!("{reference}: {path} has no such function"));
    };
    let attributes = before.rsplit("\n\n").next().unwrap_or_default();
    let is_test = attributes.contains("test]") || attributes.contains("::test(");
    (!is_test).then(|| format!("{reference}: not a test"))
}

#[test]
fn every_test_that_the_map_names_exists() {
    let map = map();
    let named: Vec<_> = references(&map).collect();
    assert!(named.len() > 100, "only {} references found", named.len());
    let broken: Vec<_> = named.into_iter().filter_map(broken).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_fault_has_an_answer() {
    let map = map();
    let rows = rows(&map);
    assert!(rows.len() > 60, "only {} rows found", rows.len());
    for (fault, answer) in rows {
        let answered = references(answer).any(|reference| reference.contains("::"));
        let promised = answer.starts_with("Milestone: ") || answer.starts_with("Cannot apply: ");
        assert!(answered || promised, "{fault}: {answer:?}");
    }
}

#[test]
fn a_reference_that_leads_nowhere_is_noticed() {
    let here = "crates/brownout/tests/pitfalls_map.rs";
    assert_eq!(broken(here), None);
    assert_eq!(broken(&format!("{here}::every_fault_has_an_answer")), None);
    for (reference, wrong) in [
        ("tests/no_such_file.rs".to_owned(), "no file"),
        ("tests/no_such_file.rs::a_test".to_owned(), "no file"),
        (format!("{here}::no_such_test"), "no such function"),
        (format!("{here}::every_fault"), "no such function"),
        (format!("{here}::references"), "not a test"),
    ] {
        assert!(broken(&reference).unwrap().contains(wrong), "{reference}");
    }
}

#[test]
fn references_are_found_among_other_code() {
    let text = "`Clone`, `tests/a.rs::b`, prose, `tests/c.rs`; `'static` and `tests/d.rs::e`";
    let found: Vec<_> = references(text).collect();
    assert_eq!(found, ["tests/a.rs::b", "tests/c.rs", "tests/d.rs::e"]);
}
