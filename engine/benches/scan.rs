//! How long an entry of a scan takes, in memory: all entries from one source and from six, both ways, and short scans.
//!
//! `SCAN_ENTRIES` sets the size; the default is small, so that a run takes seconds.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark ends at the first surprise")]

use std::convert::Infallible;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use base::clock::ManualClock;
use base::vfs::MemVfs;
use base::{Direction, Entry, Retention, UnixSeconds};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::{Durability, Engine, Environment, Options, ScanOptions, Step};

const NOW: UnixSeconds = UnixSeconds(1_000);
const VALUE: [u8; 100] = [b'v'; 100];

fn entry_count() -> u64 {
    std::env::var("SCAN_ENTRIES").ok().and_then(|text| text.parse().ok()).unwrap_or(200_000)
}

/// Keys in ascending order; a source gets every sixth.
fn key(number: u64) -> [u8; 16] {
    let mut key = *b"........keybytes";
    key[..8].copy_from_slice(&number.to_be_bytes());
    key
}

fn step(engine: &Engine) -> Step {
    engine.step(&|| Retention::new(engine.visible().load(), [], NOW)).unwrap()
}

fn flush(engine: &Engine) {
    while !engine.rotate().unwrap() {
        step(engine);
    }
    while engine.has_frozen() {
        step(engine);
    }
}

/// An engine whose entries lie in so many tables of L0, in turns.
fn engine_of(sources: u64, count: u64) -> Engine {
    let options = Options { l0_compaction_trigger: 100, l0_slowdown_trigger: 100, ..Options::default() };
    let options = Options { l0_stop_trigger: 200, ..options };
    let environment = Environment { vfs: Arc::new(MemVfs::new()), clock: Arc::new(ManualClock::new(NOW)) };
    let engine = Engine::open(Path::new("/db"), options, environment).unwrap();
    for source in 0..sources {
        let keys: Vec<_> = (source..count).step_by(sources as usize).map(key).collect();
        for batch in keys.chunks(1_000) {
            let writes = batch.iter().map(|key| (key.as_slice(), Entry::inline(&VALUE)));
            let prepared = engine.prepare(writes).unwrap();
            let committed = engine.commit(prepared, Durability::Buffered, |_| Ok::<(), Infallible>(()));
            assert!(committed.is_ok());
        }
        flush(&engine);
    }
    engine
}

/// Visits up to `limit` entries from `start` on; how many there were.
fn visit(engine: &Engine, start: Option<&[u8]>, direction: Direction, limit: u64) -> u64 {
    let mut options = ScanOptions::at(engine.visible().load(), NOW);
    if let Some(start) = start {
        options.bounds.start = std::ops::Bound::Included(start.to_vec());
    }
    let mut scan = engine.scan(options);
    let mut visited = 0;
    while visited < limit
        && let Some(item) = scan.step(direction).unwrap()
    {
        black_box((item.user_key(), item.value().unwrap()));
        visited += 1;
    }
    visited
}

fn scans(criterion: &mut Criterion) {
    let count = entry_count();
    for sources in [1, 6] {
        let engine = engine_of(sources, count);
        let mut group = criterion.benchmark_group(format!("scan/{sources} sources"));
        group.throughput(Throughput::Elements(count)).sample_size(10);
        for (name, direction) in [("forward", Direction::Forward), ("backward", Direction::Backward)] {
            group.bench_function(name, |bencher| {
                bencher.iter(|| assert_eq!(visit(&engine, None, direction, u64::MAX), count));
            });
        }
        group.finish();
        let mut group = criterion.benchmark_group(format!("seek/{sources} sources"));
        let mut random = fastrand::Rng::with_seed(7);
        for limit in [1, 10, 100] {
            group.bench_function(format!("{limit} entries"), |bencher| {
                bencher.iter(|| {
                    let start = key(random.u64(0..count - limit));
                    assert_eq!(visit(&engine, Some(&start), Direction::Forward, limit), limit);
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, scans);
criterion_main!(benches);
