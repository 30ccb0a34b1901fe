//! Goal: who reads a mapped table in order has the system read ahead, and who reads here and there does not. Method: a table in a file
//! system that counts what it is asked for.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::Path;
use std::sync::Arc;

use base::header::FileIdentity;
use base::vfs::{FaultVfs, MemVfs};
use base::{Cursor, InternalKey, Version};
use sstable::{BuildOptions, Builder, ReadOptions, Table, TableAccess};

const ENTRIES: u32 = 20_000;

fn key(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

/// A table of some megabytes, and the file system that it is read from.
fn table(access: TableAccess) -> (FaultVfs, Table) {
    let (disk, path) = (FaultVfs::new(Arc::new(MemVfs::new())), Path::new("/000001.sst"));
    let identity = FileIdentity::default();
    let mut builder =
        Builder::create_in(Arc::new(disk.clone()), path, identity, BuildOptions::default()).unwrap();
    for number in 0..ENTRIES {
        builder.insert(key(number), [7; 100]).unwrap();
    }
    builder.finish().unwrap();
    let table = Table::open_in(&disk, path, ReadOptions::default().access(access)).unwrap();
    assert_eq!(disk.read_ahead_bytes(), 0);
    (disk, table)
}

#[test]
fn walks_in_both_directions_and_checks_ask_for_most_of_the_table_once() {
    let (disk, table) = table(TableAccess::Mapped);
    let file_bytes = u64::from(ENTRIES) * 104;
    let mut before = 0;
    let mut asked_by = |walk: &dyn Fn(&Table) -> u32| {
        assert_eq!(walk(&table), ENTRIES);
        let asked = disk.read_ahead_bytes() - before;
        before += asked;
        assert!((file_bytes * 9 / 10..file_bytes * 12 / 10).contains(&asked), "{asked} of {file_bytes}");
    };
    asked_by(&|table| table.iter().map(|item| item.map(|_| 1).unwrap()).sum());
    asked_by(&|table| table.iter().rev().map(|item| item.map(|_| 1).unwrap()).sum());
    asked_by(&|table| table.verify().map(|()| ENTRIES).unwrap());
}

#[test]
fn reads_here_and_there_and_short_walks_ask_for_nothing() {
    let (disk, table) = table(TableAccess::Mapped);
    let mut cursor = table.cursor();
    for number in (0..ENTRIES).step_by(97) {
        assert!(table.get(&key(number), Version::MAX).unwrap().is_some());
        cursor.seek(InternalKey::first_of(&key(number))).unwrap();
        for _ in 0..150 {
            cursor.next().unwrap();
        }
    }
    assert_eq!(disk.read_ahead_bytes(), 0);
}

#[test]
fn positional_reads_leave_it_to_the_system() {
    let (disk, table) = table(TableAccess::Positional);
    assert_eq!(table.iter().count(), ENTRIES as usize);
    assert_eq!(disk.read_ahead_bytes(), 0);
}
