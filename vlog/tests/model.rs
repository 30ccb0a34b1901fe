//! Goal: every value is read back by its pointer, from a log that grows, by position, from a map, and after a move.
//! Method: random values among commits against a plain list; all lengths at which the code takes another path.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::Path;
use std::sync::Arc;

use base::header::{DatabaseId, FileIdentity};
use base::log::LogFile;
use base::record::{RecordBuffer, Stamp, Tail, padded};
use base::vfs::{MemVfs, OsVfs, Vfs};
use base::{Compression, ValuePointer, Version};
use bytes::Bytes;
use proptest::prelude::*;
use vlog::{Segment, SegmentReport, SegmentWriter};

const KIND_COMMIT: u8 = 1;
const PATH: &str = "000003.vlog";

#[derive(Clone, Debug)]
struct Put {
    key: Vec<u8>,
    value: Vec<u8>,
    compression: Compression,
}

fn identity(file_number: u64) -> FileIdentity {
    FileIdentity { database_id: DatabaseId([9; 16]), file_number }
}

fn any_put() -> impl Strategy<Value = Put> {
    let compression =
        prop_oneof![Just(Compression::None), Just(Compression::Lz4), Just(Compression::Zstd(1))];
    let value = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        (any::<u8>(), 0usize..5000).prop_map(|(byte, len)| vec![byte; len]),
    ];
    (proptest::collection::vec(any::<u8>(), 0..30), value, compression)
        .prop_map(|(key, value, compression)| Put { key, value, compression })
}

/// Appends one commit with its values before it, as the journal does; where the values are.
fn append_commit(log: &LogFile, number: u64, puts: &[Put]) -> Vec<ValuePointer> {
    let mut records = RecordBuffer::new();
    let pushed: Vec<_> = puts
        .iter()
        .map(|put| vlog::push_value(&mut records, &put.key, &put.value, put.compression).unwrap())
        .collect();
    records.push(KIND_COMMIT, Compression::None, |out| out.extend_from_slice(b"writes")).unwrap();
    let at = log.append(&mut records, Stamp { number, version: version_of(number).0, mark: 0 }).unwrap();
    let segment = log.header().identity.file_number;
    let pointer = |value: &vlog::PushedValue| ValuePointer {
        segment,
        offset: at + value.offset as u64,
        record_len: value.record_len,
        value_len: value.value_len,
    };
    pushed.iter().map(pointer).collect()
}

fn version_of(number: u64) -> Version {
    Version(1000 + number)
}

fn assert_same_scan(segment: &Segment, expected: &[(ValuePointer, Put, u64)]) {
    let mut scan = segment.scan().unwrap();
    for (pointer, put, number) in expected {
        let found = scan.next().unwrap().unwrap();
        assert_eq!((found.pointer, &found.key, &found.value[..]), (*pointer, &put.key, &put.value[..]));
        assert_eq!((found.version, found.commit_number), (version_of(*number), *number));
    }
    assert!(scan.next().is_none() && scan.next().is_none());
    assert_eq!(scan.tail(), Some(Tail::Clean));
}

proptest! {
    #[test]
    fn values_come_back_from_every_source(
        commits in proptest::collection::vec(proptest::collection::vec(any_put(), 0..5), 0..8),
        allocate_bytes in 0u64..4000,
    ) {
        let vfs = MemVfs::new();
        let log = vlog::create(&vfs, Path::new(PATH), identity(3), allocate_bytes).unwrap();
        let growing = Segment::over_log(&log);
        let mut written = Vec::new();
        for (number, puts) in (1..).zip(&commits) {
            let pointers = append_commit(&log, number, puts);
            for (pointer, put) in pointers.into_iter().zip(puts) {
                prop_assert_eq!(growing.get(&pointer, &put.key, version_of(number)).unwrap(), put.value.clone());
                written.push((pointer, put.clone(), number));
            }
        }
        assert_same_scan(&growing, &written);
        log.cut().unwrap();
        let sealed_len = log.position();

        let mapped = Segment::open_mapped(&vfs, Path::new(PATH), identity(3), sealed_len).unwrap();
        let positional = Segment::open_positional(&vfs, Path::new(PATH), identity(3)).unwrap();
        let report = SegmentReport {
            values: written.len() as u64,
            value_bytes: written.iter().map(|(pointer, ..)| padded(u64::from(pointer.record_len))).sum(),
            commits: commits.len() as u64,
        };
        for segment in [&growing, &mapped, &positional] {
            prop_assert_eq!(segment.number(), 3);
            for (pointer, put, number) in &written {
                prop_assert_eq!(&segment.get(pointer, &put.key, version_of(*number)).unwrap()[..], &put.value[..]);
            }
            assert_same_scan(segment, &written);
            prop_assert_eq!(segment.verify(sealed_len).unwrap(), report);
        }
    }

    /// Method: move values to a new segment, some copied as they are stored, some written anew.
    #[test]
    fn moved_values_come_back(puts in proptest::collection::vec((any_put(), any::<bool>()), 0..12)) {
        let vfs: Arc<dyn Vfs> = Arc::new(MemVfs::new());
        let log = vlog::create(&*vfs, Path::new(PATH), identity(3), 0).unwrap();
        let source = Segment::over_log(&log);
        let new_path = Path::new("000004.vlog");
        let mut writer = SegmentWriter::create(&vfs, new_path, identity(4)).unwrap();
        let mut moved = Vec::new();
        for (number, (put, anew)) in (1..).zip(&puts) {
            let old = append_commit(&log, number, std::slice::from_ref(put)).remove(0);
            let version = version_of(number);
            let new = if *anew {
                writer.add(&put.key, version, &put.value, put.compression).unwrap()
            } else {
                writer.copy(&source, &old, &put.key, version).unwrap()
            };
            // The same bytes are stored either way.
            prop_assert_eq!((new.segment, new.record_len, new.value_len), (4, old.record_len, old.value_len));
            moved.push((new, put, version));
        }
        let summary = writer.finish().unwrap();
        prop_assert_eq!(summary.values, puts.len() as u64);
        let segment = Segment::open_mapped(&*vfs, new_path, identity(4), summary.bytes).unwrap();
        let report = segment.verify(summary.bytes).unwrap();
        prop_assert_eq!((report.values, report.value_bytes), (summary.values, summary.value_record_bytes));
        prop_assert_eq!((report.commits, 64 + report.value_bytes), (0, summary.bytes));
        for (pointer, put, version) in moved {
            prop_assert_eq!(&segment.get(&pointer, &put.key, version).unwrap()[..], &put.value[..]);
        }
    }
}

/// Method: real files and maps; lengths around nothing, the read-ahead window, and the writer's buffer, and one that is
/// far beyond all of them; compressed, not compressed, and not compressible.
#[test]
fn values_of_all_lengths_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(OsVfs);
    let path = directory.path().join(PATH);
    let mut lengths = vec![0, 1, 2, 20 << 20];
    for edge in [64 << 10, 256 << 10] {
        lengths.extend([edge - 60, edge - 49, edge - 1, edge, edge + 1, edge + 60]);
    }
    let mut puts = Vec::new();
    for len in lengths {
        let mut random = fastrand::Rng::with_seed(len as u64);
        let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(len).collect();
        puts.push(Put { key: b"noise".to_vec(), value: noise.clone(), compression: Compression::None });
        puts.push(Put { key: b"packed noise".to_vec(), value: noise, compression: Compression::Lz4 });
        puts.push(Put { key: b"lz4".to_vec(), value: vec![b'a'; len], compression: Compression::Lz4 });
        puts.push(Put { key: b"zstd".to_vec(), value: vec![b'b'; len], compression: Compression::Zstd(1) });
    }
    let mut writer = SegmentWriter::create(&vfs, &path, identity(3)).unwrap();
    let mut pointers = Vec::new();
    for put in &puts {
        let at = writer.byte_len();
        let pointer = writer.add(&put.key, Version(1), &put.value, put.compression).unwrap();
        assert_eq!((pointer.offset, pointer.value_len as usize), (at, put.value.len()));
        pointers.push(pointer);
    }
    let summary = writer.finish().unwrap();
    let mapped = Segment::open_mapped(&*vfs, &path, identity(3), summary.bytes).unwrap();
    let positional = Segment::open_positional(&*vfs, &path, identity(3)).unwrap();
    for segment in [&mapped, &positional] {
        for (pointer, put) in pointers.iter().zip(&puts) {
            assert!(segment.get(pointer, &put.key, Version(1)).unwrap() == put.value, "{pointer:?}");
        }
        assert_eq!(segment.verify(summary.bytes).unwrap().values, summary.values);
    }
}

/// Method: compare addresses.
#[test]
fn a_mapped_value_is_not_copied() {
    let vfs: Arc<dyn Vfs> = Arc::new(MemVfs::new());
    let mut writer = SegmentWriter::create(&vfs, Path::new(PATH), identity(3)).unwrap();
    let pointer = writer.add(b"key", Version(1), &[7; 1000], Compression::None).unwrap();
    let packed = writer.add(b"key", Version(1), &[7; 1000], Compression::Lz4).unwrap();
    writer.finish().unwrap();
    let map: Bytes = vfs.open(Path::new(PATH), base::vfs::Access::Read).unwrap().map().unwrap();
    let segment = Segment::from_bytes(map.clone()).unwrap();
    let range = map.as_ptr_range();
    assert!(range.contains(&segment.get(&pointer, b"key", Version(1)).unwrap().as_ptr()));
    assert!(!range.contains(&segment.get(&packed, b"key", Version(1)).unwrap().as_ptr()));
}

/// Goal: a value outlives the segment that it was read from.
#[test]
fn a_value_keeps_its_map_alive() {
    let directory = tempfile::tempdir().unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(OsVfs);
    let path = directory.path().join(PATH);
    let mut writer = SegmentWriter::create(&vfs, &path, identity(3)).unwrap();
    let pointer = writer.add(b"key", Version(1), &[7; 100_000], Compression::None).unwrap();
    let summary = writer.finish().unwrap();
    let segment = Segment::open_mapped(&*vfs, &path, identity(3), summary.bytes).unwrap();
    let value = segment.get(&pointer, b"key", Version(1)).unwrap();
    drop(segment);
    vfs.remove(&path).unwrap();
    assert!(value == vec![7; 100_000]);
}

#[test]
fn segments_are_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Segment>();
    shared::<vlog::Ledger>();
}
