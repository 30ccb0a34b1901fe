//! What was written lately: a transaction may commit unless a later commit wrote what it has read.

use std::sync::atomic::{AtomicBool, Ordering};

use base::Version;
use parking_lot::{Mutex, RwLock};

use crate::commit_log::{Backlog, CommitLog};
use crate::fingerprint_index::FingerprintIndex;
use crate::{Conflict, ReadSet, WrittenKeys};

/// How many commits are taken out of the log under one hold of its lock.
const BATCH_COMMITS: usize = 64;
/// With fewer keys to compare than this, the index is not worth a look.
const WALK_KEYS: u64 = 128;
/// A prune is worth its while when so many commits came since the last one.
const PRUNE_COMMITS: usize = 64;

/// Proof that a transaction was checked against the commits known then.
#[derive(Clone, Copy, Debug)]
#[must_use = "a check alone commits nothing"]
pub struct Checked {
    read_version: Version,
    checked_to: Version,
}

/// The commits that a transaction now open may not know, with their keys.
///
/// Three locks, none of which is held for long by anyone whom a committer must wait for: the caller's own
/// numbering lock around [`RecentCommits::admit`]; `log`, held to push or to copy a few handles; `index`, which only
/// checks before the numbering lock use, and which therefore may take its time.
#[derive(Debug)]
pub struct RecentCommits {
    log: Mutex<CommitLog>,
    index: RwLock<FingerprintIndex>,
    max_bytes: usize,
    /// Set by the commit that makes a prune worth its while; a committer looks at it without the lock.
    prune_due: AtomicBool,
}

impl RecentCommits {
    /// Begins behind `last`, the newest commit so far, and uses about `max_bytes` of memory at most: when more is
    /// needed the oldest commits are forgotten, and transactions that began before them are refused.
    #[must_use]
    pub fn new(last: Version, max_bytes: usize) -> Self {
        Self {
            log: Mutex::new(CommitLog::new(last)),
            index: RwLock::new(FingerprintIndex::default()),
            max_bytes,
            prune_due: AtomicBool::new(false),
        }
    }

    /// Checks what a transaction read at `read_version` against the commits known now. Takes as long as it takes,
    /// and keeps no committer waiting.
    ///
    /// # Errors
    /// [`Conflict`] when a commit after `read_version` wrote something of it, or may have and is forgotten.
    pub fn check_before(&self, reads: &ReadSet, read_version: Version) -> Result<Checked, Conflict> {
        if reads.is_empty() {
            return Ok(Checked { read_version, checked_to: read_version });
        }
        let backlog = self.log.lock().backlog(read_version)?;
        if backlog.commits == 0 {
            return Ok(Checked { read_version, checked_to: read_version });
        }
        let points_checked_to = self.check_points(reads, read_version, &backlog)?;
        let mut checked_to = if reads.has_ranges() { read_version } else { points_checked_to };
        let mut looked_at = 0;
        loop {
            let batch = self.log.lock().batch_after(checked_to, BATCH_COMMITS, read_version)?;
            for commit in &batch {
                commit.check(reads, commit.version > points_checked_to)?;
            }
            checked_to = batch.last().map_or(checked_to, |last| last.version);
            looked_at += batch.len();
            // Commits come in meanwhile. Whoever is not twice as fast as they are will not catch up at all, and
            // leaves the rest to `admit`.
            if batch.len() < BATCH_COMMITS || looked_at > 2 * backlog.commits + BATCH_COMMITS {
                return Ok(Checked { read_version, checked_to });
            }
        }
    }

    /// Checks the rest, the commits since `checked`, and records this commit, which wrote `keys`, as the newest.
    ///
    /// Call it under the lock that gives out versions, with a version above all before. On an error nothing is
    /// recorded, and the version is free for another commit.
    ///
    /// # Errors
    /// [`Conflict`], as for [`RecentCommits::check_before`].
    pub fn admit(
        &self,
        reads: &ReadSet,
        checked: &Checked,
        version: Version,
        keys: &WrittenKeys,
    ) -> Result<(), Conflict> {
        let mut log = self.log.lock();
        if !reads.is_empty() {
            log.check_remembered(checked.read_version)?;
            log.check_after(checked.checked_to, reads)?;
        }
        if !keys.is_empty() {
            log.push(version, keys);
            log.shrink_to(self.max_bytes);
            if log.len() >= 2 * log.len_after_prune() + PRUNE_COMMITS {
                self.prune_due.store(true, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Records a commit that wrote nobody knows what, as an ingestion of tables does: every transaction that has
    /// read anything, and began before it, is refused. Call it where [`RecentCommits::admit`] would be called.
    pub fn admit_unknown(&self, version: Version) {
        let forgotten = self.log.lock().forget_all(version);
        drop(forgotten);
    }

    /// True when enough commits came since the last prune to make another worth its while.
    #[must_use]
    pub fn is_prune_due(&self) -> bool {
        self.prune_due.load(Ordering::Relaxed)
    }

    /// Forgets the commits at or below `below`, which must be [`crate::Snapshots::oldest_read_write`] or less for
    /// nobody to be refused on that account.
    pub fn prune(&self, below: Version) {
        let mut log = self.log.lock();
        self.prune_due.store(false, Ordering::Relaxed);
        let forgotten = log.prune(below);
        let (key_count, pruned_to) = (log.key_count(), log.pruned_to());
        drop(log);
        drop(forgotten);
        // A check that is at work in the index will be followed by another prune.
        if let Some(mut index) = self.index.try_write()
            && index.is_sweep_due(key_count)
        {
            index.sweep(pruned_to);
        }
    }

    /// How many commits are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.log.lock().len()
    }

    /// True when no commit is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how much memory it takes, in bytes.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.log.lock().byte_len()
    }

    /// The newest commit that is forgotten: transactions that read below it are refused.
    #[must_use]
    pub fn pruned_to(&self) -> Version {
        self.log.lock().pruned_to()
    }

    /// Checks the points against the index where that is less work than to walk through the commits. Returns the
    /// version up to which they are checked.
    fn check_points(
        &self,
        reads: &ReadSet,
        read_version: Version,
        backlog: &Backlog,
    ) -> Result<Version, Conflict> {
        let points = reads.points();
        if points.len() == 0 || backlog.keys <= WALK_KEYS.max(points.len() as u64) {
            return Ok(read_version);
        }
        self.catch_up();
        let index = self.index.read();
        // Asked under the index lock: what has been swept out of it is then known to be forgotten.
        self.log.lock().check_remembered(read_version)?;
        for point in points {
            if let Some(lost_to) = index.newest(point).filter(|newest| *newest > read_version) {
                return Err(Conflict { lost_to });
            }
        }
        Ok(index.indexed_to().max(read_version))
    }

    /// Brings the index up to the commits known now.
    fn catch_up(&self) {
        let mut index = self.index.write();
        let target = self.log.lock().newest();
        while index.indexed_to() < target {
            let batch = self.log.lock().remembered_after(index.indexed_to(), BATCH_COMMITS);
            if batch.is_empty() {
                return;
            }
            batch.iter().for_each(|commit| index.insert(commit));
        }
    }
}
