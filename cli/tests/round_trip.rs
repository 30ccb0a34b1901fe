//! What goes in comes out: files, JSON lines and tab-separated lines, with names and bytes that break careless tools.

#![allow(clippy::disallowed_methods, reason = "tests make files on purpose")]

mod harness;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use harness::{Place, files_below, write};

/// Goal: files come back byte for byte, whatever their names. Method: a tree with names that contain spaces, quotes, line ends,
/// leading dashes, bytes that are not UTF-8, and contents from empty to larger than a batch; there and back, then compare.
#[test]
fn files_with_nasty_names() {
    let place = Place::new();
    let names: [&[u8]; 14] = [
        b"plain",
        b"a b/c d",
        b"-rf",
        b"--help",
        b"quote'\"`$HOME",
        b"line\nend",
        b"tab\there",
        b"back\\slash",
        b"not-utf8-\xff\xfe",
        b"\xe6\x97\xa5\xe6\x9c\xac/\xf0\x9f\xa6\x80",
        b"deep/a/b/c/d/e/f/g/h/i/j/k",
        b"deep.txt",
        b"deep-er/x",
        b"...",
    ];
    for (number, name) in names.iter().enumerate() {
        let contents: Vec<u8> =
            (0..number * number * 1_500).map(|at| (at * (number + 1) % 251) as u8).collect();
        write(&place.path("in").join(OsStr::from_bytes(name)), &contents);
    }
    place.run(&["import", "db", "--files", "in", "--batch-bytes", "64K"]).exits(0);
    place.run(&["export", "db", "--files", "out"]).exits(0);
    assert_eq!(files_below(&place.path("out")), files_below(&place.path("in")));
    assert_eq!(files_below(&place.path("in")).len(), names.len());
    place.run(&["verify", "db"]).exits(0);
    let keys = place.run(&["scan", "db", "--keys"]).exits(0);
    let mut sorted: Vec<_> = names.to_vec();
    sorted.sort_unstable();
    let read = keys.text().lines().map(|line| line.replace("\\\\", "\\")).collect::<Vec<_>>();
    assert_eq!(read.len(), sorted.len());
    assert_eq!(read[0], "--help");
}

/// Goal: JSON lines keep every byte, the user's byte and the expiry. Method: export, import elsewhere, export again; both exports
/// are the same, and some lines are what the help says.
#[test]
fn json_lines_keep_everything() {
    let place = Place::new();
    place.run(&["set", "db", "text", "a \"b\"\n", "--create"]).exits(0);
    place.run(&["set", "db", "00ff", "fe", "--format", "hex"]).exits(0);
    place.run(&["set", "db", "empty", "", "--meta", "7"]).exits(0);
    place.run(&["set", "db", "session", "x", "--ttl", "30d"]).exits(0);
    let first = place.run(&["export", "db", "--jsonl", "-"]).exits(0);
    assert!(first.text().contains("{\"key_hex\":\"00ff\",\"value_hex\":\"fe\"}\n"), "{}", first.text());
    assert!(first.text().contains("{\"key\":\"empty\",\"value\":\"\",\"meta\":7}\n"), "{}", first.text());
    assert!(first.text().contains("\"expires_at\":"), "{}", first.text());
    place.run_with_input(&["import", "copy", "--jsonl", "-"], &first.stdout).exits(0);
    let second = place.run(&["export", "copy", "--jsonl", "-"]).exits(0);
    assert_eq!(first.text(), second.text());
    let scanned = place.run(&["scan", "copy", "--jsonl"]).exits(0);
    assert_eq!(first.text(), scanned.text());
}

/// Goal: tab-separated lines keep every byte, in both forms. Method: keys and values of all 256 bytes there and back.
#[test]
fn tab_separated_lines_keep_every_byte() {
    let place = Place::new();
    let all: Vec<u8> = (0..=255).collect();
    let hex: String = all.iter().map(|byte| format!("{byte:02x}")).collect();
    place
        .run_with_input(
            &["import", "db", "--tsv", "-", "--format", "hex"],
            format!("{hex}\t{hex}\n").as_bytes(),
        )
        .exits(0);
    assert_eq!(place.run(&["get", "db", &hex, "--format", "hex"]).exits(0).text(), format!("{hex}\n"));
    for format in ["escaped", "hex"] {
        let copy = format!("copy-{format}");
        let lines = place.run(&["export", "db", "--tsv", "-", "--format", format]).exits(0);
        assert_eq!(lines.text().lines().count(), 1);
        place.run_with_input(&["import", &copy, "--tsv", "-", "--format", format], &lines.stdout).exits(0);
        assert_eq!(place.run(&["get", &copy, &hex, "--format", "hex"]).exits(0).text(), format!("{hex}\n"));
    }
    place.run(&["export", "db", "--tsv", "-", "--format", "text"]).exits(2).says(&["use escaped or hex"]);
}

/// Goal: what is no regular file is skipped and said, what cannot be read is a finding, the rest is imported. Method: a symbolic
/// link, a named pipe, a broken link, the database itself inside the tree.
#[test]
fn other_than_files_is_skipped_and_said() {
    let place = Place::new();
    write(&place.path("in/file"), b"1");
    std::os::unix::fs::symlink("file", place.path("in/link")).unwrap();
    std::os::unix::fs::symlink("nowhere", place.path("in/broken")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(place.path("in/pipe")).status().unwrap().success());
    place.run(&["import", "in/db", "--files", "in"]).exits(0);
    place.run(&["import", "in/db", "--files", "in"]).exits(0).says(&[
        "in/link: it is a symbolic link",
        "in/broken: it is",
        "in/pipe: it is not a regular",
        "in/db: it is the database",
    ]);
    assert_eq!(place.run(&["scan", "in/db"]).exits(0).text(), "file\t1\n");
}

/// Goal: a large file needs no argument, and a budget that is too small says so. Method: 40 MB, more than a transaction may hold by
/// default; also a database that is made inside the tree.
#[test]
fn one_large_file() {
    let place = Place::new();
    let contents: Vec<u8> = (0..40_000_000u32).map(|at| ((at * 31) >> 7) as u8).collect();
    write(&place.path("in/sub/large"), &contents);
    let arguments = ["import", "in/sub/db", "--files", "in"];
    place
        .run(&[arguments.as_slice(), &["--memory", "16M"]].concat())
        .exits(2)
        .says(&["sub/large: ", "more with --memory"]);
    std::fs::remove_dir_all(place.path("in/sub/db")).unwrap();
    place.run(&arguments).exits(0);
    assert!(place.run(&["get", "in/sub/db", "sub/large"]).exits(0).stdout == contents);
    assert_eq!(place.run(&["count", "in/sub/db"]).exits(0).text(), "1\n");
    place.run(&["set", "copy", "key", "--value-file", "in/sub/large", "--create"]).exits(0);
}

/// Goal: an export never leaves its directory, and says what it refused. Method: keys that would, next to good ones.
#[test]
fn keys_that_would_leave_the_directory_are_refused() {
    let place = Place::new();
    let bad = ["../escape", "/tmp/kv-escape", "a//b", "a/../../b", "dir/", "nul\\x00", "./dot"];
    let lines: String =
        bad.iter().chain(&["good", "x", "x/y"]).map(|key| format!("{key}\tvalue\n")).collect();
    place.run_with_input(&["import", "db", "--tsv", "-"], lines.as_bytes()).exits(0);
    let said = place.run(&["export", "db", "--files", "out"]).exits(1);
    for key in bad {
        assert!(said.stderr.contains(&format!("refused {key}")), "{key}: {}", said.stderr);
    }
    assert!(said.stderr.contains("refused x/y: another key has taken its name"), "{}", said.stderr);
    let names: Vec<_> = files_below(&place.path("out")).into_keys().collect();
    assert_eq!(names, ["good", "x"].map(std::path::PathBuf::from));
    assert!(!place.path("escape").exists());
    place.run(&["export", "db", "--files", "out"]).exits(2).says(&["is not empty"]);
}

/// Goal: a failed export leaves an earlier good file alone. Method: damage the database, export over the file.
#[test]
fn a_failed_export_does_not_replace_a_good_file() {
    let place = Place::new();
    let value = "v".repeat(5_000);
    place.run(&["set", "db", "key", &value, "--create"]).exits(0);
    place.run(&["compact", "db"]).exits(0);
    place.run(&["export", "db", "--jsonl", "good"]).exits(0);
    let good = std::fs::read(place.path("good")).unwrap();
    for segment in harness::files_ending(&place.path("db"), "vlog") {
        let length = std::fs::metadata(&segment).unwrap().len() as usize;
        for offset in (0..length).step_by(7).skip(8) {
            harness::flip(&segment, offset);
        }
    }
    place.run(&["export", "db", "--jsonl", "good"]).exits(1).says(&["damaged"]);
    assert_eq!(std::fs::read(place.path("good")).unwrap(), good);
}

/// Goal: batches are what the report says, in order, and all of them. Method: small batches; the report's keys are the keys.
#[test]
fn the_report_lists_every_batch() {
    let place = Place::new();
    let lines: String = (0..100).map(|number| format!("key{number:03}\tvalue\n")).collect();
    let arguments = ["import", "db", "--tsv", "-", "--batch-bytes", "1K", "--report-batches", "report"];
    place.run_with_input(&arguments, lines.as_bytes()).exits(0);
    let report = std::fs::read_to_string(place.path("report")).unwrap();
    let (heads, keys): (Vec<&str>, Vec<&str>) = report.lines().partition(|line| line.starts_with("batch "));
    assert!(heads.len() > 3, "{report}");
    let expected: Vec<_> = (0..100).map(|number| format!("6b6579{}", number_in_hex(number))).collect();
    assert_eq!(keys, expected);
    assert_eq!(heads[0].split(' ').nth(2), Some(expected[0].as_str()));
}

fn number_in_hex(number: usize) -> String {
    format!("{number:03}").bytes().map(|digit| format!("{digit:02x}")).collect()
}
