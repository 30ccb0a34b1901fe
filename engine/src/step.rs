//! Background work, one step at a time. Threads in production and tests in any order call [`Inner::step`].

use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::seeded::{self, Bug};
use base::{Result, Retention, UnixSeconds};

use crate::compaction::{Job, Offer, Part, State, manual_has_work, pick};
use crate::flush::{self, Flushed};
use crate::generation::Generation;
use crate::inner::{Inner, Writing};
use crate::output::{Output, abandon};

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Unlinked files that nobody reads any more.
    Removed,
    /// Froze the active memtable, which was full.
    Rotated,
    /// Prepared the generation that the next rotation switches to.
    OpenedGeneration,
    /// Wrote the tables of a frozen memtable.
    WroteFlush,
    /// Made them part of the tree.
    InstalledFlush,
    /// Chose a compaction.
    PickedCompaction,
    /// Merged one part of a compaction.
    MergedPart,
    /// Replaced the inputs of a compaction by its outputs.
    InstalledCompaction,
    /// Gave up a compaction of which a part had failed.
    GaveUpCompaction,
    /// Wrote the ledger of dead values.
    WroteLedger,
    /// There was nothing to do.
    Idle,
}

/// Work that is under way.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    flush: Flush,
    compactions: Vec<Job>,
    opening_generation: bool,
    last_id: u64,
    removing: bool,
}

/// Generations are flushed one at a time, oldest first.
#[derive(Debug, Default)]
enum Flush {
    #[default]
    None,
    /// A thread is writing or installing.
    Running,
    Written(Flushed),
}

/// What a step asks of its caller's code, before it begins: nothing of it runs under a lock, or can leave work half done.
struct Moment {
    retention: Retention,
    now: UnixSeconds,
}

/// A piece of work taken out of [`Jobs`], to be done without its lock.
enum Work {
    Remove,
    OpenGeneration,
    Rotate,
    WriteFlush(Arc<Generation>),
    InstallFlush(Flushed),
    Part(u64, Part),
    Install(Job),
    GiveUp(Job),
}

impl Inner {
    /// Does the most urgent piece of background work, if there is any. `retention` tells what readers may still see: to ask it
    /// early is safe, what it lets go then is invisible for good.
    ///
    /// # Errors
    /// The failure of that piece of work. [`base::Error::NoSpace`] and damage fail the step only; a failed write or sync stops all
    /// writing, and so does a panic.
    pub(crate) fn step(&self, retention: &dyn Fn() -> Retention) -> Result<Step> {
        let writing = self.writing()?;
        self.core.halt.check()?;
        let moment = Moment { retention: retention(), now: self.core.clock.now() };
        self.core.halt.trip_on_panic("background work", || self.do_work(writing, moment))
    }

    fn do_work(&self, writing: &Writing, moment: Moment) -> Result<Step> {
        match self.take_work(writing) {
            Some(work) => self.carry_out(writing, work, &moment),
            None if self.pick(writing, moment.retention)? => Ok(Step::PickedCompaction),
            None if self.write_ledger(writing)? => Ok(Step::WroteLedger),
            None => Ok(Step::Idle),
        }
    }

    fn take_work(&self, writing: &Writing) -> Option<Work> {
        let mut jobs = writing.jobs.lock();
        if !jobs.opening_generation && writing.journal.needs_spare() {
            jobs.opening_generation = true;
            return Some(Work::OpenGeneration);
        }
        // Commits rotate too, but those that wait for memory need it done without them.
        if writing.journal.wants_rotation() {
            return Some(Work::Rotate);
        }
        match std::mem::replace(&mut jobs.flush, Flush::Running) {
            Flush::Written(flushed) => return Some(Work::InstallFlush(flushed)),
            Flush::None => match writing.journal.oldest_frozen() {
                Some(generation) => return Some(Work::WriteFlush(generation)),
                None => jobs.flush = Flush::None,
            },
            Flush::Running => {}
        }
        if let Some(work) = take_compaction(&mut jobs) {
            return Some(work);
        }
        if !jobs.removing && !self.core.reaper.is_empty() {
            jobs.removing = true;
            return Some(Work::Remove);
        }
        None
    }

    fn carry_out(&self, writing: &Writing, work: Work, moment: &Moment) -> Result<Step> {
        match work {
            Work::Remove => {
                let removed = self.core.reaper.unlink(&*self.core.vfs, &self.core.directory);
                writing.jobs.lock().removing = false;
                self.core.counters.files_removed.add(removed? as u64);
                Ok(Step::Removed)
            }
            Work::OpenGeneration => {
                let opened = self.open_generation(writing);
                writing.jobs.lock().opening_generation = false;
                opened.map(|()| Step::OpenedGeneration)
            }
            Work::Rotate => writing.journal.rotate_now().map(|_| Step::Rotated),
            Work::WriteFlush(generation) => self.write_flush(writing, &generation, moment),
            Work::InstallFlush(flushed) => {
                let generation = Arc::clone(&flushed.generation);
                let installed = flush::install(self, flushed);
                if installed.is_ok() {
                    writing.journal.flushed(&generation);
                }
                writing.jobs.lock().flush = Flush::None;
                installed.map(|()| Step::InstalledFlush)
            }
            Work::Part(id, part) => self.merge_part(writing, id, &part, moment),
            Work::Install(job) => {
                let inputs = inputs_of(&job);
                let installed = job.install(self);
                self.release(&inputs)?;
                installed.map(|()| Step::InstalledCompaction)
            }
            Work::GiveUp(mut job) => {
                job.give_up();
                self.release(&inputs_of(&job))?;
                Ok(Step::GaveUpCompaction)
            }
        }
    }

    fn write_flush(&self, writing: &Writing, generation: &Arc<Generation>, moment: &Moment) -> Result<Step> {
        let written = flush::write_tables(&self.core, generation, &moment.retention, moment.now);
        let mut jobs = writing.jobs.lock();
        match written {
            Ok(flushed) => {
                if seeded::is(Bug::MemtableGoesTooEarly) {
                    self.views.change(|view| view.memtables.truncate(1));
                }
                jobs.flush = Flush::Written(flushed);
                Ok(Step::WroteFlush)
            }
            Err(error) => {
                jobs.flush = Flush::None;
                drop(jobs);
                Err(self.core.step_failed(error))
            }
        }
    }

    fn merge_part(&self, writing: &Writing, id: u64, part: &Part, moment: &Moment) -> Result<Step> {
        let outcome = part.run(&self.core, moment.now);
        let (outputs, error) = match outcome {
            Ok(outputs) => (Some(outputs), None),
            Err(error) => (None, Some(self.core.step_failed(error))),
        };
        if let Some(error) = &error
            && error.is_corruption()
        {
            // Left alone until the next open, or the same step would fail for ever.
            let mut structure = self.core.structure()?.lock();
            let inputs = part.input_numbers();
            structure.damaged.extend(inputs);
            self.core.has_damage.store(true, Ordering::Release);
        }
        finish_part(&mut writing.jobs.lock(), id, outputs);
        error.map_or(Ok(Step::MergedPart), Err)
    }

    /// Creates the next pair of logs and makes the edit that opens them durable.
    fn open_generation(&self, writing: &Writing) -> Result<()> {
        let generation = Generation::open_new(&self.core)?;
        writing.journal.offer_spare(Arc::new(generation));
        Ok(())
    }

    /// Chooses a compaction; false when none is due.
    fn pick(&self, writing: &Writing, retention: Retention) -> Result<bool> {
        let mut jobs = writing.jobs.lock();
        let mut structure = self.core.structure()?.lock();
        let view = self.views.load_full();
        if structure.manual.is_some_and(|manual| !manual_has_work(&view.tables, manual)) {
            structure.manual = None;
        }
        let busy = structure.busy.union(&structure.damaged).copied().collect();
        let state = State {
            tables: &view.tables,
            busy: &busy,
            options: &self.core.options,
            floor: retention.floor(),
            manual: structure.manual,
        };
        let Some(plan) = pick(&state) else { return Ok(false) };
        structure.busy.extend(plan.inputs.iter().map(|table| table.number()));
        jobs.last_id += 1;
        let id = jobs.last_id;
        let job = Job::new(id, plan, retention, &view.tables, self.core.options.max_subcompactions);
        jobs.compactions.push(job);
        Ok(true)
    }

    fn release(&self, inputs: &[u64]) -> Result<()> {
        let mut structure = self.core.structure()?.lock();
        for number in inputs.iter().filter(|_| !seeded::is(Bug::InstallWithoutRelease)) {
            structure.busy.remove(number);
        }
        Ok(())
    }
}

fn inputs_of(job: &Job) -> Vec<u64> {
    job.plan.inputs.iter().map(|table| table.number()).collect()
}

fn take_compaction(jobs: &mut Jobs) -> Option<Work> {
    for index in 0..jobs.compactions.len() {
        let job = jobs.compactions.get_mut(index)?;
        match job.take() {
            Offer::Part(part) => {
                let id = job.id;
                return job.part(part).map(|part| Work::Part(id, part));
            }
            Offer::Install => return Some(Work::Install(jobs.compactions.swap_remove(index))),
            Offer::GiveUp => return Some(Work::GiveUp(jobs.compactions.swap_remove(index))),
            Offer::Nothing => {}
        }
    }
    None
}

fn finish_part(jobs: &mut Jobs, id: u64, outputs: Option<Vec<Output>>) {
    match jobs.compactions.iter_mut().find(|job| job.id == id) {
        Some(job) => job.finish_part(outputs),
        None => abandon(outputs.unwrap_or_default()),
    }
}
