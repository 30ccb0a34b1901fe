//! Goal: a log file that is preallocated, reused or cut shows exactly the records of its present life.
//! Method: write logs over `MemVfs` (and the system's files where the disk has to refuse), scan them as recovery would.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::Path;
use std::sync::Arc;

use base::Compression;
use base::header::{CONTENT_START, DatabaseId, FileHeader, FileIdentity, FileKind};
use base::log::LogFile;
use base::record::{RecordBuffer, Scanner, Stamp, Tail};
use base::vfs::{Access, Fault, FaultKind, FaultVfs, MemVfs, OsVfs, Vfs};

fn identity(file_number: u64) -> FileIdentity {
    FileIdentity { database_id: DatabaseId([5; 16]), file_number }
}

fn create(vfs: &dyn Vfs, number: u64, allocate_bytes: u64) -> LogFile {
    let path = format!("{number:06}.wal");
    LogFile::create(vfs, Path::new(&path), FileKind::Wal, 1, identity(number), allocate_bytes).unwrap()
}

fn append(log: &LogFile, number: u64, payload: &[u8]) -> u64 {
    let mut records = RecordBuffer::new();
    records.push(1, Compression::None, |out| out.extend_from_slice(payload)).unwrap();
    log.append(&mut records, Stamp { number, version: number, mark: 0 }).unwrap()
}

/// The payloads that recovery would see, how the log ends, and how many headers are behind that.
fn recover(vfs: &dyn Vfs, number: u64) -> (Vec<Vec<u8>>, Tail, usize) {
    let file = vfs.open(Path::new(&format!("{number:06}.wal")), Access::Read).unwrap();
    let header = FileHeader::read(&*file, FileKind::Wal, 1).unwrap();
    header.expect(file.path(), identity(number)).unwrap();
    let mut scanner = Scanner::new(Arc::clone(&file), header.seed(), CONTENT_START).unwrap();
    let mut payloads = Vec::new();
    while let Some((_, payload)) = scanner.next_record().unwrap() {
        payloads.push(payload);
    }
    let tail = scanner.tail().unwrap();
    let mut behind = 0;
    while scanner.resync().unwrap().is_some() {
        behind += 1;
    }
    (payloads, tail, behind)
}

#[test]
fn a_preallocated_log_ends_clean_at_its_zeros_and_does_not_grow() {
    let vfs = MemVfs::new();
    let log = create(&vfs, 1, 4096);
    assert_eq!((log.position(), log.allocated()), (CONTENT_START, CONTENT_START + 4096));
    assert_eq!(append(&log, 1, b"one"), CONTENT_START);
    assert_eq!(append(&log, 2, b"two"), CONTENT_START + 56);
    assert_eq!((log.position(), log.allocated()), (CONTENT_START + 112, CONTENT_START + 4096));
    assert_eq!(log.file().len().unwrap(), CONTENT_START + 4096);
    assert_eq!(recover(&vfs, 1), (vec![b"one".to_vec(), b"two".to_vec()], Tail::Clean, 0));

    log.allocate(8192).unwrap();
    log.allocate(100).unwrap();
    assert_eq!((log.allocated(), log.file().len().unwrap()), (8192, 8192));
    log.cut().unwrap();
    assert_eq!((log.allocated(), log.file().len().unwrap()), (log.position(), log.position()));
    assert_eq!(recover(&vfs, 1), (vec![b"one".to_vec(), b"two".to_vec()], Tail::Clean, 0));
}

/// Method: appends of many lengths with zeros written ahead of each.
#[test]
fn zeros_are_written_behind_the_records_inside_reserved_space_and_seldom() {
    let vfs = MemVfs::new();
    let log = create(&vfs, 1, 600 << 10);
    let (mut payloads, mut changes) = (Vec::new(), 0);
    for number in 1..400u64 {
        let payload = vec![number as u8; (number * 37 % 3000) as usize];
        append(&log, number, &payload);
        payloads.push(payload);
        let before = log.prepared();
        log.write_ahead().unwrap();
        changes += u32::from(log.prepared() != before);
        assert!(log.prepared() >= log.position() && log.prepared() <= log.allocated());
        assert!(log.prepared() >= (log.position() + (16 << 10)).min(log.allocated()));
    }
    assert!((2..=10).contains(&changes), "{changes}");
    assert_eq!(log.file().len().unwrap(), log.allocated());
    assert_eq!(recover(&vfs, 1), (payloads, Tail::Clean, 0));
    log.cut().unwrap();
    log.write_ahead().unwrap();
    assert_eq!(log.file().len().unwrap(), log.position());
}

#[test]
fn a_log_that_outgrows_its_space_goes_on() {
    let vfs = MemVfs::new();
    let log = create(&vfs, 1, 64);
    append(&log, 1, &[1; 1000]);
    assert_eq!(log.allocated(), log.position());
    assert_eq!(recover(&vfs, 1).0, [vec![1; 1000]]);
}

/// Method: a new life of the file writes records of the very lengths and numbers of the old life, so that stale records
/// stand exactly where the next one would be looked for; at every number of new records.
#[test]
fn records_of_an_earlier_life_never_come_back() {
    for written in 0..=8u64 {
        let vfs = MemVfs::new();
        let old = create(&vfs, 1, 0);
        for number in 1..=8 {
            append(&old, number, b"old life");
        }
        let (retired, path) = (Path::new("000001.wal"), Path::new("000002.wal"));
        let log = LogFile::recycle(&vfs, retired, path, FileKind::Wal, 1, identity(2)).unwrap();
        assert!(!vfs.exists(retired).unwrap());
        assert_eq!((log.position(), log.allocated()), (CONTENT_START, old.position()));
        for number in 1..=written {
            append(&log, number, b"new life");
        }
        let (payloads, tail, behind) = recover(&vfs, 2);
        assert_eq!(payloads, vec![b"new life".to_vec(); written as usize]);
        let expected = if written < 8 { Tail::Torn { valid_len: log.position() } } else { Tail::Clean };
        assert_eq!((tail, behind), (expected, 0));
    }
}

/// Method: as above, with number and name unchanged: only the salt differs.
#[test]
fn the_salt_alone_tells_two_lives_apart() {
    let vfs = MemVfs::new();
    let path = Path::new("000001.wal");
    let old = create(&vfs, 1, 0);
    append(&old, 1, b"old life");
    LogFile::recycle(&vfs, path, path, FileKind::Wal, 1, identity(1)).unwrap();
    assert_eq!(recover(&vfs, 1), (vec![], Tail::Torn { valid_len: CONTENT_START }, 0));
}

#[test]
fn creating_over_an_existing_file_fails_and_leaves_it_alone() {
    let vfs = MemVfs::new();
    append(&create(&vfs, 1, 0), 1, b"precious");
    let again = LogFile::create(&vfs, Path::new("000001.wal"), FileKind::Wal, 1, identity(1), 0);
    assert!(again.is_err());
    assert_eq!(recover(&vfs, 1).0, [b"precious"]);
}

/// Goal: a log that the disk has no room for leaves nothing behind. Method: more than any disk can hold.
#[test]
fn a_log_that_cannot_be_allocated_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("000001.wal");
    let failed = LogFile::create(&OsVfs, &path, FileKind::Wal, 1, identity(1), 1 << 62);
    assert!(failed.unwrap_err().is_no_space());
    assert!(!OsVfs.exists(&path).unwrap());
}

/// Goal: a log that cannot be started leaves nothing behind. Method: fail each operation in turn, in each way.
#[test]
fn a_log_whose_start_fails_is_removed() {
    for kind in [FaultKind::Io, FaultKind::NoSpace, FaultKind::ShortWrite] {
        for nth in 1.. {
            let memory = MemVfs::new();
            let faults = FaultVfs::new(Arc::new(memory.clone()));
            faults.inject(Fault::new(kind).nth(nth));
            let path = Path::new("000001.wal");
            let outcome = LogFile::create(&faults, path, FileKind::Wal, 1, identity(1), 4096);
            if faults.fired() == 0 {
                outcome.unwrap();
                break;
            }
            assert!(outcome.is_err() && memory.snapshot().is_empty(), "{kind:?} at operation {nth}");
        }
    }
}
