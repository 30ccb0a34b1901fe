//! Goal: no bytes harm the decompressors, and no announced length makes them allocate what cannot come out.
//! Method: decompress the input to a length that it names; compress the input itself and get it back.

use base::Compression;
use base::compress::{Codec, compress, decompress};

use crate::shared::{Body, InputReader, Memory, Mode};

pub const BODY: Body = Body { name: "decompress", run, seeds, memory: Memory::COMPRESSED };

const HOW: [Compression; 3] = [Compression::Lz4, Compression::Zstd(1), Compression::Zstd(3)];

fn run(input: &[u8], _mode: Mode) {
    let mut reader = InputReader::new(input);
    let tag = reader.u8();
    let raw_len = reader.u32() as usize;
    let stored = reader.rest();
    if let Some(codec) = Codec::from_tag(tag % 4)
        && let Ok(plain) = decompress(stored, codec, raw_len)
    {
        assert_eq!(plain.len(), raw_len);
    }
    let how = HOW[usize::from(tag) % HOW.len()];
    if let Some((codec, packed)) = compress(stored, how) {
        assert!(packed.len() < stored.len());
        assert_eq!(decompress(&packed, codec, stored.len()).as_deref(), Ok(stored));
        assert!(decompress(&packed, codec, stored.len() + 1).is_err());
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let plain = b"the same words again and again, ".repeat(6);
    let mut seeds = vec![[&[0], &(plain.len() as u32).to_le_bytes()[..], &plain].concat()];
    for how in HOW {
        for plain in [plain.clone(), vec![0; 5000]] {
            let (codec, packed) = compress(&plain, how).unwrap();
            seeds.push([&[codec.tag()], &(plain.len() as u32).to_le_bytes()[..], &packed].concat());
        }
    }
    seeds
}
