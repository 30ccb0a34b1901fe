//! The queue of numbered commits, and how a waiting committer learns its outcome.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base::{Error, Version};
use parking_lot::{Condvar, Mutex};

use super::prepare::Prepared;

/// How often a follower gives the processor away before it sleeps.
const YIELDS_BEFORE_SLEEP: u32 = 16;
/// How often it looks before it does so.
const SPINS_BEFORE_YIELD: u32 = 1;

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

/// A numbered request: a commit, or (without `prepared`) a wish to sync.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) prepared: Option<Prepared>,
    pub(super) number: u64,
    pub(super) version: Version,
    pub(super) durability: Durability,
    /// Where its commit record stands in the log that its group goes to; set when the group is placed.
    pub(super) place: u64,
    /// Who waits for its outcome; nobody when it leads its group itself.
    pub(super) waiter: Option<Arc<Waiter>>,
}

impl Request {
    pub(super) fn log_bytes(&self) -> usize {
        self.prepared.as_ref().map_or(0, Prepared::log_bytes)
    }

    /// Tells the one who waits.
    pub(super) fn finish(&self, outcome: Outcome) {
        if let Some(waiter) = &self.waiter {
            waiter.finish(outcome);
        }
    }
}

/// How a committer learns the outcome of a request that another one writes.
#[derive(Debug)]
pub(super) struct Waiter {
    durability: Durability,
    is_settled: AtomicBool,
    outcome: Mutex<Outcome>,
    wake: Condvar,
}

impl Waiter {
    pub(super) fn new(durability: Durability) -> Arc<Self> {
        Arc::new(Self {
            durability,
            is_settled: AtomicBool::new(false),
            outcome: Mutex::new(Outcome::Waiting),
            wake: Condvar::new(),
        })
    }

    /// Blocks until the outcome is set. A buffered group takes microseconds, less than falling asleep and being woken: the
    /// processor is given away a few times first.
    pub(super) fn wait(&self) -> Outcome {
        if self.durability == Durability::Buffered {
            for _ in 0..YIELDS_BEFORE_SLEEP {
                for _ in 0..SPINS_BEFORE_YIELD {
                    if self.is_settled.load(Ordering::Acquire) {
                        return self.outcome.lock().clone();
                    }
                    std::hint::spin_loop();
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

    /// The outcome so far; final for a request whose own thread has led its group.
    pub(super) fn outcome(&self) -> Outcome {
        self.outcome.lock().clone()
    }

    /// Sets the outcome and wakes the committer.
    pub(super) fn finish(&self, outcome: Outcome) {
        *self.outcome.lock() = outcome;
        self.is_settled.store(true, Ordering::Release);
        self.wake.notify_one();
    }
}

/// Numbered requests in number order.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) next_number: u64,
    pub(super) last_version: Version,
    pub(super) waiting: VecDeque<Request>,
    /// The leader is told when so many wait.
    pub(super) awaited: usize,
    pub(super) has_leader: bool,
    pub(super) closed: bool,
}

/// What became of a request that was given its number.
pub(super) enum Queued {
    /// There is no leader: whoever brought it leads, and holds it in its own hands.
    Leads(Request),
    /// It waits in the queue, for this version.
    Waits(Arc<Waiter>, Version),
}

impl Queued {
    pub(super) fn version(&self) -> Version {
        match self {
            Self::Leads(own) => own.version,
            Self::Waits(_, version) => *version,
        }
    }
}

impl Queue {
    /// True when the one who leads next is to sync: it is `own`, or the first that waits.
    pub(super) fn leads_to_sync(&self, own: Option<&Request>) -> bool {
        own.or(self.waiting.front()).is_some_and(|request| request.durability == Durability::Sync)
    }

    /// Takes a request in. While there is no leader, nothing waits: then the request is the first of the next group, and a lone
    /// committer meets neither queue nor waiter.
    pub(super) fn push(&mut self, mut request: Request) -> Queued {
        if !std::mem::replace(&mut self.has_leader, true) {
            debug_assert!(self.waiting.is_empty());
            return Queued::Leads(request);
        }
        let (waiter, version) = (Waiter::new(request.durability), request.version);
        request.waiter = Some(Arc::clone(&waiter));
        self.waiting.push_back(request);
        Queued::Waits(waiter, version)
    }

    /// Fails when it takes no further commits.
    pub(super) fn check_open(&self) -> base::Result<()> {
        if self.closed { Err(Error::invalid("database", "it is closed")) } else { Ok(()) }
    }

    /// True when requests wait and none of them asks for a sync.
    pub(super) fn has_only_buffered(&self) -> bool {
        let buffered = |request: &Request| request.durability == Durability::Buffered;
        !self.waiting.is_empty() && self.waiting.iter().all(buffered)
    }

    /// Adds the longest run from the front with which the group fits in `limit_bytes`; at least one request if it is empty.
    pub(super) fn take_group(&mut self, limit_bytes: usize, group: &mut Vec<Request>) {
        let mut bytes = group.iter().map(Request::log_bytes).sum::<usize>();
        while let Some(front) = self.waiting.front() {
            bytes += front.log_bytes();
            if !group.is_empty() && bytes > limit_bytes {
                break;
            }
            group.extend(self.waiting.pop_front());
        }
    }
}
