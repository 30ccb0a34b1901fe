//! The one checksum: xxh3, 64 bits, seeded by place so that bytes moved from elsewhere do not pass.

use twox_hash::XxHash3_64;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::seeded::{self, Bug};

/// Inputs above this are hashed in the long form of the algorithm, in bytes; shorter ones have forms of their own, which are inlined.
///
/// `xxhash-rust` chooses its vectors when it is compiled, which for programs that are to run on any x86-64 are those of 128 bits;
/// `twox-hash` looks what the processor has when it runs. Both compute the same.
const SHORT_BYTES_MAX: usize = 240;

/// Hash of `data` alone, for content that does not know its place yet.
#[inline]
#[must_use]
pub fn content_hash(data: &[u8]) -> u64 {
    if data.len() > SHORT_BYTES_MAX { XxHash3_64::oneshot(data) } else { xxh3_64(data) }
}

/// Hash of `data` bound to `seed`.
#[inline]
#[must_use]
pub fn seeded_hash(data: &[u8], seed: u64) -> u64 {
    if data.len() > SHORT_BYTES_MAX {
        XxHash3_64::oneshot_with_seed(seed, data)
    } else {
        xxh3_64_with_seed(data, seed)
    }
}

/// True when the hash that was stored is the one that the bytes have. Every comparison of checksums goes through here,
/// so that a test can do without them: see `integrity`.
#[inline]
#[must_use]
pub fn agrees(stored: u64, computed: u64) -> bool {
    #[cfg(any(test, feature = "test-util"))]
    if crate::integrity::is_bypassed() {
        return true;
    }
    stored == computed
}

/// A seed for the unit that starts at `offset` of a file whose own seed is `file_seed`.
#[inline]
#[must_use]
pub fn place_seed(file_seed: u64, offset: u64) -> u64 {
    if seeded::is(Bug::ChecksumWithoutPlace) {
        return 0;
    }
    // An odd multiplier is a bijection, so two offsets of a file never share a seed.
    file_seed ^ offset.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what is stored depends on neither of the two crates. Method: every length up to some blocks of the long form and some
    /// beyond, unaligned too, without a seed and with several; the crate for short inputs is the oracle for all.
    #[test]
    fn both_crates_compute_the_same() {
        let bytes: Vec<u8> =
            (0..70_000_u32).map(|at| (at.wrapping_mul(0x9e37_79b1) >> 13).to_le_bytes()[0]).collect();
        let lengths = (0..3_200).chain([4_096, 4_113, 16_384, 65_536, 69_990]);
        for (skipped, len) in lengths.enumerate() {
            let data = &bytes[skipped % 9..][..len];
            assert_eq!(content_hash(data), xxh3_64(data), "{len} bytes");
            for seed in [1, len as u64, u64::MAX, 0x0123_4567_89ab_cdef] {
                assert_eq!(
                    seeded_hash(data, seed),
                    xxh3_64_with_seed(data, seed),
                    "{len} bytes, seed {seed}"
                );
            }
        }
    }
}
