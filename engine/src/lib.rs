//! The storage engine: a durable, versioned, ordered map with large values apart from their keys.
//!
//! It knows no transactions and starts no threads. [`Engine::commit`] writes a batch as one commit through the journal (group
//! commit, one log per group); [`Engine::get`] and [`Engine::scan`] read at a version; [`Engine::step`] does one piece of
//! background work, in whatever order its caller wants.
//!
//! In reading order: `journal` is the way of a write, `read` the way of a read, `view` what connects them; `flush` and
//! `compaction` are the background work, `step` its dispatcher; `open` and `recovery` bring a directory to life; `structure` holds
//! the manifest.
//!
//! # Invariants
//! 1. Newer versions of a key always stand above older ones: memtables over L0 over L1 and so on; a point read ends at its
//!    first hit.
//! 2. A file is unlinked only after the edit that takes it out of the manifest is durable, and after its last reader.
//! 3. No file is written after it became part of the manifest's tables or segments.
//! 4. After a failed write or sync nothing is written any more (`Halt`).
//!
//! Lock order: `jobs`, `structure`, the journal's `leader`, its `queue` or `space`, the view lock.

#![forbid(unsafe_code)]

mod compaction;
mod core;
mod counters;
mod directory;
mod engine;
mod files;
mod flush;
mod generation;
mod guarded;
mod helpers;
mod inner;
mod journal;
mod ledger;
mod level_bounds;
mod open;
mod options;
mod output;
mod pressure;
mod read;
mod recovery;
mod stats;
mod step;
mod structure;
mod table_set;
mod verify;
mod view;

pub use engine::{Engine, EngineScan};
pub use helpers::{Alone, Helpers, Work};
pub use journal::{CommitError, Durability, MAX_VALUE_BYTES, Prepared};
pub use open::Environment;
pub use options::{LEVELS, Options};
pub use pressure::Pressure;
pub use read::{CurrentView, Found, ScanItem, ScanOptions};
pub use recovery::RecoveryReport;
pub use sstable::TableAccess;
pub use stats::{LevelStats, SegmentStats, Stats};
pub use step::{Step, StepKind};
pub use verify::{Progress, Verified};
