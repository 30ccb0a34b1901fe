//! Which campaign must find which bug.

use base::seeded::Bug;

/// The name of the campaign that is there for `bug`.
#[must_use]
pub fn harness(bug: Bug) -> &'static str {
    match bug {
        Bug::SkipDirectorySync
        | Bug::SkipTableSync
        | Bug::SkipLogSync
        | Bug::SkipManifestSync
        | Bug::SkipManifestDirectorySync
        | Bug::UnlinkBeforeEdit
        | Bug::RecoveryUnlinksFirst
        | Bug::SyncOwnLogOnly
        | Bug::RecoveryJumpsHoles
        | Bug::RecoveryTrustsTheCache
        | Bug::MarkTooHigh
        | Bug::ReuseFileNumbers
        | Bug::FlushedTooFar
        | Bug::RetireTooManyGenerations
        | Bug::CleanCloseWithoutFlush
        | Bug::FlushNewestFirst
        | Bug::CompactionLeavesOlderL0
        | Bug::InstallWithoutRelease => "power",
        Bug::IgnoreLogWriteError
        | Bug::IgnoreLogSyncError
        | Bug::RetryFailedSync
        | Bug::IgnoreManifestWriteError
        | Bug::GoOnAfterHalt
        | Bug::PublishBeforeLog
        | Bug::ScanSwallowsReadErrors
        | Bug::DeleteFilesOfAnEditInDoubt
        | Bug::NoSpaceAfterNumbering => "faults",
        Bug::SkipBlockChecksum
        | Bug::SkipRecordChecksum
        | Bug::ChecksumWithoutPlace
        | Bug::SkipHeaderIdentity
        | Bug::OpenWithoutCensus
        | Bug::TornTailHidesDurableCommits => "rot",
        Bug::DropTombstoneTooEarly
        | Bug::DropTombstoneOfPartOnly
        | Bug::ForgetHeldSnapshots
        | Bug::ChooseBusyTables
        | Bug::MemtableGoesTooEarly
        | Bug::UnlinkWhileRead => "interleave",
        Bug::AcknowledgeBeforeWrite => "kill",
        Bug::OpenWithoutLock => "race",
        Bug::WriteInReadOnlyOpen => "read-only",
        Bug::NoSpaceHaltsForEver => "full-disk",
    }
}
