//! Goal: every rule has an edit that breaks it alone; it is refused with the rule's name and nothing is written.
//! Method: one small database, one row per mistake; the file and the state are compared byte for byte afterwards.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step fails the test")]

use std::path::Path;
use std::sync::Arc;

use base::Error;
use base::header::DatabaseId;
use base::vfs::{MemVfs, Vfs};
use manifest::{
    CommitError, EDIT_BYTES_MAX, Edit, Generation, Invalid, LogLength, Manifest, SegmentMeta, TableMeta,
    ValueUse,
};

fn table(number: u64, level: u8, smallest: &str, largest: &str) -> TableMeta {
    TableMeta {
        number,
        level,
        smallest: smallest.into(),
        largest: largest.into(),
        entries: 10,
        min_version: 1,
        max_version: 5,
        oldest_generation: 1,
        newest_generation: 1,
        ..TableMeta::default()
    }
}

fn adding(table: TableMeta) -> Edit {
    Edit { tables_added: vec![table], ..Edit::default() }
}

/// Level 0: 10 [c, f] of generation 1. Level 1: 11 [a, c], 12 [e, g], 13 [k, m]. Level 2: 14 [a, z].
/// Segment 5 with 4 values of 100 bytes, of which table 13 uses 3. Generations 2 (20, 21) and 4 (22, 23) are open.
fn database(vfs: &MemVfs) -> Manifest {
    vfs.create_dir_all(Path::new("db")).unwrap();
    let mut manifest = Manifest::create(Arc::new(vfs.clone()), Path::new("db"), DatabaseId([7; 16])).unwrap();
    let user = TableMeta {
        value_use: vec![ValueUse { segment: 5, values: 3, record_bytes: 300 }],
        ..table(13, 1, "k", "m")
    };
    let edit = Edit {
        tables_added: vec![
            table(10, 0, "c", "f"),
            table(11, 1, "a", "c"),
            table(12, 1, "e", "g"),
            user,
            table(14, 2, "a", "z"),
        ],
        segments_added: vec![SegmentMeta { number: 5, bytes: 600, values: 4, value_record_bytes: 400 }],
        generations_opened: vec![
            Generation { id: 2, wal: 20, vlog: 21 },
            Generation { id: 4, wal: 22, vlog: 23 },
        ],
        last_version: Some(9),
        last_commit: Some(8),
        ..Edit::default()
    };
    manifest.commit(edit).unwrap();
    manifest
}

fn refused(cases: Vec<(Edit, Invalid)>) {
    let vfs = MemVfs::new();
    let mut manifest = database(&vfs);
    let (files, state) = (vfs.snapshot(), manifest.state().clone());
    for (edit, expected) in cases {
        let error = manifest.commit(edit.clone()).unwrap_err();
        let CommitError::Invalid(invalid) = error else { panic!("{error}: {edit:#?}") };
        assert_eq!(invalid, expected, "{edit:#?}");
        assert!(!invalid.to_string().is_empty());
        assert_eq!(vfs.snapshot(), files, "{edit:#?}");
        assert_eq!(manifest.state(), &state, "{edit:#?}");
        assert_eq!(manifest.state().clone().apply(&edit), Err(expected));
    }
    // A refusal stops nothing.
    manifest.commit(Edit::default()).unwrap();
    assert_eq!(manifest.state().edit_number(), state.edit_number() + 1);
}

#[test]
fn file_numbers() {
    let twice = Edit {
        tables_added: vec![table(30, 3, "a", "b")],
        segments_added: vec![SegmentMeta { number: 30, ..SegmentMeta::default() }],
        ..Edit::default()
    };
    let one_log =
        Edit { generations_opened: vec![Generation { id: 5, wal: 31, vlog: 31 }], ..Edit::default() };
    let seal = |number| Edit {
        segments_added: vec![SegmentMeta { number, ..SegmentMeta::default() }],
        ..Edit::default()
    };
    let own_lease = Edit { numbers_below: Some(99), ..adding(table(65, 3, "a", "b")) };
    refused(vec![
        (adding(table(0, 3, "a", "b")), Invalid::NotLeased { number: 0, below: 65 }),
        (adding(table(65, 3, "a", "b")), Invalid::NotLeased { number: 65, below: 65 }),
        // The lease must have been durable before the file was made, so one in the same edit is too late.
        (own_lease, Invalid::NotLeased { number: 65, below: 65 }),
        (adding(table(10, 3, "a", "b")), Invalid::NumberTaken { number: 10 }),
        (adding(table(5, 3, "a", "b")), Invalid::NumberTaken { number: 5 }),
        (adding(table(22, 3, "a", "b")), Invalid::NumberTaken { number: 22 }),
        (twice, Invalid::NumberTaken { number: 30 }),
        (one_log, Invalid::NumberTaken { number: 31 }),
        // A value log belongs to its generation until that retires, and a write-ahead log never becomes a segment.
        (seal(21), Invalid::NumberTaken { number: 21 }),
        (Edit { generations_retired: vec![2], ..seal(20) }, Invalid::NumberTaken { number: 20 }),
        (Edit { generations_retired: vec![2], ..seal(23) }, Invalid::NumberTaken { number: 23 }),
        // A number that leaves in the same edit is not free either.
        (
            Edit { tables_removed: vec![14], ..adding(table(14, 3, "a", "b")) },
            Invalid::NumberTaken { number: 14 },
        ),
    ]);
}

#[test]
fn facts_of_one_table() {
    let bad = |change: fn(&mut TableMeta), why| {
        let mut table = table(30, 3, "a", "b");
        change(&mut table);
        (adding(table), Invalid::Table { table: 30, why })
    };
    let expiry = "its first expiry is behind its last, or one of them is missing";
    let order = "its value segments are not in ascending order";
    let used = ValueUse { segment: 5, values: 0, record_bytes: 0 };
    refused(vec![
        bad(|t| t.smallest = b"ba".to_vec(), "its smallest key is above its largest"),
        bad(|t| t.tombstones = 11, "it has more tombstones than entries"),
        bad(|t| t.min_version = 6, "its lowest version is above its highest"),
        bad(|t| t.max_version = 10, "it holds a version above the last one given"),
        bad(|t| t.min_expiry = Some(1), expiry),
        bad(|t| t.max_expiry = Some(1), expiry),
        bad(|t| (t.min_expiry, t.max_expiry) = (Some(2), Some(1)), expiry),
        bad(|t| t.oldest_generation = 2, "its oldest generation is above its newest"),
        bad(|t| t.newest_generation = 5, "it is of a generation that was never opened"),
        (
            adding(TableMeta { value_use: vec![used, used], ..table(30, 3, "a", "b") }),
            Invalid::Table { table: 30, why: order },
        ),
        (adding(table(30, 7, "a", "b")), Invalid::LevelTooDeep { table: 30, level: 7, deepest: 6 }),
    ]);
}

#[test]
fn places_of_tables() {
    let moving = |number, level| Edit { tables_moved: vec![(number, level)], ..Edit::default() };
    let removing = |numbers: &[u64]| Edit { tables_removed: numbers.to_vec(), ..Edit::default() };
    let overlap = |table, other, level| Invalid::Overlap { table, other, level };
    let pair = |level, a: (&str, &str), b: (&str, &str)| Edit {
        tables_added: vec![table(30, level, a.0, a.1), table(31, level, b.0, b.1)],
        ..Edit::default()
    };
    refused(vec![
        (removing(&[15]), Invalid::Unknown { what: "table", number: 15 }),
        (removing(&[10, 10]), Invalid::ChangedTwice { what: "table", number: 10 }),
        (moving(15, 3), Invalid::Unknown { what: "table", number: 15 }),
        (moving(10, 7), Invalid::LevelTooDeep { table: 10, level: 7, deepest: 6 }),
        (moving(11, 1), Invalid::NotMoved { table: 11, level: 1 }),
        (
            Edit { tables_moved: vec![(11, 3)], ..removing(&[11]) },
            Invalid::ChangedTwice { what: "table", number: 11 },
        ),
        (moving(10, 1), overlap(10, 11, 1)),
        (moving(11, 2), overlap(11, 14, 2)),
        // One key in common is enough, on either side; so is lying inside, and around.
        (adding(table(30, 1, "c", "d")), overlap(30, 11, 1)),
        (adding(table(30, 1, "d", "e")), overlap(30, 12, 1)),
        (adding(table(30, 1, "l", "l")), overlap(30, 13, 1)),
        (adding(table(30, 1, "j", "n")), overlap(30, 13, 1)),
        // The neighbour that leaves is skipped, the one behind it is not.
        (Edit { tables_removed: vec![12], ..adding(table(30, 1, "d", "k")) }, overlap(30, 13, 1)),
        (Edit { tables_moved: vec![(12, 3)], ..adding(table(30, 1, "b", "g")) }, overlap(30, 11, 1)),
        (pair(3, ("a", "c"), ("c", "d")), overlap(31, 30, 3)),
        (pair(3, ("c", "d"), ("a", "c")), overlap(30, 31, 3)),
        // In level 0 it takes an age in common too.
        (adding(table(30, 0, "f", "g")), overlap(30, 10, 0)),
        (pair(0, ("p", "t"), ("q", "r")), overlap(31, 30, 0)),
    ]);
}

#[test]
fn value_segments() {
    let using = |segment, values, record_bytes| {
        let value_use = vec![ValueUse { segment, values, record_bytes }];
        TableMeta { value_use, ..table(30, 3, "a", "b") }
    };
    let removing = |segments: &[u64]| Edit { segments_removed: segments.to_vec(), ..Edit::default() };
    let sealing = |bytes, value_record_bytes| Edit {
        segments_added: vec![SegmentMeta { number: 40, bytes, values: 1, value_record_bytes }],
        ..Edit::default()
    };
    let overused = |segment, what, claimed, held| Invalid::SegmentOverused { segment, what, claimed, held };
    refused(vec![
        (adding(using(6, 1, 1)), Invalid::SegmentMissing { table: 30, segment: 6 }),
        (adding(using(21, 1, 1)), Invalid::SegmentMissing { table: 30, segment: 21 }),
        (adding(using(5, 2, 100)), overused(5, "values", 5, 4)),
        (adding(using(5, 1, 101)), overused(5, "bytes of values", 401, 400)),
        (adding(using(5, 1, u64::MAX)), overused(5, "bytes of values", u64::MAX, 400)),
        (Edit { tables_added: vec![using(40, 2, 8)], ..sealing(600, 8) }, overused(40, "values", 2, 1)),
        (sealing(600, 601), Invalid::SegmentCounts { segment: 40 }),
        (removing(&[6]), Invalid::Unknown { what: "segment", number: 6 }),
        (removing(&[5]), Invalid::SegmentInUse { segment: 5, tables: 1 }),
        // Its user leaves, but a new one comes.
        (
            Edit {
                tables_removed: vec![13],
                tables_added: vec![using(5, 1, 100)],
                segments_removed: vec![5],
                ..Edit::default()
            },
            Invalid::SegmentInUse { segment: 5, tables: 1 },
        ),
        (
            Edit { tables_removed: vec![13], ..removing(&[5, 5]) },
            Invalid::ChangedTwice { what: "segment", number: 5 },
        ),
    ]);
}

#[test]
fn generations_counters_and_the_close() {
    let open =
        |id| Edit { generations_opened: vec![Generation { id, wal: 40, vlog: 41 }], ..Edit::default() };
    let retire = |ids: &[u64]| Edit { generations_retired: ids.to_vec(), ..Edit::default() };
    let down = |what, from, to| Invalid::WentDown { what, from, to };
    let closing = |numbers: &[u64]| {
        let log = |&file_number| LogLength { file_number, ..LogLength::default() };
        Edit { closed: Some(numbers.iter().map(log).collect()), ..Edit::default() }
    };
    refused(vec![
        (open(4), Invalid::GenerationOrder { id: 4, last: 4 }),
        (open(3), Invalid::GenerationOrder { id: 3, last: 4 }),
        (retire(&[3]), Invalid::Unknown { what: "generation", number: 3 }),
        (retire(&[2, 2]), Invalid::ChangedTwice { what: "generation", number: 2 }),
        (retire(&[4]), Invalid::RetiredOutOfOrder { id: 4, oldest: 2 }),
        (
            Edit { generations_retired: vec![5], ..open(5) },
            Invalid::Unknown { what: "generation", number: 5 },
        ),
        (Edit { numbers_below: Some(64), ..Edit::default() }, down("the lease of file numbers", 65, 64)),
        (Edit { last_version: Some(8), ..Edit::default() }, down("the last version", 9, 8)),
        (Edit { last_commit: Some(7), ..Edit::default() }, down("the last commit number", 8, 7)),
        (Edit { last_generation: Some(3), ..Edit::default() }, down("the last generation", 4, 3)),
        (Edit { last_generation: Some(5), ..open(6) }, down("the last generation", 6, 5)),
        (closing(&[20, 99]), Invalid::ClosedLog { file_number: 99 }),
        (closing(&[20, 20]), Invalid::ClosedLog { file_number: 20 }),
        (Edit { generations_retired: vec![2], ..closing(&[20]) }, Invalid::ClosedLog { file_number: 20 }),
    ]);
}

/// The neighbours of the mistakes above: what looks alike and is right.
#[test]
fn what_is_allowed() {
    let young = TableMeta { oldest_generation: 2, newest_generation: 2, ..table(31, 0, "c", "f") };
    let carried = TableMeta {
        value_use: vec![ValueUse { segment: 5, values: 1, record_bytes: 400 }],
        ..table(30, 1, "k", "m")
    };
    for edit in [
        // Beside each other in level 1; the same keys in level 0 at another age; the same age at other keys.
        adding(table(30, 1, "ca", "d")),
        adding(young),
        adding(table(30, 0, "g", "z")),
        // Into the place of what leaves; swapping places; the values of what leaves, and its segment.
        Edit { tables_removed: vec![11, 12], ..adding(table(30, 1, "a", "h")) },
        Edit { tables_moved: vec![(14, 1), (11, 2), (12, 2), (13, 2)], ..Edit::default() },
        Edit { tables_removed: vec![13], ..adding(carried) },
        Edit { tables_removed: vec![13], segments_removed: vec![5], ..Edit::default() },
        // A value log becomes a segment when its generation retires; a table may point into it at once.
        Edit {
            generations_retired: vec![2, 4],
            segments_added: vec![SegmentMeta { number: 21, bytes: 99, values: 1, value_record_bytes: 80 }],
            tables_added: vec![TableMeta {
                value_use: vec![ValueUse { segment: 21, values: 1, record_bytes: 80 }],
                ..table(30, 3, "a", "b")
            }],
            ..Edit::default()
        },
    ] {
        let vfs = MemVfs::new();
        let mut manifest = database(&vfs);
        manifest.commit(edit).unwrap();
        assert_eq!(&manifest::read(&vfs, Path::new("db")).unwrap(), manifest.state());
    }
}

#[test]
fn an_edit_above_the_limit_is_refused_and_nothing_is_written() {
    let vfs = MemVfs::new();
    let mut manifest = database(&vfs);
    let files = vfs.snapshot();
    let edit = adding(table(30, 3, "a", &"b".repeat(EDIT_BYTES_MAX)));
    let error = manifest.commit(edit).unwrap_err();
    assert!(matches!(error, CommitError::Storage(Error::LimitExceeded { .. })), "{error}");
    assert_eq!(vfs.snapshot(), files);
    manifest.commit(Edit::default()).unwrap();
}

/// Only the last thing that happened can be a clean close.
#[test]
fn a_clean_close_survives_reopening_and_ends_with_the_next_edit() {
    let vfs = MemVfs::new();
    let directory = Path::new("db");
    let mut manifest = database(&vfs);
    let logs = vec![LogLength { file_number: 20, bytes: 64, last_commit: 0 }];
    manifest.commit(Edit { closed: Some(logs.clone()), ..Edit::default() }).unwrap();
    let state = manifest::read(&vfs, directory).unwrap();
    assert_eq!(state.closed(), Some(logs.as_slice()));
    let mut manifest = Manifest::reopen(Arc::new(vfs.clone()), directory, state).unwrap();
    assert_eq!(manifest::read(&vfs, directory).unwrap().closed(), Some(logs.as_slice()));
    manifest.commit(Edit::default()).unwrap();
    assert_eq!(manifest::read(&vfs, directory).unwrap().closed(), None);
}

#[test]
fn a_missing_manifest_is_not_found_and_an_existing_one_is_not_overwritten() {
    let vfs = MemVfs::new();
    let directory = Path::new("db");
    vfs.create_dir_all(directory).unwrap();
    assert!(manifest::read(&vfs, directory).unwrap_err().is_not_found());
    database(&vfs);
    let files = vfs.snapshot();
    let again = Manifest::create(Arc::new(vfs.clone()), directory, DatabaseId([8; 16]));
    assert!(matches!(again.unwrap_err(), Error::Io { .. }));
    assert_eq!(vfs.snapshot(), files);
}
