//! Goal: a close in the middle of a compaction leaves nothing for the next open to sweep, and work that was done is kept.
//! Method: step a compaction to each point between its begin and its install, close there, and look at the directory.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::path::Path;

use common::Harness;
use engine::{Options, Step, StepKind};

fn compaction_step(harness: &Harness) -> Step {
    harness.engine.step_of(StepKind::Compaction(None), &|| harness.retention()).unwrap()
}

/// A compaction of which so many parts are merged.
fn stopped_after(merged: usize) -> Harness {
    let harness = Harness::new(Options::tiny());
    for round in 0..3 {
        for number in 0..200_u32 {
            harness.set(&(number * 3 + round).to_be_bytes(), &[round as u8; 40]);
        }
        harness.flush();
    }
    harness.settle();
    harness.engine.request_compaction().unwrap();
    let picked = harness.engine.step_of(StepKind::PickCompaction, &|| harness.retention()).unwrap();
    assert_eq!(picked, Step::PickedCompaction);
    for _ in 0..merged {
        assert_eq!(compaction_step(&harness), Step::MergedPart);
    }
    harness
}

/// How many parts that compaction has.
fn part_count() -> usize {
    let harness = stopped_after(0);
    std::iter::repeat_with(|| compaction_step(&harness)).take_while(|step| *step == Step::MergedPart).count()
}

fn table_names(harness: &Harness) -> Vec<String> {
    let names = harness.vfs.list(Path::new(common::DIRECTORY)).unwrap();
    names.into_iter().filter(|name| name.ends_with(".sst")).collect()
}

#[test]
fn nothing_is_left_to_sweep_and_a_merged_compaction_counts() {
    let parts = part_count();
    for merged in 0..=parts {
        let is_installed = merged == parts;
        let harness = stopped_after(merged);
        let compactions = || harness.engine.stats().compactions;
        let before = compactions();
        harness.engine.stop_commits();
        harness.engine.sync().unwrap();
        harness.engine.finish_close().unwrap();
        assert_eq!(harness.engine.compactions().unwrap(), [], "{merged} parts merged");
        assert_eq!(compactions() > before, is_installed, "{merged} parts merged");
        let tables: usize = harness.tables().iter().sum();
        assert_eq!(table_names(&harness).len(), tables, "{merged} parts merged");
        let harness = harness.reopen();
        assert_eq!(harness.engine.recovery_report().files_swept, 0, "{merged} parts merged");
        for number in 0..600_u32 {
            assert_eq!(harness.get(&number.to_be_bytes()).as_deref(), Some(&[(number % 3) as u8; 40][..]));
        }
        harness.verify();
    }
}
