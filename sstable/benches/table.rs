//! How long the table's operations take on data in memory: build, point reads, scans in both directions.
//!
//! `TABLE_ENTRIES` sets the size; the default is small, so that a run takes seconds. 2500000 makes a table of 300 MB.

#![allow(clippy::unwrap_used, reason = "a benchmark ends at the first surprise")]

use std::hint::black_box;

use base::{Compression, Cursor, Direction, Entry, EntryRef, InternalKey, Version};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sstable::{BlockCache, BuildOptions, Builder, ReadOptions, Table, TableAccess};

const VALUE_BYTES: usize = 100;

fn entry_count() -> u64 {
    std::env::var("TABLE_ENTRIES").ok().and_then(|text| text.parse().ok()).unwrap_or(200_000)
}

/// 16 bytes that look random; the same for the same number.
fn random_key(number: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&sstable::key_hash(&number.to_be_bytes()).to_be_bytes());
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

fn sorted_keys(count: u64) -> Vec<([u8; 16], Version)> {
    let mut keys: Vec<_> = (0..count).map(|number| (random_key(number), Version(number + 1))).collect();
    keys.sort_unstable();
    keys
}

fn build(keys: &[([u8; 16], Version)], options: BuildOptions) -> bytes::Bytes {
    let mut value = [b'v'; VALUE_BYTES];
    let mut builder = Builder::in_memory(options);
    for (key, version) in keys {
        for (to, from) in value.iter_mut().zip(key.iter().cycle()).step_by(2) {
            *to = *from;
        }
        builder.add(InternalKey::new(key, *version), &Entry::inline(&value)).unwrap();
    }
    builder.finish_bytes().unwrap()
}

fn point_reads(criterion: &mut Criterion, name: &str, table: &Table, count: u64) {
    let mut group = criterion.benchmark_group(format!("get/{name}"));
    let mut random = fastrand::Rng::with_seed(7);
    group.bench_function("hit", |bencher| {
        bencher.iter(|| {
            let key = random_key(random.u64(0..count));
            let found = table.get(&key, Version::MAX).unwrap();
            assert!(black_box(found).is_some());
        });
    });
    group.bench_function("miss", |bencher| {
        bencher.iter(|| {
            let key = random_key(random.u64(count..count * 2));
            assert!(table.get(&key, Version::MAX).unwrap().is_none());
        });
    });
    group.bench_function("filter", |bencher| {
        bencher.iter(|| {
            let key = random_key(random.u64(count..count * 2));
            black_box(table.may_contain(sstable::key_hash(&key)).unwrap())
        });
    });
    group.bench_function("seek", |bencher| {
        let mut cursor = table.cursor();
        bencher.iter(|| {
            let key = random_key(random.u64(0..count));
            cursor.seek(InternalKey::first_of(&key)).unwrap();
            assert!(black_box(cursor.entry()).is_some());
        });
    });
    group.finish();
}

fn table_get(table: &Table, key: &[u8]) -> base::SharedEntry {
    table.get(key, Version::MAX).unwrap().unwrap()
}

fn scans(criterion: &mut Criterion, name: &str, table: &Table, count: u64) {
    let mut group = criterion.benchmark_group(format!("scan/{name}"));
    group.throughput(Throughput::Elements(count)).sample_size(10);
    group.bench_function("forward", |bencher| {
        bencher.iter(|| {
            let mut cursor = table.cursor();
            let mut seen = 0;
            cursor.first().unwrap();
            while let (Some(key), Some(entry)) = (cursor.key(), cursor.entry()) {
                seen += black_box(key.user_key).len() as u64 + entry.value_len();
                cursor.next().unwrap();
            }
            assert_eq!(seen, count * (VALUE_BYTES as u64 + 16));
        });
    });
    group.bench_function("walk", |bencher| {
        bencher.iter(|| {
            let mut cursor = table.cursor();
            let mut seen = 0;
            cursor.first().unwrap();
            while cursor.key().is_some() {
                let visit = &mut |found: &EntryRef<'_>| {
                    seen += black_box(found.key.user_key).len() as u64 + found.entry.value_len();
                    true
                };
                cursor.walk(Direction::Forward, visit).unwrap();
            }
            assert_eq!(seen, count * (VALUE_BYTES as u64 + 16));
        });
    });
    group.bench_function("reverse", |bencher| {
        bencher.iter(|| {
            let mut cursor = table.cursor();
            let mut seen = 0;
            cursor.last().unwrap();
            while let (Some(key), Some(entry)) = (cursor.key(), cursor.entry()) {
                seen += black_box(key.user_key).len() as u64 + entry.value_len();
                cursor.prev().unwrap();
            }
            assert_eq!(seen, count * (VALUE_BYTES as u64 + 16));
        });
    });
    group.finish();
}

fn table(criterion: &mut Criterion) {
    let count = entry_count();
    let keys = sorted_keys(count);
    let mut group = criterion.benchmark_group("build");
    group.throughput(Throughput::Elements(count)).sample_size(10);
    group.bench_function("plain", |bencher| bencher.iter(|| build(&keys, BuildOptions::default())));
    group.finish();

    let plain = build(&keys, BuildOptions::default());
    let mapped = Table::from_bytes(plain.clone(), ReadOptions::default()).unwrap();
    mapped.verify().unwrap();
    point_reads(criterion, "mapped", &mapped, count);
    scans(criterion, "mapped", &mapped, count);

    // All that is left of a read in one block is the search inside it.
    let block =
        Table::from_bytes(build(keys.get(..30).unwrap(), BuildOptions::default()), ReadOptions::default());
    let block = block.unwrap();
    criterion.bench_function("get/one block", |bencher| {
        let mut turn = keys.iter().take(30).cycle();
        bencher.iter(|| black_box(table_get(&block, &turn.next().unwrap().0)));
    });

    let two_level = ReadOptions::default().resident_index_bytes(0);
    point_reads(criterion, "two-level", &Table::from_bytes(plain.clone(), two_level).unwrap(), count);

    let cached = ReadOptions::default().access(TableAccess::Positional);
    let cached = cached.cache(BlockCache::with_capacity(plain.len() as u64 * 2));
    let cached = Table::from_bytes(plain, cached).unwrap();
    point_reads(criterion, "positional-cached", &cached, count);
    scans(criterion, "positional-cached", &cached, count);

    let packed = build(&keys, BuildOptions::default().compression(Compression::Lz4));
    let packed = Table::from_bytes(packed, ReadOptions::default()).unwrap();
    point_reads(criterion, "lz4", &packed, count);
    scans(criterion, "lz4", &packed, count);
}

criterion_group!(benches, table);
criterion_main!(benches);
