//! Goal: a harmed log yields a prefix of its commits or an error; never a panic, never other writes.
//! Method: a small log, cut at each length and with each bit flipped; payloads that are validly framed but make no
//! sense; arbitrary bytes in the place of a file and of a payload.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::Path;

use base::codec::Malformed;
use base::header::{FileHeader, FileIdentity, FileKind};
use base::record::{RecordBuffer, Stamp, Tail};
use base::vfs::MemVfs;
use base::{Compression, Entry, Error};
use proptest::prelude::*;
use wal::{Batch, BatchReader, Commit, Reader};

const PATH: &str = "000001.wal";

fn log_of(payloads: &[Vec<u8>], kind: u8) -> Vec<u8> {
    let vfs = MemVfs::new();
    let log = wal::create(&vfs, Path::new(PATH), FileIdentity::default(), 0).unwrap();
    for (number, payload) in (1..).zip(payloads) {
        let mut records = RecordBuffer::new();
        records.push(kind, Compression::None, |out| out.extend_from_slice(payload)).unwrap();
        log.append(&mut records, Stamp { number, version: number, mark: number - 1 }).unwrap();
    }
    vfs.snapshot().remove(Path::new(PATH)).unwrap()
}

fn small_log() -> (Vec<u8>, Vec<Commit>) {
    let payloads: Vec<Vec<u8>> = (0u8..5)
        .map(|commit| {
            let mut batch = Batch::new();
            for key in 0..commit {
                batch.push(&[key; 3], &Entry::inline(&vec![commit; usize::from(key) * 7]));
            }
            batch.push(b"gone", &Entry::tombstone());
            let mut payload = Vec::new();
            batch.encode(&mut payload);
            payload
        })
        .collect();
    let bytes = log_of(&payloads, wal::KIND_COMMIT);
    let commits: Vec<Commit> = Reader::from_bytes(bytes.clone()).unwrap().map(Result::unwrap).collect();
    assert_eq!(commits.iter().map(|commit| commit.payload.clone()).collect::<Vec<_>>(), payloads);
    (bytes, commits)
}

/// The commits that can be read, and whether the log ended clean; `None` when it does not open.
fn read(bytes: Vec<u8>) -> Option<(Vec<Commit>, bool)> {
    let mut reader = match Reader::from_bytes(bytes) {
        Ok(reader) => reader,
        Err(error) => {
            assert!(error.is_corruption());
            return None;
        }
    };
    let commits: Vec<Commit> = reader.by_ref().map(Result::unwrap).collect();
    Some((commits, reader.tail() == Some(Tail::Clean)))
}

#[test]
fn every_truncation_leaves_a_prefix() {
    let (bytes, commits) = small_log();
    for len in 0..bytes.len() {
        match read(bytes[..len].to_vec()) {
            None => assert!(len < 64, "a log cut to {len} bytes did not open"),
            Some((read, clean)) => {
                assert_eq!(read, commits[..read.len()]);
                let expected = commits
                    .iter()
                    .filter(|commit| commit.offset as usize + 48 + commit.payload.len() <= len)
                    .count();
                assert_eq!(read.len(), expected, "cut to {len} bytes");
                let at_boundary = len == 64 || commits.iter().any(|next| next.offset as usize == len);
                assert!(clean || !at_boundary, "cut to {len} bytes");
            }
        }
    }
}

#[test]
fn every_flipped_bit_ends_the_log_before_it() {
    let (bytes, commits) = small_log();
    for bit in 0..bytes.len() * 8 {
        let byte = bit / 8;
        let mut harmed = bytes.clone();
        harmed[byte] ^= 1 << (bit % 8);
        let Some((read, clean)) = read(harmed) else {
            assert!(byte < 64, "bit {bit} of a record kept the log from opening");
            continue;
        };
        assert!(byte >= 64, "bit {bit} of the header was not noticed");
        let at = commits.iter().rposition(|commit| commit.offset as usize <= byte).unwrap();
        let is_padding = byte >= commits[at].offset as usize + 48 + commits[at].payload.len();
        let expected = if is_padding { commits.len() } else { at };
        assert_eq!((read.as_slice(), clean), (&commits[..expected], is_padding), "bit {bit}");
    }
}

#[test]
fn files_of_other_kinds_and_versions_do_not_open() {
    let vfs = MemVfs::new();
    let header = |kind, version| {
        FileHeader::new(&vfs, kind, version, FileIdentity::default()).unwrap().encode().to_vec()
    };
    assert_eq!(Reader::from_bytes(header(FileKind::Wal, wal::FORMAT_VERSION)).unwrap().count(), 0);
    assert!(Reader::from_bytes(header(FileKind::ValueLog, 1)).unwrap_err().is_corruption());
    let newer = Reader::from_bytes(header(FileKind::Wal, wal::FORMAT_VERSION + 1)).unwrap_err();
    assert!(matches!(newer, Error::Unsupported { found: 2, newest_known: 1, .. }));
    assert!(Reader::open(&vfs, Path::new("missing.wal")).unwrap_err().is_not_found());
}

#[test]
fn a_record_of_another_kind_is_damage_and_ends_the_reading() {
    let mut reader = Reader::from_bytes(log_of(&[vec![0], vec![0]], 2)).unwrap();
    assert!(reader.next().unwrap().unwrap_err().is_corruption());
    assert!(reader.next().is_none());
    assert_eq!(reader.tail(), None);
}

/// Method: payloads with good checksums that no batch encodes to.
#[test]
fn malformed_batches_are_refused_as_a_whole() {
    let count = "entry count is above what the batch could hold";
    let after = "bytes after the last entry";
    let cases: [(&[u8], &str); 10] = [
        (&[], "entry count"),
        (&[0x80, 0], "entry count"),
        (&[0, 0], after),
        (&[1], count),
        (&[2, 1, b'a', 1, 0], count),
        (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0], count),
        (&[1, 9, b'a', 1, 0], "entry key"),
        (&[1, 1, b'a', 9, 0], "entry body"),
        (&[1, 1, b'a', 0, 0], "entry flags"),
        (&[1, 1, b'a', 1, 0, 0], after),
    ];
    for (payload, what) in cases {
        let read: Result<Vec<_>, Malformed> = BatchReader::decode(payload).and_then(Iterator::collect);
        assert_eq!(read.unwrap_err().what, what, "{payload:?}");
        let commit = Reader::from_bytes(log_of(&[payload.to_vec()], wal::KIND_COMMIT)).unwrap().next();
        let error = commit.unwrap().unwrap().batch().unwrap_err();
        assert!(error.is_corruption());
    }
}

/// Goal: a malformed write late in a batch is told with its place in the file, and nothing after it is read.
#[test]
fn damage_inside_a_batch_is_located() {
    let payload = [3, 1, b'a', 1, 0, 1, b'b', 2, 0, 7, 1, b'c', 1, 0];
    let mut reader = BatchReader::decode(&payload).unwrap();
    assert!(reader.next().unwrap().is_ok());
    assert_eq!(reader.next(), Some(Err(Malformed { offset: 9, what: "bytes after the entry" })));
    assert_eq!((reader.next(), reader.len()), (None, 0));
    let commit = Reader::from_bytes(log_of(&[payload.to_vec()], wal::KIND_COMMIT)).unwrap().next().unwrap();
    let Error::Corruption { offset, .. } = commit.unwrap().batch().unwrap_err() else {
        panic!("other error")
    };
    assert_eq!(offset, 64 + 48 + 9);
}

proptest! {
    #[test]
    fn arbitrary_payloads_never_panic_and_have_one_encoding(payload in arbitrary_payload()) {
        let Ok(reader) = BatchReader::decode(&payload) else { return Ok(()) };
        prop_assert!(reader.len() <= payload.len());
        let Ok(writes) = reader.collect::<Result<Vec<_>, _>>() else { return Ok(()) };
        let mut batch = Batch::new();
        for (key, entry) in &writes {
            batch.push(key, entry);
        }
        let mut again = Vec::new();
        batch.encode(&mut again);
        // A user meta byte of 0 is read with its flag but written without; all else has one encoding.
        prop_assert!(again == payload || again.len() < payload.len());
        let read_again: Vec<_> = BatchReader::decode(&again).unwrap().map(Result::unwrap).collect();
        prop_assert_eq!(read_again, writes);
    }

    #[test]
    fn arbitrary_files_never_panic(noise: Vec<u8>, harm in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..4)) {
        prop_assert!(read(noise).is_none());
        let (mut bytes, commits) = small_log();
        for (at, byte) in harm {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        if let Some((read, _)) = read(bytes) {
            prop_assert_eq!(&read, &commits[..read.len()]);
        }
    }
}

/// Small numbers, so that counts and lengths often fit.
fn arbitrary_payload() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![0u8..6, any::<u8>()], 0..40)
}
