//! What a transaction pays this crate for: registration, recording, and the check, in quiet and in crowded databases.

use std::hint::black_box;
use std::ops::Bound;
use std::sync::Arc;

use base::{SharedVersion, UnixSeconds, Version};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use txn::{ReadSet, RecentCommits, Snapshots, WrittenKeys};

const NOW: UnixSeconds = UnixSeconds(1);

fn snapshots(criterion: &mut Criterion) {
    for open in [0, 1_000] {
        let registry = Snapshots::new(Arc::new(SharedVersion::new(Version(7))));
        let _held: Vec<_> = (0..open).map(|_| registry.begin(NOW)).collect();
        criterion.bench_function(&format!("begin and end, {open} others open"), |bencher| {
            bencher.iter(|| black_box(registry.begin(NOW)));
        });
        criterion.bench_function(&format!("retention, {open} open"), |bencher| {
            bencher.iter(|| black_box(registry.retention(NOW)));
        });
    }
}

fn reads_of(points: u32, ranges: u32) -> ReadSet {
    let mut reads = ReadSet::new();
    (0..points).for_each(|point| reads.point(format!("read{point:08}").as_bytes()));
    for range in 0..ranges {
        let (start, end) = (format!("scan{range:08}a"), format!("scan{range:08}b"));
        reads.range(Bound::Included(start.as_bytes()), Bound::Excluded(end.as_bytes()));
    }
    reads
}

/// A list of `commits` commits of one key each.
fn history(commits: u64) -> RecentCommits {
    let recent = RecentCommits::new(Version::ZERO, usize::MAX);
    for version in 1..=commits {
        write(&recent, version);
    }
    recent
}

fn write(recent: &RecentCommits, version: u64) {
    let keys = WrittenKeys::one(format!("written{version:012}").as_bytes());
    let nothing = ReadSet::new();
    if let Ok(checked) = recent.check_before(&nothing, Version::ZERO) {
        let _admitted = recent.admit(&nothing, &checked, Version(version), &keys);
    }
}

fn record(criterion: &mut Criterion) {
    let keys: Vec<String> = (0..10).map(|key| format!("user{key:012}")).collect();
    criterion.bench_function("record 10 points", |bencher| {
        bencher.iter_batched_ref(
            ReadSet::new,
            |reads| keys.iter().for_each(|key| reads.point(key.as_bytes())),
            BatchSize::SmallInput,
        );
    });
}

fn checks(criterion: &mut Criterion) {
    let recent = history(1_000_000);
    for (behind, points, ranges) in
        [(0, 10, 0), (10, 10, 0), (10, 10, 2), (100_000, 10, 0), (100_000, 1_000, 0), (100_000, 0, 2)]
    {
        let reads = reads_of(points, ranges);
        let read_version = Version(1_000_000 - behind);
        let name = format!("check {points} points, {ranges} ranges, {behind} commits behind");
        criterion.bench_function(&name, |bencher| {
            bencher.iter(|| black_box(recent.check_before(&reads, read_version)));
        });
    }
}

fn commit(criterion: &mut Criterion) {
    let recent = RecentCommits::new(Version::ZERO, 64 << 20);
    let mut version = 0;
    criterion.bench_function("commit blindly, with its pruning", |bencher| {
        bencher.iter(|| {
            version += 1;
            write(&recent, version);
            if recent.is_prune_due() {
                recent.prune(Version(version));
            }
        });
    });
}

criterion_group!(benches, snapshots, record, checks, commit);
criterion_main!(benches);
