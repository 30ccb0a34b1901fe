//! Goal: a database that was closed properly is opened, read and closed without a byte written, and its first commit after that
//! is as safe as any. Method: the simulated disk records every change; it is cut off at every operation of a second life that
//! begins with such an open, and of a third.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails the test")]

mod common;

use std::path::Path;
use std::sync::Arc;

use base::UnixSeconds;
use base::clock::ManualClock;
use base::vfs::{CrashProfile, ImageBudget, MemVfs, SimVfs, Vfs};
use common::{DIRECTORY, Harness, open};
use engine::{Durability, Options, Step};

/// A closed database with tables, a value segment and a ledger, and `disk` under it.
fn closed(disk: &Arc<dyn Vfs>) -> Options {
    let options = Options::tiny();
    let harness = Harness::over(Arc::clone(disk), options.clone());
    for number in 0..60u8 {
        harness.commit(&[(&[number], Some(&vec![number; usize::from(number) * 5]))], Durability::Buffered);
    }
    harness.settle();
    harness.close();
    options
}

fn reopen(vfs: Arc<dyn Vfs>, options: &Options) -> Harness {
    let clock = Arc::new(ManualClock::new(UnixSeconds(1_000)));
    let engine = open(&vfs, &clock, options).unwrap();
    Harness { vfs, clock, engine, options: options.clone(), held: Default::default() }
}

#[test]
fn a_life_without_a_commit_changes_nothing() {
    let sim = SimVfs::new();
    let disk: Arc<dyn Vfs> = Arc::new(sim.clone());
    let options = closed(&disk);
    let before = sim.recording().len();
    for _ in 0..3 {
        let harness = reopen(Arc::clone(&disk), &options);
        assert!(harness.engine.recovery_report().clean);
        assert_eq!(harness.dump().len(), 60);
        assert_eq!(harness.step(), Step::Idle);
        harness.engine.sync().unwrap();
        assert!(harness.engine.rotate().unwrap());
        assert!(harness.engine.verify(&mut |_, _| {}).unwrap().findings.is_empty());
        harness.close();
    }
    assert_eq!(sim.recording().len(), before, "{:?}", sim.recording());
}

/// A log of a life that ended without a close is not left for the next life to guess about.
#[test]
fn a_life_that_was_not_closed_is_made_durable_by_the_next_open() {
    let sim = SimVfs::new();
    let disk: Arc<dyn Vfs> = Arc::new(sim.clone());
    let options = closed(&disk);
    let harness = reopen(Arc::clone(&disk), &options);
    harness.set(b"key", b"value");
    drop(harness);
    let before = sim.recording().len();
    let harness = reopen(Arc::clone(&disk), &options);
    assert!(sim.recording().len() > before);
    assert_eq!(harness.engine.recovery_report().commits_replayed, 1);
    // It has tables now and no log; not being closed, it is written anew by the next open too.
    drop(harness);
    let before = sim.recording().len();
    let harness = reopen(disk, &options);
    assert!(sim.recording().len() > before);
    assert_eq!(harness.dump().len(), 61);
}

#[test]
fn commits_after_close_are_refused_even_when_they_would_be_the_first() {
    let disk: Arc<dyn Vfs> = Arc::new(MemVfs::new());
    let options = closed(&disk);
    let harness = reopen(Arc::clone(&disk), &options);
    harness.close();
    let files = disk.list(Path::new(DIRECTORY)).unwrap();
    let entry = base::Entry::inline(b"value");
    let prepared = harness.engine.prepare(std::iter::once((&b"key"[..], entry))).unwrap();
    let refused = harness.engine.commit(prepared, Durability::Sync, |_| Ok::<(), ()>(())).unwrap_err();
    assert!(
        matches!(&refused, engine::CommitError::NotWritten(error) if error.to_string().contains("closed"))
    );
    assert_eq!(disk.list(Path::new(DIRECTORY)).unwrap().len(), files.len());
}

#[test]
fn the_first_commit_survives_a_power_cut_at_any_moment() {
    let first = MemVfs::new();
    let options = closed(&(Arc::new(first.clone()) as Arc<dyn Vfs>));
    let sim = SimVfs::starting_from(&first);
    for life in 1..=2u8 {
        let harness = reopen(Arc::new(sim.clone()), &options);
        harness.set(&[200 + life], &[life; 40]);
        sim.note(u64::from(life));
        harness.set(&[210 + life], &[life; 200]);
        if life == 1 {
            harness.close();
        }
    }
    let recording = sim.recording();
    let budget = ImageBudget { exhaustive_up_to: 64, at_most: 40, random: 8, ..ImageBudget::default() };
    for k in recording.crash_points() {
        let durable = recording.notes(k).last().copied().unwrap_or(0) as u8;
        for image in recording.images(k, CrashProfile::Strict, &budget) {
            let harness = reopen(Arc::new(image.into_mem()), &options);
            let content = harness.dump();
            assert!(
                content.len() >= 60 && (0..60).all(|key| content.iter().any(|(found, _)| found == &[key]))
            );
            for life in 1..=durable {
                assert!(
                    content.iter().any(|(found, _)| found == &[200 + life]),
                    "after {k} of {recording:?}"
                );
            }
            harness.set(b"goes on", b"");
        }
    }
}
