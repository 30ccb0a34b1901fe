//! Goal: offsets above 4 GiB are offsets like all others. Method: sparse files, so that a value can stand far into one.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use base::header::{DatabaseId, FileIdentity};
use base::record::{RecordBuffer, Stamp};
use base::vfs::{OsVfs, Vfs};
use base::{Compression, Entry, ValuePointer, Version};
use vlog::{Segment, push_value};

/// badger #1400, redb PR #516: offsets above 4 GiB were cut to 32 bits. A value on either side of 4 GiB is read by its pointer,
/// mapped or not, after the pointer itself was stored, and is found when the file is scanned from there.
#[test]
fn hb_80_values_above_four_gigabytes_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("000007.vlog");
    let identity = FileIdentity { database_id: DatabaseId([1; 16]), file_number: 7 };
    let log = vlog::create(&OsVfs, &path, identity, 0).unwrap();
    let limit = 1_u64 << 32;
    let mut pointers = Vec::new();
    for (number, offset) in
        [64, limit - 4_096, limit, limit + 1_024, limit + 8_192, 5 << 32].into_iter().enumerate()
    {
        let value = vec![number as u8; 100 + number];
        let mut record = RecordBuffer::new();
        let pushed = push_value(&mut record, b"key", &value, Compression::None).unwrap();
        record.stamp(log.seed(), offset, Stamp { number: 0, version: number as u64 + 1, mark: 0 });
        log.file().write_all_at(offset, record.as_bytes()).unwrap();
        let (record_len, value_len) = (pushed.record_len, pushed.value_len);
        pointers.push((ValuePointer { segment: 7, offset, record_len, value_len }, value));
    }
    let len = log.file().len().unwrap();
    let segments = [
        Segment::over_log(&log),
        Segment::open_positional(&OsVfs, &path, identity).unwrap(),
        Segment::open_mapped(&OsVfs, &path, identity, len).unwrap(),
    ];
    for (version, (pointer, value)) in (1..).zip(&pointers) {
        let mut stored = Vec::new();
        Entry::separated(*pointer).encode(&mut stored);
        let pointer = Entry::decode(&stored).unwrap().pointer().unwrap();
        for segment in &segments {
            assert_eq!(segment.get(&pointer, b"key", Version(version)).unwrap(), value[..], "{pointer:?}");
        }
    }
    let file = OsVfs.open(&path, base::vfs::Access::Read).unwrap();
    let mut scanner = base::record::Scanner::up_to(file, log.seed(), limit, limit + 4_096);
    let mut found = Vec::new();
    while let Some(located) = scanner.next_header().unwrap() {
        found.push(located.offset);
    }
    assert_eq!(found[0], limit);
}

/// redb #1333: numbers of a damaged file made the reader fail an assertion. Whatever a pointer says, the answer is damage.
#[test]
fn hb_80_hostile_pointers_are_damage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("000007.vlog");
    let identity = FileIdentity { database_id: DatabaseId([1; 16]), file_number: 7 };
    let log = vlog::create(&OsVfs, &path, identity, 0).unwrap();
    let mut record = RecordBuffer::new();
    push_value(&mut record, b"key", &[1; 100], Compression::None).unwrap();
    log.append(&mut record, Stamp { number: 0, version: 1, mark: 0 }).unwrap();
    let len = log.file().len().unwrap();
    let segments = [
        Segment::open_positional(&OsVfs, &path, identity).unwrap(),
        Segment::open_mapped(&OsVfs, &path, identity, len).unwrap(),
    ];
    let numbers = [0, 1, 47, 48, 63, 64, 65, 1 << 31, 1 << 32, 1 << 62, u64::MAX - 64, u64::MAX];
    for offset in numbers {
        for record_len in numbers.map(|number| number as u32) {
            for value_len in [0, 100, u32::MAX] {
                let pointer = ValuePointer { segment: 7, offset, record_len, value_len };
                for segment in &segments {
                    segment.prefetch(&pointer);
                    let outcome = segment.get(&pointer, b"key", Version(1));
                    assert!(outcome.unwrap_err().is_corruption(), "{pointer:?}");
                }
            }
        }
    }
}
