//! Goal: format version 1 never changes. Method: a log of all kinds of entries is written anew and compared with the
//! one that was stored, byte for byte; the stored one is read back.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::Path;

use base::header::{DatabaseId, FileIdentity};
use base::record::{RecordBuffer, Stamp, Tail};
use base::vfs::MemVfs;
use base::{Entry, UnixSeconds};
use wal::{Batch, Reader};

const GOLDEN: &[u8] = include_bytes!("golden/000042.v1.wal");

type Writes = Vec<(&'static [u8], Entry<'static>)>;

/// In the order of the file.
fn commits() -> Vec<(Stamp, Writes)> {
    let pointer = wal::relative_pointer(4104, 4097, 4040);
    let marked = Entry {
        user_meta: 0x5a,
        expires_at: Some(UnixSeconds(1_900_000_000)),
        hides_older: true,
        ..Entry::inline(b"with everything")
    };
    vec![
        (Stamp { number: 1, version: 10, mark: 0 }, vec![(b"ada", Entry::inline(b"1815"))]),
        (
            Stamp { number: 2, version: 11, mark: 1 },
            vec![(b"bob", Entry::tombstone()), (b"large", Entry::separated(pointer)), (b"marked", marked)],
        ),
        (Stamp { number: 3, version: 300, mark: 2 }, vec![]),
        (Stamp { number: 4, version: 1 << 40, mark: 3 }, vec![(b"", Entry::inline(b""))]),
    ]
}

fn written() -> Vec<u8> {
    let vfs = MemVfs::new();
    let identity = FileIdentity { database_id: DatabaseId(*b"golden database!"), file_number: 42 };
    let path = Path::new("000042.wal");
    // The salt of the first file in a new `MemVfs` is always the same.
    let log = wal::create(&vfs, path, identity, 0).unwrap();
    for (stamp, writes) in commits() {
        let mut batch = Batch::new();
        for (key, entry) in &writes {
            batch.push(key, entry);
        }
        let mut records = RecordBuffer::new();
        wal::push_commit(&mut records, &batch).unwrap();
        log.append(&mut records, stamp).unwrap();
    }
    vfs.snapshot().remove(path).unwrap()
}

#[test]
fn what_is_written_is_what_was_written() {
    assert_eq!(written(), GOLDEN);
}

#[test]
fn what_was_written_is_read() {
    let mut reader = Reader::from_bytes(GOLDEN.to_vec()).unwrap();
    assert_eq!(reader.identity().file_number, 42);
    for (stamp, writes) in commits() {
        let commit = reader.next().unwrap().unwrap();
        assert_eq!(Stamp { number: commit.number, version: commit.version, mark: commit.mark }, stamp);
        let read: Vec<_> = commit.batch().unwrap().map(Result::unwrap).collect();
        assert_eq!(read, writes);
    }
    assert!(reader.next().is_none());
    assert_eq!(reader.tail(), Some(Tail::Clean));
}
