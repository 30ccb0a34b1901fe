//! Optional compression of a unit of bytes; kept only when it pays.

use crate::codec::Malformed;

/// How bytes are to be compressed before they are sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Stored as they are.
    #[default]
    None,
    /// Fast in both directions; about 0.5 to 0.6 of the size on typical data.
    Lz4,
    /// Smaller than lz4 and slower, at this level (1 to 22).
    Zstd(i32),
}

/// The codec of stored bytes, as written in front of or behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Stored as they are.
    None,
    /// lz4 block format.
    Lz4,
    /// One zstd frame.
    Zstd,
}

impl Codec {
    /// The number on disk.
    #[must_use]
    pub fn tag(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Lz4 => 1,
            Self::Zstd => 2,
        }
    }

    /// The codec of a number on disk.
    #[must_use]
    pub fn from_tag(tag: u8) -> Option<Self> {
        match tag {
            0 => Some(Self::None),
            1 => Some(Self::Lz4),
            2 => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// Compresses `plain`. `None` when that would save less than an eighth, or when none is asked for.
#[must_use]
pub fn compress(plain: &[u8], how: Compression) -> Option<(Codec, Vec<u8>)> {
    let (codec, packed) = match how {
        Compression::None => return None,
        Compression::Lz4 => (Codec::Lz4, lz4_flex::block::compress(plain)),
        Compression::Zstd(level) => (Codec::Zstd, zstd::bulk::compress(plain, level).ok()?),
    };
    (packed.len() <= plain.len() - plain.len() / 8 && packed.len() < plain.len()).then_some((codec, packed))
}

/// The most that lz4 makes of one byte: a length goes on in bytes that stand for 255 each.
const LZ4_EXPANSION_MAX: usize = 255;
/// The most that zstd makes of its smallest block, which is 4 bytes long, in bytes.
const ZSTD_BLOCK_BYTES_MAX: usize = 128 << 10;

/// True when `stored` could be `raw_len` bytes long once it is restored: memory is taken only then.
fn can_expand_to(stored: &[u8], codec: Codec, raw_len: usize) -> bool {
    match codec {
        Codec::None => stored.len() == raw_len,
        Codec::Lz4 => raw_len <= stored.len().saturating_mul(LZ4_EXPANSION_MAX),
        Codec::Zstd => {
            let most = (stored.len() / 4).saturating_mul(ZSTD_BLOCK_BYTES_MAX);
            // The writer always puts the length into the frame as well.
            let announced = zstd::zstd_safe::get_frame_content_size(stored).ok().flatten();
            raw_len <= most && announced == Some(raw_len as u64)
        }
    }
}

/// Restores `raw_len` bytes. The caller has verified `stored` and bounded `raw_len`. Allocates nothing when `stored` is
/// too short to become that long.
///
/// # Errors
/// [`Malformed`] when the bytes do not decompress to exactly `raw_len`.
pub fn decompress(stored: &[u8], codec: Codec, raw_len: usize) -> Result<Vec<u8>, Malformed> {
    let malformed = |what| Malformed { offset: 0, what };
    if !can_expand_to(stored, codec, raw_len) {
        return Err(malformed("decompressed length differs"));
    }
    let plain = match codec {
        Codec::None => stored.to_vec(),
        Codec::Lz4 => lz4_flex::block::decompress(stored, raw_len)
            .map_err(|_| malformed("lz4 data does not decompress"))?,
        Codec::Zstd => {
            zstd::bulk::decompress(stored, raw_len).map_err(|_| malformed("zstd data does not decompress"))?
        }
    };
    if plain.len() == raw_len { Ok(plain) } else { Err(malformed("decompressed length differs")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressible_bytes_come_back_and_random_bytes_are_left() {
        let text = b"the same words again and again ".repeat(40);
        for how in [Compression::Lz4, Compression::Zstd(1), Compression::Zstd(9)] {
            let (codec, packed) = compress(&text, how).unwrap();
            assert!(packed.len() < text.len() / 4);
            assert_eq!(decompress(&packed, codec, text.len()).unwrap(), text);
            assert!(decompress(&packed, codec, text.len() + 1).is_err());
            assert!(decompress(&packed[..packed.len() - 3], codec, text.len()).is_err());
            let noise: Vec<u8> = (0..500).map(|_| fastrand::u8(..)).collect();
            assert!(compress(&noise, how).is_none());
            assert!(compress(b"", how).is_none());
        }
    }

    /// Goal: a length is believed only when the bytes could become that long. Method: content that expands the most,
    /// then lengths that no such content has.
    #[test]
    fn announced_lengths_are_bounded_by_what_is_stored() {
        for how in [Compression::Lz4, Compression::Zstd(1), Compression::Zstd(19)] {
            for len in [1 << 10, 1 << 17, 1 << 24] {
                let zeros = vec![0; len];
                let (codec, packed) = compress(&zeros, how).unwrap();
                assert_eq!(decompress(&packed, codec, len).unwrap(), zeros);
                for wrong in [len - 1, len + 1, packed.len() << 16, usize::MAX] {
                    assert!(!can_expand_to(&packed, codec, wrong) || codec == Codec::Lz4 && wrong <= len + 1);
                    assert!(decompress(&packed, codec, wrong).is_err());
                }
            }
        }
        assert!(!can_expand_to(b"", Codec::Lz4, 1) && !can_expand_to(b"", Codec::Zstd, 0));
    }
}
