//! Waiting for background work: committers that are ahead of it, and callers who asked for it.

use std::time::{Duration, Instant};

use engine::{Pressure, Step};

use crate::background::Who;
use crate::store::Store;
use crate::{Error, Result};

/// A waiter that sees nothing happen for so long looks after the work itself.
const PATIENCE: Duration = Duration::from_millis(200);
/// So many steps may fail, on damage say, before the wait for something else is given up.
const FAILURES_MAX: u32 = 16;

impl Store {
    /// Holds a commit back while background work is behind. Ends always: with room, or with the reason why there will be none.
    pub(crate) fn wait_for_room(&self) -> Result<()> {
        match self.engine().pressure() {
            Pressure::None => Ok(()),
            Pressure::Slow(delay) => {
                self.background().announce_flush();
                std::thread::sleep(delay);
                Ok(())
            }
            Pressure::Stop => self.wait_while_stopped(),
        }
    }

    fn wait_while_stopped(&self) -> Result<()> {
        let begun = Instant::now();
        let before = self.background().seen();
        self.background().call();
        loop {
            let seen = self.background().seen();
            self.check_open()?;
            if self.engine().pressure() != Pressure::Stop {
                break;
            }
            if let Some(error) = self
                .background()
                .failure_since(before)
                .map(Error::Storage)
                .filter(|error| self.is_final(error))
            {
                return Err(error);
            }
            let is_manual = self.settings().maintenance_threads == 0;
            if !is_manual {
                self.background().wait_for_progress(seen, PATIENCE);
            }
            if is_manual || self.background().is_quiet_since(seen) {
                match self.step(Who::Anybody) {
                    Ok(Step::Idle) if self.background().is_quiet_since(seen) => {
                        // Nothing is left to wait for. A failure may be why; without one it was a false alarm.
                        return self.background().last_failure().map_or(Ok(()), |error| Err(error.into()));
                    }
                    Ok(Step::Idle) => self.background().wait_for_progress(seen, PATIENCE),
                    Ok(_) => {}
                    Err(error) if self.is_final(&error) => return Err(error),
                    Err(_) => {}
                }
            }
        }
        tracing::debug!(waited = ?begun.elapsed(), "a commit waited for background work");
        Ok(())
    }

    /// Does background work, beside the threads that do it anyway, until `is_done`.
    pub(crate) fn work_until(&self, who: Who, mut is_done: impl FnMut() -> Result<bool>) -> Result<()> {
        let mut failures = 0;
        self.background().call();
        loop {
            let seen = self.background().seen();
            if is_done()? {
                return Ok(());
            }
            match self.step(who) {
                Ok(Step::Idle) if self.background().is_quiet_since(seen) => {
                    let unfinished =
                        || base::Error::invalid("background work", "none is left, and it is not done");
                    return Err(self.background().last_failure().unwrap_or_else(unfinished).into());
                }
                Ok(Step::Idle) => self.background().wait_for_progress(seen, PATIENCE),
                Ok(_) => {}
                Err(error) => {
                    failures += 1;
                    if self.is_final(&error) || failures > FAILURES_MAX {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Writes everything that is in memory to tables.
    pub(crate) fn flush(&self, who: Who) -> Result<()> {
        self.work_until(who, || self.engine().rotate().map_err(Error::from))?;
        // Those that were frozen until now, and not those that follow: other threads may go on writing.
        let frozen = self.engine().stats().memtables.saturating_sub(1) as u64;
        let last = self.background().seen().flushed + frozen;
        self.work_until(who, || Ok(!self.engine().has_frozen() || self.background().seen().flushed >= last))
    }

    /// True when waiting longer is of no use: the disk is full, writing has stopped, or a step has panicked.
    fn is_final(&self, error: &Error) -> bool {
        let is_final = |cause: &base::Error| {
            cause.is_no_space()
                || matches!(cause, base::Error::InvalidArgument { .. })
                || self.engine().halted().is_some()
        };
        error.storage().is_none_or(is_final)
    }
}
