//! The leader's work on one group: place, write, sync, insert, publish.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use base::codec::Malformed;
use base::record::Stamp;
use base::seeded::{self, Bug};
use base::{Entry, Error, InternalKey, Payload, Result};
use wal::BatchReader;

use super::company::Company;
use super::prepare::Prepared;
use super::queue::{Durability, Outcome, Queue, Request, Waiter};
use super::space::no_generation;
use super::{Journal, Leader, Unsynced};
use crate::generation::Generation;

/// How many groups one leader writes at most before its own caller goes on.
const ROUNDS_MAX: u32 = 8;

impl Journal {
    /// Writes the group at the front of the queue, `own` before it if the caller's request did not queue, and settles it. Goes on
    /// with what has queued meanwhile as long as that is quick work, then passes the lead on. Returns what became of `own`.
    pub(super) fn lead(&self, own: Option<Request>) -> Outcome {
        let mut leader = self.leader.lock();
        let group = std::mem::take(&mut leader.group);
        let mut settle =
            Settle { journal: self, group, own: Outcome::Waiting, next: None, settled: false, company: 0 };
        settle.group.extend(own);
        for round in 1.. {
            settle.settled = false;
            self.gather(&mut leader.company, &mut settle.group);
            if seeded::is(Bug::AcknowledgeBeforeWrite) {
                settle.group.iter().for_each(|request| request.finish(Outcome::Done));
                std::thread::yield_now();
            }
            let outcome = self.write_group(&mut leader, &mut settle.group);
            let goes_on = settle.settle(outcome, round < ROUNDS_MAX);
            leader.company.met(settle.company);
            if !goes_on {
                break;
            }
        }
        let next = settle.next.take();
        if next.is_none() && settle.group.len() <= 1 {
            settle.acknowledge();
            leader.group = std::mem::take(&mut settle.group);
            return std::mem::replace(&mut settle.own, Outcome::Waiting);
        }
        // The next group is on the way to the disk while the followers of this one are woken, which may take as long as a sync.
        drop(leader);
        if let Some(next) = next {
            next.finish(Outcome::Lead);
        }
        settle.acknowledge();
        std::mem::replace(&mut settle.own, Outcome::Waiting)
    }

    /// Takes what has queued into the group, which holds the leader's own request or nothing.
    fn gather(&self, company: &mut Company, group: &mut Vec<Request>) {
        let leads_alone = |own: &Request| own.durability == Durability::Buffered || !company.is_expected();
        if group.first().is_some_and(leads_alone) {
            return;
        }
        let mut queue = self.queue.lock();
        let present = group.len() + queue.waiting.len();
        if queue.leads_to_sync(group.first())
            && let Some((expected, patience)) = company.worth_waiting_for(present)
        {
            queue.awaited = expected - group.len();
            let is_short = |queue: &mut Queue| queue.waiting.len() < queue.awaited;
            self.gathered.wait_while_for(&mut queue, is_short, patience);
            queue.awaited = usize::MAX;
            company.waited(expected - present, group.len() + queue.waiting.len() - present);
        }
        queue.take_group(self.limits.group_bytes, group);
    }

    fn write_group(&self, leader: &mut Leader, group: &mut [Request]) -> Result<()> {
        self.halt.check()?;
        let last = group.iter().rev().find(|request| request.prepared.is_some());
        let last = last.map(|request| (request.number, request.version));
        if let Some((number, _)) = last {
            if self.is_full(leader.active()?) {
                self.rotate(leader)?;
            }
            self.append(leader, group, number)?;
        }
        if group.iter().any(|request| request.durability == Durability::Sync) {
            let begun = Instant::now();
            self.sync_logs(leader, group.last().map_or(0, |request| request.number))?;
            leader.company.synced(begun.elapsed());
        }
        if let Some((_, version)) = last {
            let active = leader.active()?;
            insert(active, group)?;
            self.gauges.set_active(active.memtable.byte_len(), self.is_full(active));
            self.visible.publish(version);
        }
        Ok(())
    }

    /// Appends all commits, the last of which has `last_number`, to one log, and notes where each commit record stands.
    fn append(&self, leader: &mut Leader, group: &mut [Request], last_number: u64) -> Result<()> {
        let Leader { active, scratch, unsynced, .. } = leader;
        let active = active.as_ref().ok_or_else(no_generation)?;
        let has_values = |request: &Request| request.prepared.as_ref().is_some_and(Prepared::has_values);
        let is_vlog = group.iter().any(has_values);
        let log = if is_vlog { &active.vlog } else { &active.wal };
        let (mut at, mark) = (log.position(), self.durable());
        for request in &mut *group {
            let Some(prepared) = &mut request.prepared else { continue };
            let stamp = Stamp { number: request.number, version: request.version.0, mark };
            prepared.records.stamp(log.seed(), at, stamp);
            request.place = at + prepared.commit_offset();
            at += prepared.log_bytes() as u64;
        }
        // From here on the log holds something that is not durable, whether or not the write succeeds.
        if !unsynced.iter().any(|known| known.is_log_of(active, is_vlog)) {
            unsynced.retain(|known| known.unflushed().is_some());
            unsynced.push(Unsynced::new(active, is_vlog));
        }
        active.set_last_commit(last_number);
        let prepared = || group.iter().filter_map(|request| request.prepared.as_ref());
        for commit in prepared().filter(|commit| commit.has_values()) {
            active.add_values(commit.values, commit.commit_offset());
        }
        if seeded::is(Bug::PublishBeforeLog) {
            insert(active, group)?;
            self.visible.publish(self.last_given().1);
        }
        if let [Request { prepared: Some(only), .. }] = &*group {
            return log.append_stamped(only.records.as_bytes());
        }
        scratch.clear();
        prepared().for_each(|commit| scratch.extend_from_slice(commit.records.as_bytes()));
        log.append_stamped(scratch)
    }

    /// Syncs every log that holds a commit which was not synced; commits up to `number` are durable then.
    fn sync_logs(&self, leader: &mut Leader, number: u64) -> Result<()> {
        if seeded::is(Bug::SyncOwnLogOnly) {
            leader.unsynced.drain(..leader.unsynced.len().saturating_sub(1));
        }
        for unsynced in &leader.unsynced {
            if !seeded::is(Bug::SkipLogSync) {
                unsynced.sync(leader.active.as_deref())?;
            }
        }
        leader.unsynced.clear();
        self.durable.fetch_max(number, Ordering::AcqRel);
        Ok(())
    }

    pub(super) fn is_full(&self, active: &Generation) -> bool {
        active.memtable.byte_len() >= self.limits.memtable_bytes
            || active.vlog.position() >= self.limits.segment_bytes
    }

    /// Switches to the spare generation. Without one, or without room for its logs, the active one grows on: commits are
    /// held back before they are numbered, not here.
    pub(super) fn rotate(&self, leader: &mut Leader) -> Result<bool> {
        let Some(active) = &mut leader.active else { return Ok(true) };
        let Some(next) = self.spare.lock().take() else { return Ok(false) };
        self.gauges.set_has_spare(false);
        match self.space.switch_to(&next) {
            Ok(()) => {
                let previous = std::mem::replace(active, Arc::clone(&next));
                tracing::debug!(frozen = previous.id, active = next.id, "rotated the memtable");
                let mut frozen = self.frozen.lock();
                frozen.push_back(previous);
                self.gauges.set_active(next.memtable.byte_len(), false);
                self.gauge_frozen(&frozen);
                drop(frozen);
                self.views.rotate(&next);
                Ok(true)
            }
            Err(error) if error.is_no_space() => {
                self.offer_spare(next);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

/// Inserts the commits of a group, whose records are placed, into the memtable, which searches the places of many writes
/// at once.
fn insert(active: &Generation, group: &[Request]) -> Result<()> {
    let mut writes =
        GroupWrites { requests: group.iter(), segment: active.vlog_number, present: None, failed: None };
    let inserted = active.memtable.writer().insert_all(&mut writes);
    inserted.map_err(|full| Error::invalid("memtable", full.to_string()))?;
    writes.failed.map_or(Ok(()), |error| Err(Error::invalid("commit batch", error.what)))
}

/// The writes of a placed group in their order, with pointers that say where values are. After a failure there is nothing
/// more.
struct GroupWrites<'a> {
    requests: std::slice::Iter<'a, Request>,
    /// The value log of the generation.
    segment: u64,
    present: Option<(BatchReader<'a>, &'a Request)>,
    failed: Option<Malformed>,
}

impl<'a> GroupWrites<'a> {
    /// The next write, while there is one.
    fn step(&mut self) -> Result<Option<(InternalKey<'a>, Entry<'a>)>, Malformed> {
        loop {
            if let Some((reader, request)) = &mut self.present
                && let Some(write) = reader.next()
            {
                let (key, mut entry) = write?;
                if let Payload::Separated(pointer) = entry.payload {
                    let place = wal::resolve(pointer, self.segment, request.place)?;
                    entry.payload = Payload::Separated(place);
                }
                return Ok(Some((InternalKey::new(key, request.version), entry)));
            }
            let Some(request) = self.requests.next() else { return Ok(None) };
            let Some(prepared) = &request.prepared else { continue };
            self.present = Some((BatchReader::decode(prepared.batch())?, request));
        }
    }
}

impl<'a> Iterator for GroupWrites<'a> {
    type Item = (InternalKey<'a>, Entry<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed.is_some() {
            return None;
        }
        self.step().unwrap_or_else(|error| {
            self.failed = Some(error);
            None
        })
    }
}

/// Settles a group whatever happens: on a panic of the leader too, all waiters wake and the halt is tripped.
struct Settle<'a> {
    journal: &'a Journal,
    group: Vec<Request>,
    /// What became of the leader's own request, if it did not queue; it is in the first group.
    own: Outcome,
    /// Who is to lead next.
    next: Option<Arc<Waiter>>,
    settled: bool,
    /// How many requests were in the last group, or had queued at its end.
    company: usize,
}

impl Settle<'_> {
    /// True when the leader is to lead the next group too, which it does if it `may_go_on`.
    fn settle(&mut self, outcome: Result<()>, may_go_on: bool) -> bool {
        self.settled = true;
        match outcome {
            Ok(()) => self.succeed(may_go_on),
            Err(cause) => {
                self.fail(cause);
                false
            }
        }
    }

    fn succeed(&mut self, may_go_on: bool) -> bool {
        let bytes = self.group.iter().map(|request| request.log_bytes() as u64).sum();
        self.journal.space.release(bytes);
        let goes_on = self.pass_lead(may_go_on);
        if goes_on {
            self.acknowledge();
        }
        goes_on
    }

    /// Tells the committers of the group, which is written and published.
    fn acknowledge(&mut self) {
        for request in self.group.drain(..) {
            match request.waiter {
                Some(waiter) => waiter.finish(Outcome::Done),
                None => self.own = Outcome::Done,
            }
        }
    }

    /// Makes the request at the front of the queue the next leader. True when the present one is to go on instead.
    fn pass_lead(&mut self, may_go_on: bool) -> bool {
        let mut queue = self.journal.queue.lock();
        self.company = self.group.len() + queue.waiting.len();
        if may_go_on && queue.has_only_buffered() {
            return true;
        }
        match queue.waiting.front() {
            Some(next) => self.next.clone_from(&next.waiter),
            None => queue.has_leader = false,
        }
        false
    }

    /// The group may or may not be on disk; what queued behind it never will be.
    fn fail(&mut self, cause: Error) {
        // Halted already: a background step tripped the latch before anything of this group was written.
        let forgotten = seeded::is(Bug::NoSpaceAfterNumbering) && cause.is_no_space();
        let written = !matches!(cause, Error::Halted { .. }) && !forgotten;
        if written {
            tracing::error!(%cause, "writing stopped");
            self.journal.halt.trip(cause.clone());
        }
        for request in self.group.drain(..) {
            let cause = cause.clone();
            let outcome = if written { Outcome::Unknown(cause) } else { Outcome::NotWritten(cause) };
            match request.waiter {
                Some(waiter) => waiter.finish(outcome),
                None => self.own = outcome,
            }
        }
        let left: Vec<_> = {
            let mut queue = self.journal.queue.lock();
            queue.has_leader = false;
            queue.waiting.drain(..).collect()
        };
        let refused = self.journal.halt.check().err().unwrap_or(cause);
        for request in left {
            request.finish(Outcome::NotWritten(refused.clone()));
        }
    }
}

impl Drop for Settle<'_> {
    fn drop(&mut self) {
        match self.settled {
            true => self.acknowledge(),
            false => self.fail(Error::Panicked { during: "the leader of a commit" }),
        }
    }
}
