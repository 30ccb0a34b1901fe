//! Goal: format version 1 of `.vlog` and of `DISCARD` never changes. Method: files are written anew and compared with
//! those that were stored, byte for byte; the stored ones are read back. Compressed values are only read: what a
//! compressor writes may change with its release.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::Path;
use std::sync::Arc;

use base::header::{DatabaseId, FileIdentity};
use base::record::{RecordBuffer, Stamp, Tail};
use base::vfs::{MemVfs, Vfs};
use base::{Compression, ValuePointer, Version};
use vlog::{Ledger, Segment, SegmentDead, SegmentWriter};

const LOG: &[u8] = include_bytes!("golden/000042.v1.vlog");
const COMPRESSED: &[u8] = include_bytes!("golden/000043.v1.vlog");
const DISCARD: &[u8] = include_bytes!("golden/DISCARD.v1");

const DATABASE: DatabaseId = DatabaseId(*b"golden database!");
const TEXT: &[u8] = b"words that come again and again and again, words that come again and again and again";

fn identity(file_number: u64) -> FileIdentity {
    FileIdentity { database_id: DATABASE, file_number }
}

/// The salt of the first file in a new `MemVfs` is always the same.
fn only_file(vfs: &MemVfs) -> Vec<u8> {
    vfs.snapshot().pop_first().unwrap().1
}

/// Two values, their commit, and a value of no bytes under a key of none.
fn written_log() -> Vec<u8> {
    let vfs = MemVfs::new();
    let log = vlog::create(&vfs, Path::new("000042.vlog"), identity(42), 0).unwrap();
    let mut records = RecordBuffer::new();
    vlog::push_value(&mut records, b"ada", b"countess", Compression::None).unwrap();
    vlog::push_value(&mut records, &[b'k'; 200], &[0xab; 100], Compression::None).unwrap();
    records.push(1, Compression::None, |out| out.extend_from_slice(b"a commit")).unwrap();
    log.append(&mut records, Stamp { number: 7, version: 70, mark: 6 }).unwrap();
    records.clear();
    vlog::push_value(&mut records, b"", b"", Compression::None).unwrap();
    log.append(&mut records, Stamp { number: 8, version: 1 << 33, mark: 7 }).unwrap();
    only_file(&vfs)
}

fn written_ledger() -> Vec<u8> {
    let vfs = MemVfs::new();
    ledger().write(&vfs, Path::new("."), DATABASE).unwrap();
    only_file(&vfs)
}

fn ledger() -> Ledger {
    let segments = [(42, 1 << 30, 1 << 20), (43, 512, 0), (1 << 40, 64, 64)];
    let segments = segments
        .map(|(number, total_bytes, dead_bytes)| (number, SegmentDead { total_bytes, dead_bytes }))
        .into();
    Ledger { edit_number: 1234, segments }
}

fn written_compressed() -> Vec<u8> {
    let vfs = MemVfs::new();
    let shared: Arc<dyn Vfs> = Arc::new(vfs.clone());
    let mut writer = SegmentWriter::create(&shared, Path::new("000043.vlog"), identity(43)).unwrap();
    writer.add(b"lz4", Version(1), TEXT, Compression::Lz4).unwrap();
    writer.add(b"zstd", Version(2), TEXT, Compression::Zstd(3)).unwrap();
    writer.finish().unwrap();
    only_file(&vfs)
}

#[test]
fn what_is_written_is_what_was_written() {
    assert_eq!(written_log(), LOG);
    assert_eq!(written_ledger(), DISCARD);
}

#[test]
fn what_was_written_is_read() {
    let segment = Segment::from_bytes(LOG).unwrap();
    assert_eq!(segment.number(), 42);
    let pointer = |offset, record_len, value_len| ValuePointer { segment: 42, offset, record_len, value_len };
    let values = [
        (pointer(64, 60, 8), &b"ada"[..], Version(70), &b"countess"[..]),
        (pointer(128, 350, 100), &[b'k'; 200][..], Version(70), &[0xab; 100][..]),
        (pointer(536, 49, 0), b"", Version(1 << 33), b""),
    ];
    let mut scan = segment.scan().unwrap();
    for (pointer, key, version, value) in values {
        assert_eq!(segment.get(&pointer, key, version).unwrap(), value);
        let found = scan.next().unwrap().unwrap();
        assert_eq!((found.pointer, &found.key[..], found.version), (pointer, key, version));
    }
    assert!(scan.next().is_none());
    assert_eq!(scan.tail(), Some(Tail::Clean));
    assert_eq!(segment.verify(LOG.len() as u64).unwrap().commits, 1);
    assert_eq!(Ledger::from_bytes(DISCARD.to_vec()).unwrap(), ledger());
}

#[test]
fn compressed_values_are_read() {
    let segment = Segment::from_bytes(COMPRESSED).unwrap();
    let found: Vec<_> = segment.scan().unwrap().map(Result::unwrap).collect();
    assert_eq!(found.iter().map(|value| &value.key[..]).collect::<Vec<_>>(), [&b"lz4"[..], b"zstd"]);
    for value in found {
        assert_eq!(value.value, TEXT);
        assert!((value.pointer.record_len as usize) < TEXT.len() + 48, "not compressed");
    }
    // Today's compressors are held to the same result, which is all that may be asked of them.
    let today = Segment::from_bytes(written_compressed()).unwrap();
    assert!(today.scan().unwrap().all(|value| value.unwrap().value == TEXT));
}
