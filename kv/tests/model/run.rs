//! Carries a history out, on the database and on the oracle, and compares.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use base::vfs::MemVfs;
use kv::{Clock, Db, ManualClock, Options, Range, ReadTxn, TableAccess, UnixSeconds, WriteTxn};

use crate::coverage::{COVERAGE, count};
use crate::operation::{History, Operation, SLOTS, ScanPlan, Write, key};
use crate::oracle::{KeyRange, Oracle, Row, Writes};
use crate::terms::{
    Expected, Iteration, Outcome, bounds_of, entry_of, planned, row_of, same, set_options, told, visited,
};

/// Runs one history.
///
/// # Errors
/// What differs, or panics.
pub(crate) fn run(history: &History) -> Outcome {
    let run = AssertUnwindSafe(|| {
        let mut world = World::open(history)?;
        for (index, operation) in history.operations.iter().enumerate() {
            world.carry_out(operation).map_err(|why| format!("operation {index}, {operation:?}: {why}"))?;
        }
        world.finish().map_err(|why| format!("at the end: {why}"))
    });
    catch_unwind(run).unwrap_or_else(|panic| {
        let text =
            panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
        Err(format!("it panics: {}", text.unwrap_or("(no text)")))
    })
}

/// The database, and what it should be.
struct World {
    vfs: MemVfs,
    clock: Arc<ManualClock>,
    options: Options,
    keep_versions: usize,
    oracle: Oracle,
    iterations: [Option<Iteration>; SLOTS],
    txns: [Option<Txn>; SLOTS],
    snapshots: [Option<(ReadTxn, u64)>; SLOTS],
    // Last, because it outlives what it gave out.
    db: Db,
}

/// A transaction and what should come of it.
struct Txn {
    txn: WriteTxn,
    time: u64,
    writes: Writes,
    points: Vec<Vec<u8>>,
    ranges: Vec<KeyRange>,
}

impl World {
    fn open(history: &History) -> Outcome<Self> {
        let vfs = MemVfs::new();
        let clock = Arc::new(ManualClock::new(UnixSeconds(1_000)));
        let keep_versions = NonZeroU32::new(history.keep_versions).unwrap_or(NonZeroU32::MIN);
        let access = if history.positional { TableAccess::Positional } else { TableAccess::Mapped };
        let engine = engine::Options { keep_versions, access, ..engine::Options::tiny() };
        let options = Options::tiny()
            .memory_budget(64 << 20)
            .with_engine_options(engine)
            .with_vfs(Arc::new(vfs.clone()))
            .with_clock(Arc::<ManualClock>::clone(&clock));
        let db = told(options.clone().open("/db"))?;
        Ok(Self {
            vfs,
            clock,
            options,
            keep_versions: history.keep_versions as usize,
            oracle: Oracle::default(),
            iterations: Default::default(),
            txns: Default::default(),
            snapshots: Default::default(),
            db,
        })
    }

    fn now(&self) -> u64 {
        self.clock.now().0
    }

    fn carry_out(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::Write(write) => self.write(write),
            Operation::Batch(writes) => self.batch(writes),
            Operation::Get(index) => self.get(*index),
            Operation::Scan(plan) => {
                let txn = told(self.db.begin_read())?;
                self.snapshot_scan(&txn, self.now(), plan)
            }
            Operation::Begin(slot) => self.begin(*slot),
            Operation::TxnGet(slot, index) => self.txn_get(*slot, *index),
            Operation::TxnWrite(slot, write) => self.txn_write(*slot, write),
            Operation::TxnScan(slot, plan) => self.txn_scan(*slot, plan),
            Operation::TxnIterate(slot, iteration, plan) => self.txn_iterate(*slot, *iteration, plan),
            Operation::Commit(slot) => self.commit(*slot),
            Operation::Rollback(slot) => {
                self.end_iterations_of(*slot);
                if let Some(txn) = self.txns[*slot].take() {
                    txn.txn.rollback();
                }
                Ok(())
            }
            Operation::Snapshot(slot) => {
                let (txn, now) = (told(self.db.begin_read())?, self.now());
                same("version of a snapshot", &txn.version().0, &self.oracle.last_version())?;
                self.snapshots[*slot] = Some((txn, now));
                Ok(())
            }
            Operation::SnapshotGet(slot, index) => match &self.snapshots[*slot] {
                Some((txn, time)) => self.snapshot_get(txn, *time, *index),
                None => Ok(()),
            },
            Operation::SnapshotScan(slot, plan) => match self.snapshots[*slot].clone() {
                Some((txn, time)) => self.snapshot_scan(&txn, time, plan),
                None => Ok(()),
            },
            Operation::SnapshotIterate(slot, iteration, plan) => match self.snapshots[*slot].clone() {
                Some((txn, time)) => {
                    self.end_iteration(*iteration);
                    self.iterations[*iteration] = Some(self.iteration(&txn, time, plan)?);
                    Ok(())
                }
                None => Ok(()),
            },
            Operation::EndSnapshot(slot) => {
                self.snapshots[*slot] = None;
                Ok(())
            }
            Operation::Pull(slot, from_back) => self.pull_slot(*slot, *from_back),
            Operation::EndIteration(slot) => {
                self.end_iteration(*slot);
                Ok(())
            }
            Operation::Step(times) => (0..*times).try_for_each(|_| told(self.db.step()).map(drop)),
            Operation::Flush => told(self.db.flush()),
            Operation::Compact => told(self.db.compact()),
            Operation::Wait(seconds) => {
                self.clock.advance(*seconds);
                Ok(())
            }
            Operation::Reopen { kill } => self.reopen(*kill),
            Operation::ReadOnly => self.read_only(),
            Operation::Verify => self.verify(),
        }
    }

    fn write(&mut self, write: &Write) -> Outcome {
        let (key, entry) = (key(write.key), entry_of(write, self.now()));
        let version = match &write.value {
            Some(value) => self.db.set_with(&key, value.bytes(), &set_options(write)),
            None => self.db.delete(&key),
        };
        self.committed(told(version)?.0, &Writes::from([(key, entry)]))
    }

    fn committed(&mut self, version: u64, writes: &Writes) -> Outcome {
        same("version of a commit", &version, &(self.oracle.last_version() + 1))?;
        self.oracle.commit(version, writes);
        count(&COVERAGE.commits, 1);
        Ok(())
    }

    fn count_background_work(&self) {
        let stats = self.db.stats();
        count(&COVERAGE.flushes, stats.flushes);
        count(&COVERAGE.compactions, stats.compactions);
        count(&COVERAGE.separated_values, stats.segments.iter().map(|segment| segment.live_values).sum());
    }

    /// The parts in which a batch is committed show in its versions only.
    fn batch(&mut self, writes: &[Write]) -> Outcome {
        let before = self.oracle.last_version();
        let mut batch = self.db.write_batch();
        let mut parts: BTreeMap<u64, Writes> = BTreeMap::new();
        for write in writes {
            let (key, entry) = (key(write.key), entry_of(write, self.now()));
            told(match &write.value {
                Some(value) => batch.set_with(&key, value.bytes(), &set_options(write)),
                None => batch.delete(&key),
            })?;
            parts.entry(self.db.version().0 + 1).or_default().insert(key, entry);
        }
        told(batch.commit())?;
        same("last version of a batch", &self.db.version().0, &(before + parts.len() as u64))?;
        parts.iter().try_for_each(|(version, writes)| self.committed(*version, writes))
    }

    fn get(&self, index: usize) -> Outcome {
        let key = key(index);
        let expected = self.oracle.get(&key, u64::MAX, self.now());
        let value = told(self.db.get(&key))?.map(|value| value.to_vec());
        same("value", &value, &expected.and_then(|(_, entry)| entry.value.clone()))?;
        same("presence", &told(self.db.contains_key(&key))?, &expected.is_some())
    }

    fn snapshot_get(&self, txn: &ReadTxn, time: u64, index: usize) -> Outcome {
        let key = key(index);
        let expected = self.oracle.get(&key, txn.version().0, time);
        let value = told(txn.get(&key))?.map(|value| value.to_vec());
        same("value", &value, &expected.and_then(|(_, entry)| entry.value.clone()))?;
        let item = told(txn.item(&key))?.map(|item| row_of(&item, false)).transpose()?;
        let row = expected.map(|(version, entry)| Row { key, version: *version, entry: entry.clone() });
        same("item", &item, &row)
    }

    fn snapshot_scan(&self, txn: &ReadTxn, time: u64, plan: &ScanPlan) -> Outcome {
        let mut iteration = self.iteration(txn, time, plan)?;
        if plan.all_versions {
            return self.check_versions(iteration.range, txn.version().0, plan);
        }
        self.pull_all(&mut iteration, plan)
    }

    fn iteration(&self, txn: &ReadTxn, time: u64, plan: &ScanPlan) -> Outcome<Iteration> {
        let range = planned(txn.scan(), plan)?;
        let version = txn.version().0;
        let expected = self.expected(plan, version, time, &Writes::new());
        Ok(Iteration { range, expected, txn: None, visited: visited(plan) })
    }

    fn expected(&self, plan: &ScanPlan, version: u64, time: u64, own: &Writes) -> Expected {
        if plan.all_versions {
            return Expected::Versions;
        }
        let rows = self.oracle.rows(&bounds_of(plan), version, time, plan.since.unwrap_or(0), own);
        Expected::Rows { rows: rows.into(), reverse: plan.reverse }
    }

    fn pull_all(&self, iteration: &mut Iteration, plan: &ScanPlan) -> Outcome {
        for from_back in &plan.pulls {
            self.pull(iteration, *from_back)?;
        }
        while plan.to_the_end && self.pull(iteration, false)? {}
        Ok(())
    }

    /// Takes one item, from the iterator's own back when asked to. False at the end.
    fn pull(&self, iteration: &mut Iteration, from_back: bool) -> Outcome<bool> {
        let item = if from_back { iteration.range.next_back() } else { iteration.range.next() };
        let item = item.transpose().map_err(|error| format!("error: {error}"))?;
        let Expected::Rows { rows, reverse } = &mut iteration.expected else {
            return Ok(item.is_some());
        };
        let from_end = from_back != *reverse;
        let expected = if from_end { rows.pop_back() } else { rows.pop_front() };
        let is_own = expected.as_ref().is_some_and(|row| row.version == 0);
        let row = item.map(|item| row_of(&item, is_own)).transpose()?;
        same("item of a scan", &row, &expected)?;
        match &row {
            Some(row) if from_end => iteration.visited.back = Some(row.key.clone()),
            Some(row) => iteration.visited.front = Some(row.key.clone()),
            None => iteration.visited.ran_out = true,
        }
        Ok(row.is_some())
    }

    /// Every version that is shown was written, in the right order; those that must be kept are there.
    fn check_versions(&self, range: Range, version: u64, plan: &ScanPlan) -> Outcome {
        let mut rows = range
            .map(|item| told(item).and_then(|item| row_of(&item, false)))
            .collect::<Outcome<Vec<_>>>()?;
        if plan.reverse {
            rows.reverse();
        }
        let order: Vec<_> =
            rows.iter().map(|row| (row.key.clone(), std::cmp::Reverse(row.version))).collect();
        if !order.is_sorted_by(|one, other| one < other) {
            return Err(format!("all versions are out of order: {order:?}"));
        }
        let (now, since) = (self.now(), plan.since.unwrap_or(0));
        for row in &rows {
            let written = self.oracle.versions(&row.key, version).find(|(of, _)| *of == row.version);
            let Some((_, written)) = written else { return Err(format!("{row:?} was never written")) };
            let became_tombstone = row.entry.value.is_none() && written.is_expired(now);
            if row.version <= since || (row.entry != *written && !became_tombstone) {
                return Err(format!("{row:?} was written as {written:?}, since {since}"));
            }
        }
        // An older snapshot is only promised what it sees itself.
        let is_newest = version == self.oracle.last_version();
        let promised = if is_newest { self.keep_versions } else { 1 };
        for index in 0.. {
            let key = key(index);
            if key.is_empty() || index >= 40 {
                break;
            }
            if !crate::oracle::contains(&bounds_of(plan), &key) {
                continue;
            }
            for (of, entry) in self.oracle.versions(&key, version).take(promised) {
                if !entry.is_live(now) {
                    break;
                }
                if *of > since && !rows.iter().any(|row| row.key == key && row.version == *of) {
                    return Err(format!("version {of} of {key:?} is not kept: {entry:?}"));
                }
                if entry.hides_older {
                    break;
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, slot: usize) -> Outcome {
        self.end_iterations_of(slot);
        let txn = told(self.db.begin_write())?;
        same("version of a transaction", &txn.version().0, &self.oracle.last_version())?;
        let time = self.now();
        self.txns[slot] =
            Some(Txn { txn, time, writes: Writes::new(), points: Vec::new(), ranges: Vec::new() });
        Ok(())
    }

    fn txn_get(&mut self, slot: usize, index: usize) -> Outcome {
        let Some(txn) = &mut self.txns[slot] else { return Ok(()) };
        let key = key(index);
        let own = txn.writes.get(&key);
        let expected = match own {
            Some(entry) => Some(entry).filter(|entry| entry.is_live(txn.time)),
            None => self.oracle.get(&key, txn.txn.version().0, txn.time).map(|(_, entry)| entry),
        };
        let value = told(txn.txn.get(&key))?.map(|value| value.to_vec());
        same("value", &value, &expected.and_then(|entry| entry.value.clone()))?;
        same("presence", &told(txn.txn.contains_key(&key))?, &expected.is_some())?;
        let user_meta = told(txn.txn.item(&key))?.map(|item| item.user_meta());
        same("user meta", &user_meta, &expected.map(|entry| entry.user_meta))?;
        if own.is_none() {
            txn.points.push(key);
        }
        Ok(())
    }

    fn txn_write(&mut self, slot: usize, write: &Write) -> Outcome {
        let now = self.now();
        let Some(txn) = &mut self.txns[slot] else { return Ok(()) };
        let key = key(write.key);
        told(match &write.value {
            Some(value) => txn.txn.set_with(&key, value.bytes(), &set_options(write)),
            None => txn.txn.delete(&key),
        })?;
        txn.writes.insert(key, entry_of(write, now));
        Ok(())
    }

    fn txn_iteration(&self, slot: usize, plan: &ScanPlan) -> Outcome<Option<Iteration>> {
        let Some(txn) = &self.txns[slot] else { return Ok(None) };
        let range = planned(txn.txn.scan(), plan)?;
        let expected = self.expected(plan, txn.txn.version().0, txn.time, &txn.writes);
        Ok(Some(Iteration { range, expected, txn: Some(slot), visited: visited(plan) }))
    }

    fn txn_scan(&mut self, slot: usize, plan: &ScanPlan) -> Outcome {
        let plan = ScanPlan { all_versions: false, ..plan.clone() };
        let Some(mut iteration) = self.txn_iteration(slot, &plan)? else { return Ok(()) };
        self.pull_all(&mut iteration, &plan)?;
        if let Some(txn) = &mut self.txns[slot] {
            txn.ranges.extend(iteration.visited.ranges());
        }
        Ok(())
    }

    fn txn_iterate(&mut self, slot: usize, iteration: usize, plan: &ScanPlan) -> Outcome {
        let plan = ScanPlan { all_versions: false, ..plan.clone() };
        self.end_iteration(iteration);
        self.iterations[iteration] = self.txn_iteration(slot, &plan)?;
        Ok(())
    }

    fn pull_slot(&mut self, slot: usize, from_back: bool) -> Outcome {
        let Some(mut iteration) = self.iterations[slot].take() else { return Ok(()) };
        self.pull(&mut iteration, from_back)?;
        self.iterations[slot] = Some(iteration);
        Ok(())
    }

    fn end_iteration(&mut self, slot: usize) {
        if let Some(iteration) = self.iterations[slot].take()
            && let Some(txn) = iteration.txn.and_then(|txn| self.txns[txn].as_mut())
        {
            txn.ranges.extend(iteration.visited.ranges());
        }
    }

    /// A transaction is about to end: what its iterators have visited is added to what it has read.
    fn end_iterations_of(&mut self, txn: usize) {
        for slot in 0..SLOTS {
            if self.iterations[slot].as_ref().is_some_and(|iteration| iteration.txn == Some(txn)) {
                self.end_iteration(slot);
            }
        }
    }

    fn commit(&mut self, slot: usize) -> Outcome {
        // One iterator is left open over the commit: what it has visited counts all the same.
        let open =
            (0..SLOTS).find(|at| self.iterations[*at].as_ref().is_some_and(|open| open.txn == Some(slot)));
        let kept = open.and_then(|at| {
            let ranges = self.iterations[at].as_ref().map(|open| open.visited.ranges());
            let mut iteration = self.iterations[at].take()?;
            iteration.txn = None;
            Some((at, iteration, ranges?))
        });
        self.end_iterations_of(slot);
        let Some(mut txn) = self.txns[slot].take() else { return Ok(()) };
        if let Some((at, iteration, ranges)) = kept {
            txn.ranges.extend(ranges);
            self.iterations[at] = Some(iteration);
        }
        let version = txn.txn.version().0;
        let is_overtaken = self.oracle.is_overtaken(version, &txn.points, &txn.ranges);
        match txn.txn.commit() {
            Ok(read_at) if txn.writes.is_empty() => same("version of an empty commit", &read_at.0, &version),
            Ok(committed) if !is_overtaken => self.committed(committed.0, &txn.writes),
            Ok(committed) => Err(format!("committed at {committed} though it was overtaken since {version}")),
            Err(kv::Error::Conflict) if is_overtaken => {
                count(&COVERAGE.conflicts, 1);
                Ok(())
            }
            Err(error) => Err(format!("error: {error}; it read at {version}")),
        }
    }

    fn end_everything(&mut self) {
        self.iterations = Default::default();
        self.txns = Default::default();
        self.snapshots = Default::default();
    }

    fn reopen(&mut self, kill: bool) -> Outcome {
        self.count_background_work();
        if kill {
            self.vfs = MemVfs::from_snapshot(self.vfs.snapshot());
            self.options = self.options.clone().with_vfs(Arc::new(self.vfs.clone()));
        } else {
            told(self.db.close())?;
        }
        self.end_everything();
        self.db = told(self.options.clone().open("/db"))?;
        count(&COVERAGE.replays, self.db.recovery_report().commits_replayed);
        same("version after opening", &self.db.version().0, &self.oracle.last_version())?;
        same(
            "clean",
            &self.db.recovery_report().clean,
            &(!kill || self.db.recovery_report().commits_replayed == 0),
        )?;
        self.compare_all(&told(self.db.begin_read())?)
    }

    /// A copy of the directory as it is now, opened for reading.
    fn read_only(&self) -> Outcome {
        let copy = MemVfs::from_snapshot(self.vfs.snapshot());
        let before = copy.snapshot();
        let db =
            told(self.options.clone().with_vfs(Arc::new(copy.clone())).open_read_only(Path::new("/db")))?;
        self.compare_all(&told(db.begin_read())?)?;
        told(db.close())?;
        same("bytes after reading only", &(copy.snapshot() == before), &true)
    }

    fn compare_all(&self, txn: &ReadTxn) -> Outcome {
        let everything = (Bound::Unbounded, Bound::Unbounded);
        let expected = self.oracle.rows(&everything, u64::MAX, self.now(), 0, &Writes::new());
        let rows = told(txn.iter())?.map(|item| told(item).and_then(|item| row_of(&item, false)));
        same("everything", &rows.collect::<Outcome<Vec<_>>>()?, &expected)
    }

    fn verify(&self) -> Outcome {
        let verified = told(self.db.verify())?;
        if verified.is_clean() { Ok(()) } else { Err(format!("verify finds {:?}", verified.findings)) }
    }

    fn finish(mut self) -> Outcome {
        self.compare_all(&told(self.db.begin_read())?)?;
        self.end_everything();
        told(self.db.compact())?;
        self.compare_all(&told(self.db.begin_read())?)?;
        self.verify()?;
        self.count_background_work();
        told(self.db.close())
    }
}
