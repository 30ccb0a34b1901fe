//! Goal: the house stands as it was drawn: arrows between crates point down, and what only one file may do is done in one
//! file. Method: read every `Cargo.toml` and every source file of the workspace.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step fails the test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The crates of the library, each with those of the workspace that it may depend on.
const STOREYS: [(&str, &[&str]); 10] = [
    ("base", &[]),
    ("wal", &["base"]),
    ("memtable", &["base"]),
    ("sstable", &["base"]),
    ("vlog", &["base"]),
    ("manifest", &["base"]),
    ("keyring", &["base"]),
    ("txn", &["base"]),
    ("engine", &["base", "wal", "memtable", "sstable", "vlog", "manifest", "keyring"]),
    ("kv", &["base", "txn", "engine"]),
];

/// What only some files of the library may mention.
const DOORS: [(&str, &[&str]); 9] = [
    ("std::fs", &["base/src/vfs/os.rs"]),
    ("rustix", &["base/src/vfs/os.rs"]),
    ("memmap2", &["base/src/vfs/os.rs"]),
    ("thread::spawn", &[]),
    ("thread::Builder", &["kv/src/maintenance.rs"]),
    ("thread::scope", &[]),
    ("SystemTime", &["base/src/clock.rs"]),
    ("bincode", &["manifest/src/codec.rs"]),
    ("println!", &[]),
];

/// Longer files have more than one reason, in lines before their inline tests.
const LINES_MAX: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All `.rs` files below `directory`, with their paths from the root.
fn sources(directory: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in directory.read_dir().unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(sources(&path));
        } else if name.ends_with(".rs") {
            let from_root = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            found.push((from_root, read(&path)));
        }
    }
    found
}

/// The part of a file before its inline tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or_default()
}

/// The crates of the workspace that `package` needs, for itself or for its tests.
fn needs(package: &str, section: &str) -> BTreeSet<String> {
    let manifest = read(&root().join(package).join("Cargo.toml"));
    let part =
        manifest.split("\n[").find(|part| part.starts_with(&format!("{section}]"))).unwrap_or_default();
    let names = part.lines().skip(1).filter_map(|line| line.split(['.', ' ', '=']).next());
    names.filter(|name| STOREYS.iter().any(|(known, _)| known == name)).map(String::from).collect()
}

#[test]
fn arrows_point_down_only() {
    for (package, allowed) in STOREYS {
        let found = needs(package, "dependencies");
        let forbidden: Vec<_> = found.iter().filter(|name| !allowed.contains(&name.as_str())).collect();
        assert!(forbidden.is_empty(), "{package} must not depend on {forbidden:?}");
        for other in needs(package, "dev-dependencies").iter().filter(|other| *other != package) {
            let is_below = allowed.contains(&other.as_str()) || (package == "kv" && other == "sstable");
            assert!(is_below, "the tests of {package} must not depend on {other}");
        }
    }
    assert!(!needs("engine", "dependencies").is_empty() && !needs("kv", "dependencies").is_empty());
}

#[test]
fn every_door_is_in_one_file() {
    let mut used = BTreeSet::new();
    for (package, _) in STOREYS {
        for (path, text) in sources(&root().join(package).join("src")) {
            let code = without_tests(&text).lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in code {
                for (word, allowed) in DOORS.iter().filter(|(word, _)| line.contains(word)) {
                    assert!(allowed.contains(&path.as_str()), "{path} must not use {word}: {line}");
                    used.insert(*word);
                }
            }
        }
    }
    // A rule about something that nobody uses any more has lost its meaning.
    for (word, allowed) in DOORS {
        assert!(allowed.is_empty() || used.contains(word), "{word} is not used in {allowed:?}");
    }
}

#[test]
fn unsafe_code_is_in_two_crates() {
    for (package, _) in STOREYS.iter().filter(|(package, _)| !["base", "memtable"].contains(package)) {
        let text = read(&root().join(package).join("src/lib.rs"));
        assert!(text.contains("#![forbid(unsafe_code)]"), "{package}");
    }
    // Maps, and two things that the processor does only if asked.
    let allowed = ["base/src/vfs/os.rs", "base/src/prefetch.rs", "base/src/checksum/wide/avx2.rs"];
    for (path, text) in sources(&root().join("base/src")) {
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let is_used = code.into_iter().any(|line| line.contains("unsafe "));
        assert_eq!(is_used, allowed.contains(&path.as_str()), "unsafe code in {path}");
    }
}

#[test]
fn every_file_says_why_it_exists_and_is_short() {
    let files = sources(&root());
    assert!(files.len() > 100);
    for (path, text) in files {
        assert!(text.starts_with("//!"), "{path} does not say why it exists");
        if path.contains("/src/") {
            let lines = without_tests(&text).lines().count();
            assert!(lines <= LINES_MAX, "{path} has {lines} lines");
        }
    }
}
