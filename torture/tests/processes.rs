//! Goal: the campaigns that start processes work, and leave none behind. Method: one case of each, run by the program itself; and
//! a worker whose parent goes away.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step fails the test")]

use std::process::{Command, Stdio};

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_kv-torture");

/// Runs one case; what it has counted.
fn counters(campaign: &str) -> Value {
    let output = Command::new(PROGRAM).args(["--only", campaign, "--case", "0", "--json"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let summary: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(summary["findings"], Value::Array(Vec::new()), "{text}");
    assert!(output.status.success());
    summary["counters"].clone()
}

#[test]
fn one_directory_is_killed_again_and_again() {
    let counters = counters("kill");
    assert_eq!(counters["kills"], 25);
    assert_eq!(counters["lost"], 0);
}

#[test]
fn each_race_has_one_winner() {
    let counters = counters("race");
    assert!(counters["races"].as_u64().unwrap() > 0);
    assert_eq!(counters["races"], counters["winners"]);
}

#[test]
fn a_disk_is_filled_with_or_without_a_mount() {
    let counters = counters("full-disk");
    assert_eq!(counters["cycles"], 3);
    assert!(counters["refused"].as_u64().unwrap() > 0);
}

#[test]
fn a_reader_is_traced_or_skipped() {
    let counters = counters("read-only");
    let (opens, skips) = (counters["opens"].as_u64().unwrap(), counters["skips"].as_u64().unwrap());
    assert!(opens >= 2);
    assert!(skips > 0 || counters["system calls"].as_u64().unwrap() > 0);
}

#[test]
fn a_worker_ends_with_its_parent() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(PROGRAM);
    command.arg("kill-worker").arg("--directory").arg(directory.path().join("db"));
    command.args(["--seed", "1", "--threads", "2", "--transactions", "1000000"]);
    let mut worker = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    // The end of its input is all that it sees of the end of a parent.
    drop(worker.stdin.take());
    assert!(!worker.wait().unwrap().success());
}
