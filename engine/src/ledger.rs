//! DISCARD: the value log's own ledger of dead bytes, kept in step with the manifest.
//!
//! The manifest is the truth. The ledger is written seldom, last and whole; missing, stale or damaged it is rebuilt from the
//! manifest, so its failures are never fatal.

use std::path::Path;

use base::header::DatabaseId;
use base::vfs::Vfs;
use base::{Error, Result};
use manifest::State;
use vlog::{Ledger, SegmentDead};

use crate::inner::{Inner, Writing};

/// What the ledger must say, according to the manifest.
pub(crate) fn ledger_of(state: &State) -> Ledger {
    let dead = |segment: &manifest::Segment| SegmentDead {
        total_bytes: segment.meta.bytes,
        dead_bytes: segment.dead_bytes(),
    };
    Ledger {
        edit_number: state.edit_number(),
        segments: state.segments().map(|segment| (segment.meta.number, dead(segment))).collect(),
    }
}

/// The ledger that is there, if it can be read. Refuses one that a newer release wrote, which this one would replace.
///
/// # Errors
/// [`Error::Unsupported`].
pub(crate) fn read_ledger(
    vfs: &dyn Vfs,
    directory: &Path,
    database_id: DatabaseId,
) -> Result<Option<Ledger>> {
    match Ledger::read(vfs, directory, database_id) {
        Err(error @ Error::Unsupported { .. }) => Err(error),
        ledger => Ok(ledger.ok().flatten()),
    }
}

impl Inner {
    /// Writes the ledger when the value segments have changed since it was written; false when they have not, or when another
    /// thread is writing it: a later step sees what it missed.
    pub(crate) fn write_ledger(&self, writing: &Writing) -> Result<bool> {
        let Some(_one_at_a_time) = writing.ledger.try_lock() else { return Ok(false) };
        let ledger = {
            let mut structure = self.core.structure()?.lock();
            let ledger = ledger_of(structure.manifest.state());
            if structure.ledger_segments.as_ref() == Some(&ledger.segments) {
                return Ok(false);
            }
            structure.ledger_segments = Some(ledger.segments.clone());
            ledger
        };
        ledger.write(&*self.core.vfs, &self.core.directory, self.core.database_id)?;
        Ok(true)
    }
}
