//! Goal: `DISCARD` comes back as it was written, or is refused. Method: random ledgers; each length, each bit; payloads
//! that are validly framed but make no sense.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::Path;
use std::sync::Arc;

use base::Compression;
use base::header::{CONTENT_START, DatabaseId, FileHeader, FileIdentity, FileKind};
use base::record::{RecordBuffer, Stamp};
use base::vfs::{Fault, FaultKind, FaultVfs, MemVfs, Vfs};
use proptest::prelude::*;
use vlog::{LEDGER_FILE_NAME, Ledger, SegmentDead};

const DATABASE: DatabaseId = DatabaseId([4; 16]);

fn directory() -> &'static Path {
    Path::new("db")
}

fn empty_directory() -> MemVfs {
    let vfs = MemVfs::new();
    vfs.create_dir_all(directory()).unwrap();
    vfs
}

fn stored(vfs: &MemVfs) -> Vec<u8> {
    vfs.snapshot().remove(&directory().join(LEDGER_FILE_NAME)).unwrap()
}

fn small_ledger() -> Ledger {
    let segments = [(3, 1000, 10), (4, 300, 300), (900, u64::MAX, 0)];
    let segments = segments
        .map(|(number, total_bytes, dead_bytes)| (number, SegmentDead { total_bytes, dead_bytes }))
        .into();
    Ledger { edit_number: 77, segments }
}

fn any_ledger() -> impl Strategy<Value = Ledger> {
    let segment = (any::<u64>(), any::<u64>())
        .prop_map(|(one, other)| SegmentDead { total_bytes: one.max(other), dead_bytes: one.min(other) });
    (any::<u64>(), proptest::collection::btree_map(any::<u64>(), segment, 0..20))
        .prop_map(|(edit_number, segments)| Ledger { edit_number, segments })
}

/// A ledger file around any payload.
fn framed(kind: u8, payload: &[u8], file_number: u64) -> Vec<u8> {
    let identity = FileIdentity { database_id: DATABASE, file_number };
    let header = FileHeader::new(&MemVfs::new(), FileKind::Discard, 1, identity).unwrap();
    let mut records = RecordBuffer::new();
    records.push(kind, Compression::None, |out| out.extend_from_slice(payload)).unwrap();
    records.stamp(header.seed(), CONTENT_START, Stamp::default());
    [&header.encode(), records.as_bytes()].concat()
}

proptest! {
    #[test]
    fn ledgers_come_back(first in any_ledger(), second in any_ledger()) {
        let vfs = empty_directory();
        prop_assert_eq!(Ledger::read(&vfs, directory(), DATABASE).unwrap(), None);
        for ledger in [first, second] {
            ledger.write(&vfs, directory(), DATABASE).unwrap();
            prop_assert_eq!(Ledger::read(&vfs, directory(), DATABASE).unwrap(), Some(ledger.clone()));
            prop_assert_eq!(Ledger::from_bytes(stored(&vfs)).unwrap(), ledger);
        }
        prop_assert_eq!(vfs.list(directory()).unwrap(), vec![LEDGER_FILE_NAME.to_string()]);
    }

    #[test]
    fn arbitrary_bytes_never_panic(noise: Vec<u8>, payload in proptest::collection::vec(0u8..5, 0..20)) {
        prop_assert!(Ledger::from_bytes(noise).is_err());
        if let Ok(ledger) = Ledger::from_bytes(framed(3, &payload, 0)) {
            prop_assert!(ledger.segments.values().all(|segment| segment.dead_bytes <= segment.total_bytes));
            prop_assert!(ledger.segments.len() <= payload.len() / 3);
        }
    }
}

#[test]
fn every_truncation_and_every_flipped_bit_is_refused() {
    let vfs = empty_directory();
    small_ledger().write(&vfs, directory(), DATABASE).unwrap();
    let bytes = stored(&vfs);
    // Three segments of 23 bytes with the count; the rest up to a multiple of 8 is padding.
    let payload_end = bytes.len() - 1;
    for len in 0..bytes.len() {
        match Ledger::from_bytes(bytes[..len].to_vec()) {
            Ok(read) => assert!(read == small_ledger() && len >= payload_end),
            Err(error) => assert!(error.is_corruption() && len < payload_end),
        }
    }
    for bit in 0..bytes.len() * 8 {
        let mut harmed = bytes.clone();
        harmed[bit / 8] ^= 1 << (bit % 8);
        match Ledger::from_bytes(harmed) {
            Ok(read) => assert!(read == small_ledger() && bit / 8 >= payload_end),
            Err(error) => assert!(error.is_corruption() && bit / 8 < payload_end),
        }
    }
    for extra in [vec![0], vec![0; 100], bytes.clone()] {
        assert!(Ledger::from_bytes([bytes.clone(), extra].concat()).unwrap_err().is_corruption());
    }
}

#[test]
fn senseless_ledgers_are_refused() {
    assert_eq!(Ledger::from_bytes(framed(3, &[0], 0)).unwrap(), Ledger::default());
    assert!(Ledger::from_bytes(framed(3, &[0], 1)).unwrap_err().is_corruption());
    assert!(Ledger::from_bytes(framed(2, &[0], 0)).unwrap_err().is_corruption());
    let senseless: [&[u8]; 8] = [
        &[],
        &[1],
        &[0, 0],
        &[1, 1, 5],
        &[1, 1, 5, 6],
        &[2, 2, 5, 5, 1, 5, 5],
        &[2, 1, 5, 5, 1, 5, 5],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
    ];
    for payload in senseless {
        assert!(Ledger::from_bytes(framed(3, payload, 0)).unwrap_err().is_corruption(), "{payload:?}");
    }
    let mut impossible = small_ledger();
    impossible.segments.insert(5, SegmentDead { total_bytes: 1, dead_bytes: 2 });
    assert!(impossible.write(&empty_directory(), directory(), DATABASE).is_err());
}

/// Goal: nothing is ever sealed twice under one salt, and a ledger serves its own database only.
#[test]
fn every_rewrite_draws_a_new_salt_and_other_databases_are_refused() {
    let vfs = empty_directory();
    small_ledger().write(&vfs, directory(), DATABASE).unwrap();
    let first = stored(&vfs);
    small_ledger().write(&vfs, directory(), DATABASE).unwrap();
    assert_ne!(first, stored(&vfs));
    let other = Ledger::read(&vfs, directory(), DatabaseId([5; 16]));
    assert!(other.unwrap_err().is_corruption());
}

/// Goal: the old ledger or the new one is there, whole. Method: fail each operation of a rewrite in turn.
#[test]
fn a_rewrite_that_fails_leaves_the_old_ledger() {
    for kind in [FaultKind::Io, FaultKind::NoSpace, FaultKind::TornNoSpace, FaultKind::SyncLost] {
        for nth in 1.. {
            let memory = empty_directory();
            small_ledger().write(&memory, directory(), DATABASE).unwrap();
            let faults = FaultVfs::new(Arc::new(memory.clone()));
            faults.inject(Fault::new(kind).nth(nth));
            let new = Ledger::default();
            let outcome = new.write(&faults, directory(), DATABASE);
            let found = Ledger::read(&memory, directory(), DATABASE).unwrap().unwrap();
            if faults.fired() == 0 {
                outcome.unwrap();
                assert_eq!(found, new);
                break;
            }
            assert!(outcome.is_err() && (found == small_ledger() || found == new));
        }
    }
}
