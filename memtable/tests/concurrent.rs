//! Goal: a reader at a published version meets exactly what was inserted up to it, whatever the writer is doing.
//! Method: one writer and one reader on two threads. Insert `i` has version `i + 1`, so the reader knows for every
//! version what must be there. It aims at the newest published key, where the tree is changing, and now and then
//! walks everything in both directions. Memory comes from a pool, so most rounds run on used memory.

#![cfg(not(loom))]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may fail")]

use std::sync::Arc;

use base::{Cursor, Entry, InternalKey, SharedVersion, Version};
use memtable::{ArenaPool, Memtable};

fn scrambled(i: u64) -> u64 {
    i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// One race. `key_of` gives the key of insert `i`; keys may repeat. A version is published per batch.
fn race(pool: &Arc<ArenaPool>, inserts: u64, batch_len: u64, key_of: impl Fn(u64) -> Vec<u8> + Sync) {
    let memtable = Arc::new(Memtable::new(pool));
    let published = SharedVersion::new(Version::ZERO);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut i = 0;
            while i < inserts {
                let keys: Vec<Vec<u8>> = (i..inserts.min(i + batch_len)).map(&key_of).collect();
                let mut writer = memtable.writer();
                if batch_len == 1 {
                    writer
                        .insert(InternalKey::new(&keys[0], Version(i + 1)), &Entry::inline(&keys[0]))
                        .unwrap();
                } else {
                    let entry = |(key, version): (_, _)| {
                        (InternalKey::new(key, Version(version)), Entry::inline(key))
                    };
                    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
                    writer.insert_all(keys.iter().copied().zip(i + 1..).map(entry)).unwrap();
                }
                i += keys.len() as u64;
                published.publish(Version(i));
            }
        });
        let mut round = 0;
        loop {
            let at = published.load();
            if at > Version::ZERO {
                check_newest(&memtable, at, &key_of(at.0 - 1));
                check_any(&memtable, at, scrambled(round) % at.0, &key_of);
            }
            if round % 2_000 == 1_000 {
                check_walks(&memtable, at);
            }
            round += 1;
            if at.0 == inserts {
                break;
            }
        }
        check_walks(&memtable, Version(inserts));
    });
}

/// The last insert at or below `at` is found by every way of looking for it.
fn check_newest(memtable: &Arc<Memtable>, at: Version, key: &[u8]) {
    let (found, entry) = memtable.get(key, at).expect("published key");
    assert_eq!((found, entry), (at, Entry::inline(key)));
    let mut cursor = memtable.cursor();
    let target = InternalKey::new(key, at);
    cursor.seek(target).unwrap();
    assert_eq!(cursor.key(), Some(target));
    cursor.seek_back(target).unwrap();
    assert_eq!(cursor.key(), Some(target));
    cursor.last().unwrap();
    assert!(cursor.key().unwrap().user_key >= key);
    while cursor.key().unwrap() > target && scrambled(at.0).is_multiple_of(64) {
        cursor.prev().unwrap();
    }
}

/// Insert `i` of those that are published is found, or a newer version of its key.
fn check_any(memtable: &Memtable, at: Version, i: u64, key_of: &impl Fn(u64) -> Vec<u8>) {
    let (found, _) = memtable.get(&key_of(i), at).expect("published key");
    assert!(found > Version(i) && found <= at);
}

/// Both full walks are strictly ordered and have exactly one entry for each version up to `at`.
fn check_walks(memtable: &Arc<Memtable>, at: Version) {
    let mut cursor = memtable.cursor();
    for up in [true, false] {
        if up { cursor.first() } else { cursor.last() }.unwrap();
        let mut visible = 0;
        let mut before = None;
        while let Some(key) = cursor.key().map(InternalKey::to_buf) {
            visible += u64::from(key.version <= at);
            assert!(before.as_ref().is_none_or(|before| if up { *before < key } else { *before > key }));
            before = Some(key);
            if up { cursor.next() } else { cursor.prev() }.unwrap();
        }
        assert_eq!(visible, at.0);
    }
}

fn rounds(inserts: u64, count: u64, key_of: impl Fn(u64) -> Vec<u8> + Sync) {
    let pool = ArenaPool::new(1 << 30);
    for round in 0..count {
        race(&pool, inserts, if round % 2 == 0 { 1 } else { 100 }, &key_of);
    }
}

/// Bug met: a child was narrowed in place; a reader that had counted the children before went into it and missed
/// the upper half. The reader aims at the largest key, and every insert makes a new one.
#[test]
fn no_child_is_narrowed_in_place_ascending() {
    rounds(60_000, 16, |i| i.to_be_bytes().to_vec());
}

/// As before, with heads that tie, so that full nodes are replaced by copies that skip more.
#[test]
fn no_child_is_narrowed_in_place_tied_heads() {
    rounds(60_000, 16, |i| format!("user/region-eu/{i:012}").into_bytes());
}

/// As before, by random inserts, which split in the middle.
#[test]
fn no_child_is_narrowed_in_place_random() {
    rounds(60_000, 16, |i| scrambled(i).to_be_bytes().repeat(2));
}

#[test]
fn versions_of_few_keys_race() {
    rounds(60_000, 8, |i| (scrambled(i) % 300).to_be_bytes().to_vec());
}

#[test]
fn ascending_streams_race() {
    rounds(60_000, 16, |i| format!("stream-{:02}/{i:012}", scrambled(i) % 20).into_bytes());
}
