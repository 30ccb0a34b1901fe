//! Goal: the recovery bugs that other engines had do not happen here: of crashes in a row and of background work. Method: for
//! each a short script, interrupted in every way that its story allows, or with another piece of work let in at every step.
//! Numbers and sources are those of the hall of bugs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails the test")]

mod common;
mod cuts;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use base::vfs::{FaultVfs, MemVfs, Operation, SimVfs, Vfs};
use base::{Retention, UnixSeconds};
use common::{DIRECTORY, Harness};
use cuts::{Disks, Life, Map, Writes, check, value};
use engine::{Durability, Engine, Options, Step};
use parking_lot::Mutex;

/// pebble 77b1bbf50: a log with a transaction larger than a memtable needed several flushes, and was deleted after the first.
/// Here a cut anywhere in the open that replays such logs leaves all of them to be opened again.
#[test]
fn hb_25_logs_larger_than_a_memtable_are_kept_until_all_is_flushed() {
    let mut life = Life::new(Options::tiny());
    for round in 0..2_u64 {
        let large: Writes =
            (0..150_u64).map(|key| (key.to_be_bytes().to_vec(), Some(value(key * 3 + round, 50)))).collect();
        life.commit(&large, Durability::Buffered);
        life.small(&format!("after{round}"));
        life.large(&format!("large{round}"));
    }
    life.sync();
    let from = life.now();
    let life = life.reopen();
    assert!(life.harness.engine.recovery_report().tables_written > 2);
    assert_eq!(&life.harness.dump().into_iter().collect::<Map>(), life.states.last().unwrap());
    life.cut_from(from);
}

/// badger #134: what was stored as the place to replay from belonged to a later memtable, so that commits were skipped. Here
/// every order of commits, rotations and steps of a flush, then a kill, leaves every commit.
#[test]
fn hb_29_no_order_of_flush_and_rotation_skips_a_commit() {
    const LEN: u32 = 7;
    for order in 0..3_u32.pow(LEN) {
        let harness = Harness::new(Options::tiny());
        harness.step();
        let mut count = 0_u8;
        for at in 0..LEN {
            match order / 3_u32.pow(at) % 3 {
                0 => {
                    let len = if count.is_multiple_of(2) { 20 } else { 90 };
                    harness.commit(&[(&[count], Some(&value(0, len)))], Durability::Buffered);
                    count += 1;
                }
                1 => drop(harness.engine.rotate().unwrap()),
                _ => drop(harness.step()),
            }
        }
        let harness = harness.reopen();
        let found: Vec<u8> = harness.dump().into_iter().map(|(key, _)| key[0]).collect();
        assert_eq!(found, (0..count).collect::<Vec<_>>(), "order {order}");
    }
}

/// badger #1819: compactions at the same time left a manifest that was not what they had agreed on. Here whole compactions,
/// flushes and moves run inside every file operation of another compaction, and what the manifest says is what is read.
#[test]
fn hb_37_compactions_at_the_same_time_agree_with_the_manifest() {
    let memory = MemVfs::new();
    let faulty = FaultVfs::new(Arc::new(memory.clone()));
    let options = Options { table_bytes: 1 << 10, base_level_bytes: 4 << 10, ..Options::tiny() };
    let harness = Harness::over(Arc::new(faulty.clone()), options);
    let engine: Arc<Mutex<Option<Engine>>> = Arc::new(Mutex::new(Some(harness.engine.clone())));
    let (inside, nested) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (shared, is_inside, count) = (Arc::clone(&engine), Arc::clone(&inside), Arc::clone(&nested));
    faulty.before_each(move |operation, path| {
        let is_output = matches!(operation, Operation::Create | Operation::Write | Operation::Sync)
            && path.extension().is_some_and(|extension| extension == "sst");
        if !is_output || is_inside.swap(true, Ordering::SeqCst) {
            return;
        }
        let engine = shared.lock().clone();
        if let Some(engine) = engine {
            let retention = || Retention::new(engine.visible().load(), [], UnixSeconds(1_000));
            for _ in 0..6 {
                if engine.step(&retention).unwrap() == Step::InstalledCompaction {
                    count.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
        is_inside.store(false, Ordering::SeqCst);
    });
    let mut state = Map::new();
    let mut random = fastrand::Rng::with_seed(37);
    for number in 0..1_500_u64 {
        let (key, value) = (random.u16(..400).to_be_bytes().to_vec(), value(number, random.usize(1..100)));
        harness.commit(&[(&key, Some(&value))], Durability::Buffered);
        state.insert(key, value);
        harness.step();
        if number % 50 == 0 {
            let replayed = manifest::read(&memory, Path::new(DIRECTORY)).unwrap();
            let live = harness.engine.stats();
            for (level, stats) in live.levels.iter().enumerate() {
                assert_eq!(replayed.level_len(level as u8), stats.tables, "level {level} after {number}");
            }
        }
    }
    assert!(nested.load(Ordering::SeqCst) > 10, "{nested:?} compactions inside another step");
    harness.settle();
    harness.verify();
    *engine.lock() = None;
    let harness = harness.reopen();
    assert_eq!(harness.dump().into_iter().collect::<Map>(), state);
    harness.verify();
}

/// badger #2198: the removal of a table that was gone already made every start fail. Here a file that has lost its last
/// reference may be missing when it is to be removed: the others go, work goes on, and so does the next open.
#[test]
fn hb_38_removing_what_is_gone_already_is_no_failure() {
    let memory = MemVfs::new();
    let harness = Harness::over(Arc::new(memory.clone()), Options::tiny());
    for round in 0..2 {
        for key in 0..20_u8 {
            harness.commit(&[(&[key], Some(&[round; 100]))], Durability::Buffered);
        }
        harness.flush();
    }
    while harness.engine.stats().compactions == 0 {
        assert_ne!(harness.step(), Step::Idle);
    }
    // Its inputs are about to be removed. Somebody is faster with the first of them.
    let listed = manifest::read(&memory, Path::new(DIRECTORY)).unwrap();
    let obsolete: Vec<String> = harness
        .files()
        .into_iter()
        .filter(|name| name.ends_with(".sst") && !listed.is_alive(name[..6].parse().unwrap()))
        .collect();
    assert!(obsolete.len() > 1, "{obsolete:?}");
    memory.remove(&Path::new(DIRECTORY).join(&obsolete[0])).unwrap();
    harness.settle();
    let left: Vec<String> = harness.files().into_iter().filter(|name| obsolete.contains(name)).collect();
    assert!(left.is_empty(), "{left:?}");
    let harness = harness.reopen();
    assert_eq!(harness.dump().len(), 20);
}

/// fjall #112, lsm-tree #230: journals were dropped while they were needed; items of a bulk load were lost. Here every item is
/// counted after every flush and after every kill.
#[test]
fn hb_44_a_bulk_load_is_counted_after_every_flush_and_reopen() {
    let mut harness = Harness::new(Options::tiny());
    let mut flushes = 0;
    for number in 0..900_u64 {
        let len = if number % 7 == 0 { 90 } else { 30 };
        harness.commit(&[(&number.to_be_bytes(), Some(&value(number, len)))], Durability::Buffered);
        if number % 3 == 0 {
            harness.step();
        }
        let is_flushed = harness.engine.stats().flushes > flushes;
        flushes = harness.engine.stats().flushes;
        if is_flushed {
            assert_eq!(harness.dump().len() as u64, number + 1);
        }
        if is_flushed || number % 111 == 0 {
            harness = harness.reopen();
            flushes = 0;
            assert_eq!(harness.dump().len() as u64, number + 1, "after a kill");
        }
    }
}

/// Opens what cuts left of `life`, and cuts the power again at every operation of that open. How many disks that were.
fn cut_twice(life: &Life, from: usize, every: usize) -> usize {
    let recording = life.sim.recording();
    let mut first = Disks::new(&recording, from);
    let (mut seconds, mut met) = (0, 0);
    while let Some((disk, (least, most), what)) = first.next() {
        met += 1;
        if met % every != 0 {
            continue;
        }
        let sim = SimVfs::starting_from(&disk);
        sim.note((least as u64) << 1 | 1);
        sim.note((most as u64) << 1);
        let harness = Harness::over(Arc::new(sim.clone()), Options::tiny());
        let found: Map = harness.dump().into_iter().collect();
        let shown = (least..=most).rev().find(|commits| life.states[*commits] == found);
        let shown = shown.unwrap_or_else(|| panic!("no prefix of {least} to {most}: {what}"));
        // What the first open has shown must not be taken back.
        sim.note((shown as u64) << 1 | 1);
        // The logs go in a step of their own.
        harness.step();
        drop(harness);
        let recording = sim.recording();
        let mut second = Disks::new(&recording, 3);
        while let Some((disk, limits, again)) = second.next() {
            check(disk, &Options::tiny(), &life.states, limits, &format!("{what}\nthen {again}"));
        }
        seconds += second.distinct;
    }
    seconds
}

/// redb 4.2.0: a crash during the repair after a crash rolled durable commits back. Here what was durable, and what the first
/// recovery has shown, is there after a second cut at any operation of that recovery.
#[test]
fn hb_47_a_cut_during_recovery_rolls_nothing_back() {
    let mut life = Life::new(Options::tiny());
    for number in 0..3 {
        life.small(&format!("small{number}"));
        life.large(&format!("large{number}"));
        life.rotate();
    }
    life.sync();
    life.small("unconfirmed");
    life.large("unconfirmed too");
    let from = life.now() - 3;
    assert!(cut_twice(&life, from, 5) > 100);
}

/// sled #851, #977: recovery zeroed segments before what replaced them was durable, and the anchor of a batch was overwritten.
/// Here the same double cut never leaves a part of a batch, small and large values mixed.
#[test]
fn hb_49_batches_stay_whole_over_two_cuts() {
    let mut life = Life::new(Options::tiny());
    for number in 0..4_u64 {
        let batch: Writes = [("a", 20), ("b", 120), ("c", 40), ("d", 300)]
            .map(|(key, len)| (key.as_bytes().to_vec(), Some(value(number, len))))
            .into();
        life.commit(&batch, if number == 1 { Durability::Sync } else { Durability::Buffered });
    }
    let from = life.now() - 2;
    assert!(cut_twice(&life, from, 6) > 100);
}
