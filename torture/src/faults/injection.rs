//! Which failures there are to inject.

use std::fmt;

use base::vfs::{Fault, FaultKind, FaultVfs, Operations as Set, Times};

use super::Run;

/// How many a passing failure strikes in a row.
const WINDOW: u64 = 5;
/// Disks are full at multiples of this many bytes.
const BUDGET_STEP_BYTES: u64 = 512;

/// One failure.
#[derive(Clone, Copy, Debug)]
pub(super) enum Injection {
    /// The nth of the operations that the kind applies to.
    Fault { kind: FaultKind, nth: u64, times: Times },
    /// So many bytes fit on the disk.
    Full { bytes: u64 },
}

/// How many file operations a run made, by what can happen to them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Operations {
    all: u64,
    writes: u64,
    reads: u64,
    syncs: u64,
    file_syncs: u64,
    /// The most that was on the disk at once, in bytes.
    pub(super) most_bytes: u64,
}

impl Operations {
    pub(super) fn of(disk: &FaultVfs, most_bytes: u64) -> Self {
        use base::vfs::Operation::{Sync, SyncDir, Write};
        Self {
            all: disk.operations(),
            writes: disk.count(Write),
            reads: disk.count(Set::READS),
            syncs: disk.count([Sync, SyncDir]),
            file_syncs: disk.count(Sync),
            most_bytes,
        }
    }

    fn that_meet(self, kind: FaultKind) -> u64 {
        match kind {
            FaultKind::ShortWrite | FaultKind::TornNoSpace => self.writes,
            FaultKind::ShortRead | FaultKind::FlippedBit => self.reads,
            FaultKind::SyncLost | FaultKind::SyncLate => self.syncs,
            FaultKind::SyncReverted => self.file_syncs,
            FaultKind::Io
            | FaultKind::NoSpace
            | FaultKind::NoPermission
            | FaultKind::TooManyFiles
            | FaultKind::Interrupted
            | FaultKind::Panic => self.all,
        }
    }
}

/// A second panic while the first one unwinds would end the process, as the language has it.
fn times_of(kind: FaultKind) -> &'static [Times] {
    match kind {
        FaultKind::Panic => &[Times::Once],
        _ => &[Times::Once, Times::Window(WINDOW), Times::Forever],
    }
}

impl Injection {
    /// Every failure that can meet a run like `clean`.
    pub(super) fn all(clean: &Run) -> Vec<Self> {
        let mut all = Vec::new();
        for kind in FaultKind::ALL {
            for nth in 1..=clean.operations.that_meet(kind) {
                all.extend(times_of(kind).iter().map(|times| Self::Fault { kind, nth, times: *times }));
            }
        }
        let budgets = (0..=clean.operations.most_bytes).step_by(BUDGET_STEP_BYTES as usize);
        all.extend(budgets.map(|bytes| Self::Full { bytes }));
        all
    }

    pub(super) fn arm(self, disk: &FaultVfs) {
        match self {
            Self::Fault { kind, nth, times } => disk.inject(Fault::new(kind).nth(nth).times(times)),
            Self::Full { bytes } => disk.limit_bytes(Some(bytes)),
        }
    }

    /// A sync that fails says nothing about what is on disk: a power cut afterwards may show it. (Of a sync that succeeds and
    /// fails later no more can be asked than that nothing is acknowledged once it is known.)
    pub(super) fn is_of_syncs(self) -> bool {
        matches!(self, Self::Fault { kind: FaultKind::SyncLost | FaultKind::SyncReverted, .. })
    }

    /// A sync that fails takes back what was not synced.
    pub(super) fn is_reverting(self) -> bool {
        matches!(self, Self::Fault { kind: FaultKind::SyncReverted, .. })
    }

    /// A read returns something else than the file holds.
    pub(super) fn is_misreading(self) -> bool {
        matches!(self, Self::Fault { kind: FaultKind::ShortRead | FaultKind::FlippedBit, .. })
    }

    pub(super) fn is_full_disk(self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// The one panic that is not a finding.
    pub(super) fn is_panic(self) -> bool {
        matches!(self, Self::Fault { kind: FaultKind::Panic, .. })
    }
}

impl fmt::Display for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault { kind, nth, times } => write!(f, "{kind:?} at operation {nth}, {times:?}"),
            Self::Full { bytes } => write!(f, "disk full at {bytes} bytes"),
        }
    }
}
