//! Goal: damage gives an error or the same data, never other data, a panic or an early end.
//! Method: flip every bit of small tables, cut them at every length, and read them in every way.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at the first surprise")]

use base::{Compression, Cursor, Entry, InternalKey, UnixSeconds, ValuePointer, Version};
use bytes::Bytes;
use sstable::{BlockCache, BuildOptions, Builder, ReadOptions, Table, TableAccess};

const ROWS: u64 = 32;

type Row = (Vec<u8>, Version, Option<Vec<u8>>);

fn build(compression: Compression) -> Bytes {
    let options = BuildOptions::default().block_bytes(64).compression(compression).filter_partition_keys(64);
    let mut builder = Builder::in_memory(options);
    for number in 0..ROWS {
        let key = format!("key/{:03}", number / 2);
        let value = format!("value value value value {number}");
        let pointer = ValuePointer { segment: 3, offset: number, record_len: 70, value_len: 20 };
        let mut entry = match number % 5 {
            0 => Entry::tombstone(),
            1 => Entry::separated(pointer),
            _ => Entry::inline(value.as_bytes()),
        };
        entry.expires_at = (number % 7 == 0).then_some(UnixSeconds(1000 + number));
        builder.add(InternalKey::new(key.as_bytes(), Version(100 - number)), &entry).unwrap();
    }
    builder.finish_bytes().unwrap()
}

fn readers() -> [ReadOptions; 3] {
    [
        ReadOptions::default(),
        ReadOptions::default().resident_index_bytes(0),
        ReadOptions::default().access(TableAccess::Positional).cache(BlockCache::with_capacity(64 << 10)),
    ]
}

fn row(item: &sstable::Item) -> Row {
    (item.key().to_vec(), item.version(), item.value().map(|value| value.to_vec()))
}

fn rows(table: &Table) -> Vec<Row> {
    table.iter().map(|item| row(&item.unwrap())).collect()
}

/// Reads all there is; every answer must be an error or the right one. True when something failed.
fn read_all(table: &Table, expected: &[Row]) -> bool {
    let mut failed = false;
    let mut seen = Vec::new();
    for item in table {
        match item {
            Ok(item) => seen.push(row(&item)),
            Err(_) => failed = true,
        }
    }
    assert!(expected.starts_with(&seen) && (failed || seen.len() == expected.len()));
    let mut seen_back = Vec::new();
    let mut failed_back = false;
    for item in table.iter().rev() {
        match item {
            Ok(item) => seen_back.insert(0, row(&item)),
            Err(_) => failed_back = true,
        }
    }
    assert!(expected.ends_with(&seen_back) && (failed_back || seen_back.len() == expected.len()));
    let mut cursor = table.cursor();
    for (key, version, value) in expected {
        match table.get(key, *version) {
            Ok(Some(found)) => {
                assert_eq!(found.version, *version);
                let same = match found.as_entry().payload {
                    base::Payload::Inline(bytes) => Some(bytes) == value.as_deref(),
                    _ => value.is_none(),
                };
                assert!(same);
            }
            Ok(None) => panic!("a damaged table denied {key:?}"),
            Err(_) => failed = true,
        }
        let target = InternalKey::new(key, *version);
        match cursor.seek(target) {
            Ok(()) => assert_eq!(cursor.key(), Some(target)),
            Err(_) => {
                assert_eq!(cursor.key(), None);
                cursor.next().unwrap();
                assert_eq!(cursor.key(), None);
                failed = true;
            }
        }
    }
    failed || failed_back
}

#[test]
fn every_flipped_bit_is_an_error_or_harmless() {
    for compression in [Compression::None, Compression::Lz4] {
        let good = build(compression);
        let whole = Table::from_bytes(good.clone(), ReadOptions::default()).unwrap();
        assert!(whole.properties().index_partitions > 1);
        let expected = rows(&whole);
        assert_eq!(expected.len() as u64, ROWS);
        // Blocks that are not compressed have more ways to be read.
        let ways = if compression == Compression::None { 3 } else { 1 };
        for options in readers().into_iter().rev().take(ways) {
            let mut unnoticed = 0;
            for bit in 0..good.len() * 8 {
                let mut flipped = good.to_vec();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let Ok(table) = Table::from_bytes(flipped, options.clone()) else { continue };
                let failed = read_all(&table, &expected);
                if table.verify().is_ok() {
                    assert!(!failed, "verify passed what a read refused");
                    unnoticed += 1;
                }
            }
            // Only the zeros before the filter are read by nobody.
            assert!(unnoticed < 64 * 8, "{unnoticed} flipped bits went unnoticed");
        }
    }
}

#[test]
fn every_cut_is_an_error() {
    for compression in [Compression::None, Compression::Lz4] {
        let good = build(compression);
        for len in 0..good.len() {
            for options in readers() {
                assert!(Table::from_bytes(good.slice(..len), options).unwrap_err().is_corruption());
            }
        }
        let longer = [good.as_ref(), b"\0"].concat();
        assert!(Table::from_bytes(longer, ReadOptions::default()).unwrap_err().is_corruption());
    }
}

/// Goal: a block that lies in the wrong place does not pass. Method: swap two blocks of equal length.
#[test]
fn blocks_do_not_pass_in_another_place() {
    let mut builder = Builder::in_memory(BuildOptions::default().block_bytes(64));
    for number in 0..10u8 {
        builder.insert([number; 20], [number; 20]).unwrap();
    }
    let mut bytes = builder.finish_bytes().unwrap().to_vec();
    let table = Table::from_bytes(bytes.clone(), ReadOptions::default()).unwrap();
    let block_bytes = (table.properties().data_bytes / table.properties().block_count) as usize;
    let (first, second) = bytes[64..].split_at_mut(block_bytes);
    first.swap_with_slice(&mut second[..block_bytes]);
    let swapped = Table::from_bytes(bytes, ReadOptions::default()).unwrap();
    assert!(swapped.get(&[0; 20], Version::MAX).unwrap_err().is_corruption());
    assert!(swapped.iter().next().unwrap().unwrap_err().is_corruption());
    assert!(swapped.verify().unwrap_err().is_corruption());
}
