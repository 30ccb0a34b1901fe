//! Goal: whatever the order of commits, background steps, held snapshots, kills and clean closes, every read is that of a
//! plain map of versions. Method: random histories under tiny limits, one seed each.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails the test")]

mod common;

use std::collections::BTreeMap;

use base::Version;
use common::{Harness, History, assert_same, visible};
use engine::{Durability, EngineScan, Options, Step};

struct Run {
    harness: Option<Harness>,
    history: History,
    /// A scan that goes on while everything else happens.
    scan: Option<LongScan>,
    random: fastrand::Rng,
}

/// A scan from both ends, and what it has shown.
struct LongScan {
    version: Version,
    scan: EngineScan,
    front: Vec<(Vec<u8>, Vec<u8>)>,
    back: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Run {
    fn harness(&self) -> &Harness {
        self.harness.as_ref().unwrap()
    }

    fn key(&mut self) -> Vec<u8> {
        let number = self.random.u32(..40);
        match self.random.u32(..3) {
            0 => format!("k{number}").into_bytes(),
            1 => format!("a/long/common/prefix/{number:03}").into_bytes(),
            _ => vec![b'z'; number as usize + 1],
        }
    }

    fn value(&mut self) -> Vec<u8> {
        let len = match self.random.u32(..4) {
            0 => 0,
            1 => self.random.usize(..20),
            2 => self.random.usize(..100),
            _ => self.random.usize(..900),
        };
        let byte = self.random.u8(..);
        (0..len).map(|at| byte.wrapping_add((at / 7) as u8)).collect()
    }

    fn commit(&mut self) {
        let mut writes: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
        for _ in 0..self.random.usize(1..6) {
            let key = self.key();
            let value = (self.random.u32(..4) > 0).then(|| self.value());
            writes.insert(key, value);
        }
        let borrowed: Vec<(&[u8], Option<&[u8]>)> =
            writes.iter().map(|(key, value)| (key.as_slice(), value.as_deref())).collect();
        let durability = if self.random.bool() { Durability::Sync } else { Durability::Buffered };
        let version = self.harness().commit(&borrowed, durability);
        for (key, value) in writes {
            self.history.insert((key, version.0), value);
        }
    }

    fn step(&self) -> Step {
        self.harness().step()
    }

    fn check(&mut self) {
        let newest = self.harness().engine.visible().load();
        let mut at = vec![newest];
        at.extend(self.harness().held.borrow().iter().copied());
        for version in at {
            let expected = visible(&self.history, version);
            assert_same(&self.harness().dump_at(version), &expected, &format!("forward at {version}"));
            assert_same(&self.harness().dump_backward(version), &expected, &format!("backward at {version}"));
            for _ in 0..5 {
                let key = self.key();
                let value = expected.iter().find(|(known, _)| *known == key).map(|(_, value)| value.clone());
                assert_eq!(self.harness().get_at(&key, version), value, "get at {version}");
            }
        }
    }

    /// Starts a scan, or goes on with it; compares when it has met in the middle.
    fn scan_on(&mut self) {
        let Some(mut long) = self.scan.take() else {
            let version = self.harness().engine.visible().load();
            self.harness().held.borrow_mut().push(version);
            let scan = self.harness().engine.scan(self.harness().scan_options(version));
            self.scan = Some(LongScan { version, scan, front: Vec::new(), back: Vec::new() });
            return;
        };
        for _ in 0..self.random.usize(1..30) {
            let forward = self.random.u32(..3) > 0;
            let next = if forward { long.scan.next() } else { long.scan.next_back() };
            let Some(item) = next.unwrap() else {
                long.back.reverse();
                long.front.append(&mut long.back);
                let what = format!("long scan at {}", long.version);
                assert_same(&long.front, &visible(&self.history, long.version), &what);
                let index = self.harness().held.borrow().iter().position(|held| *held == long.version);
                self.harness().held.borrow_mut().swap_remove(index.unwrap());
                return;
            };
            let value = item.value().unwrap().unwrap().to_vec();
            let shown = if forward { &mut long.front } else { &mut long.back };
            shown.push((item.user_key().to_vec(), value));
        }
        self.scan = Some(long);
    }

    fn act(&mut self) {
        match self.random.u32(..100) {
            0..50 => self.commit(),
            50..54 => self.scan_on(),
            54..80 => {
                self.step();
            }
            80..84 => {
                let version = self.harness().engine.visible().load();
                self.harness().held.borrow_mut().push(version);
            }
            84..88 => {
                // The version of the long scan stays held.
                let keep = self.scan.as_ref().map(|long| long.version);
                let count = self.harness().held.borrow().len();
                let index = if count > 0 { self.random.usize(..count) } else { 0 };
                let chosen = self.harness().held.borrow().get(index).copied();
                if chosen.is_some() && chosen != keep {
                    self.harness().held.borrow_mut().swap_remove(index);
                }
            }
            88..92 => self.check(),
            92 => self.harness().flush(),
            93 => self.harness().engine.request_compaction().unwrap(),
            94 => {
                self.scan = None;
                self.harness = self.harness.take().map(Harness::reopen);
                self.check();
            }
            95 => {
                self.scan = None;
                self.harness = self.harness.take().map(Harness::close_and_reopen);
                self.check();
            }
            96 => while self.step() != Step::Idle {},
            _ => {
                self.harness().engine.rotate().unwrap();
            }
        }
    }
}

fn run(seed: u64, actions: usize) {
    let mut random = fastrand::Rng::with_seed(seed);
    let options = Options {
        access: [engine::TableAccess::Mapped, engine::TableAccess::Positional][random.usize(..2)],
        ..Options::tiny()
    };
    let mut run = Run { harness: Some(Harness::new(options)), history: History::new(), scan: None, random };
    for _ in 0..actions {
        run.act();
    }
    while run.step() != Step::Idle {}
    run.check();
    run.harness().verify();
}

#[test]
fn random_histories_read_like_a_map_of_versions() {
    let first = std::env::var("ENGINE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = first.map_or(0..60, |seed| seed..seed + 1);
    for seed in seeds {
        println!("ENGINE_SEED={seed}");
        run(seed, 400);
    }
}
