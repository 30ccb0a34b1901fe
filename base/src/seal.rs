//! Sealed blocks: bytes to checked (and maybe compressed) bytes and back.
//!
//! ```text
//! | stored bytes (raw, or compressed) | codec u8 | zero u8 ×3 | raw length u32 | checksum u64 |
//! ```
//! The checksum is xxh3-64 over everything before it, seeded with the file's seed and the block's offset, so
//! that a block from another place, another file or an earlier life of the file does not pass. The trailer
//! stands behind the data so that an uncompressed block is usable where it lies.
//!
//! Log records are sealed by the same rule in [`crate::record`].

use std::path::Path;

use bytes::Bytes;

use crate::checksum::{agrees, place_seed, seeded_hash};
use crate::codec::Decoder;
use crate::compress::{Codec, compress, decompress};
use crate::header::FileHeader;
use crate::seeded::{self, Bug};
use crate::{Compression, Error, Result};

/// What sealing adds to the stored bytes, in bytes.
pub const TRAILER_BYTES: usize = 16;
/// The largest raw block, in bytes: nothing larger is written, or believed.
pub const MAX_RAW_BYTES: usize = 64 << 20;

/// Seals and opens the blocks of one file.
#[derive(Clone, Copy, Debug)]
pub struct Seal {
    seed: u64,
}

impl Seal {
    /// The seal of the file that `header` opens.
    #[must_use]
    pub fn new(header: &FileHeader) -> Self {
        Self { seed: header.seed() }
    }

    /// Appends the sealed form of `plain` to `out`; the block will start at `offset` of the file. Returns the
    /// sealed length.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] for more than [`MAX_RAW_BYTES`].
    pub fn seal(&self, offset: u64, plain: &[u8], how: Compression, out: &mut Vec<u8>) -> Result<usize> {
        let too_large = || Error::LimitExceeded {
            what: "block length in bytes",
            limit: MAX_RAW_BYTES as u64,
            got: plain.len() as u64,
        };
        if plain.len() > MAX_RAW_BYTES {
            return Err(too_large());
        }
        let raw_len = u32::try_from(plain.len()).map_err(|_| too_large())?;
        let start = out.len();
        let codec = match compress(plain, how) {
            Some((codec, packed)) => {
                out.extend_from_slice(&packed);
                codec
            }
            None => {
                out.extend_from_slice(plain);
                Codec::None
            }
        };
        out.extend_from_slice(&[codec.tag(), 0, 0, 0]);
        out.extend_from_slice(&raw_len.to_le_bytes());
        let check = seeded_hash(out.get(start..).unwrap_or_default(), place_seed(self.seed, offset));
        out.extend_from_slice(&check.to_le_bytes());
        Ok(out.len() - start)
    }

    /// Checks a sealed block that starts at `offset` of `file`.
    ///
    /// # Errors
    /// [`Error::Corruption`] unless the checksum agrees.
    pub fn verify(&self, file: &Path, offset: u64, sealed: &[u8]) -> Result<()> {
        let Some((checked, check)) = sealed.split_last_chunk().filter(|_| sealed.len() >= TRAILER_BYTES)
        else {
            return Err(Error::corruption(file, offset, "block is shorter than its trailer"));
        };
        let computed = seeded_hash(checked, place_seed(self.seed, offset));
        if agrees(u64::from_le_bytes(*check), computed) || seeded::is(Bug::SkipBlockChecksum) {
            Ok(())
        } else {
            Err(Error::corruption(file, offset, "block checksum differs"))
        }
    }

    /// Verifies and opens a sealed block; shares memory with `sealed` when it is not compressed.
    ///
    /// # Errors
    /// [`Error::Corruption`] for anything that [`Seal::seal`] did not write at this place.
    pub fn open(&self, file: &Path, offset: u64, sealed: &Bytes) -> Result<Bytes> {
        self.verify(file, offset, sealed)?;
        Self::open_verified(file, offset, sealed)
    }

    /// The raw bytes of a block that [`Seal::verify`] has accepted before, where they lie; `None` when they are
    /// compressed.
    #[inline]
    #[must_use]
    pub fn in_place(sealed: &[u8]) -> Option<&[u8]> {
        let (stored, trailer) = sealed.split_last_chunk::<TRAILER_BYTES>()?;
        (trailer.first() == Some(&Codec::None.tag())).then_some(stored)
    }

    /// Opens a block that [`Seal::verify`] has accepted before.
    ///
    /// # Errors
    /// [`Error::Corruption`] when the trailer makes no sense or the bytes do not decompress.
    pub fn open_verified(file: &Path, offset: u64, sealed: &Bytes) -> Result<Bytes> {
        let damaged = |what: &'static str| Error::corruption(file, offset, what);
        let stored_len = sealed
            .len()
            .checked_sub(TRAILER_BYTES)
            .ok_or_else(|| damaged("block is shorter than its trailer"))?;
        let mut trailer = Decoder::new(sealed.get(stored_len..).unwrap_or_default());
        let read = |error: crate::codec::Malformed| damaged(error.what);
        let tag = trailer.u8("block codec").map_err(read)?;
        let codec = Codec::from_tag(tag).ok_or_else(|| damaged("unknown block codec"))?;
        trailer.bytes(3, "block trailer").map_err(read)?;
        let raw_len = trailer.u32("block raw length").map_err(read)? as usize;
        match codec {
            Codec::None if raw_len == stored_len => Ok(sealed.slice(..stored_len)),
            Codec::None => Err(damaged("raw length of an uncompressed block differs")),
            Codec::Lz4 | Codec::Zstd if raw_len <= MAX_RAW_BYTES => {
                let stored = sealed.get(..stored_len).unwrap_or_default();
                decompress(stored, codec, raw_len).map(Bytes::from).map_err(read)
            }
            Codec::Lz4 | Codec::Zstd => Err(damaged("raw length is above the limit")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::{FileIdentity, FileKind};
    use crate::vfs::MemVfs;

    fn seal(number: u64) -> Seal {
        let vfs = MemVfs::new();
        let header = FileHeader::new(
            &vfs,
            FileKind::Table,
            1,
            FileIdentity { file_number: number, ..Default::default() },
        )
        .unwrap();
        Seal::new(&header)
    }

    #[test]
    fn blocks_come_back_only_unharmed_and_in_their_place() {
        let file = Path::new("000001.sst");
        let (mine, other) = (seal(1), seal(2));
        let text = b"some words, some words, some words, some words".repeat(3);
        for how in [Compression::None, Compression::Lz4, Compression::Zstd(3)] {
            let mut out = b"before".to_vec();
            let len = mine.seal(64, &text, how, &mut out).unwrap();
            let sealed = Bytes::from(out).slice(6..);
            assert_eq!(sealed.len(), len);
            assert_eq!(mine.open(file, 64, &sealed).unwrap(), text);
            assert!(mine.open(file, 72, &sealed).unwrap_err().is_corruption());
            assert!(other.open(file, 64, &sealed).unwrap_err().is_corruption());
            for bit in 0..sealed.len() * 8 {
                let mut flipped = sealed.to_vec();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(mine.open(file, 64, &Bytes::from(flipped)).unwrap_err().is_corruption());
            }
            for len in 0..sealed.len() {
                assert!(mine.open(file, 64, &sealed.slice(..len)).unwrap_err().is_corruption());
            }
        }
    }
}
