//! How long a point read of the whole database takes: hits, absent keys, through a snapshot, out of a memtable, and of values that
//! are kept apart.
//!
//! `GET_ENTRIES` sets the size; the default is small, so that a run takes seconds. 2500000 makes a database of 320 MB.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark ends at the first surprise")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use kv::{Db, Durability, Options};

const VALUE_BYTES: usize = 100;
const LARGE_VALUE_BYTES: usize = 4096;

fn entry_count() -> u64 {
    std::env::var("GET_ENTRIES").ok().and_then(|text| text.parse().ok()).unwrap_or(200_000)
}

/// 16 bytes that look random; the same for the same number.
fn key(number: u64) -> [u8; 16] {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let mut key = *b"........keybytes";
    key[..8].copy_from_slice(&(mixed ^ (mixed >> 31)).to_be_bytes());
    key
}

fn load(db: &Db, count: u64, value_bytes: usize) {
    for first in (0..count).step_by(1000) {
        let mut txn = db.begin_write().unwrap();
        for number in first..(first + 1000).min(count) {
            txn.set(key(number), vec![number as u8; value_bytes]).unwrap();
        }
        txn.commit_with(Durability::Buffered).unwrap();
    }
}

fn reads(criterion: &mut Criterion, name: &str, db: &Db, count: u64) {
    let mut group = criterion.benchmark_group(format!("get/{name}"));
    let mut random = fastrand::Rng::with_seed(7);
    group.bench_function("hit", |bencher| {
        bencher.iter(|| assert!(black_box(db.get(key(random.u64(0..count))).unwrap()).is_some()));
    });
    group.bench_function("miss", |bencher| {
        bencher.iter(|| assert!(db.get(key(random.u64(count..count * 2))).unwrap().is_none()));
    });
    group.bench_function("snapshot", |bencher| {
        let snapshot = db.begin_read().unwrap();
        bencher.iter(|| assert!(black_box(snapshot.get(key(random.u64(0..count))).unwrap()).is_some()));
    });
    group.finish();
}

fn get(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    let count = entry_count();
    let db = Options::new().open(directory.path().join("small")).unwrap();
    load(&db, count.min(200_000), VALUE_BYTES);
    reads(criterion, "memtable", &db, count.min(200_000));
    load(&db, count, VALUE_BYTES);
    db.compact().unwrap();
    reads(criterion, "tables", &db, count);
    db.close().unwrap();

    let count = count / 20;
    let db = Options::new().open(directory.path().join("large")).unwrap();
    load(&db, count, LARGE_VALUE_BYTES);
    db.compact().unwrap();
    reads(criterion, "large values", &db, count);
    db.close().unwrap();
}

criterion_group!(benches, get);
criterion_main!(benches);
