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

/// One kind of background work, for a caller that chooses what goes on next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StepKind {
    /// Prepares the generation that the next rotation switches to, if there is none. Chosen by a caller before the first commit, it opens
    /// the generation of that one.
    OpenGeneration,
    /// Freezes the active memtable if it is full.
    Rotate,
    /// Takes the flush of the oldest frozen memtable further: writes its tables, or makes them part of the tree.
    Flush,
    /// Takes a compaction under way further, the one of this number or any: merges a part, installs all of them, or gives up.
    Compaction(Option<u64>),
    /// Unlinks files that nobody reads any more.
    Remove,
    /// Chooses a compaction.
    PickCompaction,
    /// Writes the ledger of dead values.
    WriteLedger,
}

/// What gives commits room comes first.
const BY_URGENCY: [StepKind; 7] = [
    StepKind::OpenGeneration,
    // Commits rotate too, but those that wait for memory need it done without them.
    StepKind::Rotate,
    StepKind::Flush,
    StepKind::Compaction(None),
    StepKind::Remove,
    StepKind::PickCompaction,
    StepKind::WriteLedger,
];

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
        self.first_of(&BY_URGENCY, retention)
    }

    /// Does the next piece of work of one kind; [`Step::Idle`] when there is none now.
    ///
    /// # Errors
    /// As [`Inner::step`].
    pub(crate) fn step_of(&self, kind: StepKind, retention: &dyn Fn() -> Retention) -> Result<Step> {
        let writing = self.writing()?;
        if kind == StepKind::OpenGeneration && !writing.journal.has_started() {
            return self.start_writing(writing).map(|()| Step::OpenedGeneration);
        }
        self.first_of(&[kind], retention)
    }

    /// Does a piece of work of the first of `kinds` that has any.
    fn first_of(&self, kinds: &[StepKind], retention: &dyn Fn() -> Retention) -> Result<Step> {
        let writing = self.writing()?;
        self.core.halt.check()?;
        let moment = Moment { retention: retention(), now: self.core.clock.now() };
        self.core.halt.trip_on_panic("background work", || {
            for kind in kinds {
                match self.do_work(writing, *kind, &moment)? {
                    Step::Idle => {}
                    done => return Ok(done),
                }
            }
            Ok(Step::Idle)
        })
    }

    fn do_work(&self, writing: &Writing, kind: StepKind, moment: &Moment) -> Result<Step> {
        let done = match kind {
            StepKind::PickCompaction => {
                self.pick(writing, &moment.retention)?.then_some(Step::PickedCompaction)
            }
            StepKind::WriteLedger => self.write_ledger(writing)?.then_some(Step::WroteLedger),
            _ => match self.take_work(writing, kind) {
                Some(work) => Some(self.carry_out(writing, work, moment)?),
                None => None,
            },
        };
        Ok(done.unwrap_or(Step::Idle))
    }

    /// The numbers of the compactions under way, ascending.
    pub(crate) fn compactions(&self) -> Result<Vec<u64>> {
        let jobs = self.writing()?.jobs.lock();
        let mut numbers: Vec<_> = jobs.compactions.iter().map(|job| job.id).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn take_work(&self, writing: &Writing, kind: StepKind) -> Option<Work> {
        let mut jobs = writing.jobs.lock();
        match kind {
            StepKind::OpenGeneration => {
                let is_due = !jobs.opening_generation && writing.journal.needs_spare();
                jobs.opening_generation |= is_due;
                is_due.then_some(Work::OpenGeneration)
            }
            StepKind::Rotate => writing.journal.wants_rotation().then_some(Work::Rotate),
            StepKind::Flush => take_flush(&mut jobs, writing),
            StepKind::Compaction(number) => take_compaction(&mut jobs, number),
            StepKind::Remove => {
                let is_due = !jobs.removing && !self.core.reaper.is_empty();
                jobs.removing |= is_due;
                is_due.then_some(Work::Remove)
            }
            // Chosen and done in one go.
            StepKind::PickCompaction | StepKind::WriteLedger => None,
        }
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
            Work::Install(job) => self.install(job).map(|()| Step::InstalledCompaction),
            Work::GiveUp(mut job) => {
                job.give_up();
                self.release(&inputs_of(&job))?;
                Ok(Step::GaveUpCompaction)
            }
        }
    }

    fn install(&self, job: Job) -> Result<()> {
        let inputs = inputs_of(&job);
        let installed = job.install(self);
        self.release(&inputs)?;
        installed
    }

    /// The end of background work: compactions whose parts are all merged are installed, for their work is done; of the others,
    /// what is written goes to the reaper. Left behind, either would be swept by the next open, which then takes the longer, and a
    /// database that is never open for long would merge the same tables each time.
    ///
    /// # Errors
    /// The halt. Any other failure of an install costs its outputs only, and no more.
    pub(crate) fn wind_up_compactions(&self, writing: &Writing) -> Result<()> {
        let ended: Vec<Job> =
            writing.jobs.lock().compactions.extract_if(.., |job| job.is_at_rest()).collect();
        for mut job in ended {
            if !job.is_merged() {
                job.give_up();
                self.release(&inputs_of(&job))?;
            } else if let Err(error) = self.install(job) {
                self.core.halt.check()?;
                tracing::warn!(%error, "a merged compaction could not be installed; it is done again later");
            }
        }
        Ok(())
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
            && (error.is_unreadable() || error.is_not_found())
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
    fn pick(&self, writing: &Writing, retention: &Retention) -> Result<bool> {
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
        let job = Job::new(id, plan, retention.clone(), &view.tables, self.core.options.max_subcompactions);
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

fn take_flush(jobs: &mut Jobs, writing: &Writing) -> Option<Work> {
    match std::mem::replace(&mut jobs.flush, Flush::Running) {
        Flush::Written(flushed) => Some(Work::InstallFlush(flushed)),
        Flush::Running => None,
        Flush::None => {
            let oldest = writing.journal.oldest_frozen();
            if oldest.is_none() {
                jobs.flush = Flush::None;
            }
            oldest.map(Work::WriteFlush)
        }
    }
}

/// Work on the compaction of this `number`, or on any.
fn take_compaction(jobs: &mut Jobs, number: Option<u64>) -> Option<Work> {
    for index in 0..jobs.compactions.len() {
        let job = jobs.compactions.get_mut(index)?;
        if number.is_some_and(|number| number != job.id) {
            continue;
        }
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
