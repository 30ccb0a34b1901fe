//! Bugs on purpose: each re-creates a defect that real storage engines had, so that it can be shown that the harness meant for
//! it finds it.
//!
//! They exist only in a build with `--cfg seeded_bugs`, all of them at once, and the environment variable
//! [`VARIABLE`] chooses the one that is alive; without the variable none is. In every other build [`is`] is a constant `false`
//! and [`ignoring`] returns what it is given, so that a place that asks costs nothing.
//!
//! `kv-torture --seeded-bugs` runs the proof.

use crate::Result;

/// The environment variable that names the bug that is alive.
pub const VARIABLE: &str = "KV_SEEDED_BUG";

/// Declares the bugs with their names.
macro_rules! bugs {
    ($($(#[$about:meta])* $bug:ident = $name:literal,)*) => {
        /// A bug on purpose.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Bug {
            $($(#[$about])* $bug,)*
        }

        impl Bug {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$bug,)*];

            /// Its name, in words with hyphens between them.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$bug => $name,)*
                }
            }
        }
    };
}

bugs! {
    // What a power cut shows.
    /// A flush does not sync the directory: the names of its tables are not durable when the edit is (rocksdb #10573).
    SkipDirectorySync = "skip-directory-sync",
    /// Tables are not synced before the edit that lists them (badger #1625, surrealkv #390).
    SkipTableSync = "skip-table-sync",
    /// A `Sync` commit does not sync its log (badger #1847).
    SkipLogSync = "skip-log-sync",
    /// The manifest is not synced (leveldb #189).
    SkipManifestSync = "skip-manifest-sync",
    /// The directory is not synced after the new manifest got its name (rocksdb #10573).
    SkipManifestDirectorySync = "skip-manifest-directory-sync",
    /// The inputs of a compaction are unlinked before the edit that replaces them (badger #1090).
    UnlinkBeforeEdit = "unlink-before-edit",
    /// Recovery unlinks the logs that it has replayed before the edit that retires them (sled #851).
    RecoveryUnlinksFirst = "recovery-unlinks-first",
    /// A `Sync` commit syncs the newest log only, not older ones with buffered commits (rocksdb #10560).
    SyncOwnLogOnly = "sync-own-log-only",
    /// Recovery goes on behind a missing commit (rocksdb #12489).
    RecoveryJumpsHoles = "recovery-jumps-holes",
    /// Recovery leaves values where it has read them, although they may be in the cache only (rocksdb #14780).
    RecoveryTrustsTheCache = "recovery-trusts-the-cache",
    /// Records say of commits that they are durable when they are only written (pebble d40d24140).
    MarkTooHigh = "mark-too-high",
    /// An open gives numbers to files that files in the directory have already (rocksdb #7621).
    ReuseFileNumbers = "reuse-file-numbers",
    /// A flush says that everything that was committed so far is in tables, the next memtable too (badger #134).
    FlushedTooFar = "flushed-too-far",
    /// A flush retires the generations behind its own as well (pebble 77b1bbf50).
    RetireTooManyGenerations = "retire-too-many-generations",
    /// A clean close retires memtables that it has not flushed (redb #836).
    CleanCloseWithoutFlush = "clean-close-without-flush",
    /// The newest frozen memtable is flushed first (rocksdb #10921).
    FlushNewestFirst = "flush-newest-first",

    // What a failing disk shows.
    /// A failed write to a log is ignored (fjall #304).
    IgnoreLogWriteError = "ignore-log-write-error",
    /// A failed sync of a log is ignored (fjall #304).
    IgnoreLogSyncError = "ignore-log-sync-error",
    /// A failed sync of a log is tried again, and what the second one says is believed (PostgreSQL, "fsyncgate").
    RetryFailedSync = "retry-failed-sync",
    /// A failed write to the manifest is ignored (rocksdb #6316).
    IgnoreManifestWriteError = "ignore-manifest-write-error",
    /// After a failed write or sync, writing goes on (fjall #308).
    GoOnAfterHalt = "go-on-after-halt",
    /// A commit can be read before it is written (badger #1916).
    PublishBeforeLog = "publish-before-log",
    /// A merge takes a run that failed for one that has ended (rocksdb #11782).
    ScanSwallowsReadErrors = "scan-swallows-read-errors",
    /// Files that a failed edit lists are removed, although the edit may be on disk (rocksdb #4990).
    DeleteFilesOfAnEditInDoubt = "delete-files-of-an-edit-in-doubt",
    /// A commit for which there is no space when it is written is taken for one that was never numbered (rocksdb #6316).
    NoSpaceAfterNumbering = "no-space-after-numbering",

    // What rot shows.
    /// The checksums of table blocks are not compared (redb #1334).
    SkipBlockChecksum = "skip-block-checksum",
    /// The checksums of record payloads are not compared.
    SkipRecordChecksum = "skip-record-checksum",
    /// Checksums do not depend on file and offset, so that bytes from elsewhere pass (pebble #567).
    ChecksumWithoutPlace = "checksum-without-place",
    /// A file with the header of another one is taken for what its name says.
    SkipHeaderIdentity = "skip-header-identity",
    /// An open does not look whether all files are there (badger #2198).
    OpenWithoutCensus = "open-without-census",
    /// Damage below the durable mark is taken for a torn tail (badger #592).
    TornTailHidesDurableCommits = "torn-tail-hides-durable-commits",

    // What an unlucky order of steps shows.
    /// A tombstone goes although deeper levels hold older versions of its key (badger #1422).
    DropTombstoneTooEarly = "drop-tombstone-too-early",
    /// A part of a compaction sees only the deeper tables that begin inside its range (badger #1587).
    DropTombstoneOfPartOnly = "drop-tombstone-of-part-only",
    /// Versions that open snapshots read are dropped (surrealkv #326).
    ForgetHeldSnapshots = "forget-held-snapshots",
    /// A compaction of L0 takes the newest table and leaves the older ones (leveldb #184).
    CompactionLeavesOlderL0 = "compaction-leaves-older-l0",
    /// Two compactions may choose the same input (rocksdb #6799).
    ChooseBusyTables = "choose-busy-tables",
    /// The inputs of a compaction are never given free (fjall #288).
    InstallWithoutRelease = "install-without-release",
    /// A memtable disappears from reads when its flush is written, before its tables are there (rocksdb #1816).
    MemtableGoesTooEarly = "memtable-goes-too-early",
    /// A file that the manifest has let go is unlinked at once, whoever still reads it (badger #1991).
    UnlinkWhileRead = "unlink-while-read",

    // What real processes show.
    /// Commits are acknowledged before they are written.
    AcknowledgeBeforeWrite = "acknowledge-before-write",
    /// Opening does not take the lock.
    OpenWithoutLock = "open-without-lock",
    /// Opening for reading creates what is missing (badger #2234).
    WriteInReadOnlyOpen = "write-in-read-only-open",
    /// A step for which there is no space stops all writing (fjall #287).
    NoSpaceHaltsForEver = "no-space-halts-for-ever",
}

/// True when `bug` is alive.
#[cfg(not(seeded_bugs))]
#[inline(always)]
#[must_use]
pub const fn is(_bug: Bug) -> bool {
    false
}

/// True when `bug` is alive.
#[cfg(seeded_bugs)]
#[must_use]
pub fn is(bug: Bug) -> bool {
    static ALIVE: std::sync::OnceLock<Option<Bug>> = std::sync::OnceLock::new();
    let chosen = || {
        let name = std::env::var(VARIABLE).ok()?;
        Bug::ALL.iter().copied().find(|bug| bug.name() == name)
    };
    *ALIVE.get_or_init(chosen) == Some(bug)
}

/// `result`, or success where `bug` is alive and ignores errors.
///
/// # Errors
/// That of `result`.
#[inline]
pub fn ignoring(bug: Bug, result: Result<()>) -> Result<()> {
    if is(bug) { Ok(()) } else { result }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_bug_has_a_name_of_its_own_and_is_dead() {
        let names: HashSet<_> = Bug::ALL.iter().map(|bug| bug.name()).collect();
        assert_eq!(names.len(), Bug::ALL.len());
        assert!(Bug::ALL.iter().all(|bug| !is(*bug)));
    }
}
