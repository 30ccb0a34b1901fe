//! Goal: a file header has one encoding. Method: what is accepted must encode to the bytes that were read.

use std::path::Path;

use base::header::{DatabaseId, FileHeader, FileIdentity, FileKind, HEADER_BYTES};
use base::vfs::BytesFile;

use crate::shared::{Body, InputReader, Memory, Mode};

pub const BODY: Body = Body { name: "file_header", run, seeds, memory: Memory::PLAIN };

const KINDS: [FileKind; 6] = [
    FileKind::Wal,
    FileKind::Table,
    FileKind::ValueLog,
    FileKind::Manifest,
    FileKind::Keyring,
    FileKind::Discard,
];

fn run(input: &[u8], mode: Mode) {
    let mut reader = InputReader::new(input);
    let kind = KINDS[usize::from(reader.u8()) % KINDS.len()];
    let newest_known = reader.u16();
    let bytes = reader.rest();
    let path = Path::new("header");
    let decoded = FileHeader::decode(bytes, path, kind, newest_known);
    let read = FileHeader::read(&*BytesFile::shared(path, bytes.to_vec()), kind, newest_known);
    let Ok(header) = decoded else {
        assert!(read.is_err());
        return;
    };
    assert_eq!(read.unwrap(), header);
    assert!(header.kind == kind && (1..=newest_known).contains(&header.format_version));
    header.expect(path, header.identity).unwrap();
    let again = header.encode();
    let same = if mode == Mode::Checked { HEADER_BYTES } else { HEADER_BYTES - 8 };
    assert_eq!(again[..same], bytes[..same]);
}

fn seeds() -> Vec<Vec<u8>> {
    let header = |at: usize| FileHeader {
        kind: KINDS[at],
        format_version: 1,
        key_id: 0,
        identity: FileIdentity { database_id: DatabaseId([at as u8; 16]), file_number: at as u64 },
        salt: [0x5a; 16],
    };
    (0..KINDS.len()).map(|at| [&[at as u8, 1, 0], &header(at).encode()[..]].concat()).collect()
}
