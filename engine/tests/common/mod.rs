//! A small engine on a memory file system, and a plain model of what it should hold.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails the test")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::clock::ManualClock;
use base::vfs::{MemVfs, Vfs};
use base::{Entry, Retention, UnixSeconds, Version};
use engine::{CommitError, Durability, Engine, Environment, Options, ScanOptions, Step};

pub const DIRECTORY: &str = "/db";

/// One version of one key: `None` is a tombstone.
pub type History = BTreeMap<(Vec<u8>, u64), Option<Vec<u8>>>;

pub struct Harness {
    pub vfs: Arc<dyn Vfs>,
    pub clock: Arc<ManualClock>,
    pub engine: Engine,
    pub options: Options,
    /// Versions that a reader holds.
    pub held: RefCell<Vec<Version>>,
}

impl Harness {
    pub fn new(options: Options) -> Self {
        Self::over(Arc::new(MemVfs::new()), options)
    }

    pub fn over(vfs: Arc<dyn Vfs>, options: Options) -> Self {
        let clock = Arc::new(ManualClock::new(UnixSeconds(1_000)));
        let engine = open(&vfs, &clock, &options).unwrap();
        Self { vfs, clock, engine, options, held: RefCell::default() }
    }

    /// Closes without ceremony, as a killed process does, and opens again.
    pub fn reopen(self) -> Self {
        let Self { vfs, clock, engine, options, held } = self;
        held.borrow_mut().clear();
        drop(engine);
        let engine = open(&vfs, &clock, &options).unwrap();
        Self { vfs, clock, engine, options, held }
    }

    pub fn close_and_reopen(self) -> Self {
        self.close();
        self.reopen()
    }

    /// Closes properly and opens again under other options.
    pub fn with_options(self, options: Options) -> Self {
        self.close();
        Self { options, ..self }.reopen()
    }

    pub fn close(&self) {
        self.engine.stop_commits();
        self.flush();
        self.engine.finish_close().unwrap();
    }

    pub fn commit(&self, writes: &[(&[u8], Option<&[u8]>)], durability: Durability) -> Version {
        let prepared = self.engine.prepare(
            writes.iter().map(|(key, value)| (*key, value.map_or(Entry::tombstone(), Entry::inline))),
        );
        match self.engine.commit(prepared.unwrap(), durability, |_| Ok::<(), Infallible>(())) {
            Ok(version) => version,
            Err(CommitError::Refused(never)) => match never {},
            Err(CommitError::NotWritten(error) | CommitError::Unknown(error)) => {
                panic!("commit failed: {error}")
            }
        }
    }

    /// A commit of entries of any kind.
    pub fn commit_entries(&self, writes: &[(&[u8], Entry<'_>)], durability: Durability) -> Version {
        let prepared = self.engine.prepare(writes.iter().copied()).unwrap();
        match self.engine.commit(prepared, durability, |_| Ok::<(), Infallible>(())) {
            Ok(version) => version,
            Err(error) => panic!("commit failed: {error:?}"),
        }
    }

    pub fn set(&self, key: &[u8], value: &[u8]) -> Version {
        self.commit(&[(key, Some(value))], Durability::Sync)
    }

    pub fn delete(&self, key: &[u8]) -> Version {
        self.commit(&[(key, None)], Durability::Sync)
    }

    pub fn retention(&self) -> Retention {
        Retention::new(self.engine.visible().load(), self.held.borrow().iter().copied(), UnixSeconds(1_000))
    }

    pub fn step(&self) -> Step {
        self.engine.step(&|| self.retention()).unwrap()
    }

    /// Steps until there is nothing left to do.
    pub fn settle(&self) {
        for _ in 0..100_000 {
            if self.step() == Step::Idle {
                return;
            }
        }
        panic!("background work does not end");
    }

    /// As [`Harness::settle`], for use in a comparison.
    pub fn step_until_idle(&self) -> Step {
        self.settle();
        Step::Idle
    }

    pub fn flush(&self) {
        while !self.engine.rotate().unwrap() {
            self.step();
        }
        while self.engine.has_frozen() {
            self.step();
        }
    }

    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.get_at(key, self.engine.visible().load())
    }

    pub fn get_at(&self, key: &[u8], at: Version) -> Option<Vec<u8>> {
        let found = self.engine.get(key, at).unwrap()?;
        if !found.entry.as_entry().is_live(UnixSeconds(1_000)) {
            return None;
        }
        found.value(key).unwrap().map(|value| value.to_vec())
    }

    pub fn scan_options(&self, at: Version) -> ScanOptions {
        ScanOptions::at(at, UnixSeconds(1_000))
    }

    pub fn dump(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.dump_at(self.engine.visible().load())
    }

    pub fn dump_at(&self, at: Version) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut scan = self.engine.scan(self.scan_options(at));
        let mut all = Vec::new();
        while let Some(item) = scan.next().unwrap() {
            let value = item.value().unwrap().expect("a live item has a value").to_vec();
            all.push((item.user_key().to_vec(), value));
        }
        all
    }

    pub fn dump_backward(&self, at: Version) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut scan = self.engine.scan(self.scan_options(at));
        let mut all = Vec::new();
        while let Some(item) = scan.next_back().unwrap() {
            let value = item.value().unwrap().expect("a live item has a value").to_vec();
            all.push((item.user_key().to_vec(), value));
        }
        all.reverse();
        all
    }

    /// Every read, of the newest version and of the held ones, and the structure, are as `history` says.
    pub fn check(&self, history: &History, what: &str) {
        let newest = self.engine.visible().load();
        let keys: BTreeSet<&[u8]> = history.keys().map(|(key, _)| key.as_slice()).collect();
        for at in self.held.borrow().iter().copied().chain([newest]) {
            let expected = visible(history, at);
            assert_same(&self.dump_at(at), &expected, &format!("{what}: forward at {at}"));
            assert_same(&self.dump_backward(at), &expected, &format!("{what}: backward at {at}"));
            let live: BTreeMap<_, _> = expected.into_iter().collect();
            for key in &keys {
                let same = self.get_at(key, at).as_ref() == live.get(*key);
                assert!(same, "{what}: get of {} at {at}", key.escape_ascii());
            }
        }
        let verified = self.engine.verify(&mut |_, _| {}).unwrap();
        assert!(verified.is_clean(), "{what}: {:?}", verified.findings);
    }

    /// Steps until there is nothing left to do and checks after each; how many steps changed the tables.
    pub fn settle_checked(&self, history: &History, what: &str) -> usize {
        let mut changes = 0;
        for number in 0..10_000 {
            let step = self.step();
            if step == Step::Idle {
                return changes;
            }
            if matches!(step, Step::InstalledFlush | Step::InstalledCompaction) {
                changes += 1;
                self.check(history, &format!("{what}, step {number}"));
            }
        }
        panic!("{what}: background work does not end");
    }

    /// How many tables each level holds, L0 first.
    pub fn tables(&self) -> Vec<usize> {
        self.engine.stats().levels.iter().map(|level| level.tables).collect()
    }

    pub fn verify(&self) {
        let verified = self.engine.verify(&mut |_, _| {}).unwrap();
        assert!(verified.is_clean(), "{:?}", verified.findings);
    }

    pub fn files(&self) -> Vec<String> {
        let mut names = self.vfs.list(Path::new(DIRECTORY)).unwrap();
        names.sort();
        names
    }
}

pub fn open(vfs: &Arc<dyn Vfs>, clock: &Arc<ManualClock>, options: &Options) -> base::Result<Engine> {
    let environment = Environment { vfs: Arc::clone(vfs), clock: Arc::<ManualClock>::clone(clock) };
    Engine::open(&PathBuf::from(DIRECTORY), options.clone(), environment)
}

/// What a reader at `at` sees of a history.
pub fn visible(history: &History, at: Version) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut newest: BTreeMap<&[u8], Option<&Vec<u8>>> = BTreeMap::new();
    for ((key, version), value) in history {
        if *version <= at.0 {
            newest.insert(key, value.as_ref());
        }
    }
    newest.into_iter().filter_map(|(key, value)| Some((key.to_vec(), value?.clone()))).collect()
}

/// Fails with the first difference, not with both worlds in full.
pub fn assert_same(got: &[(Vec<u8>, Vec<u8>)], expected: &[(Vec<u8>, Vec<u8>)], what: &str) {
    let show = |entry: Option<&(Vec<u8>, Vec<u8>)>| {
        entry.map(|(key, value)| format!("{} = {} bytes", key.escape_ascii(), value.len()))
    };
    let differs = (0..got.len().max(expected.len())).find(|at| got.get(*at) != expected.get(*at));
    if let Some(at) = differs {
        panic!("{what}: entry {at} is {:?}, should be {:?}", show(got.get(at)), show(expected.get(at)));
    }
}
