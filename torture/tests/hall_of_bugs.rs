//! Goal: the list of other engines' bugs tells the truth. Method: every test that it names exists where it says, every number
//! from 1 to 81 is there once, and no test of the hall is missing from it.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const LIST: &str = include_str!("../HALL_OF_BUGS.md");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// The cells of each entry.
fn entries() -> Vec<Vec<&'static str>> {
    let rows = LIST.lines().filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit());
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

/// The tests that a cell names, as file and function.
fn tests_in(cell: &str) -> Vec<(&str, &str)> {
    cell.split('`').skip(1).step_by(2).filter_map(|name| name.split_once("::")).collect()
}

fn file_of(place: &str) -> PathBuf {
    let (package, file) = place.split_once('/').unwrap();
    let inside = if file.starts_with("src/") { file.to_owned() } else { format!("tests/{file}") };
    root().join(package).join(format!("{inside}.rs"))
}

/// All functions of the workspace whose names start with `hb_`.
fn written_tests(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in directory.read_dir().unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            written_tests(&path, found);
        } else if name.ends_with(".rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let functions = text.lines().filter_map(|line| line.trim_start().strip_prefix("fn hb_"));
            found.extend(functions.map(|rest| format!("hb_{}", rest.split('(').next().unwrap())));
        }
    }
}

#[test]
fn every_entry_is_there_once() {
    let numbers: Vec<usize> = entries().iter().map(|cells| cells[0].parse().unwrap()).collect();
    assert_eq!(numbers, (1..=81).collect::<Vec<_>>());
}

#[test]
fn every_test_that_is_named_exists() {
    for cells in entries() {
        assert_eq!(cells.len(), 5, "{}", cells[0]);
        let tests = tests_in(cells[3]);
        assert!(!tests.is_empty() || cells[3].starts_with("none: "), "{}: {}", cells[0], cells[3]);
        assert_eq!(tests.is_empty(), cells[4].is_empty(), "{}: what was the test red against?", cells[0]);
        for (place, function) in tests {
            let text = std::fs::read_to_string(file_of(place)).unwrap_or_default();
            assert!(
                text.contains(&format!("fn {function}(")),
                "{}: there is no {place}::{function}",
                cells[0]
            );
        }
    }
}

#[test]
fn every_test_of_the_hall_is_listed() {
    let listed: BTreeSet<String> = entries()
        .iter()
        .flat_map(|cells| tests_in(cells[3]))
        .map(|(_, function)| function.to_owned())
        .filter(|function| function.starts_with("hb_"))
        .collect();
    let mut written = BTreeSet::new();
    written_tests(&root(), &mut written);
    assert_eq!(written, listed);
}
