//! An open engine: the environment, the current view, and, when writable, the journal and the background work.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::vfs::FileLock;
use base::{Result, SharedVersion};
use parking_lot::Mutex;

use crate::core::{Core, read_only};
use crate::generation::Generation;
use crate::guarded::Guarded;
use crate::journal::Journal;
use crate::recovery::RecoveryReport;
use crate::step::Jobs;
use crate::view::{View, Views};

/// An open engine. Lock order: `jobs`, then `structure`, then the view lock.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) core: Core,
    pub(crate) visible: Arc<SharedVersion>,
    pub(crate) views: Arc<Views>,
    pub(crate) report: RecoveryReport,
    /// `None` when opened for reading only.
    pub(crate) writing: Option<Writing>,
    /// Held until it is released, or the last handle is gone.
    pub(crate) lock: Mutex<Option<Box<dyn FileLock>>>,
}

/// What only a writable engine has.
#[derive(Debug)]
pub(crate) struct Writing {
    pub(crate) journal: Journal,
    /// Held while the first generation is opened.
    pub(crate) starting: Mutex<()>,
    pub(crate) jobs: Guarded<Jobs>,
    /// Held while DISCARD is replaced.
    pub(crate) ledger: Mutex<()>,
}

impl Inner {
    /// The writable part.
    ///
    /// # Errors
    /// When the engine was opened for reading only.
    pub(crate) fn writing(&self) -> Result<&Writing> {
        self.writing.as_ref().ok_or_else(read_only)
    }

    /// Opens the first generation, if there is none yet: a database that is only read gets no logs.
    ///
    /// # Errors
    /// As [`Generation::open_new`]; a later commit tries again where writing goes on.
    pub(crate) fn start_writing(&self, writing: &Writing) -> Result<()> {
        if writing.journal.has_started() {
            return Ok(());
        }
        self.core.halt.trip_on_panic("opening the first memtable", || {
            let _one_starter = writing.starting.lock();
            writing.journal.check_open()?;
            if !writing.journal.has_started() {
                writing.journal.start(Generation::open_first(&self.core)?);
            }
            Ok(())
        })
    }

    /// Takes segments out of a view and lets their files go when the last view that reads them is gone.
    pub(crate) fn drop_segments(view: &mut View, removed: &[u64]) {
        if removed.is_empty() {
            return;
        }
        let mut segments = BTreeMap::clone(&view.segments);
        for number in removed {
            if let Some(handle) = segments.remove(number) {
                handle.file.retire();
            }
        }
        view.segments = Arc::new(segments);
    }
}
