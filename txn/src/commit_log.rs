//! The recent commits in order. Lives behind a lock that is only ever held for a moment.

use std::collections::VecDeque;

use base::Version;

use crate::{Conflict, ReadSet, WrittenKeys};

/// What a commit costs beside its keys, in bytes.
const COMMIT_OVERHEAD_BYTES: usize = 64;
/// What a key costs in the fingerprint index, should it get there, in bytes.
const INDEXED_KEY_BYTES: usize = 32;

/// One commit and what it wrote.
#[derive(Clone, Debug)]
pub(crate) struct Commit {
    pub(crate) version: Version,
    pub(crate) keys: WrittenKeys,
    /// How many keys all commits before it wrote, since the log was made.
    keys_before: u64,
}

impl Commit {
    fn byte_len(&self) -> usize {
        COMMIT_OVERHEAD_BYTES + self.keys.byte_len() + self.keys.len() * INDEXED_KEY_BYTES
    }

    /// Fails when it wrote what was read. `with_points` = false leaves the points out: they are checked already.
    pub(crate) fn check(&self, reads: &ReadSet, with_points: bool) -> Result<(), Conflict> {
        let is_hit = (with_points && reads.has_point_in(&self.keys)) || reads.has_range_over(&self.keys);
        if is_hit { Err(Conflict { lost_to: self.version }) } else { Ok(()) }
    }
}

/// What has been committed since a transaction began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backlog {
    /// How many commits.
    pub(crate) commits: usize,
    /// How many keys they wrote.
    pub(crate) keys: u64,
}

/// Commits in version order; the oldest may have been forgotten.
#[derive(Debug)]
pub(crate) struct CommitLog {
    commits: VecDeque<Commit>,
    pruned_to: Version,
    newest: Version,
    key_count: u64,
    byte_len: usize,
    len_after_prune: usize,
}

impl CommitLog {
    /// Knows nothing of the commits up to `last`.
    pub(crate) fn new(last: Version) -> Self {
        Self {
            commits: VecDeque::new(),
            pruned_to: last,
            newest: last,
            key_count: 0,
            byte_len: 0,
            len_after_prune: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.commits.len()
    }

    pub(crate) fn byte_len(&self) -> usize {
        self.byte_len
    }

    pub(crate) fn len_after_prune(&self) -> usize {
        self.len_after_prune
    }

    pub(crate) fn pruned_to(&self) -> Version {
        self.pruned_to
    }

    pub(crate) fn newest(&self) -> Version {
        self.newest
    }

    /// How many keys the remembered commits wrote.
    pub(crate) fn key_count(&self) -> u64 {
        self.commits.front().map_or(0, |oldest| self.key_count - oldest.keys_before)
    }

    /// How much a transaction with this read version has to be checked against.
    pub(crate) fn backlog(&self, read_version: Version) -> Result<Backlog, Conflict> {
        self.check_remembered(read_version)?;
        let first = self.position_after(read_version);
        let keys = self.commits.get(first).map_or(0, |commit| self.key_count - commit.keys_before);
        Ok(Backlog { commits: self.commits.len() - first, keys })
    }

    /// Fails when a commit after `version` may have been forgotten: what it wrote is not known then.
    pub(crate) fn check_remembered(&self, version: Version) -> Result<(), Conflict> {
        if version < self.pruned_to { Err(Conflict { lost_to: self.pruned_to }) } else { Ok(()) }
    }

    /// Fails when a commit after `version` wrote what was read.
    pub(crate) fn check_after(&self, version: Version, reads: &ReadSet) -> Result<(), Conflict> {
        self.commits.range(self.position_after(version)..).try_for_each(|commit| commit.check(reads, true))
    }

    /// The first commits after `version`, at most `limit`, to be looked at without the lock; for a transaction
    /// that must miss none after `read_version`.
    pub(crate) fn batch_after(
        &self,
        version: Version,
        limit: usize,
        read_version: Version,
    ) -> Result<Vec<Commit>, Conflict> {
        self.check_remembered(read_version)?;
        Ok(self.remembered_after(version, limit))
    }

    /// The first commits after `version`, at most `limit`, without those that are forgotten.
    pub(crate) fn remembered_after(&self, version: Version, limit: usize) -> Vec<Commit> {
        self.commits.range(self.position_after(version)..).take(limit).cloned().collect()
    }

    /// Adds the newest commit.
    pub(crate) fn push(&mut self, version: Version, keys: &WrittenKeys) {
        debug_assert!(version > self.newest, "commit {version} comes after {}", self.newest);
        let commit = Commit { version, keys: keys.clone(), keys_before: self.key_count };
        self.key_count += keys.len() as u64;
        self.byte_len += commit.byte_len();
        self.newest = version;
        self.commits.push_back(commit);
    }

    /// Forgets the oldest commits until no more than `max_bytes` are used.
    pub(crate) fn shrink_to(&mut self, max_bytes: usize) {
        while self.byte_len > max_bytes
            && let Some(oldest) = self.commits.pop_front()
        {
            self.byte_len -= oldest.byte_len();
            self.pruned_to = oldest.version;
        }
    }

    /// Forgets the commits up to `version`; they are returned, to be freed without the lock.
    pub(crate) fn prune(&mut self, version: Version) -> VecDeque<Commit> {
        let kept = self.commits.split_off(self.position_after(version));
        let pruned = std::mem::replace(&mut self.commits, kept);
        if let Some(last) = pruned.back() {
            self.pruned_to = last.version;
        }
        self.byte_len -= pruned.iter().map(Commit::byte_len).sum::<usize>();
        self.len_after_prune = self.commits.len();
        pruned
    }

    /// Forgets everything up to `version`, which is the newest commit and of which no keys are known.
    pub(crate) fn forget_all(&mut self, version: Version) -> VecDeque<Commit> {
        self.newest = self.newest.max(version);
        self.pruned_to = self.newest;
        self.byte_len = 0;
        self.len_after_prune = 0;
        std::mem::take(&mut self.commits)
    }

    /// Where the commits after `version` begin; quickest near the end, where nearly everybody asks.
    fn position_after(&self, version: Version) -> usize {
        let len = self.commits.len();
        let is_after = |index: usize| self.commits.get(index).is_some_and(|commit| commit.version > version);
        let mut reach = 1;
        while reach < len && is_after(len - reach) {
            reach *= 2;
        }
        let (mut low, mut high) = (len.saturating_sub(reach), len);
        while low < high {
            let middle = low.midpoint(high);
            if is_after(middle) { high = middle } else { low = middle + 1 }
        }
        low
    }
}
