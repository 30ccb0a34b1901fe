//! A toy database around the crate under test, with faults to put in, and a checker of what it did.

mod checker;
mod toy;

pub(crate) use toy::run;

/// What is deliberately done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Commits are not checked at all.
    SkipCheck,
    /// Scans leave no trace.
    SkipRanges,
    /// Scans leave only the keys that they returned.
    ReturnedKeysOnly,
    /// A scan that stopped early is recorded up to, but without, the key it stopped at.
    RangeEndExcluded,
    /// Keys that were not found leave no trace.
    SkipAbsentKeys,
    /// Checked as if begun one commit later.
    ReadVersionTooHigh,
    /// The check before the lock is taken to cover what came after it.
    SkipAdmissionCheck,
    /// A version becomes visible when it is given out, before it is written.
    PublishBeforeWrite,
    /// Old versions are removed as if nobody read them.
    SnapshotsNotRegistered,
    /// Old versions are removed up to one version too many.
    CutTooHigh,
}

impl Fault {
    /// All but `None`.
    pub(crate) const ALL: [Self; 10] = [
        Self::SkipCheck,
        Self::SkipRanges,
        Self::ReturnedKeysOnly,
        Self::RangeEndExcluded,
        Self::SkipAbsentKeys,
        Self::ReadVersionTooHigh,
        Self::SkipAdmissionCheck,
        Self::PublishBeforeWrite,
        Self::SnapshotsNotRegistered,
        Self::CutTooHigh,
    ];
}

/// What a run did, to see that it was worth checking.
#[derive(Debug, Default)]
pub(crate) struct Scenario {
    pub(crate) committed: usize,
    pub(crate) refused: usize,
    pub(crate) read_only: usize,
    pub(crate) versions_removed: usize,
}

impl Scenario {
    pub(crate) fn add(&mut self, other: &Self) {
        self.committed += other.committed;
        self.refused += other.refused;
        self.read_only += other.read_only;
        self.versions_removed += other.versions_removed;
    }
}

/// What a run did and what was wrong with it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) scenario: Scenario,
    pub(crate) violation: Option<String>,
}
