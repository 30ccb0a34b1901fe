//! Goal: mistakes that were made once on the way to this structure are not made again. Method: one test each, with
//! the input that showed it. (The one that needs two threads is in `concurrent.rs`.)

#![cfg(not(loom))]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::sync::Arc;

use base::checksum::content_hash;
use base::{Cursor, Entry, InternalKey, Payload, UnixSeconds, ValuePointer, Version};
use memtable::{ArenaPool, Full, Memtable};
use support::{Oracle, assert_same, get, here, insert};

fn fresh() -> Arc<Memtable> {
    Arc::new(Memtable::new(&ArenaPool::new(0)))
}

fn scrambled(i: u64) -> u64 {
    i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// Separators of (key, version) lost keys in reads at a snapshot: a split between two versions of a key sent
/// the older reader to the wrong side.
#[test]
fn separators_are_user_keys_only() {
    let memtable = fresh();
    for i in 0..20_000u64 {
        insert(&memtable, &scrambled(i).to_be_bytes(), i + 1, &i.to_le_bytes());
        // Newer versions of older keys, among the splits.
        let again = scrambled(i) % (i + 1);
        insert(&memtable, &scrambled(again).to_be_bytes(), 1_000_000 + i, b"newer");
    }
    for i in 0..20_000u64 {
        let found = get(&memtable, &scrambled(i).to_be_bytes(), 20_000);
        assert_eq!(found, Some((Version(i + 1), i.to_le_bytes().to_vec())));
    }
}

/// A prefix that was taken for common and was not misordered silently: nodes may skip only what their fences share.
#[test]
fn a_key_outside_the_common_prefix_finds_its_place() {
    let memtable = fresh();
    let mut oracle = Oracle::default();
    let mut version = 0;
    let mut add = |key: &[u8]| {
        version += 1;
        insert(&memtable, key, version, key);
        oracle.insert(key, version, key);
    };
    for i in 0..5_000u64 {
        add(format!("user/region-eu/{:08}", scrambled(i) % 100_000_000).as_bytes());
    }
    // Every way of leaving the prefix: below, above, cut short, and differing in each byte of it.
    for outside in
        [&b""[..], b"u", b"user/region-eu", b"user/region-eu/", b"user/region-eu0", b"zzz", b"\0", b"\xff"]
    {
        add(outside);
    }
    for at in 0..15 {
        for byte in [0, b'/', b'z', 0xff] {
            let mut key = b"user/region-eu/50000000".to_vec();
            key[at] = byte;
            add(&key);
        }
    }
    for i in 5_000..10_000u64 {
        add(format!("user/region-eu/{:08}", scrambled(i) % 100_000_000).as_bytes());
    }
    assert_same(&memtable, &oracle);
    let mut cursor = memtable.cursor();
    for target in [&b"user/region-dz/99999999"[..], b"user/region-eu/", b"user/region-ev", b"user", b"v"] {
        let target = InternalKey::first_of(target);
        cursor.seek(target).unwrap();
        assert_eq!(here(&cursor), oracle.seek(target));
        cursor.seek_back(target).unwrap();
        assert_eq!(here(&cursor), oracle.seek_back(target));
    }
}

/// A group of descents is a reader too: a leaf that it holds may be replaced, or get a right neighbour, by the
/// inserts of the group itself.
#[test]
fn a_group_survives_the_splits_it_causes() {
    let orders: [fn(u64) -> u64; 6] = [
        |i| i,
        |i| u64::MAX - i,
        scrambled,
        // Runs, ascending inside a group, and at one place of the tree.
        |i| (scrambled(i / 40) << 8) | (i % 40),
        // An ascending run, now and then interrupted on its left, behind its end, and by a key that is there.
        |i| match i % 50 {
            7 => scrambled(i) >> 1,
            19 => (1 << 63) | (i << 20),
            33 => (1 << 63) | ((i - 1) << 10),
            _ => (1 << 63) | (i << 10),
        },
        // The same keys again within a group: versions.
        |i| scrambled(i / 3),
    ];
    for order in orders {
        for batch_len in [2, 31, 33, 1_000] {
            let (memtable, mut oracle) = (fresh(), Oracle::default());
            let keys: Vec<[u8; 8]> = (0..6_000).map(|i| order(i).to_be_bytes()).collect();
            let mut version = 0;
            for batch in keys.chunks(batch_len) {
                let entries = batch.iter().map(|key| {
                    version += 1;
                    oracle.insert(key, version, key);
                    (InternalKey::new(key, Version(version)), Entry::inline(key))
                });
                memtable.writer().insert_all(entries).unwrap();
            }
            assert_same(&memtable, &oracle);
        }
    }
}

/// Reused memory is full of the old memtable; none of it may be seen, and the pool keeps no more than it may.
#[test]
fn pooled_memory_does_not_leak_old_entries() {
    const LIMIT_BYTES: usize = 8 << 20;
    let pool = ArenaPool::new(LIMIT_BYTES);
    for round in 0..6u64 {
        let memtable = Arc::new(Memtable::new(&pool));
        assert!(memtable.is_empty() && memtable.newest() == Version::ZERO);
        let mut cursor = memtable.cursor();
        cursor.first().unwrap();
        assert!(cursor.key().is_none());
        let mut oracle = Oracle::default();
        // Odd rounds are small, so that they find much more old memory than they write.
        let inserts = if round % 2 == 0 { 100_000 } else { 3_000 };
        for i in 0..inserts {
            let key = scrambled(i * 6 + round).to_be_bytes();
            assert_eq!(get(&memtable, &key, u64::MAX), None);
            insert(&memtable, &key, i + 1, &[round as u8; 60]);
            oracle.insert(&key, i + 1, &[round as u8; 60]);
        }
        assert_same(&memtable, &oracle);
        drop(cursor);
        drop(memtable);
        assert!(pool.idle_bytes() > 0 && pool.idle_bytes() <= LIMIT_BYTES);
    }
    let idle = pool.idle_bytes();
    let memtable = Memtable::new(&pool);
    assert!(pool.idle_bytes() < idle, "memory is taken from the pool");
    drop(memtable);
    assert_eq!(pool.idle_bytes(), idle);
}

/// A key that is written over and over must not make old snapshots slow: with a plain list this test would take
/// hours.
#[test]
fn a_hot_key_keeps_its_old_versions_near() {
    const VERSIONS: u64 = 500_000;
    let memtable = fresh();
    for i in 1..=VERSIONS {
        insert(&memtable, b"hot", i * 2, &i.to_le_bytes());
    }
    let mut cursor = memtable.cursor();
    for i in 0..10_000 {
        let version = 2 + scrambled(i) % (VERSIONS * 2 - 1);
        let (found, value) = get(&memtable, b"hot", version).unwrap();
        assert_eq!((found.0, value), (version / 2 * 2, (version / 2).to_le_bytes().to_vec()));
        cursor.seek_back(InternalKey::new(b"hot", Version(version))).unwrap();
        assert_eq!(cursor.key().unwrap().version.0, version.div_ceil(2) * 2);
        cursor.prev().unwrap();
        assert_eq!(
            cursor.key().map(|key| key.version.0),
            Some(version.div_ceil(2) * 2 + 2).filter(|v| *v <= VERSIONS * 2)
        );
    }
    assert_eq!(get(&memtable, b"hot", 1), None);
    assert_eq!(memtable.entries(), VERSIONS);
}

/// The same version again replaces, for readers that come later, and is not counted.
#[test]
fn the_same_version_again_replaces() {
    let memtable = fresh();
    let mut oracle = Oracle::default();
    for version in 1..=40 {
        for value in [&b"first"[..], b"second", b"third"] {
            insert(&memtable, b"key", version, value);
            oracle.insert(b"key", version, value);
        }
    }
    assert_same(&memtable, &oracle);
    assert_eq!((memtable.entries(), memtable.newest()), (40, Version(40)));
}

/// Everything an entry can hold comes back, and large values are shared with a memtable that they keep alive.
#[test]
fn entries_come_back_whole_and_outlive_the_memtable() {
    let memtable = fresh();
    let large = vec![7; 5_000];
    let pointer = ValuePointer { segment: 9, offset: 1 << 40, record_len: 77, value_len: 50 };
    let payloads =
        [Payload::Tombstone, Payload::Inline(b"small"), Payload::Inline(&large), Payload::Separated(pointer)];
    let mut expected = Vec::new();
    for payload in payloads {
        for (user_meta, expires_at) in [(0, None), (5, Some(UnixSeconds(1 << 33)))] {
            expected.push(Entry { payload, user_meta, expires_at, hides_older: user_meta != 0 });
        }
    }
    for (i, entry) in expected.iter().enumerate() {
        memtable.writer().insert(InternalKey::new(&[i as u8], Version(1)), entry).unwrap();
    }
    let mut cursor = memtable.cursor();
    let mut values = Vec::new();
    cursor.first().unwrap();
    for (i, entry) in expected.iter().enumerate() {
        assert_eq!(memtable.get(&[i as u8], Version(1)), Some((Version(1), *entry)));
        let shared = memtable.get_hashed(&[i as u8], content_hash(&[i as u8]), Version(1)).unwrap();
        assert_eq!(shared.as_entry(), *entry);
        assert_eq!(cursor.entry(), Some(*entry));
        let inline = match entry.payload {
            Payload::Inline(value) => Some(value),
            Payload::Tombstone | Payload::Separated(_) => None,
        };
        let value = cursor.inline_value();
        assert_eq!(value.as_deref(), inline);
        values.extend(value);
        cursor.next().unwrap();
    }
    let watch = Arc::downgrade(&memtable);
    drop((cursor, memtable));
    assert!(watch.upgrade().is_some(), "a shared value holds the memtable");
    assert!(values.iter().filter(|value| value.len() == 5_000).all(|value| *value == large));
    drop(values);
    assert!(watch.upgrade().is_none());
}

/// Small memtables must be cheap and their size honest: the engine rotates by it.
#[test]
fn byte_len_counts_what_is_used() {
    let memtable = fresh();
    assert!(memtable.byte_len() < 1_024);
    let mut before = memtable.byte_len();
    for i in 0..30u8 {
        insert(&memtable, &[i], 1, &[0; 100]);
        assert!(memtable.byte_len() >= before + 101);
        before = memtable.byte_len();
    }
    assert!(memtable.byte_len() < 30 * 200);
}

/// What does not fit is refused and changes nothing.
#[test]
fn a_record_above_the_limit_is_refused() {
    let memtable = fresh();
    insert(&memtable, b"a", 1, b"value");
    // Zeroed memory costs nothing until it is touched, and it is not.
    let monster = vec![0; (1 << 30) + 1];
    let refused = memtable.writer().insert(InternalKey::new(b"b", Version(2)), &Entry::inline(&monster));
    assert_eq!(refused, Err(Full));
    assert_eq!((memtable.entries(), memtable.newest()), (1, Version(1)));
    assert_eq!(get(&memtable, b"b", 9), None);
    insert(&memtable, b"b", 3, b"fits");
    assert_eq!(memtable.entries(), 2);
}
