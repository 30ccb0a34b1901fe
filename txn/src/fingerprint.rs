//! Keys as 64-bit numbers: a point read is remembered by its fingerprint, whatever the length of its key.
//!
//! Two keys with one fingerprint cost a needless conflict, never a missed one.

use std::hash::{BuildHasherDefault, Hasher};

/// The fingerprint of `key`.
#[inline]
pub(crate) fn fingerprint(key: &[u8]) -> u64 {
    base::checksum::content_hash(key)
}

/// For hash tables keyed by fingerprints.
pub(crate) type FingerprintHashing = BuildHasherDefault<FingerprintHasher>;

/// Passes the fingerprint through: it is a hash already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FingerprintHasher(u64);

impl Hasher for FingerprintHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = fingerprint(bytes);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
