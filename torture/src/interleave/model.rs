//! What the database should hold: every version of every key, and nothing clever.

use std::collections::BTreeMap;

use base::Version;

/// A key; there are few.
pub(super) type Key = &'static [u8];

/// What is read of a key: the version, and the value.
pub(super) type Read = Option<(u64, Vec<u8>)>;

/// Every version that was ever written; no value is a deletion.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    versions: BTreeMap<Key, BTreeMap<u64, Option<Vec<u8>>>>,
    /// How many values there were.
    values: u64,
}

impl Model {
    /// A value that no other write has.
    pub(super) fn new_value(&mut self, len: usize) -> Vec<u8> {
        self.values += 1;
        let mut random = fastrand::Rng::with_seed(self.values);
        (0..len).map(|_| random.u8(..)).collect()
    }

    pub(super) fn write(&mut self, key: Key, version: Version, value: Option<Vec<u8>>) {
        self.versions.entry(key).or_default().insert(version.0, value);
    }

    /// What a reader of `key` at `at` gets.
    pub(super) fn get(&self, key: &[u8], at: Version) -> Read {
        let (version, value) = self.versions.get(key)?.range(..=at.0).next_back()?;
        Some((*version, value.clone()?))
    }

    /// What a reader at `at` finds in all.
    pub(super) fn dump(&self, at: Version) -> Vec<(Vec<u8>, u64, Vec<u8>)> {
        let read = |key: &Key| self.get(key, at).map(|(version, value)| (key.to_vec(), version, value));
        self.versions.keys().filter_map(read).collect()
    }
}
