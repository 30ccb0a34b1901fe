//! The public handle.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::seeded::{self, Bug};
use base::{Direction, Entry, Error, Result, Retention, SharedVersion, Version};
use manifest::Edit;

use crate::compaction::{Manual, manual_has_work};
use crate::helpers::{Alone, Helpers};
use crate::inner::{Inner, Writing};
use crate::journal::{CommitError, Durability, Prepared, prepare};
use crate::open::{Environment, open, open_read_only};
use crate::pressure::{Load, Pressure, pressure};
use crate::read::{CurrentView, Found, Scan, ScanHost, ScanItem, ScanOptions};
use crate::stats::Stats;
use crate::step::{Step, StepKind};
use crate::verify::{Progress, Verified};
use crate::view::{SegmentHandle, View};
use crate::{Options, RecoveryReport};

/// An open engine; a cheap handle.
#[derive(Clone, Debug)]
pub struct Engine {
    inner: Arc<Inner>,
}

/// A scan over the versions that one snapshot sees. Owns what it needs.
pub struct EngineScan {
    scan: Scan,
}

impl std::fmt::Debug for EngineScan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineScan").finish_non_exhaustive()
    }
}

impl EngineScan {
    /// The next item from the front.
    ///
    /// # Errors
    /// Damage, or the system's; the scan has ended then.
    #[expect(
        clippy::should_implement_trait,
        reason = "fallible: an iterator of results is made by the facade"
    )]
    pub fn next(&mut self) -> Result<Option<ScanItem>> {
        self.step(Direction::Forward)
    }

    /// The next item from the back.
    ///
    /// # Errors
    /// Damage, or the system's; the scan has ended then.
    pub fn next_back(&mut self) -> Result<Option<ScanItem>> {
        self.step(Direction::Backward)
    }

    /// The next item in a direction, forward from the front or backward from the back.
    ///
    /// # Errors
    /// Damage, or the system's; the scan has ended then.
    #[inline]
    pub fn step(&mut self, direction: Direction) -> Result<Option<ScanItem>> {
        match self.scan.take(direction) {
            Some(item) => Ok(Some(item)),
            None => self.scan.next(direction),
        }
    }

    /// The next item, if it has been read ahead; `None` says nothing but that [`EngineScan::step`] has to be asked.
    #[inline]
    pub fn take_read(&mut self, direction: Direction) -> Option<ScanItem> {
        self.scan.take(direction)
    }
}

impl ScanHost for Inner {
    fn view(&self) -> Arc<View> {
        self.views.load_full()
    }

    fn segment(&self, view: &View, number: u64) -> Result<Arc<SegmentHandle>> {
        view.segment(&self.core.directory, number).cloned()
    }

    fn directory(&self) -> &Path {
        &self.core.directory
    }
}

impl Engine {
    /// Opens a directory for reading and writing; creates it when it is missing or empty.
    ///
    /// # Errors
    /// A wrong option, a held lock, damage of what must be readable, a directory that is something else, or the system's.
    /// Nothing was changed then, except that a recovery which was under way may have left files that the next open sweeps.
    pub fn open(directory: &Path, options: Options, environment: Environment) -> Result<Self> {
        Self::open_with(directory, options, environment, &Alone)
    }

    /// As [`Engine::open`], with help for what a recovery has to write.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open_with(
        directory: &Path,
        options: Options,
        environment: Environment,
        helpers: &dyn Helpers,
    ) -> Result<Self> {
        Ok(Self { inner: Arc::new(open(directory, options, environment, helpers)?) })
    }

    /// Opens a directory for reading; writes not one byte. Unflushed commits are replayed into memory.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open_read_only(directory: &Path, options: Options, environment: Environment) -> Result<Self> {
        Ok(Self { inner: Arc::new(open_read_only(directory, options, environment)?) })
    }

    /// What opening found and did.
    #[must_use]
    pub fn recovery_report(&self) -> &RecoveryReport {
        &self.inner.report
    }

    /// The newest version that readers may see.
    #[must_use]
    pub fn visible(&self) -> &Arc<SharedVersion> {
        &self.inner.visible
    }

    /// The options that it was opened with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.inner.core.options
    }

    /// Encodes, compresses and hashes the writes of one commit, whose keys are distinct.
    ///
    /// # Errors
    /// [`base::Error::LimitExceeded`] for a key or value that is too long.
    pub fn prepare<'a>(
        &self,
        writes: impl Iterator<Item = (&'a [u8], Entry<'a>)> + Clone,
    ) -> Result<Prepared> {
        prepare(writes, &self.inner.core.options)
    }

    /// Writes a prepared commit. `decide` is called under the numbering lock with the version that the commit will have; when it
    /// refuses, nothing is written.
    ///
    /// # Errors
    /// See [`CommitError`].
    pub fn commit<C>(
        &self,
        prepared: Prepared,
        durability: Durability,
        decide: impl FnOnce(Version) -> Result<(), C>,
    ) -> Result<Version, CommitError<C>> {
        let writing = self.inner.writing().map_err(CommitError::NotWritten)?;
        self.inner.start_writing(writing).map_err(CommitError::NotWritten)?;
        writing.journal.commit(prepared, durability, decide)
    }

    /// Makes every acknowledged commit durable.
    ///
    /// # Errors
    /// The failure of the sync, which stops all writing.
    pub fn sync(&self) -> Result<()> {
        self.inner.writing()?.journal.sync()
    }

    /// What a commit should do before it is numbered.
    #[must_use]
    pub fn pressure(&self) -> Pressure {
        let Some(writing) = &self.inner.writing else { return Pressure::None };
        if self.inner.core.halt.is_tripped() {
            // The commit itself will say why; waiting would not end.
            return Pressure::None;
        }
        let can_shrink = !self.inner.core.has_damage.load(Ordering::Acquire);
        let load = Load {
            memtable_bytes: writing.journal.memtable_bytes(),
            has_frozen: writing.journal.has_frozen(),
            lacks_spare: writing.journal.lacks_spare(),
            l0_tables: if can_shrink { self.inner.views.l0_tables() } else { 0 },
        };
        pressure(load, &self.inner.core.options)
    }

    /// The newest version of `user_key` at or below `at`; a tombstone or an expired entry is returned as such.
    ///
    /// # Errors
    /// Damage, or the system's.
    pub fn get(&self, user_key: &[u8], at: Version) -> Result<Option<Found>> {
        let view = self.current_view();
        view.entry(user_key, at)?.map(|entry| view.keep(entry)).transpose()
    }

    /// The state as it is now, for reads that are done soon: it keeps files and memtables alive. Loaded after a version is
    /// registered it serves that version; see `txn::Snapshots::read_current` for reads without registration.
    #[inline]
    #[must_use]
    pub fn current_view(&self) -> CurrentView<'_> {
        CurrentView::new(self.inner.views.load(), &self.inner.core.directory)
    }

    /// A scan.
    #[must_use]
    pub fn scan(&self, options: ScanOptions) -> EngineScan {
        let host: Arc<dyn ScanHost> = Arc::<Inner>::clone(&self.inner);
        EngineScan { scan: Scan::new(host, options) }
    }

    /// Does one piece of background work, if any is due.
    ///
    /// # Errors
    /// See [`Step`]; a failed write or sync stops all writing, no space and damage fail the step only.
    pub fn step(&self, retention: &dyn Fn() -> Retention) -> Result<Step> {
        self.inner.step(retention)
    }

    /// Does the next piece of background work of one kind; [`Step::Idle`] when there is none now. [`Engine::step`] tries the kinds
    /// in the order of their urgency.
    ///
    /// # Errors
    /// As [`Engine::step`].
    pub fn step_of(&self, kind: StepKind, retention: &dyn Fn() -> Retention) -> Result<Step> {
        self.inner.step_of(kind, retention)
    }

    /// The numbers of the compactions under way, ascending, for [`StepKind::Compaction`].
    ///
    /// # Errors
    /// When it is open for reading only.
    pub fn compactions(&self) -> Result<Vec<u64>> {
        self.inner.compactions()
    }

    /// Freezes the active memtable so that it will be flushed. False when there is no spare generation yet: do a step and
    /// ask again.
    ///
    /// # Errors
    /// The halt, or the system's.
    pub fn rotate(&self) -> Result<bool> {
        self.inner.writing()?.journal.rotate_now()
    }

    /// True while frozen memtables wait for their flush.
    #[must_use]
    pub fn has_frozen(&self) -> bool {
        self.inner.writing.as_ref().is_some_and(|writing| writing.journal.has_frozen())
    }

    /// The oldest and the newest frozen memtable, by numbers that rise with every rotation; `None` when all are flushed.
    #[must_use]
    pub fn frozen(&self) -> Option<(u64, u64)> {
        self.inner.writing.as_ref()?.journal.frozen_ids()
    }

    /// Asks for everything that is in tables now to be moved to the last level and rewritten there; steps carry it out.
    ///
    /// # Errors
    /// When it is open for reading only.
    pub fn request_compaction(&self) -> Result<()> {
        let mut structure = self.inner.core.structure()?.lock();
        structure.manual = Some(Manual { below_number: structure.peek_number() });
        Ok(())
    }

    /// True while a requested compaction has work left.
    #[must_use]
    pub fn is_compacting(&self) -> bool {
        let manual = self.inner.core.structure.as_ref().and_then(|structure| structure.lock().manual);
        manual.is_some_and(|manual| manual_has_work(&self.inner.views.load().tables, manual))
    }

    /// Refuses all further commits; those that are queued are still written.
    pub fn stop_commits(&self) {
        if let Some(writing) = &self.inner.writing {
            writing.journal.close();
        }
    }

    /// The last act of a clean close, after every memtable has been flushed: retires the empty generations, so that the next
    /// open has nothing to replay.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] while a memtable holds commits, the halt, or the system's; what was acknowledged is safe in any
    /// case.
    pub fn finish_close(&self) -> Result<()> {
        let writing = self.inner.writing()?;
        self.inner.core.halt.trip_on_panic("closing", || self.retire_everything(writing))
    }

    fn retire_everything(&self, writing: &Writing) -> Result<()> {
        writing.journal.sync()?;
        let core = &self.inner.core;
        // A first generation that is being opened is waited for; no other comes after it, for commits are refused.
        let _no_start = writing.starting.lock();
        let generations = writing.journal.generations();
        // The edit below lets their logs go: whoever skipped the flush must not lose what is in them.
        let holds_commits = generations.iter().any(|generation| generation.last_commit() > 0);
        if holds_commits && !seeded::is(Bug::CleanCloseWithoutFlush) {
            return Err(Error::invalid(
                "close",
                "a memtable holds commits that are not in tables; flush first",
            ));
        }
        if !generations.is_empty() {
            let mut structure = core.structure()?.lock();
            let (last_commit, last_version) = writing.journal.last_given();
            let edit = Edit {
                generations_retired: generations.iter().map(|generation| generation.id).collect(),
                last_commit: Some(last_commit.max(structure.manifest.state().last_commit())),
                last_version: Some(last_version.0.max(structure.manifest.state().last_version().0)),
                ..Edit::default()
            };
            core.commit_edit(&mut structure, edit)?;
            drop(structure);
            for generation in &generations {
                generation.retire_logs(core);
            }
        }
        self.inner.wind_up_compactions(writing)?;
        self.inner.write_ledger(writing)?;
        core.reaper.unlink(&*core.vfs, &core.directory)?;
        let mut structure = core.structure()?.lock();
        if structure.manifest.is_untouched() {
            return Ok(());
        }
        // An edit of its own: it proves to the next open that all before it was synced.
        core.commit_edit(&mut structure, Edit { closed: Some(Vec::new()), ..Edit::default() })
    }

    /// Lets the directory go before the last handle is gone: others may open it then. Only when nothing is written through this
    /// engine any more: after [`Engine::stop_commits`], and with no step at work or to come.
    pub fn release_lock(&self) {
        // A halt sends everybody home but the leader that is writing: what it has in hand must not come after the next open.
        if let Some(writing) = &self.inner.writing {
            writing.journal.wait_for_leader();
            drop(writing.starting.lock());
        }
        *self.inner.lock.lock() = None;
    }

    /// Reads everything and checks it; `progress` is told bytes done and in all.
    ///
    /// # Errors
    /// What keeps the check from going on; damage is a finding, not an error.
    pub fn verify(&self, progress: Progress<'_>) -> Result<Verified> {
        self.inner.verify(progress)
    }

    /// Its state and counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.inner.stats()
    }

    /// The failure that stopped all writing, if there was one.
    #[must_use]
    pub fn halted(&self) -> Option<base::Error> {
        self.inner.core.halt.check().err()
    }
}

#[cfg(test)]
mod tests {
    use base::UnixSeconds;
    use base::clock::SystemClock;
    use base::vfs::MemVfs;

    use super::*;

    /// Goal: the memory of a memtable is free again once it is flushed, also where no commit ever asks for a sync. Method:
    /// one flush after another; the arena that the pool has kept from the last one is the witness.
    #[test]
    fn a_flushed_memtable_gives_its_memory_back_without_a_sync() {
        let environment = Environment { vfs: Arc::new(MemVfs::new()), clock: Arc::new(SystemClock) };
        let engine = Engine::open(Path::new("/db"), Options::tiny(), environment).unwrap();
        let retention = || Retention::new(engine.visible().load(), [], UnixSeconds(0));
        for round in 0..3u32 {
            let key = round.to_le_bytes();
            let prepared = engine.prepare(std::iter::once((&key[..], Entry::inline(b"value")))).unwrap();
            engine.commit(prepared, Durability::Buffered, |_| Ok::<(), ()>(())).unwrap();
            while !engine.rotate().unwrap() {
                engine.step(&retention).unwrap();
            }
            while engine.has_frozen() {
                engine.step(&retention).unwrap();
            }
            assert!(engine.inner.core.pool.idle_bytes() > 0, "round {round}: kept alive");
        }
    }
}
