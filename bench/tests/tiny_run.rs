//! Goal: one command runs every workload on `kv`, in processes of its own, and a report comes out of its lines. Method: the program
//! itself, with so few keys that it takes seconds.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::Path;
use std::process::{Command, Output};

fn kv_bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kv-bench")).args(arguments).output().unwrap()
}

/// The standard output of a run that must succeed.
fn output_of(arguments: &[&str]) -> String {
    let output = kv_bench(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn records(path: &Path) -> Vec<serde_json::Value> {
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_tiny_run_measures_every_workload() {
    let directory = tempfile::tempdir().unwrap();
    let (lines, pictures) = (directory.path().join("run.jsonl"), directory.path().join("pictures"));
    let small =
        ["--engines", "kv", "--keys", "2500", "--milliseconds", "20", "--rounds", "1", "--memtable-mib", "1"];
    let mut arguments = small.to_vec();
    arguments.extend(["--output", lines.to_str().unwrap()]);
    let tables = output_of(&arguments);

    let records = records(&lines);
    assert!(records.iter().all(|record| record["record"] != "failed"), "{records:?}");
    let figures = || records.iter().filter(|record| record["record"] == "figure");
    let listed = output_of(&["list"]);
    let workloads = listed.lines().skip(1).take_while(|line| !line.is_empty());
    let names: Vec<&str> = workloads.map(|line| line.split_whitespace().next().unwrap()).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let of_workload: Vec<_> = figures().filter(|figure| figure["workload"] == name).collect();
        assert!(!of_workload.is_empty(), "{name} has no figure");
        assert!(of_workload.iter().all(|figure| figure["value"].as_f64().unwrap() >= 0.0), "{of_workload:?}");
        assert!(tables.contains(name), "{name} is not in the table");
    }
    let lost = figures().find(|figure| figure["measure"] == "lost-percent").unwrap();
    assert_eq!(lost["value"], 0.0, "a buffered commit of kv survives kill -9");

    let page = directory.path().join("RESULTS.md");
    let arguments = ["report", lines.to_str().unwrap(), "--svg", pictures.to_str().unwrap()];
    output_of(&[&arguments[..], &["--output", page.to_str().unwrap()]].concat());
    let report = std::fs::read_to_string(page).unwrap();
    for part in ["## Figures", "## Latencies", "## Where kv is behind", "(pictures/latency-get.svg)"] {
        assert!(report.contains(part), "no {part} in {report}");
    }
    let drawn: Vec<_> = pictures.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(drawn.len() >= 5, "{drawn:?}");
    for picture in drawn {
        let text = std::fs::read_to_string(&picture).unwrap();
        assert!(
            text.starts_with("<svg") && text.ends_with("</svg>\n") && !text.contains("NaN"),
            "{picture:?}"
        );
    }
}

#[test]
fn a_child_that_takes_too_long_loses_only_its_own_figures() {
    let directory = tempfile::tempdir().unwrap();
    let lines = directory.path().join("run.jsonl");
    let run = [
        "--engines",
        "kv",
        "--keys",
        "2500",
        "--rounds",
        "1",
        "--timeout-seconds",
        "0",
        "--workloads",
        "get",
    ];
    let tables = output_of(&[&run[..], &["--output", lines.to_str().unwrap()]].concat());
    assert!(tables.contains("failed: kv, round 1, Random: took longer than 0 s"), "{tables}");
    assert!(records(&lines).iter().any(|record| record["record"] == "failed"));
}

#[test]
fn what_does_not_exist_is_refused_by_name() {
    for (arguments, named) in
        [(["--engines", "paper"], "paper"), (["--workloads", "fast"], "fast"), (["--keys", "1"], "--keys")]
    {
        let output = kv_bench(&arguments);
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains(named), "{output:?}");
    }
}
