//! Goal: no sealed bytes harm their reader, and what opens can be sealed again and opens to the same.
//! Method: open the input as a block at a place that it names.

use std::path::Path;

use base::Compression;
use base::header::{DatabaseId, FileHeader, FileIdentity, FileKind};
use base::seal::{MAX_RAW_BYTES, Seal, TRAILER_BYTES};
use bytes::Bytes;

use crate::shared::{Body, InputReader, Memory, Mode};

pub const BODY: Body = Body { name: "seal", run, seeds, memory: Memory::COMPRESSED };

fn seal() -> Seal {
    Seal::new(&FileHeader {
        kind: FileKind::Table,
        format_version: 1,
        key_id: 0,
        identity: FileIdentity { database_id: DatabaseId([3; 16]), file_number: 3 },
        salt: [4; 16],
    })
}

fn run(input: &[u8], mode: Mode) {
    let mut reader = InputReader::new(input);
    let offset = u64::from(reader.u16()) * 64;
    let sealed = Bytes::copy_from_slice(reader.rest());
    let (seal, path) = (seal(), Path::new("block"));
    let verified = seal.verify(path, offset, &sealed);
    let in_place = Seal::in_place(&sealed);
    let plain = match seal.open(path, offset, &sealed) {
        Ok(plain) => plain,
        Err(error) => {
            assert!(error.is_corruption());
            return;
        }
    };
    verified.unwrap();
    assert!(plain.len() <= MAX_RAW_BYTES);
    assert!(in_place.is_none_or(|raw| raw == plain));
    if mode == Mode::Checked {
        assert!(seal.verify(path, offset + 8, &sealed).is_err());
    }
    let mut again = Vec::new();
    assert_eq!(
        seal.seal(offset, &plain, Compression::None, &mut again).unwrap(),
        plain.len() + TRAILER_BYTES
    );
    assert_eq!(seal.open(path, offset, &Bytes::from(again)).unwrap(), plain);
}

fn seeds() -> Vec<Vec<u8>> {
    let sealed = |offset: u16, plain: &[u8], how| {
        let mut out = offset.to_le_bytes().to_vec();
        seal().seal(u64::from(offset) * 64, plain, how, &mut out).unwrap();
        out
    };
    let text = b"some words, some words, some words, some words".repeat(3);
    let mut seeds = vec![sealed(0, b"", Compression::None), sealed(1, &text, Compression::None)];
    for how in [Compression::Lz4, Compression::Zstd(3)] {
        seeds.push(sealed(2, &text, how));
        seeds.push(sealed(3, &[0; 4000], how));
    }
    seeds
}
