//! What is known of a table without opening it; persisted as it stands here.

use serde::{Deserialize, Serialize};

/// One living table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableMeta {
    /// Its file number.
    pub number: u64,
    /// Its level, 0 to [`crate::MAX_LEVELS`] - 1.
    pub level: u8,
    /// The first user key that it may hold.
    #[serde(with = "user_key")]
    pub smallest: Vec<u8>,
    /// The last user key that it may hold, inclusive.
    #[serde(with = "user_key")]
    pub largest: Vec<u8>,
    /// The length of its file, in bytes.
    pub file_bytes: u64,
    /// How many entries it holds, tombstones included.
    pub entries: u64,
    /// How many of them are tombstones.
    pub tombstones: u64,
    /// Keys and values before compression, in bytes.
    pub raw_bytes: u64,
    /// The lowest version in it.
    pub min_version: u64,
    /// The highest version in it.
    pub max_version: u64,
    /// The first moment at which one of its entries expires, in seconds since the Unix epoch.
    pub min_expiry: Option<u64>,
    /// The last such moment. Present exactly when [`TableMeta::min_expiry`] is.
    pub max_expiry: Option<u64>,
    /// The oldest generation whose commits it may hold. With `newest_generation` this is its age in level 0.
    pub oldest_generation: u64,
    /// The newest generation whose commits it may hold.
    pub newest_generation: u64,
    /// When it was written, in seconds since the Unix epoch.
    pub created_at: u64,
    /// What it references in each value segment, in ascending order of segments.
    pub value_use: Vec<ValueUse>,
}

/// What a table references in one value segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ValueUse {
    /// The segment's file number.
    pub segment: u64,
    /// How many values.
    pub values: u64,
    /// The length of their records with padding, in bytes.
    pub record_bytes: u64,
}

impl TableMeta {
    /// True when `user_key` lies within its bounds.
    #[must_use]
    pub fn contains(&self, user_key: &[u8]) -> bool {
        self.smallest.as_slice() <= user_key && user_key <= self.largest.as_slice()
    }

    /// True when its bounds and those of `other` have a key in common.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.smallest <= other.largest && other.smallest <= self.largest
    }

    /// True when its age and that of `other` have a generation in common.
    #[must_use]
    pub fn shares_age(&self, other: &Self) -> bool {
        self.oldest_generation <= other.newest_generation && other.oldest_generation <= self.newest_generation
    }
}

/// Keys as byte strings: the same bytes on disk as a sequence of numbers, and several times faster.
mod user_key {
    use std::fmt;

    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(key: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(key)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        // Borrowed, then copied: an owned buffer would be allocated for as many bytes as are announced.
        deserializer.deserialize_bytes(KeyVisitor)
    }

    struct KeyVisitor;

    impl Visitor<'_> for KeyVisitor {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a byte string")
        }

        fn visit_bytes<E: Error>(self, key: &[u8]) -> Result<Vec<u8>, E> {
            Ok(key.to_vec())
        }
    }
}
