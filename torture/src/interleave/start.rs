//! What the database holds when a schedule begins: a former life on disk, made once, and the beginning of the present one.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::OnceLock;

use base::Version;
use base::vfs::MemVfs;

use super::events::UserOperation;
use super::model::Model;
use super::world::World;
use crate::finding::Checked;

/// Where the schedules begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Both keys in the memtable.
    Memtable,
    /// Two versions frozen in two memtables, a third in the present one.
    Frozen,
    /// Both keys in one table of L0.
    LevelZero,
    /// Each key in an L0 table of its own, over older ones in the last level.
    TwoTables,
    /// Both keys in the last level, to be rewritten.
    LastLevel,
    /// A tombstone in L0 over a value in the last level, and one in the memtable.
    Tombstone,
    /// A large value in the last level, shadowed in L0: its segment dies with the compaction. Somebody has found it.
    DyingSegment,
    /// Versions in the last level, in L0 and in the memtable, the lower two with a reader.
    Held,
    /// Two compactions that have nothing in common.
    TwoCompactions,
    /// Versions in three levels, all to be rewritten.
    Levels,
    /// A compaction in two parts, with a tombstone in the second one, over a table that begins in the first one's range.
    Parts,
}

/// Something that brings a start about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Setup {
    Do(UserOperation),
    /// Many keys after `b`, more than one level has room for.
    Fill,
    /// Opens a generation and switches to it.
    Freeze,
    /// One more table in L0.
    Flush,
    /// All background work that is due.
    Settle,
    /// Opens the generation that the next rotation switches to.
    Spare,
    /// Asks for everything to be rewritten.
    RequestCompaction,
}

/// The former life of [`Start::Parts`].
const PARTS: &[Setup] = &[
    Setup::Do(UserOperation::PutLargeA),
    Setup::Do(UserOperation::PutSmallB),
    Setup::Fill,
    Setup::Flush,
    Setup::Settle,
    Setup::Do(UserOperation::PutSmallA),
    Setup::Flush,
    Setup::Do(UserOperation::DeleteB),
    Setup::Flush,
];

/// A former life: files, and what they hold.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) files: BTreeMap<PathBuf, Vec<u8>>,
    pub(super) model: Model,
    pub(super) held: Vec<Version>,
}

impl Start {
    pub(super) const ALL: [Self; 11] = [
        Self::Memtable,
        Self::Frozen,
        Self::LevelZero,
        Self::TwoTables,
        Self::LastLevel,
        Self::Tombstone,
        Self::DyingSegment,
        Self::Held,
        Self::TwoCompactions,
        Self::Levels,
        Self::Parts,
    ];

    /// The former life, and the beginning of the present one.
    fn setups(self) -> (&'static [Setup], &'static [Setup]) {
        use Setup::{Do, Fill, Flush, Freeze, RequestCompaction, Settle, Spare};
        use UserOperation::{
            Batch, DeleteA, DeleteB, GetA, PutLargeA, PutSmallA, PutSmallB, Release, Snapshot,
        };
        match self {
            Self::Memtable => (&[], &[Do(PutLargeA), Do(PutSmallB), Spare]),
            Self::Frozen => {
                (&[], &[Do(PutLargeA), Freeze, Do(DeleteA), Do(PutSmallB), Freeze, Do(PutSmallA), Spare])
            }
            Self::LevelZero => (&[Do(PutSmallA), Do(PutSmallB), Flush], &[Spare]),
            Self::TwoTables => (
                &[Do(PutLargeA), Do(PutSmallB), Flush, Settle, Do(PutSmallA), Flush, Do(DeleteB), Flush],
                &[Spare],
            ),
            Self::LastLevel => (&[Do(PutLargeA), Do(PutSmallB), Flush, Settle], &[Spare, RequestCompaction]),
            Self::Tombstone => {
                (&[Do(PutSmallA), Do(PutSmallB), Flush, Settle, Do(DeleteA), Flush], &[Do(DeleteB), Spare])
            }
            Self::DyingSegment => {
                let former =
                    &[Do(PutLargeA), Flush, Settle, Do(Snapshot), Do(PutSmallA), Do(PutSmallB), Flush];
                (former, &[Do(GetA), Do(Release), Spare])
            }
            Self::Held => (
                &[Do(Batch), Do(Snapshot), Flush, Settle, Do(PutSmallA), Do(PutSmallB), Do(Snapshot), Flush],
                &[Do(DeleteA), Do(PutSmallB), Spare],
            ),
            Self::TwoCompactions => (
                &[
                    Do(PutLargeA),
                    Flush,
                    Settle,
                    Do(PutSmallB),
                    Do(Snapshot),
                    Do(DeleteB),
                    Flush,
                    Settle,
                    Do(Release),
                    Do(PutSmallA),
                    Flush,
                ],
                &[Spare],
            ),
            Self::Levels => (
                &[
                    Do(PutLargeA),
                    Do(PutSmallB),
                    Fill,
                    Flush,
                    Settle,
                    Do(PutSmallA),
                    Do(DeleteB),
                    Flush,
                    Settle,
                    Do(PutLargeA),
                    Flush,
                ],
                &[Spare, RequestCompaction],
            ),
            Self::Parts => (PARTS, &[Spare]),
        }
    }

    /// What the present life begins with.
    pub(super) fn present(self) -> &'static [Setup] {
        self.setups().1
    }

    /// The former life; made at the first use.
    pub(super) fn prepared(self) -> Checked<&'static Prepared> {
        static ALL: [OnceLock<Prepared>; Start::ALL.len()] = [const { OnceLock::new() }; Start::ALL.len()];
        let slot = &ALL[self as usize];
        if let Some(prepared) = slot.get() {
            return Ok(prepared);
        }
        let prepared = self.prepare().map_err(|finding| finding.at(format!("preparing {self}")))?;
        Ok(slot.get_or_init(|| prepared))
    }

    fn prepare(self) -> Checked<Prepared> {
        let world = World::open(MemVfs::new(), Model::default(), Vec::new())?;
        for setup in self.setups().0 {
            world.setup(*setup)?;
        }
        world.close()
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memtable => "memtable",
            Self::Frozen => "frozen memtables",
            Self::LevelZero => "level zero",
            Self::TwoTables => "two tables",
            Self::LastLevel => "last level",
            Self::Tombstone => "tombstones",
            Self::DyingSegment => "dying segment",
            Self::Held => "held snapshots",
            Self::TwoCompactions => "two compactions",
            Self::Levels => "three levels",
            Self::Parts => "two parts",
        })
    }
}
