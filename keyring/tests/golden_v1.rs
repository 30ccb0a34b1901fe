//! Goal: format version 1 does not change unnoticed. Method: registries written once and kept as hex must read as the
//! same keys for ever, and writing these keys must give the same records. (The salt differs from file to file, so
//! payloads are compared byte for byte and the rest by reading.)

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::Path;

use base::UnixSeconds;
use base::header::{DatabaseId, FileHeader, FileKind, HEADER_BYTES};
use base::record::Scanner;
use base::vfs::{BytesFile, MemVfs, Vfs};
use keyring::{FILE_NAME, FORMAT_VERSION, KeyRecord, Registry};

const EMPTY: &str = include_str!("golden/empty_v1.hex");
const KEYS: &str = include_str!("golden/keys_v1.hex");

fn empty() -> Registry {
    Registry { database_id: DatabaseId(*b"0123456789abcdef"), keys: Vec::new() }
}

fn with_keys() -> Registry {
    let key = |id, wrapped: &[u8]| KeyRecord {
        id,
        created_at: UnixSeconds(0x0102_0304_0506),
        algorithm: 0x0a0b_0c0d,
        wrapped: wrapped.to_vec(),
    };
    Registry { keys: vec![key(1, &[0xaa; 9]), key(0x1122_3344, b"")], ..empty() }
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.chunks_exact(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn to_hex(bytes: &[u8]) -> String {
    let line = |line: &[u8]| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    bytes.chunks(32).map(line).collect()
}

fn write(registry: &Registry) -> Vec<u8> {
    let vfs = MemVfs::new();
    vfs.create_dir_all(Path::new("db")).unwrap();
    registry.write(&vfs, Path::new("db")).unwrap();
    vfs.snapshot()[&Path::new("db").join(FILE_NAME)].clone()
}

/// Kind, number and payload of every record.
fn records(bytes: &[u8]) -> Vec<(u8, u64, Vec<u8>)> {
    let header = FileHeader::decode(bytes, Path::new(FILE_NAME), FileKind::Keyring, FORMAT_VERSION).unwrap();
    let file = BytesFile::shared(FILE_NAME, bytes.to_vec());
    let mut scanner = Scanner::new(file, header.seed(), HEADER_BYTES as u64).unwrap();
    let mut records = Vec::new();
    while let Some((located, payload)) = scanner.next_record().unwrap() {
        records.push((located.header.kind, located.header.number, payload));
    }
    records
}

#[test]
fn golden_files_read_as_what_was_written_and_are_written_again() {
    for (golden, registry) in [(EMPTY, empty()), (KEYS, with_keys())] {
        let (golden, written) = (from_hex(golden), write(&registry));
        assert_eq!(golden.len(), written.len(), "the file would be:\n{}", to_hex(&written));
        assert_eq!(Registry::from_bytes(&golden).unwrap(), registry);
        assert_eq!(records(&golden), records(&written), "the file would be:\n{}", to_hex(&written));
    }
}
