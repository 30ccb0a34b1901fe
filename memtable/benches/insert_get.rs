//! Nanoseconds per operation of what the engine does with a memtable: 500 k keys of 16 bytes, values of 100 bytes.
//!
//! Elements are entries, so that criterion's throughput is entries per second.

#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "criterion's macros make undocumented functions; a bench may panic"
)]

use std::sync::Arc;

use base::{Cursor, Entry, InternalKey, Version};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use memtable::{ArenaPool, Memtable};

/// An order of keys: its name, and the key of insert `i`.
type KeyOrder = (&'static str, fn(u64) -> Vec<u8>);

const ORDERS: [KeyOrder; 3] = [("random", random_key), ("ascending", ascending_key), ("path", path_key)];
const KEYS: u64 = 500_000;
const BATCH_LEN: usize = 1_000;
const VALUE: [u8; 100] = [0x5a; 100];

fn scrambled(i: u64) -> u64 {
    i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

fn random_key(i: u64) -> Vec<u8> {
    [scrambled(i).to_be_bytes(), scrambled(i + KEYS).to_be_bytes()].concat()
}

fn ascending_key(i: u64) -> Vec<u8> {
    format!("{i:016}").into_bytes()
}

fn path_key(i: u64) -> Vec<u8> {
    let user = scrambled(i / 8) % KEYS;
    format!("user/region-eu/{user:012}/field-name-{:02}", scrambled(i) % 8).into_bytes()
}

fn keys(key_of: fn(u64) -> Vec<u8>) -> Vec<Vec<u8>> {
    (0..KEYS).map(key_of).collect()
}

fn fill(memtable: &Memtable, keys: &[Vec<u8>], batch_len: usize) {
    let mut version = 0;
    for batch in keys.chunks(batch_len) {
        let mut writer = memtable.writer();
        if let [key] = batch {
            version += 1;
            let key = InternalKey::new(key, Version(version));
            writer.insert(key, &Entry::inline(&VALUE)).expect("room");
        } else {
            let entries = batch.iter().map(|key| {
                version += 1;
                (InternalKey::new(key, Version(version)), Entry::inline(&VALUE))
            });
            writer.insert_all(entries).expect("room");
        }
    }
}

fn inserts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("insert");
    group.throughput(Throughput::Elements(KEYS)).sample_size(10);
    for (order, key_of) in ORDERS {
        let keys = keys(key_of);
        for batch_len in [BATCH_LEN, 1] {
            // The pool is warm from the second round on, as it is in an engine that runs.
            let pool = ArenaPool::new(1 << 30);
            group.bench_function(format!("{order}/batch {batch_len}"), |bencher| {
                bencher.iter_batched(
                    || Memtable::new(&pool),
                    |memtable| {
                        fill(&memtable, &keys, batch_len);
                        memtable
                    },
                    BatchSize::PerIteration,
                );
            });
        }
        let memtable = Memtable::new(&ArenaPool::new(0));
        fill(&memtable, &keys, BATCH_LEN);
        let bytes = memtable.byte_len() as f64 / memtable.entries() as f64;
        println!("{order}: {:.1} bytes an entry beside key and value", bytes - 100.0 - keys[0].len() as f64);
    }
}

fn reads(criterion: &mut Criterion) {
    for (order, key_of) in ORDERS {
        let keys = keys(key_of);
        let memtable = Arc::new(Memtable::new(&ArenaPool::new(0)));
        fill(&memtable, &keys, BATCH_LEN);
        let mut group = criterion.benchmark_group(format!("read/{order}"));
        let mut turn = 0;
        let mut next_key = || {
            turn += 1;
            &keys[(scrambled(turn) % KEYS) as usize]
        };
        group.throughput(Throughput::Elements(1));
        group.bench_function("get hit", |bencher| {
            bencher.iter(|| memtable.get(next_key(), Version::MAX).expect("present").0);
        });
        let absent: Vec<Vec<u8>> = keys.iter().map(|key| [key, &b"x"[..]].concat()).collect();
        let mut turn = 0;
        group.bench_function("get miss", |bencher| {
            bencher.iter(|| {
                turn += 1;
                memtable.get(&absent[(scrambled(turn) % KEYS) as usize], Version::MAX).is_none()
            });
        });
        let mut cursor = memtable.cursor();
        for steps in [1, 100] {
            group.bench_function(format!("seek + {steps}"), |bencher| {
                bencher.iter(|| {
                    cursor.seek(InternalKey::first_of(next_key())).expect("no errors");
                    let mut bytes = 0;
                    for _ in 0..steps {
                        bytes += touch(&cursor).unwrap_or(0);
                        cursor.next().expect("no errors");
                    }
                    bytes
                });
            });
        }
        group.throughput(Throughput::Elements(KEYS)).sample_size(10);
        group.bench_function("iterate up", |bencher| bencher.iter(|| walk_up(&mut cursor)));
        group.bench_function("iterate down", |bencher| bencher.iter(|| walk_down(&mut cursor)));
    }
}

/// Touches key and value where the cursor is; `None` past the end.
fn touch(cursor: &impl Cursor) -> Option<u64> {
    Some(cursor.key()?.user_key.len() as u64 + cursor.entry()?.value_len())
}

fn walk_up(cursor: &mut impl Cursor) -> u64 {
    cursor.first().expect("no errors");
    let mut bytes = 0;
    while let Some(here) = touch(cursor) {
        bytes += here;
        cursor.next().expect("no errors");
    }
    bytes
}

fn walk_down(cursor: &mut impl Cursor) -> u64 {
    cursor.last().expect("no errors");
    let mut bytes = 0;
    while let Some(here) = touch(cursor) {
        bytes += here;
        cursor.prev().expect("no errors");
    }
    bytes
}

criterion_group!(benches, inserts, reads);
criterion_main!(benches);
