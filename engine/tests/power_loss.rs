//! Goal: after a power cut at any moment, opening just works and shows a prefix of the commit order that holds every commit
//! acknowledged as durable, whole commits only. Method: record one run of a script on a simulated disk, then open the
//! directories that a cut after each operation could have left: unsynced sectors kept or lost one by one, writes torn, names
//! lost, files reordered.
//!
//! `ENGINE_POWER_SCRIPTS` (default 6) is the number of scripts, `ENGINE_POWER_IMAGES` (default 12) how many images are
//! drawn for each crash point.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails the test")]

mod common;

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;

use base::clock::ManualClock;
use base::vfs::{CrashProfile, ImageBudget, MemVfs, SimVfs, Vfs};
use base::{Entry, Retention, UnixSeconds};
use common::{Harness, assert_same, open};
use engine::{CommitError, Durability, Engine, Options, Step};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;
type Writes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// Marks in the recording: a commit is about to be written, or everything up to a commit is durable.
const SUBMITTED: u64 = 0;
const DURABLE: u64 = 1;

fn mark(kind: u64, commit: usize) -> u64 {
    (commit as u64) << 1 | kind
}

/// One recorded run: `states[n]` is what the database holds after `n` commits.
struct Run {
    sim: SimVfs,
    states: Vec<Map>,
}

impl Run {
    fn commit(&mut self, engine: &Engine, writes: &Writes, durability: Durability) {
        let entries = writes
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_deref().map_or(Entry::tombstone(), Entry::inline)));
        let prepared = engine.prepare(entries).unwrap();
        let number = self.states.len();
        self.sim.note(mark(SUBMITTED, number));
        let mut state = self.states.last().unwrap().clone();
        for (key, value) in writes {
            match value {
                Some(value) => state.insert(key.clone(), value.clone()),
                None => state.remove(key),
            };
        }
        self.states.push(state);
        let done = engine.commit(prepared, durability, |_| Ok::<(), Infallible>(()));
        assert!(!matches!(done, Err(CommitError::NotWritten(_) | CommitError::Unknown(_))));
        if durability == Durability::Sync {
            self.sim.note(mark(DURABLE, number));
        }
    }
}

fn writes(random: &mut fastrand::Rng) -> Writes {
    let mut map = BTreeMap::new();
    for _ in 0..random.usize(1..4) {
        let key = format!("key{:02}", random.u32(..20)).into_bytes();
        let len = if random.u32(..3) == 0 { random.usize(64..900) } else { random.usize(..60) };
        let value = (random.u32(..5) > 0).then(|| vec![random.u8(..); len]);
        map.insert(key, value);
    }
    map.into_iter().collect()
}

fn record(seed: u64) -> Run {
    let mut random = fastrand::Rng::with_seed(seed);
    let sim = SimVfs::new();
    let vfs: Arc<dyn Vfs> = Arc::new(sim.clone());
    let clock = Arc::new(ManualClock::new(UnixSeconds(1_000)));
    let mut run = Run { sim, states: vec![Map::new()] };
    let mut engine = open(&vfs, &clock, &Options::tiny()).unwrap();
    for _ in 0..70 {
        match random.u32(..100) {
            0..55 => {
                let batch = writes(&mut random);
                let durability = if random.u32(..3) == 0 { Durability::Sync } else { Durability::Buffered };
                run.commit(&engine, &batch, durability);
            }
            55..88 => {
                let visible = engine.visible().load();
                engine.step(&|| Retention::new(visible, [], UnixSeconds(1_000))).unwrap();
            }
            88..92 => {
                engine.rotate().unwrap();
            }
            92..95 => {
                engine.sync().unwrap();
                run.sim.note(mark(DURABLE, run.states.len() - 1));
            }
            _ => {
                drop(engine);
                engine = open(&vfs, &clock, &Options::tiny()).unwrap();
                // What open shows is durable.
                run.sim.note(mark(DURABLE, run.states.len() - 1));
            }
        }
    }
    run
}

/// How many commits a crash must have kept, and may have kept.
fn limits(notes: &[u64]) -> (usize, usize) {
    let highest = |kind| {
        let marks = notes.iter().filter(|note| **note & 1 == kind);
        marks.map(|note| (*note >> 1) as usize).max().unwrap_or(0)
    };
    (highest(DURABLE), highest(SUBMITTED))
}

/// Opens an image and compares; returns how many commits it held.
fn check(image: MemVfs, states: &[Map], (least, most): (usize, usize), what: &dyn Fn() -> String) -> usize {
    let vfs: Arc<dyn Vfs> = Arc::new(image);
    let clock = Arc::new(ManualClock::new(UnixSeconds(1_000)));
    let engine = open(&vfs, &clock, &Options::tiny()).unwrap_or_else(|error| panic!("{error}\n{}", what()));
    let held = RefCellVersions::default();
    let harness = Harness { vfs, clock, engine, options: Options::tiny(), held };
    let found: Map = harness.dump().into_iter().collect();
    let prefix = (least..=most).rev().find(|commits| states[*commits] == found);
    let Some(prefix) = prefix else {
        let list = |map: &Map| map.clone().into_iter().collect::<Vec<_>>();
        let what = format!("no prefix of {least} to {most} commits\n{}", what());
        assert_same(&list(&found), &list(&states[least]), &what);
        panic!("{what}");
    };
    let verified = harness.engine.verify(&mut |_, _| {}).unwrap();
    assert!(verified.is_clean(), "{:?}\n{}", verified.findings, what());
    harness.set(b"after", b"all");
    harness.settle();
    let harness = harness.reopen();
    assert_eq!(harness.get(b"after"), Some(b"all".to_vec()));
    assert_eq!(harness.step_until_idle(), Step::Idle);
    prefix
}

type RefCellVersions = std::cell::RefCell<Vec<base::Version>>;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn every_cut_leaves_a_prefix() {
    let first = setting("ENGINE_POWER_SEED", 0);
    let images_per_point = setting("ENGINE_POWER_IMAGES", 12) as usize;
    let (mut images, mut distinct) = (0u64, 0u64);
    for seed in first..first + setting("ENGINE_POWER_SCRIPTS", 6) {
        let run = record(seed);
        let recording = run.sim.recording();
        let mut seen = HashSet::new();
        for profile in [CrashProfile::Strict, CrashProfile::Ext4Like] {
            for k in recording.crash_points() {
                let limits = limits(&recording.notes(k));
                let budget = ImageBudget {
                    exhaustive_up_to: images_per_point as u64,
                    at_most: images_per_point,
                    random: images_per_point as u32 / 2,
                    seed: seed ^ k as u64,
                    only_new: false,
                };
                for image in recording.images(k, profile, &budget) {
                    images += 1;
                    if seen.insert((image.hash(), limits)) {
                        distinct += 1;
                        let what = || {
                            format!(
                                "ENGINE_POWER_SEED={seed}, after operation {k}, {profile:?}:\n{}",
                                image.explain()
                            )
                        };
                        check(image.clone().into_mem(), &run.states, limits, &what);
                    }
                }
            }
        }
    }
    println!("{images} images, {distinct} distinct");
    assert!(distinct > 1_000, "only {distinct} distinct images");
}
