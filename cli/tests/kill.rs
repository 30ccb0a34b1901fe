//! The death of the process at any moment: what was reported committed is there, and no batch is there in part.

#![allow(clippy::disallowed_methods, reason = "tests make files on purpose")]
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod harness;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use harness::{Place, open, write};

/// How often it is killed; `KV_KILLS` asks for more.
const KILLS: u32 = 8;
const FILES: u32 = 400;

/// The contents of a file in one edition: its length and its bytes name the edition, and some are separate values.
fn contents(edition: u32, file: u32, random: &mut fastrand::Rng) -> Vec<u8> {
    let length = if random.u8(..4) == 0 { random.usize(1_000..40_000) } else { random.usize(0..900) };
    let mut contents = format!("edition {edition} file {file} ").into_bytes();
    contents.resize(contents.len() + length, edition as u8);
    contents
}

fn write_edition(place: &Place, edition: u32, random: &mut fastrand::Rng) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let directory = place.path(&format!("edition{edition}"));
    let mut files = BTreeMap::new();
    for file in 0..FILES {
        let key = format!("{:02}/{file:04}", file % 20);
        let contents = contents(edition, file, random);
        write(&directory.join(&key), &contents);
        files.insert(key.into_bytes(), contents);
    }
    files
}

/// The batches that a report tells of; one that was cut off by the kill is left out.
fn reported(report: &Path) -> Vec<Vec<Vec<u8>>> {
    let text = std::fs::read_to_string(report).unwrap_or_default();
    let mut batches = Vec::new();
    // A line without its end was cut off.
    let mut lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).peekable();
    while let Some(head) = lines.next() {
        let count: usize = head.split(' ').nth(1).unwrap().parse().unwrap();
        let keys: Vec<_> = lines.by_ref().take(count).map(from_hex).collect();
        if keys.len() == count {
            batches.push(keys);
        }
    }
    batches
}

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn stored(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let db = open(path);
    let items = db.iter().unwrap().map(|item| item.unwrap());
    let stored = items.map(|item| (item.key().to_vec(), item.value().unwrap().to_vec())).collect();
    db.close().unwrap();
    stored
}

/// Goal: after a kill the database opens without help, is sound, and holds a prefix of the batches that includes every reported
/// one, each whole. Method: one database over many rounds; each round imports a new edition of every file over the last one and
/// is killed at a random moment. With `n` the number of whole batches found, the first `n` batches hold the new edition and all
/// others the state before; the batches are known from an undisturbed import.
#[test]
fn killed_at_random_moments() {
    let kills = std::env::var("KV_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let seed = std::env::var("KV_SEED").map_or_else(|_| fastrand::u64(..), |text| text.parse().unwrap());
    println!("KV_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let place = Place::new();
    let mut state = BTreeMap::new();
    let mut interrupted = 0;
    for round in 0..kills {
        let edition = write_edition(&place, round, &mut random);
        let files = format!("edition{round}");
        let durability = if random.bool() { "sync" } else { "buffered" };
        let import = |database: &str, report: &str| {
            let arguments =
                ["import", database, "--files", &files, "--batch-bytes", "32K", "--report-batches", report];
            let mut command = place.command(&arguments);
            command
                .args(["--durability", durability, "--memory", "16M"])
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command
        };
        let undisturbed = Instant::now();
        assert!(import("reference", "reference-report").status().unwrap().success());
        let span = undisturbed.elapsed();
        let batches = reported(&place.path("reference-report"));
        assert_eq!(batches.iter().map(Vec::len).sum::<usize>(), edition.len());

        let mut child = import("db", "report").spawn().unwrap();
        std::thread::sleep(Duration::from_secs_f64(span.as_secs_f64() * random.f64()));
        child.kill().unwrap();
        interrupted += u32::from(!child.wait().unwrap().success());

        let told = reported(&place.path("report"));
        assert_eq!(told, batches[..told.len()], "round {round}");
        if place.path("db/MANIFEST").exists() {
            place.run(&["verify", "db"]).exits(0);
        }
        let found = stored(&place.path("db"));
        place.run(&["verify", "db"]).exits(0);
        state = check(&found, state, &edition, &batches, told.len(), round);
        for report in ["report", "reference-report"] {
            let _absent = std::fs::remove_file(place.path(report));
        }
        std::fs::remove_dir_all(place.path("reference")).unwrap();
        std::fs::remove_dir_all(place.path(&files)).unwrap();
    }
    assert!(interrupted > 0, "no import was killed in time");
}

/// Finds how many batches are there and checks that all of the database is that state; returns it.
fn check(
    found: &BTreeMap<Vec<u8>, Vec<u8>>,
    mut state: BTreeMap<Vec<u8>, Vec<u8>>,
    edition: &BTreeMap<Vec<u8>, Vec<u8>>,
    batches: &[Vec<Vec<u8>>],
    reported: usize,
    round: u32,
) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let is_there = |batch: &Vec<Vec<u8>>| found.get(&batch[0]) == edition.get(&batch[0]);
    let there = batches.iter().take_while(|batch| is_there(batch)).count();
    assert!(there >= reported, "round {round}: {reported} batches were reported, {there} are there");
    for key in batches[..there].iter().flatten() {
        state.insert(key.clone(), edition[key].clone());
    }
    let differing: Vec<_> = state
        .keys()
        .chain(found.keys())
        .filter(|key| state.get(*key) != found.get(*key))
        .map(|key| String::from_utf8_lossy(key))
        .collect();
    assert!(differing.is_empty(), "round {round}, {there} of {} batches: {differing:?}", batches.len());
    state
}
