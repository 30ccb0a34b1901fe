//! Goal: a memtable answers like a sorted map of all versions. Method: the same operations on a `BTreeMap`, with
//! key spaces made to be hard: long common prefixes, prefixes of each other, zero bytes, many versions, huge
//! keys and values; with changes of direction at any step.

#![cfg(not(loom))]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::sync::Arc;

use base::{Cursor, InternalKey, Version};
use memtable::{ArenaPool, Memtable};
use proptest::prelude::*;
use support::{Oracle, assert_same, get, here, insert};

fn fresh() -> Arc<Memtable> {
    Arc::new(Memtable::new(&ArenaPool::new(0)))
}

/// Keys over so few bytes that prefixes, ties of heads and repeated keys are the rule.
fn any_key() -> impl Strategy<Value = Vec<u8>> {
    let tail =
        prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0x7f), Just(0x80), Just(0xff)], 0..6);
    let stem = prop_oneof![
        Just(b"".to_vec()),
        Just(b"user/region-eu/000000000000/".to_vec()),
        Just(b"user/region-eu/0000000".to_vec()),
        Just(b"user/region-us/0000000".to_vec()),
        Just(vec![0; 9]),
        Just(vec![0xff; 17]),
    ];
    (stem, tail).prop_map(|(mut stem, tail)| {
        stem.extend(tail);
        stem
    })
}

#[derive(Clone, Debug)]
enum Op {
    Insert(Vec<u8>, bool),
    Get(Vec<u8>, u64),
    Seek(Vec<u8>, u64),
    SeekBack(Vec<u8>, u64),
    Next,
    Prev,
    First,
    Last,
}

fn any_op() -> impl Strategy<Value = Op> {
    let version = prop_oneof![0u64..400, Just(u64::MAX)];
    prop_oneof![
        8 => (any_key(), prop::bool::weighted(0.1)).prop_map(|(key, again)| Op::Insert(key, again)),
        2 => (any_key(), version.clone()).prop_map(|(key, version)| Op::Get(key, version)),
        1 => (any_key(), version.clone()).prop_map(|(key, version)| Op::Seek(key, version)),
        1 => (any_key(), version).prop_map(|(key, version)| Op::SeekBack(key, version)),
        3 => Just(Op::Next),
        3 => Just(Op::Prev),
        1 => prop_oneof![Just(Op::First), Just(Op::Last)],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn answers_like_a_sorted_map(ops in prop::collection::vec(any_op(), 1..400)) {
        let memtable = fresh();
        let mut oracle = Oracle::default();
        let mut cursor = memtable.cursor();
        let mut version = 1;
        for op in ops {
            // The contract leaves open whether a positioned cursor sees later inserts, so after one the cursor
            // and the oracle are brought together by a seek to where the cursor is.
            match op {
                Op::Insert(key, again) => {
                    version += u64::from(!again);
                    insert(&memtable, &key, version, format!("{version} of {key:?}").as_bytes());
                    oracle.insert(&key, version, format!("{version} of {key:?}").as_bytes());
                    let at = cursor.key().map(InternalKey::to_buf);
                    if let Some(at) = at {
                        cursor.seek(at.as_ref()).unwrap();
                        prop_assert_eq!(cursor.key(), Some(at.as_ref()));
                    }
                    continue;
                }
                Op::Get(key, at) => {
                    let expected = oracle.get(&key, at).map(|(version, value)| (version, value.to_vec()));
                    prop_assert_eq!(get(&memtable, &key, at), expected);
                    continue;
                }
                _ => {}
            }
            let before = cursor.key().map(InternalKey::to_buf);
            let before = before.as_ref().map(|key| key.as_ref());
            let expected = match &op {
                Op::Seek(key, at) => oracle.seek(InternalKey::new(key, Version(*at))),
                Op::SeekBack(key, at) => oracle.seek_back(InternalKey::new(key, Version(*at))),
                Op::Next => before.and_then(|key| oracle.after(key)),
                Op::Prev => before.and_then(|key| oracle.before(key)),
                Op::First => oracle.iter().next(),
                _ => oracle.iter().next_back(),
            };
            match &op {
                Op::Seek(key, at) => cursor.seek(InternalKey::new(key, Version(*at))),
                Op::SeekBack(key, at) => cursor.seek_back(InternalKey::new(key, Version(*at))),
                Op::Next => cursor.next(),
                Op::Prev => cursor.prev(),
                Op::First => cursor.first(),
                _ => cursor.last(),
            }.unwrap();
            prop_assert_eq!(here(&cursor), expected);
        }
        assert_same(&memtable, &oracle);
    }
}

/// Inserts `count` keys made by `key_of`, in the order given, walks, and seeks around each key.
fn long_run(count: u64, key_of: impl Fn(u64) -> Vec<u8>) {
    let memtable = fresh();
    let mut oracle = Oracle::default();
    for i in 0..count {
        let key = key_of(i);
        insert(&memtable, &key, i + 1, &i.to_le_bytes());
        oracle.insert(&key, i + 1, &i.to_le_bytes());
    }
    assert_same(&memtable, &oracle);
    let mut cursor = memtable.cursor();
    for i in (0..count).step_by(7) {
        let mut key = key_of(i);
        for target in
            [InternalKey::first_of(&key), InternalKey::new(&key, Version(i + 1)), InternalKey::last_of(&key)]
        {
            cursor.seek(target).unwrap();
            assert_eq!(here(&cursor), oracle.seek(target), "seek {target:?}");
            cursor.seek_back(target).unwrap();
            assert_eq!(here(&cursor), oracle.seek_back(target), "seek back {target:?}");
        }
        key.push(0);
        let target = InternalKey::new(&key, Version(3));
        cursor.seek(target).unwrap();
        assert_eq!(here(&cursor), oracle.seek(target));
        assert_eq!(get(&memtable, &key, u64::MAX), oracle.get(&key, u64::MAX).map(|(v, d)| (v, d.to_vec())));
    }
}

fn scrambled(i: u64) -> u64 {
    i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

#[test]
fn random_keys() {
    long_run(60_000, |i| scrambled(i).to_be_bytes().repeat(2));
}

#[test]
fn ascending_and_descending_keys() {
    long_run(40_000, |i| i.to_be_bytes().to_vec());
    long_run(40_000, |i| (u64::MAX - i).to_be_bytes().to_vec());
    // All heads of the whole tree tie until nodes are narrowed.
    long_run(40_000, |i| format!("user/region-eu/{i:012}").into_bytes());
}

#[test]
fn an_ascending_run_with_interruptions() {
    long_run(40_000, |i| {
        match i % 50 {
            7 => format!("user/{:08}", scrambled(i) % 100_000_000),
            19 => format!("user/region-eu/{:012}", i + 1_000),
            33 => format!("user/region-eu/{:012}", i - 1),
            _ => format!("user/region-eu/{i:012}"),
        }
        .into_bytes()
    });
}

#[test]
fn several_ascending_streams_at_once() {
    long_run(40_000, |i| format!("sensor-{:03}/measurement/{i:09}", scrambled(i) % 100).into_bytes());
}

#[test]
fn long_common_prefixes_in_random_order() {
    long_run(40_000, |i| {
        let user = scrambled(i) % 5_000;
        format!("user/region-eu/{user:012}/field-name-{:02}", i % 8).into_bytes()
    });
}

#[test]
fn keys_that_are_prefixes_of_each_other() {
    // 64 zeros, 63 zeros, ...: heads say nothing at all.
    long_run(4_000, |i| vec![0; (scrambled(i) % 700) as usize]);
    long_run(4_000, |i| {
        let mut key = vec![b'a'; (i % 90) as usize];
        key.push((i / 90) as u8);
        key
    });
}

#[test]
fn few_keys_with_many_versions() {
    long_run(40_000, |i| (scrambled(i) % 50).to_be_bytes().to_vec());
}

#[test]
fn empty_and_huge_keys() {
    let memtable = fresh();
    let mut oracle = Oracle::default();
    for i in 0..400u64 {
        let mut key = vec![(i % 3) as u8; base::MAX_KEY_BYTES];
        key.truncate(if i == 7 { 0 } else { base::MAX_KEY_BYTES - (i % 5) as usize });
        if let Some(last) = key.last_mut() {
            *last = (i / 15) as u8;
        }
        insert(&memtable, &key, i + 1, b"huge");
        oracle.insert(&key, i + 1, b"huge");
    }
    assert_same(&memtable, &oracle);
    assert_eq!(get(&memtable, b"", 100).map(|(version, _)| version), Some(Version(8)));
}

#[test]
fn large_values_cross_windows() {
    // Each value takes a chunk of two windows; the last ones lie in the far part of the window table.
    let memtable = fresh();
    let mut value = vec![0u8; 1 << 20];
    for i in 0..80u64 {
        value[..8].copy_from_slice(&i.to_le_bytes());
        value[(1 << 20) - 8..].copy_from_slice(&i.to_le_bytes());
        insert(&memtable, &scrambled(i).to_be_bytes(), 1, &value);
        insert(&memtable, &scrambled(i + 1_000).to_be_bytes(), 1, b"small");
    }
    for i in 0..80u64 {
        let (_, found) = get(&memtable, &scrambled(i).to_be_bytes(), 1).unwrap();
        assert_eq!(found.len(), 1 << 20);
        assert_eq!(found[..8], i.to_le_bytes());
        assert_eq!(found[(1 << 20) - 8..], i.to_le_bytes());
        assert!(get(&memtable, &scrambled(i + 1_000).to_be_bytes(), 1).is_some());
    }
    assert!(memtable.byte_len() > 80 << 20 && memtable.byte_len() < 81 << 20);
}
