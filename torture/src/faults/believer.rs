//! Runs a script on a disk that fails, and keeps what may be believed: which commits must be there, and which may be.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use base::UnixSeconds;
use base::clock::ManualClock;
use base::vfs::{CrashProfile, FaultVfs, ImageBudget, MemVfs, SimVfs, Vfs};

use crate::database::{CommitFailure, Database, DatabaseKind, Durability, Failure};
use crate::driver::take_panic;
use crate::finding::{Checked, Finding, demand};
use crate::history::{History, State, Write, difference_of_key};
use crate::life::Life;
use crate::runner::{Runner, writes};
use crate::script::{Operation, START_SECONDS, key_name, random};

use super::Run;
use super::injection::{Injection, Operations};
use super::start::Start;

/// Where random bytes begin: not with those of the life that has filled the directory.
const RANDOM_START: u64 = 1 << 32;
/// How much is done with the database after the failure.
const AFTERWARDS: usize = 6;

/// The disk below the failures.
enum Base {
    Memory(MemVfs),
    /// Remembers what was synced, for a power cut at the end.
    Recording(SimVfs),
}

impl Base {
    fn new(start: &Start, injection: Option<Injection>) -> Self {
        let memory = MemVfs::sharing(&start.files, RANDOM_START);
        match injection {
            Some(injection) if injection.is_of_syncs() => Self::Recording(SimVfs::starting_from(&memory)),
            _ => Self::Memory(memory),
        }
    }

    fn vfs(&self) -> Arc<dyn Vfs> {
        match self {
            Self::Memory(memory) => Arc::new(memory.clone()),
            Self::Recording(sim) => Arc::new(sim.clone()),
        }
    }
}

/// How a call into the database ended.
enum Outcome<T, E> {
    Returned(Result<T, E>),
    /// By the injected panic.
    Panicked,
}

pub(super) struct Believer {
    kind: DatabaseKind,
    base: Base,
    disk: FaultVfs,
    /// A death cuts it off.
    life: Life,
    clock: Arc<ManualClock>,
    now: u64,
    database: Option<Box<dyn Database>>,
    history: History,
    /// So many commits must be there; those behind have an unknown outcome.
    certain: usize,
    /// So many have been read, whatever their outcome: they must be there too, for somebody may have acted on them.
    seen: usize,
    /// So many must be there after a power cut.
    durable: usize,
    /// So many are in tables, and no log can lose them.
    in_tables: usize,
    /// An open has been told something else than what is in the files, and nobody has seen yet what it made of that.
    is_misled: bool,
    injection: Option<Injection>,
    most_bytes: u64,
    has_halted: bool,
}

impl Believer {
    /// Opens the database, which may fail.
    pub(super) fn begin(start: &Start, injection: Option<Injection>) -> Checked<Self> {
        let base = Base::new(start, injection);
        let disk = FaultVfs::new(base.vfs());
        if let Some(injection) = injection {
            injection.arm(&disk);
        }
        let mut believer = Self {
            kind: start.kind,
            life: Life::unwatched(Arc::new(disk.clone())),
            base,
            disk,
            clock: Arc::new(ManualClock::new(UnixSeconds(START_SECONDS))),
            now: START_SECONDS,
            database: None,
            history: History::starting_from(State::clone(&start.state)),
            certain: 0,
            seen: 0,
            durable: 0,
            in_tables: 0,
            is_misled: false,
            injection,
            most_bytes: 0,
            has_halted: false,
        };
        believer.open()?;
        Ok(believer)
    }

    /// Calls into the database. Only the injected panic may come out of it.
    fn guarded<T, E>(&self, call: impl FnOnce() -> Result<T, E>) -> Checked<Outcome<T, E>> {
        if let Ok(returned) = catch_unwind(AssertUnwindSafe(call)) {
            return Ok(Outcome::Returned(returned));
        }
        let message = take_panic();
        let is_injected = self.injection.is_some_and(Injection::is_panic) && message.contains("injected");
        demand(is_injected, || format!("panic: {message}")).map(|()| Outcome::Panicked)
    }

    /// An error is right only after something was injected, and only one of the storage.
    fn excuse(&self, failure: &Failure) -> Checked {
        let is_struck = self.disk.fired() > 0 || self.injection.is_some_and(Injection::is_full_disk);
        match failure {
            Failure::Storage(_) if is_struck => Ok(()),
            Failure::Storage(error) => Err(Finding::new(format!("an error out of nothing: {error}"))),
            // What was read as damaged is left alone until the database is reopened.
            Failure::Idle if is_struck && self.injection.is_some_and(Injection::is_misreading) => Ok(()),
            Failure::Idle | Failure::Refused(_) => Err(Finding::new(failure.to_string())),
        }
    }

    /// The value of a call, if it returned one.
    fn excused<T>(&self, outcome: Outcome<T, Failure>) -> Checked<Option<T>> {
        match outcome {
            Outcome::Returned(Ok(value)) => Ok(Some(value)),
            Outcome::Returned(Err(failure)) => self.excuse(&failure).map(|()| None),
            Outcome::Panicked => Ok(None),
        }
    }

    fn open(&mut self) -> Checked {
        self.life = self.life.next();
        let vfs: Arc<dyn Vfs> = Arc::new(self.life.clone());
        let fired_before = self.disk.fired();
        let outcome = self.guarded(|| self.kind.open(&vfs, &self.clock))?;
        self.is_misled |=
            self.injection.is_some_and(Injection::is_misreading) && self.disk.fired() > fired_before;
        self.database = self.excused(outcome)?;
        let Some(found) = self.dump()? else {
            // Nothing can be said of what it shows: closed again until the next attempt.
            return self.kill();
        };
        let commits = self.least()..=self.history.commits();
        self.certain =
            self.history.prefix(&found, self.now, commits).map_err(|finding| finding.at("open"))?;
        self.seen = self.certain;
        self.history.truncate(self.certain);
        self.durable = self.certain;
        self.in_tables = self.certain;
        self.is_misled = false;
        Ok(())
    }

    fn dump(&self) -> Checked<Option<State>> {
        let Some(database) = &self.database else { return Ok(None) };
        let outcome = self.guarded(|| database.dump(false))?;
        self.excused(outcome)
    }

    /// The process dies.
    fn kill(&mut self) -> Checked {
        self.life.end();
        let database = self.database.take();
        self.guarded(|| {
            drop(database);
            Ok::<(), Failure>(())
        })?;
        Ok(())
    }

    pub(super) fn operation(&mut self, operation: Operation) -> Checked {
        if self.database.is_none() {
            self.open()?;
        }
        match (writes(operation, self.history.commits() + 1, self.now), operation) {
            (Some((writes, durability)), _) => self.commit(&writes, durability)?,
            (None, Operation::Kill) => {
                self.kill()?;
                self.open()?;
            }
            (None, Operation::Close) => {
                self.close()?;
                self.open()?;
            }
            (None, Operation::Wait(seconds)) => {
                self.now += u64::from(seconds);
                self.clock.set(UnixSeconds(self.now));
            }
            (None, _) => self.work(operation)?,
        }
        self.most_bytes = self.most_bytes.max(self.disk.used_bytes());
        self.check_gets()
    }

    fn commit(&mut self, writes: &[Write], durability: Durability) -> Checked {
        let Some(database) = self.database.take() else { return Ok(()) };
        self.history.submit(writes);
        let outcome = self.guarded(|| database.commit(writes, durability));
        self.database = Some(database);
        match outcome? {
            Outcome::Returned(Ok(version)) => {
                self.history.acknowledge(writes, version);
                let number = self.history.commits();
                demand(self.certain + 1 == number, || {
                    "a commit succeeded after one of unknown outcome".to_owned()
                })?;
                self.certain = number;
                if durability == Durability::Sync {
                    self.durable = number;
                }
                Ok(())
            }
            Outcome::Returned(Err(CommitFailure::NotWritten(failure))) => {
                self.history.truncate(self.history.commits() - 1);
                self.excuse(&failure)
            }
            Outcome::Returned(Err(CommitFailure::Unknown(failure))) => {
                self.has_halted = true;
                self.excuse(&failure)
            }
            Outcome::Panicked => {
                self.has_halted = true;
                Ok(())
            }
        }
    }

    /// Work that changes nothing of what the database holds.
    fn work(&mut self, operation: Operation) -> Checked {
        let Some(database) = &self.database else { return Ok(()) };
        let outcome = self.guarded(|| match operation {
            Operation::Step(count) => (0..count).try_for_each(|_| database.step().map(drop)),
            Operation::Flush => database.flush(),
            Operation::Compact => database.compact(),
            _ => database.sync(),
        })?;
        let is_done = self.excused(outcome)?.is_some();
        if is_done && self.certain == self.history.commits() {
            match operation {
                Operation::Sync => self.durable = self.certain,
                Operation::Flush | Operation::Compact => self.in_tables = self.certain,
                _ => {}
            }
        }
        Ok(())
    }

    fn close(&mut self) -> Checked {
        let Some(database) = self.database.take() else { return Ok(()) };
        let outcome = self.guarded(|| database.close())?;
        if self.excused(outcome)?.is_some() {
            self.durable = self.certain;
            self.in_tables = self.certain;
        }
        Ok(())
    }

    /// Reads may fail, but may not lie. Commits of unknown outcome may be visible or not.
    fn check_gets(&mut self) -> Checked {
        let Some(database) = &self.database else { return Ok(()) };
        for key in (0..3).map(key_name) {
            let outcome = self.guarded(|| database.get(&key))?;
            let Some(found) = self.excused(outcome)? else { continue };
            let state = (self.certain..=self.history.commits()).find(|&commits| {
                let expected = self.history.state(commits).get(&key);
                difference_of_key(&key, expected, found.as_ref(), self.now).is_none()
            });
            let wrong = || Finding::new(format!("get of {} is wrong: {found:?}", key.escape_ascii()));
            self.seen = self.seen.max(state.ok_or_else(wrong)?);
        }
        Ok(())
    }

    /// So many commits must be there after reopening. A failed sync that takes back what was written takes with it what only the
    /// cache held: buffered commits too. And a log that an open reads as damaged or shorter than it is may look torn, for its marks
    /// may be what is damaged.
    fn least(&self) -> usize {
        if self.is_misled {
            return self.in_tables;
        }
        let has_reverted = self.injection.is_some_and(Injection::is_reverting) && self.disk.fired() > 0;
        if has_reverted { self.durable } else { self.certain.max(self.seen) }
    }

    /// Ends the run, and checks what is left without the failure.
    pub(super) fn end(mut self) -> Checked<Run> {
        if let Some(found) = self.dump()? {
            let commits = self.certain..=self.history.commits();
            self.history
                .prefix(&found, self.now, commits)
                .map_err(|finding| finding.at("with the failure"))?;
        }
        let operations = Operations::of(&self.disk, self.most_bytes);
        let struck = self.disk.fired() > 0;
        self.disk.clear();
        self.disk.limit_bytes(None);
        self.go_on_without_reopening()?;
        self.kill()?;
        let cuts = self.check_cuts()?;
        self.check_reopened(self.base.vfs(), self.least())?;
        Ok(Run { operations, struck, has_halted: self.has_halted, cuts })
    }

    /// When a full disk has space again, and writing has not stopped, it goes on.
    fn go_on_without_reopening(&mut self) -> Checked {
        let is_full_disk = self.injection.is_some_and(Injection::is_full_disk);
        if !is_full_disk
            || self.database.is_none()
            || self.has_halted
            || self.certain != self.history.commits()
        {
            return Ok(());
        }
        let write = Write { key: b"space".to_vec(), value: Some(vec![7; 100]), expires_at: 0, user_meta: 0 };
        let before = self.certain;
        // What failed for want of space is tried again.
        self.work(Operation::Step(20))?;
        self.commit(&[write], Durability::Sync)?;
        demand(self.certain > before || self.has_halted, || {
            "there is space again, and a commit is still refused".to_owned()
        })
    }

    /// What a power cut now would leave.
    fn check_cuts(&self) -> Checked<u64> {
        let Base::Recording(sim) = &self.base else { return Ok(0) };
        let recording = sim.recording();
        let budget = ImageBudget { exhaustive_up_to: 4, at_most: 4, random: 1, seed: 1, only_new: false };
        let mut cuts = 0;
        for profile in [CrashProfile::Strict, CrashProfile::Ext4Like] {
            for image in recording.images(recording.len(), profile, &budget) {
                cuts += 1;
                let explained = |finding: Finding| finding.at(format!("power cut: {}", image.explain()));
                let disk = Arc::new(image.clone().into_mem());
                self.check_reopened(disk, self.durable).map_err(explained)?;
            }
        }
        Ok(cuts)
    }

    /// Opens without failures: at least `least` commits are there, and it works.
    fn check_reopened(&self, disk: Arc<dyn Vfs>, least: usize) -> Checked {
        let mut runner = Runner::open(self.kind, disk, History::default(), self.now, &|_| {})
            .map_err(|finding| finding.at("open without the failure"))?;
        let found = runner.database()?.dump(false)?;
        let commits = self.history.prefix(&found, self.now, least..=self.history.commits())?;
        runner.adopt(History::starting_from(self.history.state(commits).clone()));
        runner.check().map_err(|finding| finding.at("after the failure"))?;
        runner.run(&random(&mut fastrand::Rng::with_seed(self.now), AFTERWARDS))?;
        runner.operation(Operation::Close)?;
        runner.check().map_err(|finding| finding.at("opened again after the failure"))
    }
}
