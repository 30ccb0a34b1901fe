//! Waiting for background work: committers that are ahead of it, and callers who asked for it.

use std::time::{Duration, Instant};

use engine::{Pressure, Step};

use crate::background::{Seen, Who};
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
            if let Some(error) = self.final_failure_since(before) {
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
        let Some((_, newest)) = self.engine().frozen() else { return Ok(()) };
        self.work_until(who, || Ok(self.engine().frozen().is_none_or(|(oldest, _)| oldest > newest)))
    }

    /// The last failure since `before`, when it is no use to wait longer: for its kind, or because it is one of too many.
    fn final_failure_since(&self, before: Seen) -> Option<Error> {
        let error = Error::Storage(self.background().failure_since(before)?);
        let failures = self.background().seen().failed - before.failed;
        (failures > u64::from(FAILURES_MAX) || self.is_final(&error)).then_some(error)
    }

    /// True when waiting longer is of no use: the disk is full, writing has stopped, or a step has panicked.
    fn is_final(&self, error: &Error) -> bool {
        let is_final = |cause: &base::Error| {
            cause.is_no_space()
                || matches!(cause, base::Error::Panicked { .. })
                || self.engine().halted().is_some()
        };
        error.storage().is_none_or(is_final)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use base::Entry;
    use base::clock::SystemClock;
    use base::vfs::{FaultVfs, MemVfs, Operation};
    use engine::{Durability, Engine, Environment};

    use super::*;
    use crate::store::Settings;

    fn store(vfs: &FaultVfs) -> Arc<Store> {
        let environment = Environment { vfs: Arc::new(vfs.clone()), clock: Arc::new(SystemClock) };
        let engine = Engine::open(Path::new("/db"), engine::Options::tiny(), environment).unwrap();
        let settings = Settings {
            durability: Durability::Buffered,
            max_retries: 0,
            maintenance_threads: 0,
            batch_bytes: 1 << 20,
            transaction_bytes: 1 << 20,
            recent_bytes: 1 << 20,
        };
        Store::new(engine, Arc::new(SystemClock), settings)
    }

    fn step_to(store: &Store, wanted: Step) -> base::Result<Step> {
        for _ in 0..100 {
            if store.engine().step(&|| store.retention())? == wanted {
                return Ok(wanted);
            }
        }
        Err(base::Error::invalid("test", format!("no {wanted:?} in sight")))
    }

    /// Goal: a flush of other people, installed before and told of after this one has begun, is not taken for this one.
    /// Method: that step is held open, and tables cannot be created, until the flush has found out what it waits for.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test starts threads of its own")]
    fn a_flush_ends_only_when_its_own_memtable_is_flushed() {
        let vfs = FaultVfs::new(Arc::new(MemVfs::new()));
        let store = store(&vfs);
        store.commit_one(b"first", Entry::inline(b"1")).unwrap();
        step_to(&store, Step::OpenedGeneration).unwrap();
        assert!(store.engine().rotate().unwrap());
        let (is_at_work, may_go) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(true)));
        let (seen, gate) = (Arc::clone(&is_at_work), Arc::clone(&may_go));
        vfs.before_each(move |operation, path| {
            if operation == Operation::Create && path.extension().is_some_and(|extension| extension == "sst")
            {
                seen.store(true, Ordering::SeqCst);
                while !gate.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        let mut flusher = None;
        let installed = store.background().run(Who::Anybody, || {
            let installed = step_to(&store, Step::InstalledFlush)?;
            is_at_work.store(false, Ordering::SeqCst);
            may_go.store(false, Ordering::SeqCst);
            let flushing = Arc::clone(&store);
            let _version = store.commit_one(b"second", Entry::inline(b"2"));
            flusher = Some(std::thread::spawn(move || flushing.flush(Who::Anybody)));
            while !is_at_work.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(installed)
        });
        assert_eq!(installed.unwrap(), Step::InstalledFlush);
        may_go.store(true, Ordering::SeqCst);
        flusher.unwrap().join().unwrap().unwrap();
        assert!(!store.engine().has_frozen(), "the flush has returned too early");
    }
}
