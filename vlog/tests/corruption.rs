//! Goal: harm is an error at the harmed value and nowhere else; never a panic, never another value.
//! Method: a small segment, cut at each length and with each bit flipped; pointers that are wrong in each part;
//! arbitrary bytes in the place of a segment.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step fails the test")]

use std::path::Path;

use base::header::{FileHeader, FileIdentity, FileKind};
use base::record::{RECORD_HEADER_BYTES, RecordBuffer, Stamp, Tail};
use base::vfs::MemVfs;
use base::{Compression, Error, ValuePointer, Version};
use proptest::prelude::*;
use vlog::Segment;

const PATH: &str = "000001.vlog";
const IDENTITY: FileIdentity =
    FileIdentity { database_id: base::header::DatabaseId([1; 16]), file_number: 1 };
const VERSION: Version = Version(5);

struct Value {
    key: Vec<u8>,
    value: Vec<u8>,
    pointer: ValuePointer,
}

impl Value {
    fn stored_end(&self) -> usize {
        self.pointer.offset as usize + self.pointer.record_len as usize
    }

    fn read(&self, segment: &Segment) -> base::Result<bytes::Bytes> {
        segment.get(&self.pointer, &self.key, VERSION)
    }
}

/// Values of which some are compressed, a commit among them.
fn small_segment() -> (Vec<u8>, Vec<Value>) {
    let vfs = MemVfs::new();
    let log = vlog::create(&vfs, Path::new(PATH), IDENTITY, 0).unwrap();
    let stamp = Stamp { number: 1, version: VERSION.0, mark: 0 };
    let mut values = Vec::new();
    for (at, compression) in
        [Compression::None, Compression::Lz4, Compression::None, Compression::Zstd(1)].into_iter().enumerate()
    {
        let (key, value) = (vec![b'k'; at + 1], vec![at as u8; 30 + at * 9]);
        let mut records = RecordBuffer::new();
        let pushed = vlog::push_value(&mut records, &key, &value, compression).unwrap();
        let offset = log.append(&mut records, stamp).unwrap();
        let (record_len, value_len) = (pushed.record_len, pushed.value_len);
        values.push(Value {
            key,
            value,
            pointer: ValuePointer { segment: 1, offset, record_len, value_len },
        });
        if at == 1 {
            records.clear();
            records.push(1, Compression::None, |out| out.extend_from_slice(b"commit")).unwrap();
            log.append(&mut records, stamp).unwrap();
        }
    }
    (vfs.snapshot().remove(Path::new(PATH)).unwrap(), values)
}

fn vfs_with(bytes: &[u8]) -> MemVfs {
    MemVfs::from_snapshot([(PATH.into(), bytes.to_vec())].into())
}

#[test]
fn every_truncation_costs_only_what_was_cut() {
    let (bytes, values) = small_segment();
    for len in 0..bytes.len() {
        let vfs = vfs_with(&bytes[..len]);
        let mapped = Segment::open_mapped(&vfs, Path::new(PATH), IDENTITY, bytes.len() as u64);
        assert!(mapped.unwrap_err().is_corruption(), "cut to {len} bytes");
        let Ok(segment) = Segment::open_positional(&vfs, Path::new(PATH), IDENTITY) else {
            assert!(len < 64, "a segment cut to {len} bytes did not open");
            continue;
        };
        for value in &values {
            match value.read(&segment) {
                Ok(read) => assert!(read == value.value && value.stored_end() <= len),
                Err(error) => assert!(error.is_corruption() && value.stored_end() > len),
            }
        }
        assert!(segment.verify(bytes.len() as u64).unwrap_err().is_corruption());
        // A segment that was sealed here may well be good: when it ends where a record does.
        let whole = values.iter().filter(|value| value.stored_end() <= len).count();
        match segment.verify(len as u64) {
            Ok(report) => assert_eq!(report.values, whole as u64, "cut to {len} bytes"),
            Err(error) => assert!(error.is_corruption()),
        }
        assert_eq!(segment.scan().unwrap().map(Result::unwrap).count(), whole);
    }
}

#[test]
fn every_flipped_bit_costs_only_its_own_value() {
    let (bytes, values) = small_segment();
    for bit in 0..bytes.len() * 8 {
        let byte = bit / 8;
        let mut harmed = bytes.clone();
        harmed[byte] ^= 1 << (bit % 8);
        let vfs = vfs_with(&harmed);
        let mapped = Segment::open_mapped(&vfs, Path::new(PATH), IDENTITY, bytes.len() as u64);
        let positional = Segment::open_positional(&vfs, Path::new(PATH), IDENTITY);
        if byte < 64 {
            assert!(mapped.unwrap_err().is_corruption() && positional.unwrap_err().is_corruption());
            continue;
        }
        for segment in [mapped.unwrap(), positional.unwrap()] {
            assert_only_the_harmed_fails(&segment, &values, byte, bytes.len() as u64);
        }
    }
}

fn assert_only_the_harmed_fails(segment: &Segment, values: &[Value], byte: usize, sealed_len: u64) {
    let is_harmed = |value: &&Value| (value.pointer.offset as usize..value.stored_end()).contains(&byte);
    for value in values {
        match value.read(segment) {
            Ok(read) => assert!(read == value.value && !is_harmed(&value), "byte {byte}"),
            Err(Error::Corruption { offset, file, .. }) => {
                assert!(is_harmed(&value), "byte {byte}");
                assert_eq!((offset, file.as_path()), (value.pointer.offset, Path::new(PATH)));
            }
            Err(error) => panic!("{error}"),
        }
    }
    // All bytes are records or padding; the one commit is the 62 bytes behind the second value.
    let commit = values[1].stored_end().next_multiple_of(8);
    let commit = commit..commit + RECORD_HEADER_BYTES + 6;
    let harmed_value = values.iter().find(is_harmed);
    let verified = segment.verify(sealed_len);
    assert_eq!(verified.is_err(), harmed_value.is_some() || commit.contains(&byte), "byte {byte}");

    // A scan tells of a damaged payload and goes on; at a damaged header it ends.
    let mut scan = segment.scan().unwrap();
    let found: Vec<_> = scan.by_ref().collect();
    let good = found.iter().filter(|value| value.is_ok()).count();
    match harmed_value {
        Some(value) if byte >= value.pointer.offset as usize + RECORD_HEADER_BYTES => {
            assert_eq!((good, found.len(), scan.tail()), (values.len() - 1, values.len(), Some(Tail::Clean)));
        }
        Some(value) => {
            let before = values.iter().filter(|other| other.pointer.offset < value.pointer.offset).count();
            assert_eq!((good, found.len()), (before, before));
            assert_eq!(scan.tail(), Some(Tail::Torn { valid_len: value.pointer.offset }));
        }
        None if commit.contains(&byte) && byte < commit.start + RECORD_HEADER_BYTES => {
            assert_eq!((good, found.len()), (2, 2));
        }
        None => assert_eq!((good, found.len()), (values.len(), values.len())),
    }
}

#[test]
fn wrong_pointers_are_refused() {
    let (bytes, values) = small_segment();
    let commit_offset = values[1].stored_end().next_multiple_of(8) as u64;
    let file_len = bytes.len() as u64;
    let good = &values[0];
    let wrong = [
        ValuePointer { segment: 2, ..good.pointer },
        ValuePointer { offset: good.pointer.offset + 8, ..good.pointer },
        ValuePointer { offset: 0, ..good.pointer },
        ValuePointer { offset: file_len - 8, ..good.pointer },
        ValuePointer { offset: file_len, ..good.pointer },
        ValuePointer { offset: u64::MAX, ..good.pointer },
        ValuePointer { offset: values[2].pointer.offset, ..good.pointer },
        ValuePointer { offset: commit_offset, record_len: 54, value_len: 5, ..good.pointer },
        ValuePointer { record_len: good.pointer.record_len - 1, ..good.pointer },
        ValuePointer { record_len: good.pointer.record_len + 1, ..good.pointer },
        ValuePointer { record_len: 0, ..good.pointer },
        ValuePointer { record_len: 47, ..good.pointer },
        ValuePointer { record_len: u32::MAX, ..good.pointer },
        ValuePointer { value_len: good.pointer.value_len + 1, ..good.pointer },
        ValuePointer { value_len: 0, ..good.pointer },
    ];
    let vfs = vfs_with(&bytes);
    for segment in [
        Segment::open_mapped(&vfs, Path::new(PATH), IDENTITY, file_len).unwrap(),
        Segment::open_positional(&vfs, Path::new(PATH), IDENTITY).unwrap(),
    ] {
        assert_eq!(good.read(&segment).unwrap(), good.value);
        for pointer in wrong {
            segment.prefetch(&pointer);
            let error = segment.get(&pointer, &good.key, VERSION).unwrap_err();
            assert!(error.is_corruption(), "{pointer:?}");
        }
        assert!(segment.get(&good.pointer, b"other", VERSION).unwrap_err().is_corruption());
        assert!(segment.get(&good.pointer, b"", VERSION).unwrap_err().is_corruption());
        assert!(segment.get(&good.pointer, &good.key, Version(6)).unwrap_err().is_corruption());
    }
}

/// Goal: what stands behind the sealed length does not count. Method: a good segment, sealed before its last value.
#[test]
fn nothing_is_read_behind_the_sealed_length() {
    let (bytes, values) = small_segment();
    let (last, others) = values.split_last().unwrap();
    let sealed_len = last.pointer.offset;
    let segment = Segment::open_mapped(&vfs_with(&bytes), Path::new(PATH), IDENTITY, sealed_len).unwrap();
    assert!(last.read(&segment).unwrap_err().is_corruption());
    assert_eq!(segment.scan().unwrap().count(), others.len());
    assert_eq!(segment.verify(sealed_len).unwrap().values, others.len() as u64);
    let positional = Segment::open_positional(&vfs_with(&bytes), Path::new(PATH), IDENTITY).unwrap();
    assert_eq!(positional.verify(sealed_len).unwrap().values, others.len() as u64);
    assert!(positional.verify(sealed_len - 9).unwrap_err().is_corruption());
    assert!(positional.verify(0).unwrap_err().is_corruption());
}

#[test]
fn other_files_do_not_open() {
    let (bytes, _) = small_segment();
    let other_number = FileIdentity { file_number: 2, ..IDENTITY };
    let other_database = FileIdentity { file_number: 1, ..Default::default() };
    let vfs = vfs_with(&bytes);
    for identity in [other_number, other_database] {
        assert!(Segment::open_positional(&vfs, Path::new(PATH), identity).unwrap_err().is_corruption());
        assert!(Segment::open_mapped(&vfs, Path::new(PATH), identity, 64).unwrap_err().is_corruption());
        let file = base::vfs::BytesFile::shared(PATH, bytes.clone());
        assert!(vlog::scanner(file, identity).unwrap_err().is_corruption());
    }
    let header = |kind, version| FileHeader::new(&vfs, kind, version, IDENTITY).unwrap().encode().to_vec();
    assert!(Segment::from_bytes(header(FileKind::Wal, 1)).unwrap_err().is_corruption());
    let newer = Segment::from_bytes(header(FileKind::ValueLog, vlog::FORMAT_VERSION + 1)).unwrap_err();
    assert!(matches!(newer, Error::Unsupported { found: 2, newest_known: 1, .. }));
    let empty = Segment::from_bytes(header(FileKind::ValueLog, 1)).unwrap();
    assert_eq!((empty.scan().unwrap().count(), empty.verify(64).unwrap().values), (0, 0));
}

/// Goal: a value record with a good checksum whose key makes no sense is damage. Method: write one by hand.
#[test]
fn a_malformed_payload_is_refused() {
    for payload in [&[][..], &[9, b'k'], &[0x80, 0], &[0xff; 12]] {
        let vfs = MemVfs::new();
        let log = vlog::create(&vfs, Path::new(PATH), IDENTITY, 0).unwrap();
        let mut records = RecordBuffer::new();
        let push = |out: &mut Vec<u8>| out.extend_from_slice(payload);
        let pushed = records.push(vlog::KIND_VALUE, Compression::None, push).unwrap();
        let offset = log.append(&mut records, Stamp { version: VERSION.0, ..Default::default() }).unwrap();
        let record_len = pushed.record_len as u32;
        let segment = Segment::over_log(&log);
        let pointer = ValuePointer { segment: 1, offset, record_len, value_len: 0 };
        assert!(segment.get(&pointer, b"", VERSION).unwrap_err().is_corruption());
        assert!(segment.verify(log.position()).unwrap_err().is_corruption());
        assert!(segment.scan().unwrap().next().unwrap().unwrap_err().is_corruption());
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        noise: Vec<u8>,
        harm in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..5),
        pointer in (any::<u64>(), any::<u32>(), any::<u32>()),
    ) {
        prop_assert!(Segment::from_bytes(noise).is_err());
        let (mut bytes, values) = small_segment();
        for (at, byte) in harm {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let Ok(segment) = Segment::from_bytes(bytes.clone()) else { return Ok(()) };
        for value in &values {
            if let Ok(read) = value.read(&segment) {
                prop_assert_eq!(&read, &value.value);
            }
        }
        for found in segment.scan().unwrap().flatten() {
            prop_assert!(values.iter().any(|value| value.pointer == found.pointer && value.value == found.value));
        }
        let _either_way = segment.verify(bytes.len() as u64);
        let (offset, record_len, value_len) = pointer;
        let wild = ValuePointer { segment: 1, offset: offset % (2 * bytes.len() as u64), record_len, value_len };
        prop_assert!(segment.get(&wild, &values[0].key, VERSION).is_err() || wild == values[0].pointer);
    }
}
