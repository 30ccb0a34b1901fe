//! The plain map of versions, and what a reader, a scan and a commit should get from it.

use std::collections::BTreeMap;
use std::ops::Bound;

/// One version of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) user_meta: u8,
    pub(crate) expires_at: Option<u64>,
    pub(crate) hides_older: bool,
}

impl Entry {
    pub(crate) fn is_live(&self, time: u64) -> bool {
        self.value.is_some() && !self.is_expired(time)
    }

    pub(crate) fn is_expired(&self, time: u64) -> bool {
        self.expires_at.is_some_and(|at| at <= time)
    }
}

/// What an iteration shows of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: Vec<u8>,
    /// 0 for a write of the transaction itself.
    pub(crate) version: u64,
    pub(crate) entry: Entry,
}

pub(crate) type Writes = BTreeMap<Vec<u8>, Entry>;
pub(crate) type KeyRange = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// Every version that was ever committed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Oracle {
    /// Newest last.
    keys: BTreeMap<Vec<u8>, Vec<(u64, Entry)>>,
    /// The keys of each commit.
    commits: Vec<(u64, Vec<Vec<u8>>)>,
}

impl Oracle {
    pub(crate) fn commit(&mut self, version: u64, writes: &Writes) {
        for (key, entry) in writes {
            self.keys.entry(key.clone()).or_default().push((version, entry.clone()));
        }
        self.commits.push((version, writes.keys().cloned().collect()));
    }

    pub(crate) fn last_version(&self) -> u64 {
        self.commits.last().map_or(0, |(version, _)| *version)
    }

    /// All versions of `key` that a reader at `version` may see, newest first.
    pub(crate) fn versions(&self, key: &[u8], version: u64) -> impl Iterator<Item = &(u64, Entry)> {
        self.keys.get(key).into_iter().flatten().rev().filter(move |(of, _)| *of <= version)
    }

    pub(crate) fn get(&self, key: &[u8], version: u64, time: u64) -> Option<&(u64, Entry)> {
        self.versions(key, version).next().filter(|(_, entry)| entry.is_live(time))
    }

    /// The live rows of a range, with the writes of a transaction on top.
    pub(crate) fn rows(
        &self,
        range: &KeyRange,
        version: u64,
        time: u64,
        since: u64,
        own: &Writes,
    ) -> Vec<Row> {
        let mut rows = BTreeMap::new();
        for key in self.keys.keys().filter(|key| contains(range, key)) {
            if let Some((of, entry)) = self.get(key, version, time)
                && *of > since
            {
                rows.insert(key.clone(), (*of, entry.clone()));
            }
        }
        for (key, entry) in own.iter().filter(|(key, _)| contains(range, key)) {
            if entry.is_live(time) {
                rows.insert(key.clone(), (0, entry.clone()));
            } else {
                rows.remove(key);
            }
        }
        rows.into_iter().map(|(key, (version, entry))| Row { key, version, entry }).collect()
    }

    /// True when a commit after `version` wrote one of these keys, or into one of these ranges.
    pub(crate) fn is_overtaken(&self, version: u64, points: &[Vec<u8>], ranges: &[KeyRange]) -> bool {
        self.commits.iter().rev().take_while(|(of, _)| *of > version).any(|(_, keys)| {
            keys.iter().any(|key| points.contains(key) || ranges.iter().any(|range| contains(range, key)))
        })
    }
}

pub(crate) fn contains(range: &KeyRange, key: &[u8]) -> bool {
    let after_start = match &range.0 {
        Bound::Unbounded => true,
        Bound::Included(start) => key >= start.as_slice(),
        Bound::Excluded(start) => key > start.as_slice(),
    };
    let before_end = match &range.1 {
        Bound::Unbounded => true,
        Bound::Included(end) => key <= end.as_slice(),
        Bound::Excluded(end) => key < end.as_slice(),
    };
    after_start && before_end
}
