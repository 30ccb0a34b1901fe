//! What is picked from which table set, one line a case.

use std::collections::HashSet;
use std::sync::Arc;

use base::Version;
use base::header::DatabaseId;
use base::vfs::MemVfs;
use manifest::TableMeta;
use sstable::{BlockCache, TableAccess};

use super::pick::{Manual, State, manual_has_work, pick};
use crate::Options;
use crate::files::{LivingFile, Reaper};
use crate::table_set::{TableHandle, TableOpener, TableSet};

/// `level:number:first-last:kilobytes`, with `t` behind it for a table of tombstones.
fn tables(text: &str) -> TableSet {
    let reaper = Arc::new(Reaper::default());
    let opener = TableOpener {
        vfs: Arc::new(MemVfs::new()),
        access: TableAccess::Mapped,
        cache: BlockCache::with_capacity(1),
        database_id: DatabaseId::default(),
    };
    let table = |word: &str| {
        let parts: Vec<&str> = word.split(':').collect();
        let [level, number, keys, size] = parts[..] else { panic!("{word}") };
        let (first, last) = keys.split_once('-').unwrap();
        let number: u64 = number.parse().unwrap();
        let tombstones = if size.ends_with('t') { 10 } else { 0 };
        let meta = TableMeta {
            number,
            level: level.parse().unwrap(),
            smallest: first.into(),
            largest: last.into(),
            file_bytes: size.trim_end_matches('t').parse::<u64>().unwrap() << 10,
            entries: 10,
            tombstones,
            max_version: 5,
            newest_generation: number,
            ..TableMeta::default()
        };
        Arc::new(TableHandle::new(meta, LivingFile::new(word.into(), &reaper), opener.clone()))
    };
    TableSet::new(text.split_whitespace().map(table))
}

fn picked(text: &str, busy: &[u64], manual: Option<Manual>, floor: u64) -> String {
    let options = Options {
        l0_compaction_trigger: 2,
        base_level_bytes: 100 << 10,
        level_size_multiplier: 10,
        ..Options::default()
    };
    let (tables, busy) = (tables(text), busy.iter().copied().collect::<HashSet<_>>());
    let state = State { tables: &tables, busy: &busy, options: &options, floor: Version(floor), manual };
    let Some(plan) = pick(&state) else { return "nothing".into() };
    let mut inputs: Vec<u64> = plan.inputs.iter().map(|table| table.number()).collect();
    inputs.sort_unstable();
    let how = if plan.is_move { "move" } else { "merge" };
    format!("{how} {inputs:?} to {}", plan.output_level)
}

#[test]
fn picks() {
    let cases = [
        ("", "nothing"),
        ("0:1:a-m:1", "nothing"),
        ("0:1:a-m:1 0:2:b-c:1", "merge [1, 2] to 6"),
        // Disjoint and nothing below: only the level changes.
        ("0:1:a-b:1 0:2:c-d:1", "move [1, 2] to 6"),
        ("0:1:a-b:1 0:2:c-d:1 6:3:x-z:1", "move [1, 2] to 6"),
        // All of L0, and what it meets below.
        ("0:1:a-c:1 0:2:b-f:1 6:3:a-a:1 6:4:d-e:1 6:5:g-h:1", "merge [1, 2, 3, 4] to 6"),
        // A level that should be empty is emptied first.
        ("0:1:a-c:1 0:2:b-f:1 3:7:x-z:1 6:3:a-a:1", "move [7] to 4"),
        // A level above its target gives the table that meets the least.
        ("5:1:a-c:90 5:2:d-f:90 6:3:a-c:500 6:4:e-e:1", "merge [2, 4] to 6"),
        ("5:1:a-c:90 5:2:m-p:90 6:3:a-c:500 6:4:q-r:1", "move [2] to 6"),
    ];
    for (text, expected) in cases {
        assert_eq!(picked(text, &[], None, 0), expected, "{text}");
    }
}

#[test]
fn l0_never_goes_below_a_level_that_holds_data() {
    assert_eq!(picked("0:1:a-c:1 0:2:b-f:1 3:7:x-z:1 6:3:a-a:1", &[7], None, 0), "merge [1, 2] to 3");
}

#[test]
fn busy_tables_are_left_alone() {
    assert_eq!(picked("0:1:a-c:1 0:2:b-f:1 6:3:a-a:1", &[3], None, 0), "nothing");
    assert_eq!(picked("5:1:a-c:90 5:2:d-f:90 6:3:a-c:500 6:4:e-e:1", &[4], None, 0), "merge [1, 3] to 6");
}

#[test]
fn tables_of_tombstones_are_rewritten_once_nobody_needs_them() {
    assert_eq!(picked("6:1:a-c:1t 6:2:d-e:1", &[], None, 5), "merge [1] to 6");
    assert_eq!(picked("6:1:a-c:1t 6:2:d-e:1", &[], None, 4), "nothing");
}

#[test]
fn a_manual_compaction_ends_in_one_level_of_new_tables() {
    let manual = Some(Manual { below_number: 10 });
    assert_eq!(picked("0:1:a-b:1 6:3:x-z:1", &[], manual, 0), "merge [1] to 6");
    assert_eq!(picked("5:11:a-b:1 6:3:x-z:1", &[], manual, 0), "move [11] to 6");
    assert_eq!(picked("6:3:x-z:1 6:12:a-b:1", &[], manual, 0), "merge [3] to 6");
    assert_eq!(picked("6:12:a-b:1", &[], manual, 0), "nothing");
    assert!(!manual_has_work(&tables("0:12:a-b:1 6:13:a-b:1"), Manual { below_number: 10 }));
    assert!(manual_has_work(&tables("0:9:a-b:1"), Manual { below_number: 10 }));
}
