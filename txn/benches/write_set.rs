//! What a batch of writes costs before it is committed: collecting it, in order and not, and the form for the check.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use txn::{Pending, WriteSet, WrittenKeys};

const VALUE: [u8; 100] = [b'v'; 100];

fn keys(count: u64, is_sorted: bool) -> Vec<[u8; 16]> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut keys: Vec<[u8; 16]> = (0..count).map(|_| random.u128(..).to_be_bytes()).collect();
    if is_sorted {
        keys.sort_unstable();
    }
    keys
}

fn write_all(keys: &[[u8; 16]]) -> WriteSet {
    let mut writes = WriteSet::new();
    keys.iter().for_each(|key| writes.set(key, &Pending::value(&VALUE)));
    writes
}

fn collect(criterion: &mut Criterion) {
    for (count, is_sorted) in [(1, true), (1_000, true), (1_000, false), (100_000, false)] {
        let keys = keys(count, is_sorted);
        let mut group = criterion.benchmark_group("write set");
        group.throughput(Throughput::Elements(count));
        let order = if is_sorted { "in order" } else { "in any order" };
        group.bench_function(format!("set {count} keys {order}"), |bencher| {
            bencher.iter_batched(|| (), |()| write_all(&keys), BatchSize::SmallInput);
        });
        let writes = write_all(&keys);
        group.bench_function(format!("visit {count} keys {order}"), |bencher| {
            bencher.iter(|| writes.iter().map(|(key, _)| usize::from(black_box(key)[0])).sum::<usize>());
        });
        group.bench_function(format!("hash {count} keys {order}"), |bencher| {
            bencher.iter(|| black_box(writes.written_keys()));
        });
        group.finish();
    }
    criterion.bench_function("hash one key", |bencher| {
        bencher.iter(|| WrittenKeys::one(black_box(b"sixteen bytes....")))
    });
}

criterion_group!(benches, collect);
criterion_main!(benches);
