//! Goal: a registry comes back as it was written, or there is an error; never fewer keys, never other ones. Method:
//! round trips, every truncation, every flipped bit, foreign and misplaced records, faults at every operation.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::header::{DatabaseId, FileHeader, FileKind, HEADER_BYTES};
use base::record::{RECORD_HEADER_BYTES, RecordBuffer, Stamp, padded};
use base::vfs::{Fault, FaultKind, FaultVfs, MemVfs, Operations, Vfs};
use base::{Compression, Error, UnixSeconds};
use keyring::{FILE_NAME, FORMAT_VERSION, KeyRecord, Registry, WRAPPED_BYTES_MAX};
use proptest::prelude::*;

const ID: DatabaseId = DatabaseId([7; 16]);

fn directory() -> &'static Path {
    Path::new("db")
}

fn disk() -> MemVfs {
    let vfs = MemVfs::new();
    vfs.create_dir_all(directory()).unwrap();
    vfs
}

fn path() -> PathBuf {
    directory().join(FILE_NAME)
}

fn key(id: u32, wrapped: &[u8]) -> KeyRecord {
    KeyRecord { id, created_at: UnixSeconds(1000 + u64::from(id)), algorithm: 1, wrapped: wrapped.to_vec() }
}

fn sample() -> Registry {
    Registry { database_id: ID, keys: vec![key(1, &[0xaa; 60]), key(4, b""), key(9, &[0x55; 33])] }
}

fn bytes_of(registry: &Registry) -> Vec<u8> {
    let vfs = disk();
    registry.write(&vfs, directory()).unwrap();
    vfs.snapshot()[&path()].clone()
}

fn assert_corrupt(bytes: &[u8], what: &str) {
    let error = Registry::from_bytes(bytes).expect_err(what);
    assert!(error.is_corruption(), "{what}: {error}");
}

#[test]
fn a_new_registry_is_empty_and_is_not_overwritten() {
    let vfs = disk();
    assert!(keyring::read(&vfs, directory()).unwrap_err().is_corruption(), "missing");
    let created = keyring::create(&vfs, directory(), ID).unwrap();
    assert_eq!(created, Registry { database_id: ID, keys: Vec::new() });
    assert_eq!(keyring::read(&vfs, directory()).unwrap(), created);
    let files = vfs.snapshot();
    assert_eq!(files.len(), 1);
    assert!(matches!(keyring::create(&vfs, directory(), ID), Err(Error::Io { .. })));
    assert_eq!(vfs.snapshot(), files);
}

#[test]
fn every_rewrite_draws_a_new_salt() {
    let vfs = disk();
    let salt = || {
        sample().write(&vfs, directory()).unwrap();
        let bytes = &vfs.snapshot()[&path()];
        FileHeader::decode(bytes, Path::new(FILE_NAME), FileKind::Keyring, FORMAT_VERSION).unwrap().salt
    };
    assert_ne!(salt(), salt());
}

#[test]
fn keys_that_the_format_does_not_allow_are_refused_and_nothing_is_written() {
    let vfs = disk();
    sample().write(&vfs, directory()).unwrap();
    let files = vfs.snapshot();
    for keys in [vec![key(0, b"k")], vec![key(2, b"k"), key(2, b"l")], vec![key(3, b"k"), key(2, b"l")]] {
        let error = Registry { database_id: ID, keys }.write(&vfs, directory()).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
    }
    let long = Registry { database_id: ID, keys: vec![key(1, &[0; WRAPPED_BYTES_MAX + 1])] };
    assert!(matches!(long.write(&vfs, directory()), Err(Error::LimitExceeded { .. })));
    assert_eq!(vfs.snapshot(), files);
    let longest = Registry { database_id: ID, keys: vec![key(u32::MAX, &[3; WRAPPED_BYTES_MAX])] };
    longest.write(&vfs, directory()).unwrap();
    assert_eq!(keyring::read(&vfs, directory()).unwrap(), longest);
}

#[test]
fn every_truncation_and_every_addition_is_corruption() {
    for registry in [sample(), Registry { database_id: ID, keys: Vec::new() }] {
        let bytes = bytes_of(&registry);
        for len in 0..bytes.len() {
            assert_corrupt(&bytes[..len], &format!("{len} bytes"));
        }
        for tail in [&[0][..], &[0; 8], &[0; 4096], &bytes[HEADER_BYTES..], b"x"] {
            assert_corrupt(&[bytes.as_slice(), tail].concat(), "addition");
        }
    }
}

#[test]
fn every_flipped_bit_is_corruption_or_lies_in_padding() {
    let registry = sample();
    let bytes = bytes_of(&registry);
    let mut padding = vec![false; bytes.len()];
    let mut at = HEADER_BYTES;
    for payload_len in registry.keys.iter().map(|key| 16 + key.wrapped.len()) {
        let end = at + RECORD_HEADER_BYTES + payload_len;
        at = padded(end as u64) as usize;
        padding[end..at].fill(true);
    }
    assert_eq!(at + RECORD_HEADER_BYTES, bytes.len());
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if padding[bit / 8] {
            assert_eq!(Registry::from_bytes(&flipped).unwrap(), registry, "bit {bit}");
        } else {
            assert_corrupt(&flipped, &format!("bit {bit}"));
        }
    }
}

/// Records with good checksums that the writer would not have written there.
#[test]
fn good_records_out_of_order_are_corruption() {
    let empty = bytes_of(&Registry { database_id: ID, keys: Vec::new() });
    let header = FileHeader::decode(&empty, Path::new(FILE_NAME), FileKind::Keyring, FORMAT_VERSION).unwrap();
    let build = |records: &[(u8, u64, Compression, &[u8])]| {
        let mut bytes = header.encode().to_vec();
        for &(kind, number, compression, payload) in records {
            let mut record = RecordBuffer::new();
            record.push(kind, compression, |out| out.extend_from_slice(payload)).unwrap();
            record.stamp(header.seed(), bytes.len() as u64, Stamp { number, version: 0, mark: 0 });
            bytes.extend_from_slice(record.as_bytes());
        }
        bytes
    };
    let plain = Compression::None;
    let one: &[u8] = &[1, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0xee];
    let good = Registry::from_bytes(&build(&[(1, 0, plain, one), (2, 1, plain, b"")])).unwrap();
    assert_eq!(good.keys.len(), 1);
    let long = [1; 16 + WRAPPED_BYTES_MAX + 1];
    for (what, records) in [
        ("no end", vec![(1, 0, plain, one)]),
        ("wrong count", vec![(1, 0, plain, one), (2, 2, plain, b"")]),
        ("wrong place", vec![(1, 1, plain, one), (2, 1, plain, b"")]),
        ("twice the same id", vec![(1, 0, plain, one), (1, 1, plain, one), (2, 2, plain, b"")]),
        ("id 0", vec![(1, 0, plain, &[0; 16]), (2, 1, plain, b"")]),
        ("too short", vec![(1, 0, plain, &one[..15]), (2, 1, plain, b"")]),
        ("too long", vec![(1, 0, plain, &long), (2, 1, plain, b"")]),
        ("compressed", vec![(1, 0, Compression::Lz4, &long[..4000]), (2, 1, plain, b"")]),
        ("unknown kind", vec![(3, 0, plain, one), (2, 1, plain, b"")]),
        ("end with a payload", vec![(2, 0, plain, b"x")]),
        ("behind the end", vec![(2, 0, plain, b""), (2, 0, plain, b"")]),
    ] {
        assert_corrupt(&build(&records), what);
    }
    let mut newer = header;
    newer.format_version += 1;
    let newer = [&newer.encode()[..], &empty[HEADER_BYTES..]].concat();
    assert!(matches!(Registry::from_bytes(&newer), Err(Error::Unsupported { .. })));
}

/// After any failing operation the old registry is there, or the new one.
#[test]
fn a_failed_replacement_leaves_the_old_or_the_new_registry() {
    let old = Registry { database_id: ID, keys: vec![key(1, b"old")] };
    for kind in [FaultKind::Io, FaultKind::NoSpace, FaultKind::ShortWrite, FaultKind::SyncLost] {
        for nth in 1.. {
            let mem = disk();
            old.write(&mem, directory()).unwrap();
            let fault = FaultVfs::new(Arc::new(mem.clone()));
            fault.inject(Fault::new(kind).nth(nth).on(Operations::CHANGES));
            let result = sample().write(&fault, directory());
            let found = keyring::read(&mem, directory()).unwrap();
            match result {
                Ok(()) => assert_eq!(found, sample()),
                Err(_) => assert!(found == old || found == sample(), "{kind:?} {nth}"),
            }
            if fault.fired() == 0 {
                assert!(nth > 1, "{kind:?} hit nothing");
                break;
            }
        }
    }
}

#[test]
fn debug_output_shows_no_key() {
    let text = format!("{:?}", key(1, b"SECRET"));
    assert!(text.contains("wrapped_bytes: 6") && !text.contains("83, 69"), "{text}");
}

proptest! {
    #[test]
    fn registries_come_back(keys in prop::collection::btree_map(1u32.., (any::<u64>(), any::<u32>(),
        prop::collection::vec(any::<u8>(), 0..200)), 0..20), id: [u8; 16]) {
        let keys = keys.into_iter().map(|(id, (created_at, algorithm, wrapped))| KeyRecord {
            id,
            created_at: UnixSeconds(created_at),
            algorithm,
            wrapped,
        });
        let registry = Registry { database_id: DatabaseId(id), keys: keys.collect() };
        prop_assert_eq!(&Registry::from_bytes(&bytes_of(&registry)).unwrap(), &registry);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        prop_assert!(Registry::from_bytes(&bytes).is_err());
        let framed = [&bytes_of(&sample())[..HEADER_BYTES], &bytes].concat();
        prop_assert!(Registry::from_bytes(&framed).unwrap_err().is_corruption());
    }
}
