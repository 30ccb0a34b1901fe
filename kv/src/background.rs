//! Who does background work, and who waits for it: the counters and conditions that tie them together.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use engine::Step;
use parking_lot::{Condvar, Mutex};

use crate::{Error, Result, panics};

/// Who wants to do a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// A maintenance thread, or a caller who helps.
    Anybody,
    /// The one who closes the database, after all others have ended.
    Closer,
}

/// The state of background work, shared by those who do it and those who wait for it.
#[derive(Debug, Default)]
pub(crate) struct Background {
    state: Mutex<State>,
    /// A step has ended.
    progress: Condvar,
    /// There may be work.
    work: Condvar,
    /// The flush that is due has been announced; set by committers, cleared when a flush is installed.
    announced: AtomicBool,
    /// There was a commit since open.
    has_commits: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    parked: usize,
    stopping: bool,
    /// How many calls for work there were.
    calls: u64,
    seen: Seen,
    last_error: Option<base::Error>,
}

/// What was done up to a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Steps that ended, however.
    pub(crate) steps: u64,
    /// Those of them that found something to do and did it.
    pub(crate) done: u64,
    /// Those that failed.
    pub(crate) failed: u64,
}

impl Background {
    /// [`Background::calls`] of a database that was opened just now.
    pub(crate) const NO_CALLS: u64 = 0;

    /// Runs one step and tells those who wait.
    ///
    /// # Errors
    /// That of the step, also when it panics; [`Error::Closed`] once everybody but the closer was told to end.
    pub(crate) fn run(&self, who: Who, step: impl FnOnce() -> base::Result<Step>) -> Result<Step> {
        let mut state = self.state.lock();
        if state.stopping && who == Who::Anybody {
            return Err(Error::Closed);
        }
        state.running += 1;
        drop(state);
        let outcome = panics::as_error("background work", step);
        self.step_ended(&outcome);
        outcome.map_err(Error::Storage)
    }

    fn step_ended(&self, outcome: &base::Result<Step>) {
        let mut state = self.state.lock();
        state.running -= 1;
        state.seen.steps += 1;
        match outcome {
            Ok(Step::Idle) => {}
            Ok(step) => {
                state.seen.done += 1;
                if *step == Step::InstalledFlush {
                    self.announced.store(false, Ordering::Release);
                }
                // What was done may have made more work: another thread may want to share it.
                if state.parked > 0 {
                    self.work.notify_one();
                }
            }
            Err(error) => {
                state.seen.failed += 1;
                state.last_error = Some(error.clone());
            }
        }
        drop(state);
        self.progress.notify_all();
    }

    /// What was done so far.
    pub(crate) fn seen(&self) -> Seen {
        self.state.lock().seen
    }

    /// True when nobody is at work and nothing was done since `seen`.
    pub(crate) fn is_quiet_since(&self, seen: Seen) -> bool {
        let state = self.state.lock();
        state.running == 0 && state.seen.done == seen.done
    }

    /// The last failure, if it came after `seen`.
    pub(crate) fn failure_since(&self, seen: Seen) -> Option<base::Error> {
        let state = self.state.lock();
        if state.seen.failed > seen.failed { state.last_error.clone() } else { None }
    }

    /// The last failure since open.
    pub(crate) fn last_failure(&self) -> Option<base::Error> {
        self.state.lock().last_error.clone()
    }

    /// Waits until a step has ended since `seen`, or for this long.
    pub(crate) fn wait_for_progress(&self, seen: Seen, longest: Duration) {
        let mut state = self.state.lock();
        if state.seen.steps == seen.steps && !state.stopping {
            self.progress.wait_for(&mut state, longest);
        }
    }

    /// Calls for work, once for each flush that falls due.
    pub(crate) fn announce_flush(&self) {
        if !self.announced.swap(true, Ordering::AcqRel) {
            self.call();
        }
    }

    /// Calls for work once, after the first commit: only then does a memtable to come next fall due.
    pub(crate) fn announce_first_commit(&self) {
        // Read first: a word that nobody changes any more is shared by all processors.
        if !self.has_commits.load(Ordering::Acquire) && !self.has_commits.swap(true, Ordering::AcqRel) {
            self.call();
        }
    }

    /// Wakes those who look for work.
    pub(crate) fn call(&self) {
        self.state.lock().calls += 1;
        self.work.notify_all();
    }

    /// How many calls for work there were.
    pub(crate) fn calls(&self) -> u64 {
        self.state.lock().calls
    }

    /// Parks a worker that has found nothing to do, until it is called, or for this long. A call since `calls` was read is not
    /// missed.
    pub(crate) fn park(&self, calls: u64, longest: Duration) {
        let mut state = self.state.lock();
        if state.stopping || state.calls != calls {
            return;
        }
        state.parked += 1;
        self.work.wait_for(&mut state, longest);
        state.parked -= 1;
    }

    /// Keeps a worker away from work for this long, or until it is told to end.
    pub(crate) fn rest(&self, span: Duration) {
        let until = Instant::now() + span;
        let mut state = self.state.lock();
        while !state.stopping && !self.work.wait_until(&mut state, until).timed_out() {}
    }

    /// Tells everybody to end: no step begins from now on, except those of the closer.
    pub(crate) fn stop(&self) {
        self.state.lock().stopping = true;
        self.wake_everybody();
    }

    /// Waits for the end of the steps that had begun before.
    pub(crate) fn wait_until_nobody_works(&self) {
        let mut state = self.state.lock();
        while state.running > 0 {
            self.progress.wait(&mut state);
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.state.lock().stopping
    }

    pub(crate) fn wake_everybody(&self) {
        // Under the lock: whoever has looked at the state and not begun to wait would miss it.
        let _state = self.state.lock();
        self.work.notify_all();
        self.progress.notify_all();
    }
}
