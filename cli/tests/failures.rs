//! What goes wrong ends with the documented exit code and one line that says what to do; and changes nothing.

#![allow(clippy::disallowed_methods, reason = "tests damage files on purpose")]

mod harness;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use harness::{Place, files_below, files_ending, flip, open, write};

/// Goal: arguments that make no sense are exit code 2. Method: table.
#[test]
fn usage() {
    let place = Place::new();
    let cases: [&[&str]; 13] = [
        &[],
        &["frobnicate"],
        &["get", "db"],
        &["import", "db"],
        &["import", "db", "--files", "x", "--tsv", "y"],
        &["set", "db", "key"],
        &["set", "db", "key", "value", "--value-file", "x"],
        &["set", "db", "key", "value", "--ttl", "soon"],
        &["set", "db", "key", "value", "--meta", "256"],
        &["scan", "db", "--prefix", "a", "--from", "b"],
        &["get", "db", "xyz", "--format", "hex"],
        &["get", "db", "a\\q", "--format", "escaped"],
        &["info", "db", "--memory", "lots"],
    ];
    for arguments in cases {
        place.run(arguments).exits(2);
    }
    assert!(!place.path("db").exists());
    place.run(&["set", "db", "", "value", "--create"]).exits(2).says(&["error: ", "key"]);
    place.run(&["get", "db", "a", "--memory", "1"]).exits(2);
}

/// Goal: reading commands, and set without --create, never make a database. Method: every one on a missing, an empty and a
/// wrong directory, and on a file.
#[test]
fn no_database_is_made_by_mistake() {
    let place = Place::new();
    std::fs::create_dir(place.path("empty")).unwrap();
    write(&place.path("other/letter.txt"), b"dear");
    write(&place.path("file"), b"text");
    let commands: [&[&str]; 9] = [
        &["get", "DB", "key"],
        &["set", "DB", "key", "value"],
        &["del", "DB", "key"],
        &["scan", "DB"],
        &["count", "DB"],
        &["info", "DB"],
        &["verify", "DB"],
        &["compact", "DB"],
        &["export", "DB", "--jsonl", "-"],
    ];
    let before = files_below(place.directory.path());
    for (database, said) in [
        ("missing", "there is no database at missing"),
        ("empty", "empty is empty"),
        ("other", "other is not a database"),
        ("file", "file is a file"),
    ] {
        for command in commands {
            let arguments: Vec<_> =
                command.iter().map(|word| if *word == "DB" { database } else { word }).collect();
            place.run(&arguments).exits(3).says(&["error: ", said]);
        }
    }
    place.run(&["import", "other", "--files", "empty"]).exits(3).says(&["other is not a database"]);
    assert_eq!(files_below(place.directory.path()), before);
    assert!(!place.path("missing").exists());
}

/// Goal: a database in use is refused with a hint, for reading and for writing. Method: hold it open in this process.
#[test]
fn locked() {
    let place = Place::new();
    let db = open(&place.path("db"));
    for arguments in [["get", "db", "key"].as_slice(), &["set", "db", "key", "value"], &["verify", "db"]] {
        place.run(arguments).exits(3).says(&["is in use", "close the program"]);
    }
    db.close().unwrap();
    place.run(&["set", "db", "key", "value"]).exits(0);
}

/// Goal: a damaged table is found by verify, named, and nothing of it is given out as good. Method: flip one bit in the middle
/// of a table.
#[test]
fn a_damaged_table_is_found() {
    let place = Place::new();
    let lines: String = (0..5_000).map(|number| format!("key{number:05}\tvalue {number}\n")).collect();
    place.run_with_input(&["import", "db", "--tsv", "-"], lines.as_bytes()).exits(0);
    place.run(&["compact", "db"]).exits(0);
    place.run(&["verify", "db"]).exits(0);
    let tables = files_ending(&place.path("db"), "sst");
    let table = tables.first().unwrap();
    flip(table, std::fs::metadata(table).unwrap().len() as usize / 3);
    let found = place.run(&["verify", "db"]).exits(1);
    let name = table.file_name().unwrap().to_str().unwrap();
    assert!(found.text().starts_with("damage: ") && found.text().contains(name), "{}", found.text());
    let found = place.run(&["verify", "db", "--json"]).exits(1).json();
    let findings = found["findings"].as_array().unwrap();
    assert_eq!(found["clean"], false);
    assert!(
        !findings.is_empty() && findings.iter().all(|finding| finding.as_str().unwrap().contains(name)),
        "{found}"
    );
    let scanned = place.run(&["scan", "db"]).exits(1).says(&["error: ", name]);
    assert!(lines.starts_with(&scanned.text()), "what was printed before the damage is right");
}

/// Goal: damage that keeps a database from opening is a finding of verify too. Method: flip a bit of the MANIFEST.
#[test]
fn a_damaged_manifest_is_found() {
    let place = Place::new();
    place.run(&["set", "db", "key", "value", "--create"]).exits(0);
    let manifest = place.path("db/MANIFEST");
    flip(&manifest, std::fs::metadata(&manifest).unwrap().len() as usize / 2);
    let before = files_below(&place.path("db"));
    let found = place.run(&["verify", "db"]).exits(1);
    assert!(found.text().starts_with("damage: ") && found.text().contains("MANIFEST"), "{}", found.text());
    place.run(&["set", "db", "key", "value"]).exits(1).says(&["MANIFEST"]);
    assert_eq!(files_below(&place.path("db")), before);
}

/// Goal: commands that only read change nothing, not even after a crash that left logs to replay. Method: copy a database that
/// is open, which is what a kill leaves; run every reading command; compare the bytes.
#[test]
fn reading_changes_nothing() {
    let place = Place::new();
    let db = open(&place.path("db"));
    for number in 0..100 {
        db.set(format!("key{number}"), "v".repeat(number * 50)).unwrap();
    }
    for (name, bytes) in files_below(&place.path("db")) {
        write(&place.path("left").join(name), &bytes);
    }
    db.close().unwrap();
    let before = files_below(&place.path("left"));
    assert_eq!(place.run(&["count", "left"]).exits(0).text(), "100\n");
    place.run(&["get", "left", "key7"]).exits(0);
    place.run(&["scan", "left"]).exits(0);
    place.run(&["verify", "left"]).exits(0);
    let info = place.run(&["info", "left"]).exits(0).text();
    assert!(info.contains("100 commits"), "{info}");
    place.run(&["export", "left", "--files", "out"]).exits(0);
    assert_eq!(files_below(&place.path("left")), before);
}

/// Goal: a reader that goes away ends the command quietly. Method: more output than a pipe holds, closed after one line.
#[test]
fn a_broken_pipe_ends_quietly() {
    let place = Place::new();
    let lines: String = (0..5_000).map(|number| format!("key{number:05}\t{}\n", "v".repeat(100))).collect();
    place.run_with_input(&["import", "db", "--tsv", "-"], lines.as_bytes()).exits(0);
    for arguments in
        [["scan", "db"].as_slice(), &["export", "db", "--tsv", "-"], &["export", "db", "--jsonl", "-"]]
    {
        let mut child =
            place.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        reader.read_line(&mut line).unwrap();
        drop(reader);
        let ended = child.wait_with_output().unwrap();
        assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(0), ""));
        assert!(line.contains("key00000"));
    }
}

/// Goal: bad input is told with its place; what was committed before stays. Method: a broken line after many good ones.
#[test]
fn bad_input_names_its_line() {
    let place = Place::new();
    let mut lines: String =
        (0..100).map(|number| format!("{{\"key\":\"{number}\",\"value\":\"\"}}\n")).collect();
    lines.push_str("{\"key\":7}\n");
    write(&place.path("lines"), lines.as_bytes());
    let arguments = ["import", "db", "--jsonl", "lines", "--batch-bytes", "1K"];
    place.run(&arguments).exits(2).says(&["error: lines, line 101: ", "were imported before"]);
    let count: u64 = place.run(&["count", "db"]).exits(0).text().trim().parse().unwrap();
    assert!((90..=100).contains(&count), "{count}");
    place
        .run_with_input(&["import", "db", "--tsv", "-"], b"no tab\n")
        .exits(2)
        .says(&["standard input, line 1"]);
    place.run(&["import", "db", "--jsonl", "nowhere"]).exits(3).says(&["cannot open nowhere"]);
    place.run(&["import", "db", "--files", "nowhere"]).exits(3).says(&["nowhere"]);
}

/// Goal: quiet is quiet, colours come only when asked for. Method: the same failure in every mode.
#[test]
fn quiet_and_colours() {
    let place = Place::new();
    let line = b"key\tvalue\n";
    assert_eq!(place.run_with_input(&["import", "db", "--tsv", "-", "--quiet"], line).exits(0).stderr, "");
    assert!(!place.run_with_input(&["import", "db", "--tsv", "-"], line).exits(0).stderr.is_empty());
    let colour =
        |when: &str| place.run(&["get", "db", "nokey", "--color", when]).exits(1).stderr.contains('\x1b');
    assert!(colour("always") && !colour("never") && !colour("auto"));
}
