//! One database on a small disk: filled until nothing more fits, read, given space, used, emptied; again and again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kv::{Db, Durability, Options};

use super::disk::Disk;
use crate::finding::{Checked, Finding, demand};
use crate::process::{Held, State, observe};

/// A disk that is not full after so many commits will never be.
const COMMITS_MAX: u32 = 50_000;
/// Small commits that are tried when a larger one was refused.
const AFTER_REFUSAL: usize = 10;
/// How long something is tried for which there is space again: a compaction may just have taken it for as long as it runs, and
/// the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long between two tries.
const PAUSE: Duration = Duration::from_millis(1);
/// What is deleted at once.
const DELETED_AT_ONCE: usize = 200;

/// The limits that fit a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// Tiny limits on a megabyte.
    Tiny,
    /// A small memory budget on eight.
    Small,
}

impl Scale {
    pub(super) fn disk_bytes(self) -> u64 {
        match self {
            Self::Tiny => 1 << 20,
            Self::Small => 8 << 20,
        }
    }

    pub(super) fn ballast_bytes(self) -> u64 {
        self.disk_bytes() / 4
    }
}

/// What a cycle has met.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Met {
    /// Commits that did not fit.
    pub(super) refused: u64,
    /// Opens for writing that did not fit, right after a clean close.
    pub(super) opens_refused: u64,
    /// What had to be tried again although there was space.
    pub(super) retries: u64,
    /// Reopens on a full disk that worked.
    pub(super) reopened: u64,
    /// Databases that had less space than a compaction of all their tables may take, and could not be emptied.
    pub(super) cramped: u64,
}

/// A database that is used, and what must be in it.
pub(super) struct Cycles<'a> {
    disk: &'a Disk,
    scale: Scale,
    random: fastrand::Rng,
    db: Db,
    state: State,
    next_key: u64,
    pub(super) met: Met,
}

impl<'a> Cycles<'a> {
    pub(super) fn new(disk: &'a Disk, scale: Scale, seed: u64) -> Checked<Self> {
        let mut random = fastrand::Rng::with_seed(seed);
        let db = options(disk, scale, &mut random).open(&disk.directory)?;
        Ok(Self { disk, scale, random, db, state: State::new(), next_key: 0, met: Met::default() })
    }

    /// One cycle, from a disk with room to a disk with room.
    pub(super) fn run(&mut self) -> Checked {
        if !self.disk.load()? {
            if !self.empty(0).map_err(|finding| finding.at("emptied"))? {
                return self.start_anew();
            }
            let fits = self.load_eventually()?;
            let files = self.disk.files()?;
            demand(fits, || format!("an empty database does not give its space back: {files}"))?;
        }
        self.fill().map_err(|finding| finding.at("filled"))?;
        self.check(&self.db.clone()).map_err(|finding| finding.at("read while the disk is full"))?;
        self.delete_some().map_err(|finding| finding.at("deleted while the disk is full"))?;
        if self.random.bool() {
            self.reopen_full().map_err(|finding| finding.at("reopened while the disk is full"))?;
        }
        self.disk.unload()?;
        let is_written =
            self.use_again().map_err(|finding| finding.at("written when there was space again"))?;
        let kept = if self.random.bool() { 0 } else { self.state.len() / 10 };
        if !is_written || !self.empty(kept).map_err(|finding| finding.at("emptied"))? {
            return self.start_anew();
        }
        self.nothing_left_over()?;
        if self.random.u8(..4) == 0 {
            self.db.close()?;
            self.db = self.options().open(&self.disk.directory)?;
        }
        self.check(&self.db.clone()).map_err(|finding| finding.at("at the end of a cycle"))
    }

    /// Nothing is lost in a database that has too little space; but only a larger disk would help it.
    fn start_anew(&mut self) -> Checked {
        self.met.cramped += 1;
        self.check(&self.db.clone()).map_err(|finding| finding.at("cramped"))?;
        self.db.close().or_else(|error| self.no_space(error))?;
        for name in self.disk.vfs.list(&self.disk.directory)? {
            self.disk.vfs.remove(&self.disk.directory.join(name))?;
        }
        self.state.clear();
        self.db = self.options().open(&self.disk.directory)?;
        Ok(())
    }

    /// True when the space that was given back is less than a compaction of all tables may take.
    fn is_cramped(&self) -> bool {
        let tables: u64 = self.db.stats().levels.iter().map(|level| level.bytes).sum();
        tables > self.scale.ballast_bytes()
    }

    /// Loads the ballast when background work has ended that may give space back.
    fn load_eventually(&mut self) -> Checked<bool> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            self.db.step()?;
            if self.disk.load()? {
                return Ok(true);
            }
            std::thread::sleep(PAUSE);
        }
        Ok(false)
    }

    /// What was given up for want of space is gone: there are no more files than the database knows, once it is idle.
    fn nothing_left_over(&mut self) -> Checked {
        let mut left_over = String::new();
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            self.db.step()?;
            let stats = self.db.stats();
            let files = self.disk.files()?;
            let count = |extension: &str| files.matches(extension).count();
            let tables: usize = stats.levels.iter().map(|level| level.tables).sum();
            // One generation may be open ahead.
            let generations = stats.memtables + 1;
            if count(".sst ") == tables
                && count(".wal ") <= generations
                && count(".vlog ") <= stats.segments.len() + generations
            {
                return Ok(());
            }
            let segments = stats.segments.len();
            left_over = format!("{tables} tables, {segments} segments, {generations} generations in {files}");
            std::thread::sleep(PAUSE);
        }
        Err(Finding::new(format!("files are left over: {left_over}")))
    }

    fn options(&mut self) -> Options {
        options(self.disk, self.scale, &mut self.random)
    }

    /// Writes until it is refused, and then a little less.
    fn fill(&mut self) -> Checked {
        for _ in 0..COMMITS_MAX {
            let keys = self.random.usize(1..20);
            if self.commit(keys, false)? {
                self.maintain()?;
                continue;
            }
            for _ in 0..AFTER_REFUSAL {
                self.commit(1, true)?;
                self.maintain()?;
            }
            return Ok(());
        }
        Err(Finding::new(format!("{COMMITS_MAX} commits did not fill the disk")))
    }

    /// Commits a few new keys; false when there is no space.
    fn commit(&mut self, keys: usize, is_small: bool) -> Checked<bool> {
        let writes: Vec<(Vec<u8>, Vec<u8>)> = (0..keys)
            .map(|_| {
                self.next_key += 1;
                let key = format!("{:08x}", self.next_key.wrapping_mul(0x9E37_79B9) as u32);
                (key.into_bytes(), self.value(is_small))
            })
            .collect();
        let durability = if self.random.bool() { Durability::Sync } else { Durability::Buffered };
        let db = self.db.clone();
        let commit = || {
            let mut txn = db.begin_write()?;
            writes.iter().try_for_each(|(key, value)| txn.set(key, value))?;
            txn.commit_with(durability)
        };
        match commit() {
            Ok(version) => {
                let held = writes.into_iter().map(|(key, value)| (key, Held::new(version.0, &value)));
                self.state.extend(held);
                Ok(true)
            }
            Err(error) => {
                self.no_space(error)?;
                self.met.refused += 1;
                Ok(false)
            }
        }
    }

    fn value(&mut self, is_small: bool) -> Vec<u8> {
        let longest = if is_small { 40 } else { 40 << self.random.u8(..7) };
        let mut value = vec![0; self.random.usize(..longest)];
        self.random.fill(&mut value);
        value
    }

    /// Refuses every error but a full disk; an outcome that is unknown is one too many.
    fn no_space(&self, error: kv::Error) -> Checked {
        let is_refusal = error.is_no_space() && !matches!(error, kv::Error::Unknown(_));
        if is_refusal { Ok(()) } else { Err(error.into()) }
    }

    /// Now and then, background work.
    fn maintain(&mut self) -> Checked {
        let done = match self.random.u8(..) {
            0..8 => self.db.flush(),
            8..10 => self.db.compact(),
            10..14 => self.db.sync(),
            14..80 => self.db.step().map(drop),
            _ => Ok(()),
        };
        done.or_else(|error| self.no_space(error))
    }

    fn check(&mut self, db: &Db) -> Checked {
        let found = observe(db.version(), db.iter()?)?;
        same(&self.state, &found.state)?;
        for (key, held) in self.state.iter().take(20) {
            let value = db.get(key)?.ok_or_else(|| Finding::new("a key is found by scans only"))?;
            demand(Held::new(held.version, &value) == *held, || "a read and a scan differ".into())?;
        }
        let verified = db.verify()?;
        demand(verified.findings.is_empty(), || format!("verify: {:?}", verified.findings))
    }

    fn delete_some(&mut self) -> Checked {
        for _ in 0..20 {
            let at = self.random.usize(..self.state.len().max(1));
            let Some(key) = self.state.keys().nth(at).cloned() else { return Ok(()) };
            match self.db.delete(&key) {
                Ok(_) => {
                    self.state.remove(&key);
                }
                Err(error) => {
                    self.no_space(error)?;
                    self.met.refused += 1;
                }
            }
        }
        Ok(())
    }

    /// Closes and opens it without any space: it may always be read, and nothing is lost.
    fn reopen_full(&mut self) -> Checked {
        let closed = self.db.close();
        let was_clean = closed.is_ok();
        closed.or_else(|error| self.no_space(error))?;
        // Closing may have given space back.
        self.disk.fill_up()?;
        let reader = self.options().open_read_only(&self.disk.directory)?;
        let found = observe(reader.version(), reader.iter()?)?;
        same(&self.state, &found.state).map_err(|finding| finding.at("opened for reading"))?;
        reader.close()?;
        self.db = match self.options().open(&self.disk.directory) {
            Ok(db) => {
                self.met.reopened += 1;
                db
            }
            Err(error) => {
                self.no_space(error)?;
                self.met.opens_refused += u64::from(was_clean);
                self.disk.unload()?;
                self.options().open(&self.disk.directory)?
            }
        };
        self.check(&self.db.clone())
    }

    /// Does `work` until there is space for it; `None` when there is too little to expect it.
    fn eventually<T>(&mut self, what: &str, work: impl Fn(&Db) -> kv::Result<T>) -> Checked<Option<T>> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            match work(&self.db) {
                Ok(done) => return Ok(Some(done)),
                Err(error) => self.no_space(error)?,
            }
            self.met.retries += 1;
            self.db.step().map(drop).or_else(|error| self.no_space(error))?;
            std::thread::sleep(PAUSE);
        }
        if self.is_cramped() {
            return Ok(None);
        }
        let stats = self.db.stats();
        Err(Finding::new(format!("{what}: refused for {PATIENCE:?} although there is space: {stats:?}")))
    }

    /// Writes a key; false when there is too little space.
    fn use_again(&mut self) -> Checked<bool> {
        let key = b"written again".to_vec();
        let value = self.value(true);
        let Some(version) = self.eventually("a commit", |db| db.set(&key, &value))? else { return Ok(false) };
        self.state.insert(key, Held::new(version.0, &value));
        Ok(true)
    }

    /// Deletes all but `kept` keys and gives the space back; false when there is too little space for that.
    fn empty(&mut self, kept: usize) -> Checked<bool> {
        while self.state.len() > kept {
            let gone: BTreeSet<_> =
                self.state.keys().take(DELETED_AT_ONCE.min(self.state.len() - kept)).cloned().collect();
            let deleted = self.eventually("a deletion", |db| {
                let mut txn = db.begin_write()?;
                gone.iter().try_for_each(|key| txn.delete(key))?;
                txn.commit()
            })?;
            if deleted.is_none() {
                return Ok(false);
            }
            self.state.retain(|key, _| !gone.contains(key));
        }
        Ok(self.eventually("a compaction", Db::compact)?.is_some())
    }
}

fn options(disk: &Disk, scale: Scale, random: &mut fastrand::Rng) -> Options {
    let options = match scale {
        Scale::Tiny => Options::tiny(),
        Scale::Small => Options::new().memory_budget(random.usize(1..4) << 20),
    };
    options.maintenance_threads(random.usize(..3)).with_vfs(Arc::clone(&disk.vfs))
}

fn same(expected: &State, found: &State) -> Checked {
    let differs = |key: &&Vec<u8>| expected.get(*key) != found.get(*key);
    match expected.keys().chain(found.keys()).find(differs) {
        None => Ok(()),
        Some(key) => {
            let (is, should) = (found.get(key), expected.get(key));
            Err(Finding::new(format!("{} holds {is:?}, and should {should:?}", key.escape_ascii())))
        }
    }
}
