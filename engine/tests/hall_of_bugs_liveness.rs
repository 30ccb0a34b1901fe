//! Goal: nothing stands still for ever. Method: bring the engine into the states in which others got stuck, and count the steps until
//! it is out of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails the test")]

mod common;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use base::Entry;
use base::vfs::{Fault, FaultKind, FaultVfs, MemVfs, Operation, Times};
use common::{Harness, History};
use engine::{CommitError, Durability, Options, Pressure, Step, TableAccess};

fn key(number: u32) -> Vec<u8> {
    format!("key{number:04}").into_bytes()
}

/// L0 may grow far above the point where tiny options stop all commits.
fn without_compaction() -> Options {
    let never = 1_000;
    Options {
        l0_compaction_trigger: never,
        l0_slowdown_trigger: never,
        l0_stop_trigger: never,
        ..Options::tiny()
    }
}

/// A database with more L0 tables than tiny options allow, and logs that were not flushed.
fn crowded() -> MemVfs {
    let memory = MemVfs::new();
    let harness = Harness::over(Arc::new(memory.clone()), without_compaction());
    for table in 0..20 {
        for number in 0..10 {
            harness.set(&key(number * 7 + table), &[table as u8; 30]);
        }
        harness.flush();
    }
    for number in 0..200 {
        harness.set(&key(number), &[1; 50]);
    }
    assert!(harness.tables()[0] > Options::tiny().l0_stop_trigger);
    memory
}

/// Steps until nothing is left to do, or a step has failed so often.
fn settle_or_fail(harness: &Harness, failures_max: u32) -> u32 {
    let mut failures = 0;
    for _ in 0..2_000 {
        match harness.engine.step(&|| harness.retention()) {
            Ok(Step::Idle) => return failures,
            Ok(_) => {}
            Err(_) => failures += 1,
        }
        if failures == failures_max {
            return failures;
        }
    }
    panic!("background work does not end");
}

/// fjall #287, lsm-tree #320: after recovery, or after a failed step, the halt of writes never ended. Whatever made commits wait,
/// there is a step that ends it.
#[test]
fn hb_76_a_stop_of_commits_ends() {
    let files = crowded().snapshot();
    let harness = Harness::over(Arc::new(MemVfs::from_snapshot(files.clone())), Options::tiny());
    assert_eq!(harness.engine.pressure(), Pressure::Stop, "right after recovery");
    harness.settle();
    assert_eq!(harness.engine.pressure(), Pressure::None);
    // Compactions that found no space give their tables back, whichever table they were writing.
    for nth in 1..6 {
        let faulty = FaultVfs::new(Arc::new(MemVfs::from_snapshot(files.clone())));
        let harness = Harness::over(Arc::new(faulty.clone()), Options::tiny());
        let fault = Fault::new(FaultKind::NoSpace).on(Operation::Create).path_ends_with(".sst");
        faulty.inject(fault.nth(nth).times(Times::Window(3)));
        assert_eq!(settle_or_fail(&harness, 4), 3);
        assert_eq!(harness.engine.pressure(), Pressure::None, "{nth}");
        harness.set(b"after", b"all");
        harness.verify();
    }
    // Damage keeps L0 from shrinking for ever, so nobody waits for that.
    let mut damaged = files;
    let table = damaged.iter_mut().find(|(path, _)| path.extension().is_some_and(|it| it == "sst"));
    table.unwrap().1[100] ^= 1;
    let harness = Harness::over(Arc::new(MemVfs::from_snapshot(damaged)), Options::tiny());
    assert_eq!(harness.engine.pressure(), Pressure::Stop);
    assert_eq!(settle_or_fail(&harness, 3), 1, "it is left alone after the first failure");
    assert_ne!(harness.engine.pressure(), Pressure::Stop);
    for number in 0..500 {
        harness.set(&key(number), &[2; 40]);
        harness.step();
        assert_ne!(harness.engine.pressure(), Pressure::Stop, "{number}");
    }
}

/// fjall #257, #288: a panic in background work left locks that nobody could take. Whichever file operation panics, in a commit or in
/// a step, every later call returns, no acknowledged commit is lost, and reads go on.
#[test]
fn hb_76_a_panic_leaves_no_lock_behind() {
    let mut panics = 0;
    for nth in (1..).step_by(3) {
        let memory = MemVfs::new();
        let faulty = FaultVfs::new(Arc::new(memory.clone()));
        let harness = Harness::over(Arc::new(faulty.clone()), Options::tiny());
        faulty.inject(Fault::new(FaultKind::Panic).nth(nth));
        let (mut certain, mut unknown) = (BTreeMap::new(), BTreeMap::new());
        let mut random = fastrand::Rng::with_seed(76);
        for number in 0..160_u32 {
            let (key, value) = (key(random.u32(..40)), vec![number as u8; random.usize(..120)]);
            let prepared =
                harness.engine.prepare(std::iter::once((&key[..], Entry::inline(&value)))).unwrap();
            let commit = || harness.engine.commit(prepared, Durability::Sync, |_| Ok::<(), Infallible>(()));
            match catch_unwind(AssertUnwindSafe(commit)) {
                Ok(Ok(_)) => drop(certain.insert(key.clone(), value.clone())),
                Ok(Err(CommitError::NotWritten(_))) => {}
                _ => drop(unknown.insert(key.clone(), value.clone())),
            }
            let _outcome = catch_unwind(AssertUnwindSafe(|| harness.engine.step(&|| harness.retention())));
            let read = catch_unwind(AssertUnwindSafe(|| harness.get(&key)));
            if let (Ok(read), false) = (read, unknown.contains_key(&key)) {
                assert_eq!(read.as_ref(), certain.get(&key), "operation {nth}, write {number}");
            }
        }
        let fired = faulty.fired();
        faulty.clear();
        let reopened = Harness::over(Arc::new(MemVfs::from_snapshot(memory.snapshot())), Options::tiny());
        for (key, value) in &certain {
            let found = reopened.get(key);
            let is_right = found.as_ref() == Some(value) || found.as_ref() == unknown.get(key);
            assert!(is_right, "operation {nth}: {} is lost", key.escape_ascii());
        }
        reopened.verify();
        panics += fired;
        if fired == 0 {
            break;
        }
    }
    assert!(panics > 50, "{panics}");
}

/// agatedb #61, #74: a compaction that could not bring anything about was picked again and again. Whatever snapshots keep from being
/// dropped, in whatever shape the levels are, background work ends.
#[test]
fn hb_77_background_work_ends_in_every_shape() {
    for seed in 0..12 {
        let mut random = fastrand::Rng::with_seed(seed);
        let options = Options {
            base_level_bytes: 1 << random.u32(10..14),
            level_size_multiplier: random.u64(2..5),
            table_bytes: 1 << random.u32(10..13),
            l0_compaction_trigger: random.usize(1..5),
            ..Options::tiny()
        };
        let harness = Harness::new(options);
        let mut history = History::new();
        let (mut held, mut steps) = (0, 0);
        for number in 0..600 {
            let key = key(random.u32(..120));
            // Times of nothing but deletions make tables of tombstones.
            let value = (number / 100 % 2 == 0).then(|| vec![random.u8(..); random.usize(..50)]);
            let version = harness.commit(&[(&key, value.as_deref())], Durability::Buffered);
            history.insert((key, version.0), value);
            match random.u32(..60) {
                0 if held < 5 => {
                    harness.held.borrow_mut().push(version);
                    held += 1;
                }
                1 => harness.engine.request_compaction().unwrap(),
                2..6 => {
                    harness.flush();
                    for _ in 0.. {
                        steps += 1;
                        assert!(steps < 4_000, "seed {seed}: {:?} again and again", harness.engine.stats());
                        if harness.step() == Step::Idle {
                            break;
                        }
                    }
                }
                _ => {}
            }
        }
        harness.check(&history, &format!("seed {seed}"));
    }
}

/// surrealkv #397: a compaction held a whole level in memory, and one that was interrupted began again without end. A compaction
/// reads on only as it writes, and after each interruption the next one finds no more to do than the first.
#[test]
fn hb_78_a_compaction_reads_as_it_writes() {
    let memory = MemVfs::new();
    let faulty = FaultVfs::new(Arc::new(memory.clone()));
    let options = Options {
        access: TableAccess::Positional,
        max_subcompactions: 1,
        value_threshold: 1 << 10,
        cache_bytes: 0,
        table_bytes: 2 << 10,
        ..without_compaction()
    };
    let harness = Harness::over(Arc::new(faulty.clone()), options);
    let mut random = fastrand::Rng::with_seed(78);
    for number in 0..1_500 {
        let mut value = [0; 40];
        random.fill(&mut value);
        harness.commit(&[(&key(number * 7 % 1_500), Some(&value))], Durability::Buffered);
        if number % 300 == 299 {
            harness.flush();
        }
    }
    harness.settle();
    let expected = harness.dump();
    harness.engine.request_compaction().unwrap();
    while harness.step() != Step::PickedCompaction {}
    faulty.start_trace();
    assert_eq!(harness.step(), Step::MergedPart);
    let trace = faulty.take_trace();
    let table = |path: &std::path::Path| path.extension().is_some_and(|extension| extension == "sst");
    let operations: Vec<Operation> =
        trace.iter().filter(|(_, path)| table(path)).map(|(operation, _)| *operation).collect();
    let count = |wanted: Operation, upto: usize| {
        operations[..upto].iter().filter(|operation| **operation == wanted).count()
    };
    let (reads, created) =
        (count(Operation::Read, operations.len()), count(Operation::Create, operations.len()));
    assert!(reads > 200 && created > 15, "{reads} reads, {created} tables");
    let mut done = 0;
    for (at, operation) in operations.iter().enumerate() {
        if *operation == Operation::Create {
            done += 1;
            // In step, but for one table and what each source opens with.
            let read = count(Operation::Read, at);
            let due = reads * done / created + reads / 5;
            assert!(read <= due, "{read} of {reads} reads before table {done} of {created}");
        }
    }
    // Killed in the middle, again and again: nothing is left behind that the next attempt would add to.
    let mut files = memory.snapshot();
    let before = files.len();
    for _ in 0..4 {
        let copy = MemVfs::from_snapshot(files);
        let killed = Harness::over(Arc::new(copy.clone()), harness.options.clone());
        killed.engine.request_compaction().unwrap();
        while killed.step() != Step::MergedPart {}
        files = copy.snapshot();
        assert!(files.len() <= before + 2, "{} files, {before} before", files.len());
    }
    let last = Harness::over(Arc::new(MemVfs::from_snapshot(files)), harness.options.clone());
    last.engine.request_compaction().unwrap();
    last.settle();
    assert_eq!(last.dump(), expected);
    last.verify();
}
