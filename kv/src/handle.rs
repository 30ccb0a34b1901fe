//! What every handle shares. The last one to go closes the database.

use std::sync::Arc;

use base::clock::Clock;
use base::seeded::{self, Bug};
use engine::Engine;
use parking_lot::Mutex;

use crate::background::Who;
use crate::maintenance::Maintenance;
use crate::store::{Settings, Store};
use crate::{Result, panics};

/// An open database and its threads. Databases, transactions and iterators hold it; the threads hold only the [`Store`].
#[derive(Debug)]
pub(crate) struct Handle {
    store: Arc<Store>,
    maintenance: Maintenance,
    is_writable: bool,
    /// How closing went. Held while it is under way.
    closed: Mutex<Option<Result<()>>>,
}

impl Handle {
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn new(
        engine: Engine,
        clock: Arc<dyn Clock>,
        settings: Settings,
        is_writable: bool,
    ) -> Result<Arc<Self>> {
        let store = Store::new(engine, clock, settings);
        let maintenance = if is_writable { Maintenance::start(&store)? } else { Maintenance::default() };
        Ok(Arc::new(Self { store, maintenance, is_writable, closed: Mutex::new(None) }))
    }

    #[inline]
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Refuses all operations from now on, writes everything to tables, ends the threads, and lets the directory go. Once: later
    /// calls return what the first one did.
    ///
    /// # Errors
    /// The storage's; whatever was acknowledged is as safe as its durability promised.
    pub(crate) fn close(&self) -> Result<()> {
        let mut closed = self.closed.lock();
        if let Some(outcome) = &*closed {
            return outcome.clone();
        }
        self.store.refuse_operations();
        self.maintenance.stop(&self.store);
        self.store.background().wait_until_nobody_works();
        let outcome = if self.is_writable { panics::as_error("closing", || self.settle()) } else { Ok(()) };
        self.store.engine().release_lock();
        *closed = Some(outcome.clone());
        outcome
    }

    /// Nobody else works any more.
    fn settle(&self) -> Result<()> {
        let engine = self.store.engine();
        engine.stop_commits();
        // What has queued is written before the sync returns.
        engine.sync()?;
        if !seeded::is(Bug::CleanCloseWithoutFlush) {
            self.store.flush(Who::Closer)?;
        }
        Ok(engine.finish_close()?)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "closing the database failed; what was acknowledged is safe");
        }
    }
}
