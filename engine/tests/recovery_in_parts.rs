//! Goal: a recovery whose tables are written in parts, by several threads in any order, shows what one that does it alone shows,
//! and no power cut or failure in the middle loses anything. Method: helpers that do the parts backwards, or in threads; the
//! simulated disk is cut off at every operation, and every operation fails once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails the test")]

mod common;

use std::path::Path;
use std::sync::Arc;

use base::UnixSeconds;
use base::clock::ManualClock;
use base::vfs::{
    CrashProfile, Fault, FaultKind, FaultVfs, ImageBudget, MemVfs, Operation, Operations, SimVfs, Times, Vfs,
};
use common::{DIRECTORY, Harness};
use engine::{Durability, Engine, Environment, Helpers, Options, Step, Work};

const KEYS: u8 = 40;

/// Does the parts one by one, the last one first.
struct Backwards(usize);

impl Helpers for Backwards {
    fn count(&self) -> usize {
        self.0
    }

    fn run(&self, parts: Vec<Work<'_>>) {
        parts.into_iter().rev().for_each(|part| part());
    }
}

/// A thread for each part.
struct Threads(usize);

impl Helpers for Threads {
    fn count(&self) -> usize {
        self.0
    }

    fn run(&self, parts: Vec<Work<'_>>) {
        std::thread::scope(|scope| {
            for part in parts {
                scope.spawn(part);
            }
        });
    }
}

/// The files of a database that was killed with all its commits, durable ones, in logs: keys of several versions, deleted ones, and
/// values apart.
fn killed() -> MemVfs {
    let disk = MemVfs::new();
    let harness = Harness::over(Arc::new(disk.clone()), Options::tiny());
    for round in 0..3u8 {
        for key in 0..KEYS {
            let value = vec![round; usize::from(key) * 3];
            let is_deleted = round == 2 && key % 5 == 0;
            harness.commit(&[(&[key], (!is_deleted).then_some(&value))], Durability::Buffered);
        }
    }
    harness.engine.sync().unwrap();
    drop(harness);
    MemVfs::from_snapshot(disk.snapshot())
}

fn open(vfs: Arc<dyn Vfs>, helpers: &dyn Helpers) -> base::Result<Harness> {
    let (clock, options) = (Arc::new(ManualClock::new(UnixSeconds(1_000))), Options::tiny());
    let environment = Environment { vfs: Arc::clone(&vfs), clock: clock.clone() };
    let engine = Engine::open_with(Path::new(DIRECTORY), options.clone(), environment, helpers)?;
    Ok(Harness { vfs, clock, engine, options, held: Default::default() })
}

fn copy_of(disk: &MemVfs) -> Arc<dyn Vfs> {
    Arc::new(MemVfs::from_snapshot(disk.snapshot()))
}

#[test]
fn parts_show_what_one_shows() {
    let disk = killed();
    let alone = Harness::over(copy_of(&disk), Options::tiny());
    let (expected, tables) = (alone.dump(), alone.engine.recovery_report().tables_written);
    assert_eq!(expected.len(), usize::from(KEYS - KEYS.div_ceil(5)));
    let helpers: [&dyn Helpers; 4] = [&Backwards(2), &Backwards(7), &Threads(3), &Threads(500)];
    for helpers in helpers {
        let harness = open(copy_of(&disk), helpers).unwrap();
        assert!(harness.engine.recovery_report().tables_written > tables);
        assert_eq!(harness.dump(), expected);
        assert!(harness.engine.verify(&mut |_, _| {}).unwrap().findings.is_empty());
        harness.settle();
        let harness = harness.close_and_reopen();
        assert_eq!(harness.dump(), expected);
        assert_eq!(harness.step(), Step::Idle);
    }
}

#[test]
fn a_power_cut_between_two_parts_loses_nothing() {
    let disk = killed();
    let expected = Harness::over(copy_of(&disk), Options::tiny()).dump();
    let sim = SimVfs::starting_from(&disk);
    drop(open(Arc::new(sim.clone()), &Backwards(3)).unwrap());
    let recording = sim.recording();
    let budget = ImageBudget { exhaustive_up_to: 64, at_most: 40, random: 8, ..ImageBudget::default() };
    for k in recording.crash_points() {
        for image in recording.images(k, CrashProfile::Strict, &budget) {
            let harness = open(Arc::new(image.into_mem()), &Backwards(2)).unwrap();
            assert_eq!(harness.dump(), expected, "after {k} of {recording:?}");
        }
    }
}

#[test]
fn a_part_that_fails_fails_the_open_and_loses_nothing() {
    let disk = killed();
    let expected = Harness::over(copy_of(&disk), Options::tiny()).dump();
    let changes = [Operation::Create, Operation::Write, Operation::Sync, Operation::SyncDir];
    for kind in [FaultKind::NoSpace, FaultKind::Io] {
        for nth in 1.. {
            let faulty = FaultVfs::new(copy_of(&disk));
            faulty.inject(Fault::new(kind).on(Operations::of(&changes)).nth(nth).times(Times::Once));
            let opened = open(Arc::new(faulty.clone()), &Threads(3));
            let fired = faulty.fired();
            faulty.clear();
            assert_eq!(opened.is_err(), fired > 0, "{kind:?} at {nth}: {:?}", opened.err());
            drop(opened);
            let harness = open(Arc::new(faulty.clone()), &Backwards(2)).unwrap();
            assert_eq!(harness.dump(), expected, "{kind:?} at {nth}");
            if fired == 0 {
                assert!(nth > 10);
                break;
            }
        }
    }
}
