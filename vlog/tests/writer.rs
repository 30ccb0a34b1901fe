//! Goal: a segment is there, whole and synced, or not at all. Method: finish it, drop it, and let its disk refuse.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::Path;
use std::sync::Arc;

use base::header::FileIdentity;
use base::vfs::{Fault, FaultKind, FaultVfs, MemVfs, Vfs};
use base::{Compression, Result, ValuePointer, Version};
use vlog::{Segment, SegmentSummary, SegmentWriter};

const PATH: &str = "000001.vlog";

fn identity() -> FileIdentity {
    FileIdentity { file_number: 1, ..Default::default() }
}

fn memory() -> (MemVfs, Arc<dyn Vfs>) {
    let vfs = MemVfs::new();
    (vfs.clone(), Arc::new(vfs))
}

#[test]
fn dropping_an_unfinished_writer_removes_the_file() {
    let (memory, vfs) = memory();
    let mut writer = SegmentWriter::create(&vfs, Path::new(PATH), identity()).unwrap();
    writer.add(b"key", Version(1), &[1; 400_000], Compression::None).unwrap();
    assert!(vfs.exists(Path::new(PATH)).unwrap());
    drop(writer);
    assert!(memory.snapshot().is_empty());
}

#[test]
fn creating_over_an_existing_segment_fails_and_leaves_it_alone() {
    let (memory, vfs) = memory();
    let mut writer = SegmentWriter::create(&vfs, Path::new(PATH), identity()).unwrap();
    writer.add(b"key", Version(1), b"value", Compression::None).unwrap();
    writer.finish().unwrap();
    let before = memory.snapshot();
    assert!(SegmentWriter::create(&vfs, Path::new(PATH), identity()).is_err());
    assert_eq!(memory.snapshot(), before);
}

#[test]
fn an_empty_segment_is_its_header() {
    let (_, vfs) = memory();
    let summary = SegmentWriter::create(&vfs, Path::new(PATH), identity()).unwrap().finish().unwrap();
    assert_eq!((summary.bytes, summary.values, summary.value_record_bytes), (64, 0, 0));
    let segment = Segment::open_mapped(&*vfs, Path::new(PATH), identity(), summary.bytes).unwrap();
    assert_eq!(segment.scan().unwrap().count(), 0);
    assert_eq!(segment.verify(64).unwrap().values, 0);
}

/// Goal: damage is not carried into a new segment under a fresh checksum. Method: copy from a harmed one.
#[test]
fn a_damaged_value_is_not_copied() {
    let (memory, vfs) = memory();
    let mut writer = SegmentWriter::create(&vfs, Path::new(PATH), identity()).unwrap();
    let harmed = writer.add(b"a", Version(1), b"harmed", Compression::None).unwrap();
    let good = writer.add(b"b", Version(2), b"good", Compression::None).unwrap();
    let summary = writer.finish().unwrap();
    let mut files = memory.snapshot();
    let last_byte = (harmed.offset + u64::from(harmed.record_len)) as usize - 1;
    files.get_mut(Path::new(PATH)).unwrap()[last_byte] ^= 1;
    let vfs: Arc<dyn Vfs> = Arc::new(MemVfs::from_snapshot(files));
    let from = Segment::open_mapped(&*vfs, Path::new(PATH), identity(), summary.bytes).unwrap();

    let new_identity = FileIdentity { file_number: 2, ..Default::default() };
    let mut writer = SegmentWriter::create(&vfs, Path::new("000002.vlog"), new_identity).unwrap();
    assert!(writer.copy(&from, &harmed, b"a", Version(1)).unwrap_err().is_corruption());
    assert!(writer.copy(&from, &good, b"a", Version(2)).unwrap_err().is_corruption());
    let moved = writer.copy(&from, &good, b"b", Version(2)).unwrap();
    let summary = writer.finish().unwrap();
    assert_eq!(summary.values, 1);
    let segment = Segment::open_mapped(&*vfs, Path::new("000002.vlog"), new_identity, summary.bytes).unwrap();
    assert_eq!(segment.get(&moved, b"b", Version(2)).unwrap(), "good");
}

/// Goal: a moved value costs no second compression and stays as small. Method: copy a compressed one.
#[test]
fn a_compressed_value_is_copied_as_it_is_stored() {
    let (memory, vfs) = memory();
    let mut writer = SegmentWriter::create(&vfs, Path::new(PATH), identity()).unwrap();
    let old = writer.add(b"key", Version(1), &[1; 10_000], Compression::Zstd(3)).unwrap();
    let summary = writer.finish().unwrap();
    let from = Segment::open_mapped(&*vfs, Path::new(PATH), identity(), summary.bytes).unwrap();
    let new_path = Path::new("000002.vlog");
    let new_identity = FileIdentity { file_number: 2, ..Default::default() };
    let mut writer = SegmentWriter::create(&vfs, new_path, new_identity).unwrap();
    let new = writer.copy(&from, &old, b"key", Version(1)).unwrap();
    writer.finish().unwrap();
    let files = memory.snapshot();
    let stored = |path: &Path, pointer: &base::ValuePointer| {
        files[path][pointer.offset as usize + 48..][..pointer.record_len as usize - 48].to_vec()
    };
    assert!(old.record_len < 1000);
    assert_eq!(stored(new_path, &new), stored(Path::new(PATH), &old));
}

/// Some writes that are gathered, and one that goes out by itself.
fn write_segment(vfs: &Arc<dyn Vfs>) -> Result<(SegmentSummary, Vec<ValuePointer>)> {
    let mut writer = SegmentWriter::create(vfs, Path::new(PATH), identity())?;
    let mut pointers = Vec::new();
    for len in [10, 100_000, 100_000, 100_000, 300_000, 20] {
        pointers.push(writer.add(b"key", Version(1), &vec![1; len], Compression::None)?);
    }
    Ok((writer.finish()?, pointers))
}

/// Method: fail each operation in turn, in each way.
#[test]
fn a_segment_whose_disk_refuses_is_an_error_and_leaves_nothing() {
    let ways = [
        FaultKind::Io,
        FaultKind::NoSpace,
        FaultKind::ShortWrite,
        FaultKind::TornNoSpace,
        FaultKind::SyncLost,
    ];
    for kind in ways {
        for nth in 1.. {
            let (memory, inner) = memory();
            let faults = FaultVfs::new(inner);
            faults.inject(Fault::new(kind).nth(nth));
            let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
            let outcome = write_segment(&vfs);
            if faults.fired() == 0 {
                let (summary, pointers) = outcome.unwrap();
                let segment =
                    Segment::open_mapped(&memory, Path::new(PATH), identity(), summary.bytes).unwrap();
                assert_eq!(segment.verify(summary.bytes).unwrap().values, pointers.len() as u64);
                break;
            }
            assert!(outcome.is_err(), "{kind:?} at operation {nth}");
            assert!(memory.snapshot().is_empty(), "{kind:?} at operation {nth}");
        }
    }
}

/// Goal: a bad read is an error, never a wrong value, and the next read is good again. Method: harm each read in turn,
/// opening and mapping included.
#[test]
fn a_read_that_fails_or_lies_is_an_error() {
    let (memory, vfs) = memory();
    let (summary, pointers) = write_segment(&vfs).unwrap();
    for kind in [FaultKind::Io, FaultKind::ShortRead, FaultKind::FlippedBit] {
        for nth in 1.. {
            let faults = FaultVfs::new(Arc::new(memory.clone()));
            faults.inject(Fault::new(kind).nth(nth));
            let read_all = |segment: Segment| {
                let mut failures = 0;
                for pointer in &pointers {
                    match segment.get(pointer, b"key", Version(1)) {
                        Ok(value) => assert!(value == vec![1; pointer.value_len as usize]),
                        Err(_) => failures += 1,
                    }
                }
                failures
            };
            let positional = Segment::open_positional(&faults, Path::new(PATH), identity()).map(read_all);
            let mapped =
                Segment::open_mapped(&faults, Path::new(PATH), identity(), summary.bytes).map(read_all);
            let failed =
                |outcome: Result<i32>| outcome.is_err() || outcome.is_ok_and(|failures| failures == 1);
            let (positional, mapped) = (failed(positional), failed(mapped));
            if faults.fired() == 0 {
                assert!(!positional && !mapped);
                break;
            }
            // A flipped bit of the map may fall on padding; all else that was read is needed.
            assert!(positional != mapped || kind == FaultKind::FlippedBit, "{kind:?} at operation {nth}");
        }
    }
}
