//! The one checksum: xxh3, 64 bits, seeded by place so that bytes moved from elsewhere do not pass.

mod wide;

use crate::seeded::{self, Bug};
use wide::SHORT_BYTES_MAX;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Hash of `data` alone, for content that does not know its place yet.
#[inline]
#[must_use]
pub fn content_hash(data: &[u8]) -> u64 {
    if data.len() > SHORT_BYTES_MAX
        && let Some(hash) = wide::hash(data, 0)
    {
        return hash;
    }
    xxh3_64(data)
}

/// Hash of `data` bound to `seed`.
#[inline]
#[must_use]
pub fn seeded_hash(data: &[u8], seed: u64) -> u64 {
    if data.len() > SHORT_BYTES_MAX
        && let Some(hash) = wide::hash(data, seed)
    {
        return hash;
    }
    xxh3_64_with_seed(data, seed)
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
