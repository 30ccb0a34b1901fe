//! Goal: format version 1 stays readable and, uncompressed, byte for byte what it was.
//! Method: three files written by its first release; a later format adds its own test and keeps this one.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use base::{Compression, Entry, InternalKey, Payload, UnixSeconds, ValuePointer, Version};
use sstable::{BuildOptions, Builder, ReadOptions, SegmentUse, Table, TableAccess};

const PLAIN: &[u8] = include_bytes!("golden/plain_v1.sst");
const LZ4: &[u8] = include_bytes!("golden/lz4_v1.sst");
const ZSTD: &[u8] = include_bytes!("golden/zstd_v1.sst");

/// Tombstones, pointers, metadata, one key with versions over several blocks, and a block with wide offsets.
fn contents() -> Vec<(Vec<u8>, Version, Entry<'static>)> {
    let mut rows = Vec::new();
    for number in 0..60u64 {
        let mut entry = match number % 4 {
            0 => Entry::tombstone(),
            1 => Entry::separated(ValuePointer {
                segment: number % 3,
                offset: number * 1000,
                record_len: 150,
                value_len: 100,
            }),
            _ => Entry::inline(b"the quick brown fox jumps over the lazy dog, the quick brown fox"),
        };
        entry.user_meta = (number % 5) as u8;
        entry.expires_at = (number % 6 == 0).then_some(UnixSeconds(1_700_000_000 + number));
        entry.hides_older = number % 7 == 0;
        rows.push((format!("golden/{number:04}").into_bytes(), Version(1000 + number * number), entry));
    }
    for version in (1..=40).rev() {
        rows.push((b"hot".to_vec(), Version(version << 20), Entry::inline(b"one of many versions")));
    }
    rows.push((b"huge".to_vec(), Version(1), Entry::inline(&[0xab; 70_000])));
    rows
}

fn build(compression: Compression) -> bytes::Bytes {
    let mut builder = Builder::in_memory(BuildOptions::default().block_bytes(256).compression(compression));
    for (key, version, entry) in contents() {
        builder.add(InternalKey::new(&key, version), &entry).unwrap();
    }
    builder.finish_bytes().unwrap()
}

fn check(bytes: &'static [u8], compression: Compression) {
    for access in [TableAccess::Mapped, TableAccess::Positional] {
        let table = Table::from_bytes(bytes, ReadOptions::default().access(access)).unwrap();
        table.verify().unwrap();
        assert_eq!(table.properties().compression, compression);
        let items: Vec<_> = table.iter().collect::<Result<_, _>>().unwrap();
        let expected = contents();
        assert_eq!(items.len(), expected.len());
        for (item, (key, version, entry)) in items.iter().zip(&expected) {
            assert_eq!((item.key(), item.version()), (key.as_slice(), *version));
            assert_eq!(item.entry().as_entry(), *entry);
            assert_eq!(table.get(key, *version).unwrap().unwrap().as_entry(), *entry);
        }
        assert_eq!(table.properties().separated_values[&1], SegmentUse { values: 5, record_bytes: 5 * 152 });
        assert!(matches!(items[0].payload(), Payload::Tombstone));
    }
}

#[test]
fn uncompressed_tables_are_written_as_they_were() {
    // Not assert_eq: nobody wants to read 80 KiB of difference.
    assert!(build(Compression::None) == PLAIN, "the bytes that the builder writes have changed");
}

#[test]
fn files_of_the_first_release_are_read() {
    check(PLAIN, Compression::None);
    check(LZ4, Compression::Lz4);
    check(ZSTD, Compression::Zstd(3));
}
