//! The queue of numbered commits, and how a waiting committer learns its outcome.

use std::collections::VecDeque;
use std::sync::Arc;

use base::{Error, Version};
use parking_lot::{Condvar, Mutex};

use super::prepare::Prepared;

/// How often a follower gives the processor away before it sleeps.
const YIELDS_BEFORE_SLEEP: u32 = 16;

/// What a commit promises when it returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Durability {
    /// The commit, and every one before it, survives power loss.
    #[default]
    Sync,
    /// The commit survives the death of the process. After power loss the database holds a prefix of the commit
    /// order.
    Buffered,
}

/// Why a commit did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError<C> {
    /// The caller's own check refused it; nothing was written.
    #[error("refused")]
    Refused(C),
    /// It failed before it was written; it will never appear.
    #[error(transparent)]
    NotWritten(Error),
    /// Writing it failed: after reopening it is there whole, or not at all.
    #[error("the outcome of the commit is unknown until the database is reopened: {0}")]
    Unknown(Error),
}

/// How the wait of a queued request ended.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Waiting,
    /// The request became the leader of the next group.
    Lead,
    Done,
    NotWritten(Error),
    Unknown(Error),
}

/// A queued request: a commit, or (without `prepared`) a wish to sync.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) prepared: Mutex<Option<Prepared>>,
    pub(super) log_bytes: usize,
    pub(super) number: u64,
    pub(super) version: Version,
    pub(super) durability: Durability,
    outcome: Mutex<Outcome>,
    wake: Condvar,
}

impl Waiter {
    pub(super) fn new(
        prepared: Option<Prepared>,
        number: u64,
        version: Version,
        durability: Durability,
    ) -> Self {
        Self {
            log_bytes: prepared.as_ref().map_or(0, Prepared::log_bytes),
            prepared: Mutex::new(prepared),
            number,
            version,
            durability,
            outcome: Mutex::new(Outcome::Waiting),
            wake: Condvar::new(),
        }
    }

    /// Blocks until the outcome is set. A buffered group takes microseconds, less than falling asleep and being woken: the
    /// processor is given away a few times first.
    pub(super) fn wait(&self) -> Outcome {
        if self.durability == Durability::Buffered {
            for _ in 0..YIELDS_BEFORE_SLEEP {
                let outcome = self.outcome();
                if !matches!(outcome, Outcome::Waiting) {
                    return outcome;
                }
                std::thread::yield_now();
            }
        }
        let mut outcome = self.outcome.lock();
        while matches!(*outcome, Outcome::Waiting) {
            self.wake.wait(&mut outcome);
        }
        outcome.clone()
    }

    /// Sets the outcome and wakes the committer. A leader's own request is set without anybody waiting.
    pub(super) fn finish(&self, outcome: Outcome) {
        *self.outcome.lock() = outcome;
        self.wake.notify_one();
    }

    /// The outcome so far.
    pub(super) fn outcome(&self) -> Outcome {
        self.outcome.lock().clone()
    }
}

/// Numbered requests in number order.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) next_number: u64,
    pub(super) last_version: Version,
    pub(super) waiting: VecDeque<Arc<Waiter>>,
    pub(super) has_leader: bool,
    pub(super) closed: bool,
}

impl Queue {
    /// Fails when it takes no further commits.
    pub(super) fn check_open(&self) -> base::Result<()> {
        if self.closed { Err(Error::invalid("database", "it is closed")) } else { Ok(()) }
    }

    /// True when requests wait and none of them asks for a sync.
    pub(super) fn has_only_buffered(&self) -> bool {
        let buffered = |waiter: &Arc<Waiter>| waiter.durability == Durability::Buffered;
        !self.waiting.is_empty() && self.waiting.iter().all(buffered)
    }

    /// Takes the longest run from the front that fits in `limit_bytes`, at least one request.
    pub(super) fn take_group(&mut self, limit_bytes: usize, group: &mut Vec<Arc<Waiter>>) {
        let mut bytes = 0;
        while let Some(front) = self.waiting.front() {
            bytes += front.log_bytes;
            if !group.is_empty() && bytes > limit_bytes {
                break;
            }
            group.extend(self.waiting.pop_front());
        }
    }
}
