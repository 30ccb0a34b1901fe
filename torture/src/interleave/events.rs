//! What happens in a schedule: operations of users, and steps of background jobs.

use std::fmt;

use engine::StepKind;

/// What a user does. Keys are `a` and `b`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UserOperation {
    PutSmallA,
    PutLargeA,
    DeleteA,
    PutSmallB,
    DeleteB,
    /// One commit: a large value under `a`, and a deletion of `b`.
    Batch,
    /// Finds `a` now, also at every held version, and reads the values at the end.
    GetA,
    /// Opens a scan, reads its first item, and the rest at the end.
    Scan,
    /// Registers the newest version; both keys are read at it from now on.
    Snapshot,
    /// Lets the oldest snapshot go.
    Release,
    /// Freezes the memtable, as a commit does that has filled it.
    Rotate,
    /// The files as they are now are opened by another process.
    Kill,
}

impl UserOperation {
    pub(super) const ALL: [Self; 12] = [
        Self::PutSmallA,
        Self::PutLargeA,
        Self::DeleteA,
        Self::PutSmallB,
        Self::DeleteB,
        Self::Batch,
        Self::GetA,
        Self::Scan,
        Self::Snapshot,
        Self::Release,
        Self::Rotate,
        Self::Kill,
    ];
}

impl fmt::Display for UserOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PutSmallA => "put a",
            Self::PutLargeA => "put large a",
            Self::DeleteA => "delete a",
            Self::PutSmallB => "put b",
            Self::DeleteB => "delete b",
            Self::Batch => "batch",
            Self::GetA => "get a",
            Self::Scan => "scan",
            Self::Snapshot => "snapshot",
            Self::Release => "release",
            Self::Rotate => "rotate",
            Self::Kill => "kill",
        })
    }
}

/// A background job of [`JOB_STEPS`] steps. A step that has nothing to do passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// A memtable is frozen, written, made part of the tree, and its log is removed.
    Flush,
    /// A compaction in one part.
    Compaction,
    /// A compaction in two parts; its inputs are left to others to remove.
    Parts,
    /// Generations are opened and switched to, and nothing is flushed.
    Generations,
    /// Two frozen memtables are flushed.
    TwoFlushes,
    /// What has become obsolete is removed and written down.
    Upkeep,
}

/// How many steps every job has.
pub(super) const JOB_STEPS: usize = 4;

/// A step of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JobStep {
    OpenGeneration,
    /// Freezes the active memtable, full or not.
    Rotate,
    Flush,
    PickCompaction,
    /// The next step of the compaction that this job has picked.
    Compaction,
    Remove,
    WriteLedger,
}

impl Job {
    /// The jobs that run against each other.
    pub(super) const PAIRS: [[Self; 2]; 8] = [
        [Self::Flush, Self::Compaction],
        [Self::Flush, Self::Parts],
        [Self::Compaction, Self::Compaction],
        [Self::Compaction, Self::Parts],
        [Self::Generations, Self::TwoFlushes],
        [Self::Generations, Self::Compaction],
        [Self::TwoFlushes, Self::Compaction],
        [Self::Compaction, Self::Upkeep],
    ];

    pub(super) fn steps(self) -> [JobStep; JOB_STEPS] {
        use JobStep::{Compaction, Flush, OpenGeneration, PickCompaction, Remove, Rotate, WriteLedger};
        match self {
            Self::Flush => [Rotate, Flush, Flush, Remove],
            Self::Compaction => [PickCompaction, Compaction, Compaction, Remove],
            Self::Parts => [PickCompaction, Compaction, Compaction, Compaction],
            Self::Generations => [OpenGeneration, Rotate, OpenGeneration, Rotate],
            Self::TwoFlushes => [Flush, Flush, Flush, Flush],
            Self::Upkeep => [Remove, WriteLedger, Remove, WriteLedger],
        }
    }
}

impl JobStep {
    /// The engine's name for it, when `compaction` is what this job has picked. `None` for a rotation, which is no such step, and
    /// when nothing was picked.
    pub(super) fn kind(self, compaction: Option<u64>) -> Option<StepKind> {
        Some(match self {
            Self::OpenGeneration => StepKind::OpenGeneration,
            Self::Rotate => return None,
            Self::Flush => StepKind::Flush,
            Self::PickCompaction => StepKind::PickCompaction,
            Self::Compaction => StepKind::Compaction(Some(compaction?)),
            Self::Remove => StepKind::Remove,
            Self::WriteLedger => StepKind::WriteLedger,
        })
    }
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    User(UserOperation),
    /// A step of the first or the second job.
    Job {
        job: usize,
        step: JobStep,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(operation) => operation.fmt(f),
            Self::Job { job, step } => {
                let name = match step {
                    JobStep::OpenGeneration => "open generation",
                    JobStep::Rotate => "rotate",
                    JobStep::Flush => "flush",
                    JobStep::PickCompaction => "pick",
                    JobStep::Compaction => "compact",
                    JobStep::Remove => "remove",
                    JobStep::WriteLedger => "write ledger",
                };
                write!(f, "job{}.{name}", job + 1)
            }
        }
    }
}

/// When both keys are read, besides at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watch {
    /// After every operation and every step.
    Always,
    /// Never: reads open files, and some failures need files that nobody has opened.
    AtTheEnd,
}

impl Watch {
    pub(super) const ALL: [Self; 2] = [Self::Always, Self::AtTheEnd];
}

impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "all read all the time",
            Self::AtTheEnd => "all read at the end",
        })
    }
}

/// Where the operations that stand before a job's step happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// Before it.
    Between,
    /// Inside it, right after it has asked what readers may still see.
    AfterRetention,
    /// Inside it, before the change of this number that it makes to files, from 1.
    BeforeChange(u8),
}

impl Placement {
    pub(super) const ALL: [Self; 8] = [
        Self::Between,
        Self::AfterRetention,
        Self::BeforeChange(1),
        Self::BeforeChange(2),
        Self::BeforeChange(3),
        Self::BeforeChange(4),
        Self::BeforeChange(6),
        Self::BeforeChange(8),
    ];
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Between => f.write_str("operations between steps"),
            Self::AfterRetention => f.write_str("operations inside the next step, once it knows its readers"),
            Self::BeforeChange(nth) => {
                write!(f, "operations inside the next step, before its change {nth} to files")
            }
        }
    }
}
