//! Disk space for commits, reserved before they are numbered, so that a full disk refuses a commit instead of halting
//! the database.

use std::sync::Arc;

use base::header::CONTENT_START;
use base::{Error, Result};
use parking_lot::Mutex;

use crate::generation::Generation;

/// Reserved log space of the active generation.
#[derive(Debug)]
pub(super) struct Space {
    state: Mutex<State>,
    step_bytes: u64,
}

#[derive(Debug)]
struct State {
    /// `None` before the first commit.
    active: Option<Arc<Generation>>,
    /// Bytes of commits that are admitted and not yet written.
    pending_bytes: u64,
}

impl Space {
    pub(super) fn new(step_bytes: u64) -> Self {
        Self { state: Mutex::new(State { active: None, pending_bytes: 0 }), step_bytes }
    }

    pub(super) fn active(&self) -> Option<Arc<Generation>> {
        self.state.lock().active.clone()
    }

    /// Gives the first commit its generation.
    pub(super) fn start(&self, first: Arc<Generation>) {
        self.state.lock().active = Some(first);
    }

    /// Reserves room for a commit in every log that it may go to: one with separated values goes to the value log, any
    /// other to whichever log its group takes.
    ///
    /// # Errors
    /// [`base::Error::NoSpace`] when the disk is full; nothing is reserved then.
    pub(super) fn reserve(&self, bytes: u64, only_values: bool) -> Result<()> {
        let mut state = self.state.lock();
        let pending = state.pending_bytes + bytes;
        let Some(generation) = &state.active else { return Err(no_generation()) };
        let logs = [(&generation.vlog, true), (&generation.wal, !only_values)];
        for (log, wanted) in logs {
            let needed = log.position() + pending;
            if wanted && needed > log.allocated() {
                log.allocate(needed + self.step_bytes)?;
            }
        }
        state.pending_bytes = pending;
        Ok(())
    }

    /// Gives back the room of commits that are written, or were refused.
    pub(super) fn release(&self, bytes: u64) {
        let mut state = self.state.lock();
        state.pending_bytes = state.pending_bytes.saturating_sub(bytes);
    }

    /// Makes `next` the active generation, when its logs have room for everything that is admitted.
    pub(super) fn switch_to(&self, next: &Arc<Generation>) -> Result<()> {
        let mut state = self.state.lock();
        let needed = CONTENT_START + state.pending_bytes;
        next.wal.allocate(needed)?;
        next.vlog.allocate(needed)?;
        state.active = Some(Arc::clone(next));
        Ok(())
    }
}

/// Commits come after [`Space::start`]; this refuses one that does not.
pub(super) fn no_generation() -> Error {
    Error::invalid("commit", "no generation is open")
}
