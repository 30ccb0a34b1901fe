//! The threads that do the engine's background work or help it to open, and the only place that starts any.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use engine::{Helpers, Step, Work};
use parking_lot::Mutex;

use crate::background::{Background, Who};
use crate::store::Store;
use crate::{Error, Result};

/// An idle thread looks for work at least so often: what expires or is no longer read makes work without a call.
const IDLE_PAUSE: Duration = Duration::from_secs(1);
/// What an earlier life has left to do has no hurry: whoever opens a database wants to use it first. A call for work ends this
/// pause, the one after the first commit too.
const OPENING_PAUSE: Duration = Duration::from_millis(50);
/// The first pause after a failure, and the longest.
const FAILURE_PAUSE_MIN: Duration = Duration::from_millis(50);
const FAILURE_PAUSE_MAX: Duration = Duration::from_secs(5);

/// The running threads of one database.
#[derive(Debug, Default)]
pub(crate) struct Maintenance {
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Maintenance {
    /// Starts as many threads as the settings say.
    ///
    /// # Errors
    /// The system's, when it has no thread left; none is running then.
    pub(crate) fn start(store: &Arc<Store>) -> Result<Self> {
        let maintenance = Self::default();
        for index in 0..store.settings().maintenance_threads {
            let worker = Arc::clone(store);
            let started = std::thread::Builder::new()
                .name(format!("kv-maintenance-{index}"))
                .spawn(move || work(&worker));
            match started {
                Ok(thread) => maintenance.threads.lock().push(thread),
                Err(error) => {
                    maintenance.stop(store);
                    let why = format!("the system refused to start another thread: {error}");
                    return Err(Error::option("maintenance_threads", why));
                }
            }
        }
        Ok(maintenance)
    }

    /// Waits until every thread has ended the step that it is at.
    pub(crate) fn stop(&self, store: &Store) {
        store.background().stop();
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a maintenance thread panicked");
            }
        }
    }
}

/// Helps with a recovery, from as many threads as will do background work, and no more than there are processors. They end before
/// the database is open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpeningThreads(pub(crate) usize);

impl Helpers for OpeningThreads {
    fn count(&self) -> usize {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        self.0.min(processors).max(1)
    }

    fn run(&self, parts: Vec<Work<'_>>) {
        let helpers = parts.len().saturating_sub(1);
        let left = Mutex::new(parts);
        let take = || left.lock().pop();
        let help = || {
            while let Some(part) = take() {
                part();
            }
        };
        std::thread::scope(|scope| {
            for index in 0..helpers {
                let builder = std::thread::Builder::new().name(format!("kv-opening-{index}"));
                // Where the system has no thread left, the others do it all.
                let _refused = builder.spawn_scoped(scope, help);
            }
            help();
        });
    }
}

/// True when a step has brought something to its end. Beginning anew what has failed, or clearing up after it, does not show that it
/// will not fail again.
const fn is_headway(step: Step) -> bool {
    matches!(step, Step::OpenedGeneration | Step::InstalledFlush | Step::InstalledCompaction)
}

fn work(store: &Store) {
    let background = store.background();
    let mut failure_pause = FAILURE_PAUSE_MIN;
    background.park(Background::NO_CALLS, OPENING_PAUSE);
    while !background.is_stopping() {
        let calls = background.calls();
        match store.step(Who::Anybody) {
            Ok(Step::Idle) => background.park(calls, IDLE_PAUSE),
            Ok(step) if is_headway(step) => failure_pause = FAILURE_PAUSE_MIN,
            Ok(_) => {}
            Err(Error::Closed) => return,
            Err(error) if store.engine().halted().is_some() => {
                tracing::error!(%error, "background work has stopped; open the database again to write");
                return;
            }
            Err(error) => {
                tracing::warn!(%error, pause = ?failure_pause, "a background step failed; it is tried again later");
                // Calls do not shorten the pause: there is as little space or as much damage as before.
                background.rest(failure_pause);
                failure_pause = FAILURE_PAUSE_MAX.min(failure_pause * 2);
            }
        }
    }
}
