//! Goal: format version 1 does not change unnoticed. Method: a manifest that uses every field, written once and kept as
//! hex; it must read as the same state for ever, and writing that state must give the same records. (The salt differs
//! from file to file, so headers and checksums are compared by reading, payloads byte for byte.)

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use base::header::{DatabaseId, FileHeader, FileKind, HEADER_BYTES};
use base::record::{Scanner, Tail};
use base::vfs::{BytesFile, MemVfs, Vfs};
use manifest::{
    Edit, FILE_NAME, FORMAT_VERSION, Generation, LogLength, Manifest, SegmentMeta, State, TableMeta, ValueUse,
};

const GOLDEN: &str = include_str!("golden/manifest_v1.hex");

fn table() -> TableMeta {
    TableMeta {
        number: 0x0b,
        level: 1,
        smallest: b"apple".to_vec(),
        largest: vec![0xff, 0x00],
        file_bytes: 0x0101_0101_0101,
        entries: 300,
        tombstones: 2,
        raw_bytes: 0x0202_0202,
        min_version: 3,
        max_version: 0x0404,
        min_expiry: Some(0x0505),
        max_expiry: Some(0x0606),
        oldest_generation: 1,
        newest_generation: 2,
        created_at: 0x0707_0707,
        value_use: vec![ValueUse { segment: 4, values: 5, record_bytes: 0x0909 }],
    }
}

fn young() -> TableMeta {
    TableMeta { number: 0x0c, level: 0, min_expiry: None, max_expiry: None, value_use: Vec::new(), ..table() }
}

/// A snapshot with something of each kind, then an edit with something in each field.
fn write() -> (Vec<u8>, State) {
    let directory = Path::new("db");
    let mem = MemVfs::new();
    mem.create_dir_all(directory).unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(mem.clone());
    let id = DatabaseId(*b"0123456789abcdef");
    let mut manifest = Manifest::create(Arc::clone(&vfs), directory, id).unwrap();
    let generation = |id, wal| Generation { id, wal, vlog: wal + 1 };
    let first = Edit {
        generations_opened: vec![generation(1, 1), generation(2, 3), generation(3, 5)],
        numbers_below: Some(0x80),
        ..Edit::default()
    };
    manifest.commit(first).unwrap();
    let second = Edit {
        tables_added: vec![table(), young()],
        generations_retired: vec![1, 2],
        segments_added: vec![
            SegmentMeta { number: 4, bytes: 0x1_0000, values: 6, value_record_bytes: 0x0a0a },
            SegmentMeta { number: 9, bytes: 0x40, values: 0, value_record_bytes: 0 },
        ],
        last_version: Some(0x0404),
        last_commit: Some(0x0303),
        closed: Some(vec![LogLength { file_number: 5, bytes: 0x40, last_commit: 0 }]),
        ..Edit::default()
    };
    manifest.commit(second).unwrap();
    let mut manifest = Manifest::reopen(vfs, directory, manifest.state().clone()).unwrap();
    let third = Edit {
        tables_added: vec![TableMeta { number: 0x0d, level: 6, ..young() }],
        tables_removed: vec![0x0c],
        tables_moved: vec![(0x0b, 5)],
        generations_opened: vec![generation(4, 0x10)],
        generations_retired: vec![3],
        segments_added: vec![SegmentMeta { number: 6, bytes: 0x50, values: 1, value_record_bytes: 0x38 }],
        segments_removed: vec![9],
        numbers_below: Some(0xc0),
        last_version: Some(0x0505),
        last_commit: Some(0x0404),
        last_generation: Some(7),
        closed: Some(vec![LogLength { file_number: 0x11, bytes: 0x48, last_commit: 0x0404 }]),
    };
    manifest.commit(third).unwrap();
    (mem.snapshot()[&directory.join(FILE_NAME)].clone(), manifest.state().clone())
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.chunks_exact(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.chunks(32).fold(String::new(), |mut text, line| {
        line.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
        text.push('\n');
        text
    })
}

/// Kind, number, mark and payload of every record.
fn records(bytes: &[u8]) -> Vec<(u8, u64, u64, String)> {
    let header = FileHeader::decode(bytes, Path::new(FILE_NAME), FileKind::Manifest, FORMAT_VERSION).unwrap();
    let file = BytesFile::shared(FILE_NAME, bytes.to_vec());
    let mut scanner = Scanner::new(file, header.seed(), HEADER_BYTES as u64).unwrap();
    let mut records = Vec::new();
    while let Some((located, payload)) = scanner.next_record().unwrap() {
        let header = located.header;
        records.push((header.kind, header.number, header.mark, to_hex(&payload)));
    }
    assert_eq!(scanner.tail(), Some(Tail::Clean));
    records
}

#[test]
fn the_golden_file_reads_as_the_state_that_was_written() {
    let (_, state) = write();
    assert_eq!(manifest::replay(&from_hex(GOLDEN)).unwrap(), (state, Tail::Clean));
}

#[test]
fn the_writer_writes_the_golden_records() {
    let (bytes, _) = write();
    let golden = from_hex(GOLDEN);
    assert_eq!(bytes.len(), golden.len(), "the file would be:\n{}", to_hex(&bytes));
    assert_eq!(records(&bytes), records(&golden), "the file would be:\n{}", to_hex(&bytes));
}
