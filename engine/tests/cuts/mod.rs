//! Short scripts on a disk that remembers, and the question what a power cut at any moment would have left of them.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use base::clock::ManualClock;
use base::vfs::{CrashProfile, ImageBudget, MemVfs, Recording, SimVfs, Vfs};
use base::{UnixSeconds, Version};
use engine::{Durability, Options, Step};

use crate::common::{Harness, open};

pub type Map = BTreeMap<Vec<u8>, Vec<u8>>;
pub type Writes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// Bits of a note: the number of a commit, and whether it is durable now or only about to be written.
const DURABLE: u64 = 1;

/// A run on a recording disk. `states[n]` is what the database holds after `n` commits.
pub struct Life {
    pub sim: SimVfs,
    pub harness: Harness,
    pub states: Vec<Map>,
    next_number: u64,
}

impl Life {
    pub fn new(options: Options) -> Self {
        Self::on(SimVfs::new(), options, vec![Map::new()])
    }

    /// Opens what is on `sim`, which holds the last of `states`.
    pub fn on(sim: SimVfs, options: Options, states: Vec<Map>) -> Self {
        let harness = Harness::over(Arc::new(sim.clone()), options);
        let life = Self { sim, harness, states, next_number: 0 };
        life.is_durable();
        life
    }

    /// Says that everything committed so far must survive from here on.
    pub fn is_durable(&self) {
        self.sim.note(((self.states.len() - 1) as u64) << 1 | DURABLE);
    }

    pub fn commit(&mut self, writes: &Writes, durability: Durability) {
        let mut state = self.states.last().unwrap().clone();
        apply(&mut state, writes);
        self.sim.note((self.states.len() as u64) << 1);
        self.states.push(state);
        let borrowed: Vec<_> = writes.iter().map(|(key, value)| (key.as_slice(), value.as_deref())).collect();
        self.harness.commit(&borrowed, durability);
        if durability == Durability::Sync {
            self.is_durable();
        }
    }

    /// Commits a new value of `len` bytes under `key`.
    pub fn set(&mut self, key: &str, len: usize, durability: Durability) {
        self.next_number += 1;
        let value = value(self.next_number, len);
        self.commit(&vec![(key.as_bytes().to_vec(), Some(value))], durability);
    }

    pub fn small(&mut self, key: &str) {
        self.set(key, 20, Durability::Buffered);
    }

    /// As [`Life::small`], with a value for the value log.
    pub fn large(&mut self, key: &str) {
        self.set(key, 150, Durability::Buffered);
    }

    pub fn rotate(&self) {
        while !self.harness.engine.rotate().unwrap() {
            self.harness.step();
        }
    }

    pub fn sync(&self) {
        self.harness.engine.sync().unwrap();
        self.is_durable();
    }

    pub fn flush(&self) {
        self.harness.flush();
        self.is_durable();
    }

    /// The process dies, the system lives on; the next one opens what it finds.
    pub fn reopen(self) -> Self {
        let Self { sim, harness, states, next_number } = self;
        let life = Self { sim, harness: harness.reopen(), states, next_number };
        // What open shows is durable.
        life.is_durable();
        life
    }

    /// How many file operations there were so far.
    pub fn now(&self) -> usize {
        self.sim.recording().len()
    }

    /// Looks at what a power cut after each operation from `from` on could have left; how many disks that were.
    pub fn cut_from(&self, from: usize) -> usize {
        let recording = self.sim.recording();
        let mut disks = Disks::new(&recording, from);
        while let Some((disk, limits, what)) = disks.next() {
            check(disk, &self.harness.options, &self.states, limits, &what);
        }
        disks.distinct
    }
}

pub fn value(number: u64, len: usize) -> Vec<u8> {
    (0..len).map(|at| (number.wrapping_mul(31) as usize).wrapping_add(at) as u8).collect()
}

pub fn apply(state: &mut Map, writes: &Writes) {
    for (key, value) in writes {
        match value {
            Some(value) => state.insert(key.clone(), value.clone()),
            None => state.remove(key),
        };
    }
}

/// How many commits must be there, and how many may be.
pub type Limits = (usize, usize);

/// The distinct disks that power cuts from some operation on could have left.
pub struct Disks<'a> {
    recording: &'a Recording,
    seen: HashSet<(u128, Limits)>,
    ready: Vec<(MemVfs, Limits, String)>,
    points: Vec<(CrashProfile, usize)>,
    pub distinct: usize,
}

impl<'a> Disks<'a> {
    pub fn new(recording: &'a Recording, from: usize) -> Self {
        let mut points: Vec<_> = [CrashProfile::Ext4Like, CrashProfile::Strict]
            .into_iter()
            .flat_map(|profile| (from..=recording.len()).rev().map(move |k| (profile, k)))
            .collect();
        points.dedup();
        Self { recording, seen: HashSet::new(), ready: Vec::new(), points, distinct: 0 }
    }

    pub fn next(&mut self) -> Option<(MemVfs, Limits, String)> {
        while self.ready.is_empty() {
            let (profile, k) = self.points.pop()?;
            let notes = self.recording.notes(k);
            let highest = |wanted: &dyn Fn(u64) -> bool| {
                notes
                    .iter()
                    .filter(|note| wanted(**note))
                    .map(|note| (*note >> 1) as usize)
                    .max()
                    .unwrap_or(0)
            };
            let limits = (highest(&|note| note & DURABLE != 0), highest(&|_| true));
            let budget =
                ImageBudget { exhaustive_up_to: 32, at_most: 56, random: 4, seed: k as u64, only_new: false };
            for image in self.recording.images(k, profile, &budget) {
                if self.seen.insert((image.hash(), limits)) {
                    self.distinct += 1;
                    let what = format!("after operation {k}, {profile:?}:\n{}", image.explain());
                    self.ready.push((image.into_mem(), limits, what));
                }
            }
        }
        self.ready.pop()
    }
}

/// Opens a disk: it must hold a prefix of the commits, whole, and work on. How many commits it held.
pub fn check(disk: MemVfs, options: &Options, states: &[Map], (least, most): Limits, what: &str) -> usize {
    let vfs: Arc<dyn Vfs> = Arc::new(disk);
    let clock = Arc::new(ManualClock::new(UnixSeconds(1_000)));
    let engine = open(&vfs, &clock, options).unwrap_or_else(|error| panic!("{error}\n{what}"));
    let harness =
        Harness { vfs, clock, engine, options: options.clone(), held: Vec::<Version>::new().into() };
    let found: Map = harness.dump().into_iter().collect();
    let prefix = (least..=most).rev().find(|commits| states[*commits] == found);
    let Some(prefix) = prefix else {
        let keys = |map: &Map| -> Vec<String> {
            map.iter().map(|(key, value)| format!("{} ({})", key.escape_ascii(), value.len())).collect()
        };
        panic!(
            "no prefix of {least} to {most} commits: {:?} instead of {:?} or more\n{what}",
            keys(&found),
            keys(&states[least])
        );
    };
    let verified = harness.engine.verify(&mut |_, _| {}).unwrap();
    assert!(verified.is_clean(), "{:?}\n{what}", verified.findings);
    harness.set(b"after", b"all");
    let harness = harness.reopen();
    assert_eq!(harness.get(b"after"), Some(b"all".to_vec()), "{what}");
    assert_eq!(harness.step_until_idle(), Step::Idle);
    prefix
}
