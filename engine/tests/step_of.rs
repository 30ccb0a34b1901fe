//! Goal: a caller can choose which kind of background work goes on next. Method: on an engine on which several kinds are due at
//! once, ask for one kind after the other, and look at what has happened and what has not.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use common::Harness;
use engine::{Options, Step, StepKind};

fn step_of(harness: &Harness, kind: StepKind) -> Step {
    harness.engine.step_of(kind, &|| harness.retention()).unwrap()
}

/// One more table in L0.
fn flush_only(harness: &Harness) {
    step_of(harness, StepKind::OpenGeneration);
    assert!(harness.engine.rotate().unwrap());
    assert_eq!(step_of(harness, StepKind::Flush), Step::WroteFlush);
    assert_eq!(step_of(harness, StepKind::Flush), Step::InstalledFlush);
}

#[test]
fn only_the_chosen_kind_goes_on() {
    let harness = Harness::new(Options { l0_compaction_trigger: 1, ..Options::tiny() });
    harness.set(b"a", b"1");
    harness.set(b"z", b"1");
    flush_only(&harness);
    assert_eq!(harness.engine.stats().levels[0].tables, 1);
    // A flush, a compaction, a generation and a removal are due.
    harness.set(b"a", b"2");
    assert!(!harness.engine.rotate().unwrap(), "there is no spare yet");
    assert_eq!(step_of(&harness, StepKind::Rotate), Step::Idle, "it is not full");
    assert_eq!(step_of(&harness, StepKind::OpenGeneration), Step::OpenedGeneration);
    assert_eq!(step_of(&harness, StepKind::OpenGeneration), Step::Idle);
    assert!(harness.engine.rotate().unwrap());
    assert_eq!(step_of(&harness, StepKind::Compaction(None)), Step::Idle, "none is under way");
    harness.engine.request_compaction().unwrap();
    assert_eq!(step_of(&harness, StepKind::PickCompaction), Step::PickedCompaction);
    let numbers = harness.engine.compactions().unwrap();
    let [number] = numbers[..] else { panic!("one is under way: {numbers:?}") };
    assert_eq!(step_of(&harness, StepKind::PickCompaction), Step::Idle, "its inputs are taken");
    assert_eq!(step_of(&harness, StepKind::Compaction(Some(number + 1))), Step::Idle, "another number");
    assert_eq!(step_of(&harness, StepKind::Flush), Step::WroteFlush);
    assert_eq!(step_of(&harness, StepKind::Compaction(Some(number))), Step::MergedPart);
    assert_eq!(step_of(&harness, StepKind::Flush), Step::InstalledFlush);
    assert_eq!(step_of(&harness, StepKind::Compaction(Some(number))), Step::InstalledCompaction);
    assert_eq!(harness.engine.compactions().unwrap(), []);
    assert_eq!(step_of(&harness, StepKind::Remove), Step::Removed);
    assert_eq!(step_of(&harness, StepKind::Remove), Step::Idle);
    assert_eq!(harness.get(b"a").as_deref(), Some(&b"2"[..]));
    harness.settle();
    harness.verify();
}

#[test]
fn the_generation_of_the_first_commit_is_opened_when_it_is_asked_for() {
    let harness = Harness::new(Options::tiny());
    assert_eq!(step_of(&harness, StepKind::OpenGeneration), Step::OpenedGeneration);
    assert_eq!(step_of(&harness, StepKind::OpenGeneration), Step::OpenedGeneration, "the spare");
    assert_eq!(step_of(&harness, StepKind::OpenGeneration), Step::Idle);
    harness.set(b"a", b"1");
}
