//! Goal: who walks a mapped segment in order, or reads a long value, has the system read ahead; who reads short values does not. Method: a
//! segment in a file system that counts what it is asked for.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::Path;
use std::sync::Arc;

use base::header::FileIdentity;
use base::vfs::{FaultVfs, MemVfs, Vfs};
use base::{Compression, ValuePointer, Version};
use vlog::{Segment, SegmentWriter};

const PATH: &str = "/000001.vlog";
const SHORT_BYTES: usize = 4_096;
const LONG_BYTES: usize = 100_000;

struct Written {
    disk: FaultVfs,
    segment: Segment,
    sealed_bytes: u64,
    short: Vec<ValuePointer>,
    long: ValuePointer,
}

fn written() -> Written {
    let disk = FaultVfs::new(Arc::new(MemVfs::new()));
    let (vfs, path): (Arc<dyn Vfs>, _) = (Arc::new(disk.clone()), Path::new(PATH));
    let mut writer = SegmentWriter::create(&vfs, path, FileIdentity::default()).unwrap();
    let mut add = |bytes| writer.add(b"key", Version(1), &vec![7; bytes], Compression::None).unwrap();
    let short = (0..1_000).map(|_| add(SHORT_BYTES)).collect();
    let long = add(LONG_BYTES);
    let sealed_bytes = writer.finish().unwrap().bytes;
    let segment = Segment::open_mapped(&disk, path, FileIdentity::default(), sealed_bytes).unwrap();
    Written { disk, segment, sealed_bytes, short, long }
}

#[test]
fn a_scan_and_a_check_ask_for_most_of_the_segment_once() {
    let Written { disk, segment, sealed_bytes, short, .. } = written();
    assert_eq!(segment.scan().unwrap().count(), short.len() + 1);
    let scanned = disk.read_ahead_bytes();
    assert!((sealed_bytes * 9 / 10..=sealed_bytes).contains(&scanned), "{scanned} of {sealed_bytes}");
    segment.verify(sealed_bytes).unwrap();
    assert_eq!(disk.read_ahead_bytes(), 2 * scanned);
}

#[test]
fn a_long_value_is_asked_for_and_a_short_one_is_not() {
    let Written { disk, segment, short, long, .. } = written();
    for pointer in short.iter().step_by(17) {
        assert_eq!(segment.get(pointer, b"key", Version(1)).unwrap().len(), SHORT_BYTES);
    }
    assert_eq!(disk.read_ahead_bytes(), 0);
    assert_eq!(segment.get(&long, b"key", Version(1)).unwrap().len(), LONG_BYTES);
    assert_eq!(disk.read_ahead_bytes(), u64::from(long.record_len));
}
