//! The long form of xxh3-64 with vectors of 256 bits, for processors that turn out to have them.
//!
//! `xxhash-rust` chooses its vectors when it is compiled, which for programs that are to run on any x86-64 are 128 bits. Half as
//! many instructions do more than halve the time of a hash that waits for memory: twice as many cache lines are under way in
//! the processor's window.

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx2;

/// Inputs above this are hashed in the long form, in bytes; shorter ones have forms of their own.
pub(super) const SHORT_BYTES_MAX: usize = 240;

/// The hash of `data`, longer than [`SHORT_BYTES_MAX`], with `seed`; `None` when the processor lacks the vectors.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
pub(super) fn hash(data: &[u8], seed: u64) -> Option<u64> {
    avx2::hash(data, seed)
}

/// The vectors are not known here.
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
#[inline]
pub(super) fn hash(_data: &[u8], _seed: u64) -> Option<u64> {
    None
}

#[cfg(all(test, target_arch = "x86_64", not(miri)))]
mod tests {
    use super::*;
    use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

    /// Goal: the same hash as that of the crate, which is the oracle. Method: every length of the long form up to three blocks of
    /// stripes and some beyond, unaligned too, without a seed and with several.
    #[test]
    fn the_wide_hash_is_the_hash() {
        let bytes: Vec<u8> =
            (0..70_000_u32).map(|at| (at.wrapping_mul(0x9e37_79b1) >> 13).to_le_bytes()[0]).collect();
        let lengths = (SHORT_BYTES_MAX + 1..3200).chain([4096, 4113, 16_384, 65_536, 69_990]);
        for (skipped, len) in lengths.enumerate() {
            let data = &bytes[skipped % 9..][..len];
            if let Some(wide) = hash(data, 0) {
                assert_eq!(wide, xxh3_64(data), "{len} bytes");
            }
            for seed in [1, len as u64, u64::MAX, 0x0123_4567_89ab_cdef] {
                if let Some(wide) = hash(data, seed) {
                    assert_eq!(wide, xxh3_64_with_seed(data, seed), "{len} bytes, seed {seed}");
                }
            }
        }
    }
}
