//! The latch that stops all writing after the first failed write or sync.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::{Error, Result};

/// First failure wins and stays: later writes are refused with its cause, reads go on.
///
/// After a failed sync the system may have dropped the dirty pages and call them clean, so a second sync
/// that succeeds proves nothing; only a reopen, which reads what is really there, can go on.
#[derive(Debug, Default)]
pub struct Halt {
    tripped: AtomicBool,
    cause: Mutex<Option<Arc<Error>>>,
}

impl Halt {
    /// Not tripped.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trips the latch with `cause`, unless it is tripped already, and returns the error for the caller.
    pub fn trip(&self, cause: Error) -> Error {
        let mut first = self.cause.lock();
        if first.is_none() {
            *first = Some(Arc::new(cause.clone()));
            self.tripped.store(true, Ordering::SeqCst);
        }
        cause
    }

    /// Fails with the first cause once the latch is tripped.
    pub fn check(&self) -> Result<()> {
        if !self.is_tripped() {
            return Ok(());
        }
        match self.cause.lock().clone() {
            Some(cause) => Err(Error::Halted { cause }),
            None => Ok(()),
        }
    }

    /// True once tripped.
    #[must_use]
    pub fn is_tripped(&self) -> bool {
        self.tripped.load(Ordering::SeqCst)
    }
}
