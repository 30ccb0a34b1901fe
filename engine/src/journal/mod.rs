//! Group commit: the way of a write from a numbered request to a published version.
//!
//! The first committer to find no leader becomes the leader. It takes what has queued, writes it in one write to one
//! log, syncs once if anybody asked for it, inserts it all into the memtable, publishes the newest version and wakes the
//! others; then the first request that queued meanwhile leads the next group. A lone committer pays no thread
//! switch. A leader that is to sync waits a moment for those whom the last sync has let go ([`company`]).
//!
//! # Invariants
//! 1. Commit numbers are consecutive, and the order of the queue is the order of numbers and of versions.
//! 2. Groups are strictly sequential: write, sync, insert, publish. A group never straddles generations.
//! 3. A number that was given is written, or is the last: from numbering to publication every failure, a panic of the
//!    leader too, trips the halt.
//! 4. A record's mark is at most the highest number that was durable when the record was written.
//!
//! Lock order: `leader`, then `queue` or `space` (never both), then the view lock.

mod company;
mod gauges;
mod group;
mod prepare;
mod queue;
mod space;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use base::seeded::{self, Bug};
use base::{Error, Halt, Result, SharedVersion, Version};
use parking_lot::{Condvar, Mutex};

use crate::generation::Generation;
use crate::guarded::Guarded;
use crate::view::Views;

use company::Company;
use gauges::Gauges;
pub(crate) use prepare::prepare;
pub use prepare::{MAX_VALUE_BYTES, Prepared};
pub use queue::{CommitError, Durability};
use queue::{Outcome, Queue, Queued, Request};
use space::{Space, no_generation};

/// Limits that decide when the leader rotates and how much it writes at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) memtable_bytes: usize,
    pub(crate) segment_bytes: u64,
    pub(crate) group_bytes: usize,
    pub(crate) allocation_step_bytes: u64,
}

/// Where numbering goes on after recovery.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    pub(crate) last_commit: u64,
    pub(crate) last_version: Version,
}

/// The queue of commits and the logs that they are written to.
#[derive(Debug)]
pub(crate) struct Journal {
    halt: Arc<Halt>,
    visible: Arc<SharedVersion>,
    views: Arc<Views>,
    limits: Limits,
    queue: Mutex<Queue>,
    /// As many requests have queued as the leader waits for.
    gathered: Condvar,
    space: Space,
    leader: Guarded<Leader>,
    /// The generation that the next rotation switches to.
    spare: Mutex<Option<Arc<Generation>>>,
    /// Generations that are full and not flushed, oldest first.
    frozen: Mutex<VecDeque<Arc<Generation>>>,
    /// The highest commit number known durable.
    durable: AtomicU64,
    gauges: Gauges,
}

/// What only the leader touches.
#[derive(Debug, Default)]
struct Leader {
    /// The generation that is written, once there is one; [`Space`] has it too, for those who do not lead.
    active: Option<Arc<Generation>>,
    scratch: Vec<u8>,
    /// Kept for its allocation.
    group: Vec<Request>,
    company: Company,
    /// Logs with commits that were not synced, oldest first.
    unsynced: Vec<Unsynced>,
}

impl Leader {
    fn active(&self) -> Result<&Arc<Generation>> {
        self.active.as_ref().ok_or_else(no_generation)
    }
}

/// A log with commits that are not durable. It must not keep its generation alive: where nobody ever asks for a sync, that would
/// be every memtable since open.
#[derive(Clone, Debug)]
struct Unsynced {
    generation_id: u64,
    /// Gone only after its flush: until then it is active or frozen, and the journal holds it.
    generation: Weak<Generation>,
    is_vlog: bool,
}

impl Unsynced {
    fn new(generation: &Arc<Generation>, is_vlog: bool) -> Self {
        Self { generation_id: generation.id, generation: Arc::downgrade(generation), is_vlog }
    }

    fn is_log_of(&self, generation: &Generation, is_vlog: bool) -> bool {
        self.generation_id == generation.id && self.is_vlog == is_vlog
    }

    /// The generation, unless its commits are in synced tables.
    fn unflushed(&self) -> Option<Arc<Generation>> {
        self.generation.upgrade().filter(|generation| !generation.is_retired())
    }

    /// Makes its commits durable. A log of the `active` generation gets more of them, so zeros are written ahead; a frozen one gets
    /// none, and its flush may be cutting it.
    fn sync(&self, active: Option<&Generation>) -> Result<()> {
        let Some(generation) = self.unflushed() else { return Ok(()) };
        let log = if self.is_vlog { &generation.vlog } else { &generation.wal };
        if active.is_some_and(|active| active.id == generation.id) {
            log.write_ahead()?;
        }
        log.sync()
    }
}

impl Journal {
    pub(crate) fn new(
        halt: Arc<Halt>,
        visible: Arc<SharedVersion>,
        views: Arc<Views>,
        limits: Limits,
        start: Start,
    ) -> Self {
        let queue = Queue {
            next_number: start.last_commit + 1,
            last_version: start.last_version,
            waiting: VecDeque::new(),
            awaited: usize::MAX,
            has_leader: false,
            closed: false,
        };
        Self {
            leader: Guarded::new(Leader::default(), &halt, "the leader of a commit"),
            halt,
            visible,
            views,
            limits,
            queue: Mutex::new(queue),
            gathered: Condvar::new(),
            space: Space::new(limits.allocation_step_bytes),
            spare: Mutex::new(None),
            frozen: Mutex::new(VecDeque::new()),
            durable: AtomicU64::new(start.last_commit),
            gauges: Gauges::default(),
        }
    }

    /// Commits `prepared`. `decide` runs under the numbering lock with the version that the commit will have; it must be
    /// short.
    pub(crate) fn commit<C>(
        &self,
        prepared: Prepared,
        durability: Durability,
        decide: impl FnOnce(Version) -> Result<(), C>,
    ) -> Result<Version, CommitError<C>> {
        self.halt.check().map_err(CommitError::NotWritten)?;
        let bytes = prepared.log_bytes() as u64;
        self.space.reserve(bytes, prepared.has_values()).map_err(CommitError::NotWritten)?;
        match self.enqueue(prepared, durability, decide) {
            Ok(queued) => {
                let version = queued.version();
                self.finish(queued).map(|()| version)
            }
            Err(error) => {
                self.space.release(bytes);
                Err(error)
            }
        }
    }

    /// Makes every acknowledged commit durable.
    ///
    /// # Errors
    /// The halt, or the failure of the sync, which trips it.
    pub(crate) fn sync(&self) -> Result<()> {
        self.halt.check()?;
        let queued = {
            let mut queue = self.queue.lock();
            let (number, version) = (queue.next_number - 1, queue.last_version);
            let (durability, place) = (Durability::Sync, 0);
            self.push(
                &mut queue,
                Request { prepared: None, number, version, durability, place, waiter: None },
            )
        };
        self.finish::<std::convert::Infallible>(queued).map_err(|error| match error {
            CommitError::NotWritten(error) | CommitError::Unknown(error) => error,
            CommitError::Refused(never) => match never {},
        })
    }

    fn enqueue<C>(
        &self,
        prepared: Prepared,
        durability: Durability,
        decide: impl FnOnce(Version) -> Result<(), C>,
    ) -> Result<Queued, CommitError<C>> {
        let mut queue = self.queue.lock();
        // Under the lock, because the halt is tripped before the queue is drained.
        self.halt.check().map_err(CommitError::NotWritten)?;
        queue.check_open().map_err(CommitError::NotWritten)?;
        let exhausted = || Error::LimitExceeded { what: "versions", limit: u64::MAX, got: u64::MAX };
        // The last version is kept free: it means "the newest" to readers.
        let version = queue
            .last_version
            .next()
            .filter(|version| *version < Version::MAX)
            .ok_or_else(|| CommitError::NotWritten(exhausted()))?;
        decide(version).map_err(CommitError::Refused)?;
        let number = queue.next_number;
        queue.next_number += 1;
        queue.last_version = version;
        let prepared = Some(prepared);
        Ok(self.push(&mut queue, Request { prepared, number, version, durability, place: 0, waiter: None }))
    }

    fn push(&self, queue: &mut Queue, request: Request) -> Queued {
        let queued = queue.push(request);
        if queue.waiting.len() >= queue.awaited {
            self.gathered.notify_one();
        }
        queued
    }

    fn finish<C>(&self, queued: Queued) -> Result<(), CommitError<C>> {
        let outcome = match queued {
            Queued::Leads(own) => self.lead(Some(own)),
            Queued::Waits(waiter, _) => match waiter.wait() {
                Outcome::Lead => {
                    self.lead(None);
                    waiter.outcome()
                }
                settled => settled,
            },
        };
        match outcome {
            Outcome::Done => Ok(()),
            Outcome::NotWritten(error) => Err(CommitError::NotWritten(error)),
            Outcome::Unknown(error) => Err(CommitError::Unknown(error)),
            // A leader settles its own group, which contains itself.
            Outcome::Waiting | Outcome::Lead => {
                Err(CommitError::Unknown(Error::invalid("commit", "its leader left without an outcome")))
            }
        }
    }

    /// True when a generation is open to be written.
    pub(crate) fn has_started(&self) -> bool {
        self.gauges.has_started()
    }

    /// Gives the first commit a generation to be written to: durable, empty, and listed.
    pub(crate) fn start(&self, first: Generation) {
        let first = Arc::new(first);
        // Readers must know the memtable before it gets anything.
        self.views.rotate(&first);
        self.leader.lock().active = Some(Arc::clone(&first));
        self.space.start(first);
        self.gauges.set_started();
    }

    /// True when the next rotation has nothing to switch to. Before the first commit nobody knows whether there will be one.
    pub(crate) fn needs_spare(&self) -> bool {
        self.spare.lock().is_none() && self.has_started()
    }

    /// Offers a durable, empty generation for the next rotation.
    pub(crate) fn offer_spare(&self, generation: Arc<Generation>) {
        *self.spare.lock() = Some(generation);
        self.gauges.set_has_spare(true);
    }

    /// The spare generation, if any, without taking it.
    pub(crate) fn spare(&self) -> Option<Arc<Generation>> {
        self.spare.lock().clone()
    }

    /// Every open generation: frozen, active, spare.
    pub(crate) fn generations(&self) -> Vec<Arc<Generation>> {
        let mut open: Vec<_> = self.frozen.lock().iter().cloned().collect();
        open.extend(self.space.active());
        open.extend(self.spare());
        open
    }

    /// Freezes the active generation if it holds anything; false when there is no spare to switch to.
    pub(crate) fn rotate_now(&self) -> Result<bool> {
        self.halt.check()?;
        let mut leader = self.leader.lock();
        if leader.active.as_ref().is_none_or(|active| active.last_commit() == 0) {
            return Ok(true);
        }
        self.rotate(&mut leader)
    }

    /// Refuses further commits; what is queued is still written.
    pub(crate) fn close(&self) {
        self.queue.lock().closed = true;
    }

    /// Fails once further commits are refused.
    pub(crate) fn check_open(&self) -> Result<()> {
        self.queue.lock().check_open()
    }

    /// Waits for the group that is being written. After a halt no later one is.
    pub(crate) fn wait_for_leader(&self) {
        drop(self.leader.lock());
    }

    /// The generation to be flushed next.
    pub(crate) fn oldest_frozen(&self) -> Option<Arc<Generation>> {
        if seeded::is(Bug::FlushNewestFirst) {
            return self.frozen.lock().back().cloned();
        }
        self.frozen.lock().front().cloned()
    }

    /// The ids of the oldest and the newest generation that wait for their flush.
    pub(crate) fn frozen_ids(&self) -> Option<(u64, u64)> {
        let frozen = self.frozen.lock();
        Some((frozen.front()?.id, frozen.back()?.id))
    }

    /// Memory of all memtables, in bytes.
    pub(crate) fn memtable_bytes(&self) -> usize {
        self.gauges.memtable_bytes()
    }

    /// True while frozen generations wait for their flush.
    pub(crate) fn has_frozen(&self) -> bool {
        self.gauges.has_frozen()
    }

    /// True when the active generation is full and the next one stands ready.
    pub(crate) fn wants_rotation(&self) -> bool {
        !self.needs_spare() && self.space.active().is_some_and(|active| self.is_full(&active))
    }

    /// True when the active generation is full and there is no other to switch to.
    pub(crate) fn lacks_spare(&self) -> bool {
        self.gauges.lacks_spare()
    }

    /// Tells that the oldest frozen generation is in synced tables, and with it all of its commits.
    pub(crate) fn flushed(&self, generation: &Arc<Generation>) {
        let mut frozen = self.frozen.lock();
        frozen.retain(|frozen| !Arc::ptr_eq(frozen, generation));
        self.gauge_frozen(&frozen);
        drop(frozen);
        self.durable.fetch_max(generation.last_commit(), Ordering::AcqRel);
    }

    /// Under the lock of what it measures.
    fn gauge_frozen(&self, frozen: &VecDeque<Arc<Generation>>) {
        let bytes = frozen.iter().map(|generation| generation.memtable.byte_len()).sum();
        self.gauges.set_frozen(frozen.len(), bytes);
    }

    /// The highest commit number known durable.
    pub(crate) fn durable(&self) -> u64 {
        if seeded::is(Bug::MarkTooHigh) {
            return self.last_given().0;
        }
        self.durable.load(Ordering::Acquire)
    }

    /// The last number and version that were given out.
    pub(crate) fn last_given(&self) -> (u64, Version) {
        let queue = self.queue.lock();
        (queue.next_number - 1, queue.last_version)
    }
}
