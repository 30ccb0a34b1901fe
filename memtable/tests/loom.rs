//! Goal: the orderings by which inserts become visible are enough on every machine that Rust knows. Method: loom
//! runs the real code (with leaves of 4 slots and nodes of 3 children) through the interleavings, and through the
//! stale values that weak orderings allow. `RUSTFLAGS="--cfg loom" cargo test -p memtable --release --test loom`

#![cfg(loom)]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may fail")]

use std::sync::Arc;

use base::{Cursor, Entry, InternalKey, Version};
use loom::sync::atomic::{AtomicU64, Ordering};
use memtable::{ArenaPool, Memtable};

/// A writer inserts the keys in turn, the first `before` of them before the reader starts, and publishes each; a
/// reader looks for what is published.
fn explore(keys: &'static [&'static [u8]], before: usize, check: fn(&Arc<Memtable>, &[&[u8]])) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.max_branches = 20_000;
    builder.check(move || {
        let memtable = Arc::new(Memtable::new(&ArenaPool::new(0)));
        let published = loom::sync::Arc::new(AtomicU64::new(0));
        let insert = |memtable: &Memtable, published: &AtomicU64, i: usize| {
            let version = i as u64 + 1;
            let key = InternalKey::new(keys[i], Version(version));
            memtable.writer().insert(key, &Entry::inline(keys[i])).unwrap();
            published.store(version, Ordering::Release);
        };
        for i in 0..before {
            insert(&memtable, &published, i);
        }
        let reader = {
            let (memtable, published) = (Arc::clone(&memtable), loom::sync::Arc::clone(&published));
            loom::thread::spawn(move || {
                let at = published.load(Ordering::Acquire) as usize;
                check(&memtable, &keys[..at]);
            })
        };
        for i in before..keys.len() {
            insert(&memtable, &published, i);
        }
        reader.join().unwrap();
    });
}

/// The newest published key is found in its version.
fn check_get(memtable: &Arc<Memtable>, published: &[&[u8]]) {
    let Some(key) = published.last() else { return };
    let at = Version(published.len() as u64);
    let (found, entry) = memtable.get(key, at).expect("published key");
    assert_eq!((found, entry), (at, Entry::inline(key)));
}

/// A seek goes to the newest published key.
fn check_seek(memtable: &Arc<Memtable>, published: &[&[u8]]) {
    let Some(key) = published.last() else { return };
    let target = InternalKey::new(key, Version(published.len() as u64));
    let mut cursor = memtable.cursor();
    cursor.seek(target).unwrap();
    assert_eq!(cursor.key(), Some(target));
}

/// A walk is ordered and meets each published version once.
fn check_walk(memtable: &Arc<Memtable>, published: &[&[u8]]) {
    let mut cursor = memtable.cursor();
    cursor.first().unwrap();
    let mut visible = 0;
    let mut before = None;
    while let Some(key) = cursor.key().map(InternalKey::to_buf) {
        visible += usize::from(key.version.0 <= published.len() as u64);
        assert!(before.as_ref().is_none_or(|before| *before < key));
        before = Some(key);
        cursor.next().unwrap();
    }
    assert_eq!(visible, published.len());
}

const ASCENDING: &[&[u8]] =
    &[b"a", b"b", b"c", b"d", b"e", b"f", b"g", b"h", b"i", b"j", b"k", b"l", b"m", b"n", b"o", b"p", b"q"];
const SCATTERED: &[&[u8]] = &[b"m", b"c", b"x", b"p", b"e", b"a", b"o", b"n", b"z", b"b"];
const TIED: &[&[u8]] = &[
    b"commonstem-a",
    b"commonstem-b",
    b"commonstem-c",
    b"commonstem-d",
    b"commonstem-e",
    b"commonstem-f",
    b"commonstem-g",
    b"commonstem-h",
    b"commonstem-i",
    b"commonstem-j",
    b"commonstem-k",
    b"commonstem-l",
    b"commonstem-m",
];
const VERSIONS: &[&[u8]] = &[b"k", b"k", b"k", b"k", b"k"];

#[test]
fn loom_leaf_push_and_first_root() {
    explore(&ASCENDING[..6], 2, check_get);
    explore(&ASCENDING[..6], 3, check_walk);
}

#[test]
fn loom_append_in_place_and_full_inner_node() {
    explore(&ASCENDING[..9], 7, check_get);
    explore(&ASCENDING[..9], 7, check_walk);
    explore(&ASCENDING[..13], 11, check_seek);
    explore(ASCENDING, 15, check_walk);
}

#[test]
fn loom_narrowed_copies() {
    explore(&TIED[..9], 7, check_seek);
    explore(&TIED[..9], 7, check_walk);
    explore(TIED, 11, check_seek);
    explore(TIED, 11, check_walk);
}

#[test]
fn loom_sorted_copies_and_splits() {
    for before in 1..8 {
        explore(&SCATTERED[..before + 3], before, check_get);
        explore(&SCATTERED[..before + 2], before, check_walk);
    }
}

/// The last insert splits the last child, of [d e h g], while the reader looks for g, in its upper half.
#[test]
fn loom_split_of_the_last_child() {
    const KEYS: &[&[u8]] = &[b"d", b"b", b"a", b"e", b"h", b"g", b"f"];
    explore(KEYS, 6, check_get);
    explore(KEYS, 5, check_seek);
    explore(KEYS, 5, check_walk);
}

#[test]
fn loom_versions_of_one_key() {
    explore(VERSIONS, 1, check_get);
    explore(VERSIONS, 2, check_walk);
}
