//! What it costs to bring bytes to a log or a table and back: records appended, replayed and hopped over, blocks sealed,
//! verified and opened. In memory: no disk is measured.

#![allow(clippy::unwrap_used, reason = "a benchmark ends at the first surprise")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use base::Compression;
use base::header::{CONTENT_START, FileHeader, FileIdentity, FileKind};
use base::record::{RecordBuffer, Scanner, Stamp};
use base::seal::Seal;
use base::vfs::{Access, MemVfs, Vfs};
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const KIND: u8 = 1;
const SEED: u64 = 7;
const STAMP: Stamp = Stamp { number: 1, version: 1, mark: 0 };
const HOWS: [(&str, Compression); 3] =
    [("none", Compression::None), ("lz4", Compression::Lz4), ("zstd", Compression::Zstd(1))];

/// Half of it is random, half is not, in turns of 32 bytes.
fn payload(bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut byte = |at: usize| if (at / 32).is_multiple_of(2) { random.u8(..) } else { b'v' };
    (0..bytes).map(&mut byte).collect()
}

fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record append");
    for bytes in [100, 4_096, 65_536] {
        let payload = payload(bytes);
        group.throughput(Throughput::Bytes(bytes as u64));
        for (name, how) in HOWS {
            group.bench_function(BenchmarkId::new(name, bytes), |bencher| {
                let mut records = RecordBuffer::new();
                bencher.iter(|| {
                    records.clear();
                    records.push(KIND, how, |out| out.extend_from_slice(&payload)).unwrap();
                    records.stamp(SEED, CONTENT_START, STAMP);
                    black_box(records.as_bytes().len())
                });
            });
        }
    }
    group.finish();
}

/// A log of so many records, from [`CONTENT_START`] on.
fn log_of(records: u64, payload: &[u8]) -> Arc<dyn base::vfs::File> {
    let mut buffer = RecordBuffer::new();
    for _ in 0..records {
        buffer.push(KIND, Compression::None, |out| out.extend_from_slice(payload)).unwrap();
    }
    buffer.stamp(SEED, CONTENT_START, STAMP);
    let (vfs, path) = (MemVfs::new(), Path::new("/000001.wal"));
    vfs.create(path).unwrap().write_all_at(CONTENT_START, buffer.as_bytes()).unwrap();
    vfs.open(path, Access::Read).unwrap()
}

fn scan(criterion: &mut Criterion) {
    const RECORDS: u64 = 1_000;
    let mut group = criterion.benchmark_group("record scan");
    group.throughput(Throughput::Elements(RECORDS));
    for bytes in [100, 4_096] {
        let file = log_of(RECORDS, &payload(bytes));
        group.bench_function(BenchmarkId::new("headers", bytes), |bencher| {
            bencher.iter(|| {
                let mut scanner = Scanner::new(Arc::clone(&file), SEED, CONTENT_START).unwrap();
                let mut seen = 0;
                while let Some(found) = scanner.next_header().unwrap() {
                    seen += u64::from(black_box(found.header.payload_len) > 0);
                }
                assert_eq!(seen, RECORDS);
            });
        });
        group.bench_function(BenchmarkId::new("payloads", bytes), |bencher| {
            bencher.iter(|| {
                let mut scanner = Scanner::new(Arc::clone(&file), SEED, CONTENT_START).unwrap();
                let mut seen = 0;
                while let Some((_, payload)) = scanner.next_record().unwrap() {
                    seen += black_box(payload).len();
                }
                assert_eq!(seen, RECORDS as usize * bytes);
            });
        });
    }
    group.finish();
}

fn seal(criterion: &mut Criterion) {
    const BLOCK_BYTES: usize = 4_096;
    let file = Path::new("000001.sst");
    let header = FileHeader::new(&MemVfs::new(), FileKind::Table, 1, FileIdentity::default()).unwrap();
    let (seal, plain) = (Seal::new(&header), payload(BLOCK_BYTES));
    let mut group = criterion.benchmark_group("seal");
    group.throughput(Throughput::Bytes(BLOCK_BYTES as u64));
    for (name, how) in HOWS {
        let mut out = Vec::new();
        group.bench_function(BenchmarkId::new("seal", name), |bencher| {
            bencher.iter(|| {
                out.clear();
                seal.seal(64, &plain, how, &mut out).unwrap()
            });
        });
        let sealed = Bytes::from(out);
        group.bench_function(BenchmarkId::new("verify", name), |bencher| {
            bencher.iter(|| seal.verify(file, 64, black_box(&sealed)).unwrap());
        });
        group.bench_function(BenchmarkId::new("open", name), |bencher| {
            bencher.iter(|| black_box(seal.open(file, 64, &sealed).unwrap()).len());
        });
    }
    group.finish();
}

criterion_group!(benches, append, scan, seal);
criterion_main!(benches);
