//! What every part of the engine needs, whether or not it is open for writing: files, options, counters, and the lock
//! around structural changes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use base::clock::Clock;
use base::header::{DatabaseId, FileIdentity};
use base::seeded::{self, Bug};
use base::vfs::Vfs;
use base::{Error, Halt, Result};
use manifest::{Edit, SegmentMeta, State};
use memtable::ArenaPool;
use sstable::BlockCache;

use crate::Options;
use crate::counters::Counters;
use crate::directory::NumberedFile;
use crate::files::{LivingFile, Reaper};
use crate::guarded::Guarded;
use crate::output::Output;
use crate::structure::Structure;
use crate::table_set::{TableHandle, TableOpener};
use crate::view::{SegmentHandle, SegmentOpener};

/// The environment of an open engine.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) directory: PathBuf,
    pub(crate) options: Options,
    pub(crate) database_id: DatabaseId,
    pub(crate) halt: Arc<Halt>,
    pub(crate) reaper: Arc<Reaper>,
    pub(crate) pool: Arc<ArenaPool>,
    pub(crate) cache: Arc<BlockCache>,
    pub(crate) counters: Counters,
    /// A compaction met damage: L0 may not shrink any more, so commits do not wait for it.
    pub(crate) has_damage: AtomicBool,
    /// `None` when opened for reading only.
    pub(crate) structure: Option<Guarded<Structure>>,
    /// What the manifest said when it was opened; kept when opened for reading only.
    pub(crate) opened_state: Option<State>,
}

impl Core {
    /// The manifest and what belongs to it.
    ///
    /// # Errors
    /// When the engine was opened for reading only.
    pub(crate) fn structure(&self) -> Result<&Guarded<Structure>> {
        self.structure.as_ref().ok_or_else(read_only)
    }

    /// What the manifest says now.
    pub(crate) fn state(&self) -> Option<State> {
        match &self.structure {
            Some(structure) => Some(structure.lock().manifest.state().clone()),
            None => self.opened_state.clone(),
        }
    }

    /// A number for a new file.
    pub(crate) fn next_file_number(&self) -> Result<u64> {
        self.next_number_in(&mut self.structure()?.lock())
    }

    /// The same, for a caller that holds the lock.
    pub(crate) fn next_number_in(&self, structure: &mut Structure) -> Result<u64> {
        self.halt.check()?;
        let number = structure.next_file_number();
        self.trip_on_failure(structure, number)
    }

    /// Passes over file numbers, so that the next `count` ones are the last of a lease.
    pub(crate) fn skip_to_last(&self, count: u64) -> Result<()> {
        self.halt.check()?;
        let mut structure = self.structure()?.lock();
        let skipped = structure.skip_to_last(count);
        self.trip_on_failure(&structure, skipped)
    }

    /// Makes an edit durable. Where its failure leaves the manifest in doubt, it is the end of writing: whether the edit will
    /// be there at the next open is unknown.
    pub(crate) fn commit_edit(&self, structure: &mut Structure, edit: Edit) -> Result<()> {
        self.halt.check()?;
        let committed = structure.commit(edit);
        self.trip_on_failure(structure, committed)
    }

    fn trip_on_failure<T>(&self, structure: &Structure, result: Result<T>) -> Result<T> {
        // A manifest that found no space, or could not create a file, before it wrote anything goes on; all else is in doubt.
        let is_harmless = |error: &Error| {
            error.is_no_space() || (matches!(error, Error::Io { .. }) && !error.is_write_failure())
        };
        let goes_on = |error: &Error| is_harmless(error) && !structure.manifest.is_halted();
        result.map_err(|error| if goes_on(&error) { error } else { self.halt.trip(error) })
    }

    /// The error of a background step: a failed write or sync stops all writing; no space, or damage that was read, fails
    /// the step only.
    pub(crate) fn step_failed(&self, error: Error) -> Error {
        let halts_for_ever = seeded::is(Bug::NoSpaceHaltsForEver) && error.is_no_space();
        if error.is_write_failure() || halts_for_ever { self.halt.trip(error) } else { error }
    }

    pub(crate) fn table_opener(&self) -> TableOpener {
        TableOpener {
            vfs: Arc::clone(&self.vfs),
            access: self.options.access,
            cache: Arc::clone(&self.cache),
            database_id: self.database_id,
        }
    }

    /// A handle for a table that the manifest lists now.
    pub(crate) fn adopt(&self, output: Output) -> Arc<TableHandle> {
        Arc::new(TableHandle::new(output.meta, output.file, self.table_opener()))
    }

    /// A handle for a segment that the manifest lists now.
    pub(crate) fn segment_handle(&self, meta: &SegmentMeta) -> Arc<SegmentHandle> {
        let path = NumberedFile::ValueLog(meta.number).path(&self.directory);
        let opener = SegmentOpener {
            vfs: Arc::clone(&self.vfs),
            access: self.options.access,
            identity: FileIdentity { database_id: self.database_id, file_number: meta.number },
            sealed_bytes: meta.bytes,
        };
        Arc::new(SegmentHandle::sealed(opener, LivingFile::new(path, &self.reaper)))
    }
}

/// The refusal of every change to an engine that is open for reading only.
pub(crate) fn read_only() -> Error {
    Error::invalid("database", "it is open for reading only; open it for writing to change it")
}
