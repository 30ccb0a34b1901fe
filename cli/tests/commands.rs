//! The single commands: what they print, what they take, how they end.

mod harness;

use harness::{Place, write};

/// Goal: get prints the exact bytes into a pipe and the asked form otherwise; absence is exit code 1. Method: bytes that are no
/// text.
#[test]
fn get_set_del() {
    let place = Place::new();
    write(&place.path("value"), b"\x00\xff\n\\");
    place.run(&["set", "db", "key", "--value-file", "value", "--create"]).exits(0);
    assert_eq!(place.run(&["get", "db", "key"]).exits(0).stdout, b"\x00\xff\n\\");
    assert_eq!(place.run(&["get", "db", "key", "--format", "text"]).exits(0).stdout, b"\x00\xff\n\\");
    assert_eq!(place.run(&["get", "db", "6b6579", "--format", "hex"]).exits(0).text(), "00ff0a5c\n");
    assert_eq!(
        place.run(&["get", "db", "\\x6bey", "--format", "escaped"]).exits(0).text(),
        "\\x00\\xff\\n\\\\\n"
    );
    place.run_with_input(&["set", "db", "piped", "-"], b"from a pipe\n").exits(0);
    assert_eq!(place.run(&["get", "db", "piped"]).exits(0).stdout, b"from a pipe\n");
    place.run(&["del", "db", "key"]).exits(0);
    place.run(&["del", "db", "key"]).exits(1).says(&["there was no key key"]);
    place.run(&["get", "db", "key"]).exits(1).says(&["there is no key key"]);
}

/// Goal: a value with a time to live is there and says when it goes; the user's byte comes back. Method: JSON of get.
#[test]
fn time_to_live_and_meta() {
    let place = Place::new();
    place.run(&["set", "db", "key", "value", "--create", "--ttl", "2h", "--meta", "9"]).exits(0);
    let got = place.run(&["get", "db", "key", "--json"]).exits(0).json();
    assert_eq!((&got["key"], &got["value"], &got["meta"]), (&"key".into(), &"value".into(), &9.into()));
    assert!(got["expires_at"].as_u64().unwrap() > 1_700_000_000);
    place.run(&["set", "db", "gone", "value", "--ttl", "0s"]).exits(0);
    place.run(&["get", "db", "gone"]).exits(1);
}

/// Goal: scans and counts honour every bound. Method: ten keys, a table of arguments and the keys expected.
#[test]
fn scan_and_count() {
    let place = Place::new();
    let lines: String = (0..10).map(|number| format!("k{number}\tv{number}\n")).collect();
    place.run_with_input(&["import", "db", "--tsv", "-"], lines.as_bytes()).exits(0);
    assert_eq!(place.run(&["scan", "db"]).exits(0).text(), lines);
    let cases: [(&[&str], &str); 9] = [
        (&["--prefix", "k"], "0123456789"),
        (&["--prefix", "k3"], "3"),
        (&["--prefix", "x"], ""),
        (&["--from", "k7"], "789"),
        (&["--to", "k2"], "01"),
        (&["--from", "k2", "--to", "k5"], "234"),
        (&["--from", "k5", "--to", "k2"], ""),
        (&["--reverse", "--limit", "3"], "987"),
        (&["--from", "k2", "--to", "k5", "--reverse", "--limit", "2"], "43"),
    ];
    for (arguments, expected) in cases {
        let scanned = place.run(&[&["scan", "db", "--keys"], arguments].concat()).exits(0).text();
        assert_eq!(scanned.replace(['k', '\n'], ""), expected, "{arguments:?}");
    }
    assert_eq!(place.run(&["count", "db"]).exits(0).text(), "10\n");
    assert_eq!(place.run(&["count", "db", "--prefix", "k3", "--json"]).exits(0).json()["count"], 1);
    assert_eq!(
        place.run(&["scan", "db", "--limit", "1", "--keys", "--format", "hex"]).exits(0).text(),
        "6b30\n"
    );
}

/// Goal: tools can rely on the names in JSON output. Method: every command with --json, every field by name.
#[test]
fn json_shapes() {
    let place = Place::new();
    let big = "x".repeat(4_000);
    let line = format!("{{\"key\":\"a\",\"value\":\"{big}\"}}\n\n{{\"key\":\"b\",\"value\":\"\"}}\r\n");
    let imported =
        place.run_with_input(&["import", "db", "--jsonl", "-", "--json"], line.as_bytes()).exits(0).json();
    assert_eq!(
        (&imported["records"], &imported["batches"], &imported["failed"]),
        (&2.into(), &1.into(), &0.into())
    );
    assert_eq!(imported["bytes"], 4_002);
    let exported = place.run(&["export", "db", "--files", "out", "--json"]).exits(0).json();
    assert_eq!((&exported["records"], &exported["refused"]), (&2.into(), &0.into()));
    let verified = place.run(&["verify", "db", "--json"]).exits(0).json();
    assert_eq!((&verified["clean"], &verified["entries"]), (&true.into(), &2.into()));
    assert_eq!(verified["findings"], serde_json::json!([]));
    let info = place.run(&["info", "db", "--json"]).exits(0).json();
    assert_eq!(info["logs"]["clean"], true);
    let entries: u64 =
        info["levels"].as_array().unwrap().iter().map(|level| level["entries"].as_u64().unwrap()).sum();
    assert_eq!(entries, 2);
    assert!(info["segments"].as_array().unwrap().iter().any(|segment| segment["live_values"] == 1), "{info}");
    let compacted = place.run(&["compact", "db", "--json"]).exits(0).json();
    assert!(
        compacted["bytes_before"].as_u64().unwrap() > 0 && compacted["bytes_after"].as_u64().unwrap() > 0
    );
    assert!(place.run(&["set", "db", "c", "1", "--json"]).exits(0).json()["version"].is_u64());
    assert_eq!(place.run(&["del", "db", "c", "--json"]).exits(0).json()["deleted"], true);
    assert_eq!(place.run(&["del", "db", "c", "--json"]).exits(1).json()["deleted"], false);
}

/// Goal: info shows a person what the database consists of. Method: load, compact, look for the rows.
#[test]
fn info_for_people() {
    let place = Place::new();
    let lines: String = (0..200).map(|number| format!("k{number}\t{}\n", "v".repeat(2_000))).collect();
    place.run_with_input(&["import", "db", "--tsv", "-"], lines.as_bytes()).exits(0);
    let info = place.run(&["info", "db"]).exits(0).text();
    for part in ["newest version", "level", "total", "value segment", "garbage", "logs"] {
        assert!(info.contains(part), "{part}: {info}");
    }
}

/// Goal: every command explains itself with examples. Method: --help of each.
#[test]
fn help_has_examples_and_exit_codes() {
    let place = Place::new();
    for command in ["import", "export", "get", "set", "del", "scan", "count", "info", "verify", "compact"] {
        let help = place.run(&[command, "--help"]).exits(0).text();
        assert!(help.contains(&format!("Examples:\n  kv {command}")) || help.contains("| kv"), "{help}");
        assert!(help.contains("--memory"), "{help}");
    }
    assert!(place.run(&["--help"]).exits(0).text().contains("Exit codes:"));
    place.run(&["--version"]).exits(0);
}
