//! Goal: a failed sync costs nothing that was acknowledged as durable, before the failure or after the reopen that follows,
//! even when the power goes later on: nothing may be trusted that only the page cache holds. Method: a script on the
//! simulated disk in which sync number k fails, for every k, and the content is either kept as clean or reverted; writing
//! stops, the database is opened again over the same page cache, and goes on. Then the directories that a power cut at several
//! moments since the failure could have left are opened.
//!
//! `ENGINE_SYNC_STRIDE` (default 5) picks every how manyeth k, `ENGINE_SYNC_IMAGES` (default 6) how many images are drawn for
//! each crash point.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails the test")]

mod common;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use base::clock::ManualClock;
use base::vfs::{CrashProfile, Fault, FaultKind, FaultVfs, ImageBudget, SimVfs, Times, Vfs};
use base::{Entry, Retention, UnixSeconds};
use common::{Harness, open};
use engine::{CommitError, Durability, Engine, Options};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// One run: `states[n]` is what the database holds after `n` commits, and marks in the recording tell how many of them
/// are durable, and how many there may be.
struct Run {
    sim: SimVfs,
    states: Vec<Map>,
    random: fastrand::Rng,
}

impl Run {
    fn last(&self) -> usize {
        self.states.len() - 1
    }

    fn note_durable(&self) {
        self.sim.note(self.last() as u64);
    }

    fn commit(&mut self, engine: &Engine) {
        let key = format!("key{:02}", self.random.u32(..16)).into_bytes();
        let len =
            if self.random.u32(..3) == 0 { self.random.usize(64..700) } else { self.random.usize(..60) };
        let value = (self.random.u32(..5) > 0).then(|| vec![self.random.u8(..); len]);
        let durability = if self.random.bool() { Durability::Sync } else { Durability::Buffered };
        let entry = value.as_deref().map_or(Entry::tombstone(), Entry::inline);
        let prepared = engine.prepare(std::iter::once((key.as_slice(), entry))).unwrap();
        let mut after = self.states[self.last()].clone();
        match value {
            Some(value) => after.insert(key, value),
            None => after.remove(&key),
        };
        match engine.commit(prepared, durability, |_| Ok::<(), Infallible>(())) {
            Ok(_) => {
                self.states.push(after);
                if durability == Durability::Sync {
                    self.note_durable();
                }
            }
            // It may be there after a reopen, or after a power cut before that.
            Err(CommitError::Unknown(_)) => self.states.push(after),
            Err(CommitError::NotWritten(error)) => assert!(engine.halted().is_some(), "{error}"),
            Err(CommitError::Refused(never)) => match never {},
        }
    }

    /// After a halt: what is there now is what counts from now on, and is durable. It is a prefix that holds every commit that
    /// was durable before.
    fn reopen(&mut self, vfs: &Arc<dyn Vfs>, clock: &Arc<ManualClock>, what: &str) -> Engine {
        let durable = self.sim.recording().notes(usize::MAX).into_iter().max().unwrap_or(0);
        let engine = open(vfs, clock, &Options::tiny()).unwrap_or_else(|error| panic!("{what}: {error}"));
        let found = dump(&engine);
        let kept = (usize::try_from(durable).unwrap()..self.states.len()).rev();
        let kept = kept.into_iter().find(|kept| self.states[*kept] == found);
        let Some(kept) = kept else {
            panic!("{what}: reopening shows no prefix that holds all durable commits")
        };
        // Later states get numbers above all marks, those that were lost stay as repetitions of what is there.
        let lost = self.states.len() - kept;
        for state in self.states.iter_mut().rev().take(lost) {
            state.clone_from(&found);
        }
        self.note_durable();
        engine
    }
}

fn dump(engine: &Engine) -> Map {
    let options = engine::ScanOptions::at(engine.visible().load(), UnixSeconds(1_000));
    let (mut scan, mut all) = (engine.scan(options), Map::new());
    while let Some(item) = scan.next().unwrap() {
        let value = item.value().unwrap().expect("a live item has a value").to_vec();
        all.insert(item.user_key().to_vec(), value);
    }
    all
}

/// Checks what power cuts at `k` could have left.
fn cut(run: &Run, states: &[Map], k: usize, what: &str) -> u64 {
    let recording = run.sim.recording();
    let least = usize::try_from(recording.notes(k).into_iter().max().unwrap_or(0)).unwrap();
    let count = setting("ENGINE_SYNC_IMAGES", 6);
    let budget = ImageBudget {
        exhaustive_up_to: count,
        at_most: usize::try_from(count).unwrap(),
        random: u32::try_from(count / 2).unwrap(),
        seed: k as u64,
        only_new: false,
    };
    let mut images = 0;
    for image in recording.images(k, CrashProfile::Strict, &budget) {
        images += 1;
        let explain = image.explain();
        let vfs: Arc<dyn Vfs> = Arc::new(image.into_mem());
        let clock = Arc::new(ManualClock::new(UnixSeconds(1_000)));
        let engine = open(&vfs, &clock, &Options::tiny())
            .unwrap_or_else(|error| panic!("{what}, cut after {k}: {error}\n{explain}"));
        let found = dump(&engine);
        let is_prefix = states[least..].contains(&found);
        assert!(is_prefix, "{what}, cut after {k}: no prefix of {least} commits or more\n{explain}");
        let harness =
            Harness { vfs, clock, engine, options: Options::tiny(), held: std::cell::RefCell::default() };
        harness.verify();
    }
    images
}

/// Runs the script with this fault; how many syncs there were, and how many images were checked.
fn run(seed: u64, fault: Option<Fault>, what: &str) -> (u64, u64) {
    let sim = SimVfs::new();
    let faulty = FaultVfs::new(Arc::new(sim.clone()));
    let vfs: Arc<dyn Vfs> = Arc::new(faulty.clone());
    let clock = Arc::new(ManualClock::new(UnixSeconds(1_000)));
    let kind = fault.as_ref().map_or(FaultKind::SyncLost, |fault| fault.kind);
    let mut engine = open(&vfs, &clock, &Options::tiny()).unwrap();
    if let Some(fault) = fault {
        faulty.inject(fault);
    }
    let before = faulty.count(kind.operations());
    let mut run = Run { sim, states: vec![Map::new()], random: fastrand::Rng::with_seed(seed) };
    let mut images = 0;
    for _ in 0..140 {
        match run.random.u32(..100) {
            0..50 => run.commit(&engine),
            50..92 => {
                let visible = engine.visible().load();
                let _failed = engine.step(&|| Retention::new(visible, [], UnixSeconds(1_000)));
            }
            92..96 => {
                let _failed = engine.rotate();
            }
            _ => {
                if engine.sync().is_ok() {
                    run.note_durable();
                }
            }
        }
        if engine.halted().is_some() {
            // Before the reopen, as the power goes at once; then what was in doubt is settled for good.
            images += cut(&run, &run.states, run.sim.recording().len(), what);
            faulty.clear();
            drop(engine);
            engine = run.reopen(&vfs, &clock, what);
            images += cut(&run, &run.states, run.sim.recording().len(), what);
        }
    }
    images += cut(&run, &run.states, run.sim.recording().len(), what);
    let syncs = faulty.count(kind.operations()) - before;
    (syncs, images)
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn campaign(kind: FaultKind, times: Times) {
    let stride = setting("ENGINE_SYNC_STRIDE", 5);
    let mut images = 0;
    for seed in [1, 2] {
        let none = Fault::new(kind).nth(u64::MAX);
        let (syncs, _) = run(seed, Some(none), "no fault");
        assert!(syncs > 50, "the script does too little: {syncs} syncs");
        let start = (seed * 3 + kind as u64 + u64::from(times == Times::Forever)) % stride;
        for k in (1 + start..=syncs).step_by(usize::try_from(stride).unwrap()) {
            let what = format!("seed {seed}, sync {k} of {syncs}, {kind:?} {times:?}");
            println!("{what}");
            images += run(seed, Some(Fault::new(kind).nth(k).times(times)), &what).1;
        }
    }
    println!("{images} images");
    assert!(images > 100, "only {images} images");
}

#[test]
fn content_that_is_kept_as_clean_once() {
    campaign(FaultKind::SyncLost, Times::Once);
}

#[test]
fn content_that_is_kept_as_clean_for_ever() {
    campaign(FaultKind::SyncLost, Times::Forever);
}

#[test]
fn content_that_is_reverted_once() {
    campaign(FaultKind::SyncReverted, Times::Once);
}

#[test]
fn content_that_is_reverted_for_ever() {
    campaign(FaultKind::SyncReverted, Times::Forever);
}
