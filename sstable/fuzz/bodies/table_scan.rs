//! Goal: no table harms its readers, mapped or not, whole index or partitions; and a table that `verify` accepts is in
//! order, reads the same from both ends, and finds each of its keys.
//! Method: open the input as a table, verify, describe, and scan it from both ends.

use base::Compression;
use base::{Cursor, Entry, InternalKey, Result, UnixSeconds, ValuePointer, Version};
use bytes::Bytes;
use sstable::{BlockCache, BuildOptions, Builder, Item, ReadOptions, Table, TableAccess};

use crate::shared::{Body, InputReader, Memory, Mode, Steps};

pub const BODY: Body = Body { name: "table_scan", run, seeds, memory: Memory::COMPRESSED };

/// The first byte of an input says how the table is read.
pub fn open(how: u8, bytes: &[u8]) -> Result<Table> {
    let access = if how & 1 == 0 { TableAccess::Mapped } else { TableAccess::Positional };
    let mut options = ReadOptions::default().access(access);
    if how & 2 != 0 {
        options = options.resident_index_bytes(0);
    }
    if how & 4 != 0 {
        options = options.cache(BlockCache::with_capacity(64 << 10));
    }
    Table::from_bytes(Bytes::copy_from_slice(bytes), options)
}

fn run(input: &[u8], mode: Mode) {
    let mut reader = InputReader::new(input);
    let how = reader.u8();
    let Ok(table) = open(how, reader.rest()) else { return };
    let mut described = String::new();
    let _either = table.describe(&mut described);
    // Where blocks lie over each other, each of them may have all of the entries.
    let entries_max = (input.len() / 16 + 1) * (input.len() / 8 + 1);
    let forward = count(table.iter(), entries_max);
    let backward = count(table.iter().rev(), entries_max);
    let is_sound = table.verify().is_ok();
    if is_sound {
        assert_eq!((forward, backward), (Some(table.properties().entries as usize), forward));
        sound(&table);
    } else if mode == Mode::Checked && forward.is_some() && backward.is_some() {
        assert_eq!(forward, backward);
    }
}

/// How many items there are; `None` after an error.
fn count(items: impl Iterator<Item = Result<Item>>, entries_max: usize) -> Option<usize> {
    let mut steps = Steps::at_most(entries_max + 1);
    let mut count = 0;
    for item in items {
        steps.take();
        item.ok()?;
        count += 1;
    }
    Some(count)
}

fn sound(table: &Table) {
    let forward: Vec<Item> = table.iter().map(Result::unwrap).collect();
    let mut backward: Vec<Item> = table.iter().rev().map(Result::unwrap).collect();
    backward.reverse();
    assert_eq!(forward, backward);
    let internal_key = |item: &Item| InternalKey::new(item.key(), item.version()).to_buf();
    assert!(forward.windows(2).all(|pair| internal_key(&pair[0]) < internal_key(&pair[1])));
    let mut cursor = table.cursor();
    for item in &forward {
        let found = table.get(item.key(), item.version()).unwrap();
        assert_eq!(found.as_ref(), Some(item.entry()));
        cursor.seek(internal_key(item).as_ref()).unwrap();
        assert_eq!(cursor.key(), Some(internal_key(item).as_ref()));
    }
    assert_eq!(forward.first().map_or(&b""[..], Item::key), table.smallest());
    assert_eq!(forward.last().map_or(&b""[..], Item::key), table.largest());
}

/// Tables with all kinds of entries, and versions of one key over several blocks.
pub fn tables() -> Vec<Vec<u8>> {
    let build = |options: BuildOptions, keys: u64| {
        let mut builder = Builder::in_memory(options);
        for number in 0..keys {
            let text = b"the quick brown fox jumps over the lazy dog".repeat(1 + number as usize % 3);
            let pointer = ValuePointer { segment: 3, offset: number * 64, record_len: 90, value_len: 30 };
            let mut entry = match number % 4 {
                0 => Entry::tombstone(),
                1 => Entry::separated(pointer),
                _ => Entry::inline(&text),
            };
            entry.expires_at = (number % 5 == 0).then_some(UnixSeconds(1_700_000_000 + number));
            entry.hides_older = number % 7 == 0;
            let user_key = format!("key/{:03}", number / 3);
            builder.add(InternalKey::new(user_key.as_bytes(), Version(1000 - number)), &entry).unwrap();
        }
        builder.finish_bytes().unwrap().to_vec()
    };
    let options = || BuildOptions::default().block_bytes(128);
    vec![
        build(options(), 0),
        build(options(), 1),
        build(options().filter_bits_per_key(0), 12),
        build(options().filter_bits_per_key(2).filter_partition_keys(64), 220),
        build(options().compression(Compression::Lz4).block_bytes(512), 40),
        build(options().compression(Compression::Zstd(3)).block_bytes(512), 40),
    ]
}

fn seeds() -> Vec<Vec<u8>> {
    (0u8..).zip(tables()).map(|(how, table)| [&[how][..], &table].concat()).collect()
}
