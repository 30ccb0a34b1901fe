//! The leader's work on one group: place, write, sync, insert, publish.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::record::Stamp;
use base::seeded::{self, Bug};
use base::{Entry, Error, InternalKey, Payload, Result, Version};
use wal::BatchReader;

use super::prepare::Prepared;
use super::queue::{Durability, Outcome, Waiter};
use super::space::no_generation;
use super::{Journal, Leader, Unsynced};
use crate::generation::Generation;

/// How many groups one leader writes at most before its own caller goes on.
const ROUNDS_MAX: u32 = 8;

impl Journal {
    /// Writes the group at the front of the queue and settles it. Goes on with what has queued meanwhile as long as that is
    /// quick work, then passes the lead on.
    pub(super) fn lead(&self) {
        let mut group = Vec::new();
        for round in 1.. {
            group.clear();
            let mut leader = self.leader.lock();
            self.queue.lock().take_group(self.limits.group_bytes, &mut group);
            if seeded::is(Bug::AcknowledgeBeforeWrite) {
                group.iter().for_each(|waiter| waiter.finish(Outcome::Done));
                std::thread::yield_now();
            }
            let mut settle = Settle { journal: self, group: &group, settled: false };
            let outcome = self.write_group(&mut leader, &group);
            drop(leader);
            if !settle.settle(outcome, round < ROUNDS_MAX) {
                return;
            }
        }
    }

    fn write_group(&self, leader: &mut Leader, group: &[Arc<Waiter>]) -> Result<()> {
        let commits: Vec<Commit> = group.iter().filter_map(Commit::take).collect();
        self.halt.check()?;
        let written = if commits.is_empty() { None } else { Some(self.write_commits(leader, commits)?) };
        if group.iter().any(|waiter| waiter.durability == Durability::Sync) {
            self.sync_logs(leader, group.last().map_or(0, |waiter| waiter.number))?;
        }
        let Some(Written { active, commits, places }) = written else { return Ok(()) };
        insert(&active, &commits, &places)?;
        if let Some(last) = commits.last() {
            self.visible.publish(last.version);
        }
        Ok(())
    }

    /// Appends commits to a log of the active generation, or of the next one where that is full.
    fn write_commits(&self, leader: &mut Leader, mut commits: Vec<Commit>) -> Result<Written> {
        let active = || self.space.active().ok_or_else(no_generation);
        if self.is_full(&*active()?) {
            self.rotate(leader)?;
        }
        let active = active()?;
        let places = self.append(leader, &active, &mut commits)?;
        Ok(Written { active, commits, places })
    }

    /// Appends all commits to one log. Returns where each commit record stands.
    fn append(
        &self,
        leader: &mut Leader,
        active: &Arc<Generation>,
        commits: &mut [Commit],
    ) -> Result<Vec<u64>> {
        let Some(last) = commits.last() else { return Ok(Vec::new()) };
        let last_number = last.number;
        let is_vlog = commits.iter().any(|commit| commit.prepared.has_values());
        let log = if is_vlog { &active.vlog } else { &active.wal };
        let (start, mark) = (log.position(), self.durable());
        let mut places = Vec::with_capacity(commits.len());
        let mut at = start;
        for commit in commits.iter_mut() {
            let stamp = Stamp { number: commit.number, version: commit.version.0, mark };
            commit.prepared.records.stamp(log.seed(), at, stamp);
            places.push(at + commit.prepared.commit_offset());
            at += commit.prepared.log_bytes() as u64;
        }
        // From here on the log holds something that is not durable, whether or not the write succeeds.
        let dirty =
            leader.unsynced.iter().any(|known| known.generation.id == active.id && known.is_vlog == is_vlog);
        if !dirty {
            leader.unsynced.push(Unsynced { generation: Arc::clone(active), is_vlog });
        }
        active.set_last_commit(last_number);
        for commit in commits.iter().filter(|commit| commit.prepared.has_values()) {
            active.add_values(commit.prepared.values, commit.prepared.commit_offset());
        }
        if seeded::is(Bug::PublishBeforeLog) {
            insert(active, commits, &places)?;
            self.visible.publish(self.last_given().1);
        }
        match commits {
            [only] => log.append_stamped(only.prepared.records.as_bytes())?,
            many => {
                leader.scratch.clear();
                for commit in many.iter() {
                    leader.scratch.extend_from_slice(commit.prepared.records.as_bytes());
                }
                log.append_stamped(&leader.scratch)?;
            }
        }
        Ok(places)
    }

    /// Syncs every log that holds a commit which was not synced; commits up to `number` are durable then.
    fn sync_logs(&self, leader: &mut Leader, number: u64) -> Result<()> {
        if seeded::is(Bug::SyncOwnLogOnly) {
            leader.unsynced.drain(..leader.unsynced.len().saturating_sub(1));
        }
        let active = self.space.active();
        for unsynced in &leader.unsynced {
            if !unsynced.generation.is_retired() && !seeded::is(Bug::SkipLogSync) {
                // Frozen logs get no more records, and their flush may be cutting them.
                if active.as_ref().is_some_and(|active| Arc::ptr_eq(&unsynced.generation, active)) {
                    unsynced.log().write_ahead()?;
                }
                unsynced.log().sync()?;
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
    pub(super) fn rotate(&self, _leader: &mut Leader) -> Result<bool> {
        let Some(previous) = self.space.active() else { return Ok(true) };
        let Some(next) = self.spare.lock().take() else { return Ok(false) };
        match self.space.switch_to(&next) {
            Ok(()) => {
                self.frozen.lock().push_back(Arc::clone(&previous));
                tracing::debug!(frozen = previous.id, active = next.id, "rotated the memtable");
                self.views.rotate(&next);
                Ok(true)
            }
            Err(error) if error.is_no_space() => {
                *self.spare.lock() = Some(next);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

/// The commits of a group that stand in a log, and where.
struct Written {
    active: Arc<Generation>,
    commits: Vec<Commit>,
    places: Vec<u64>,
}

/// A commit of the group, taken out of its waiter.
struct Commit {
    prepared: Prepared,
    number: u64,
    version: Version,
}

impl Commit {
    fn take(waiter: &Arc<Waiter>) -> Option<Self> {
        let prepared = waiter.prepared.lock().take()?;
        Some(Self { prepared, number: waiter.number, version: waiter.version })
    }
}

/// Inserts the commits, whose records stand at `places`, into the memtable.
fn insert(active: &Generation, commits: &[Commit], places: &[u64]) -> Result<()> {
    let mut writer = active.memtable.writer();
    for (commit, place) in commits.iter().zip(places) {
        insert_batch(&mut writer, commit.prepared.batch(), commit.version, active.vlog_number, *place)?;
    }
    Ok(())
}

/// Inserts one encoded batch whose commit record stands at `place` of value log `segment`.
pub(crate) fn insert_batch(
    writer: &mut memtable::Writer<'_>,
    batch: &[u8],
    version: Version,
    segment: u64,
    place: u64,
) -> Result<()> {
    let malformed = |error: base::codec::Malformed| Error::invalid("commit batch", error.what);
    for write in BatchReader::decode(batch).map_err(malformed)? {
        let (key, mut entry): (&[u8], Entry<'_>) = write.map_err(malformed)?;
        if let Payload::Separated(pointer) = entry.payload {
            entry.payload = Payload::Separated(wal::resolve(pointer, segment, place).map_err(malformed)?);
        }
        writer
            .insert(InternalKey::new(key, version), &entry)
            .map_err(|full| Error::invalid("memtable", full.to_string()))?;
    }
    Ok(())
}

/// Settles a group whatever happens: on a panic of the leader too, all waiters wake and the halt is tripped.
struct Settle<'a> {
    journal: &'a Journal,
    group: &'a [Arc<Waiter>],
    settled: bool,
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

    fn succeed(&self, may_go_on: bool) -> bool {
        let bytes = self.group.iter().map(|waiter| waiter.log_bytes as u64).sum();
        self.journal.space.release(bytes);
        // First of all, so that the next group is on its way to the disk while the followers of this one are woken.
        let goes_on = self.pass_lead(may_go_on);
        for waiter in self.group {
            waiter.finish(Outcome::Done);
        }
        goes_on
    }

    /// Makes the request at the front of the queue the next leader. True when the present one is to go on instead.
    fn pass_lead(&self, may_go_on: bool) -> bool {
        let mut queue = self.journal.queue.lock();
        if may_go_on && queue.has_only_buffered() {
            return true;
        }
        match queue.waiting.front() {
            Some(next) => next.finish(Outcome::Lead),
            None => queue.has_leader = false,
        }
        false
    }

    /// The group may or may not be on disk; what queued behind it never will be.
    fn fail(&self, cause: Error) {
        // Halted already: a background step tripped the latch before anything of this group was written.
        let forgotten = seeded::is(Bug::NoSpaceAfterNumbering) && cause.is_no_space();
        let written = !matches!(cause, Error::Halted { .. }) && !forgotten;
        if written {
            tracing::error!(%cause, "writing stopped");
            self.journal.halt.trip(cause.clone());
        }
        for waiter in self.group {
            let cause = cause.clone();
            waiter.finish(if written { Outcome::Unknown(cause) } else { Outcome::NotWritten(cause) });
        }
        let left: Vec<_> = {
            let mut queue = self.journal.queue.lock();
            queue.has_leader = false;
            queue.waiting.drain(..).collect()
        };
        let refused = self.journal.halt.check().err().unwrap_or(cause);
        for waiter in left {
            waiter.finish(Outcome::NotWritten(refused.clone()));
        }
    }
}

impl Drop for Settle<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.fail(Error::Panicked { during: "the leader of a commit" });
        }
    }
}
