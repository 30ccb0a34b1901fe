//! Goal: the logs that a recovery has replaced by tables are removed by a later step, and whoever dies before that loses nothing and
//! leaves nothing behind. Method: databases that are killed again and again, with and without that step.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails the test")]

mod common;

use std::path::Path;
use std::sync::Arc;

use base::vfs::{MemVfs, Vfs};
use common::{DIRECTORY, Harness};
use engine::{Durability, Options, Step};

fn logs(harness: &Harness) -> usize {
    let names = harness.vfs.list(Path::new(DIRECTORY)).unwrap();
    names.iter().filter(|name| name.ends_with(".wal")).count()
}

/// A database that was killed with commits in the logs of `generations` of them.
fn killed(generations: u8) -> Harness {
    let disk: Arc<dyn Vfs> = Arc::new(MemVfs::new());
    let harness = Harness::over(disk, Options::tiny());
    for number in 0..generations {
        harness.commit(&[(&[number], Some(&[number; 30]))], Durability::Buffered);
        while number + 1 < generations && !harness.engine.rotate().unwrap() {
            harness.engine.step_of(engine::StepKind::OpenGeneration, &|| harness.retention()).unwrap();
        }
    }
    harness.reopen()
}

#[test]
fn a_step_removes_what_a_recovery_has_replaced() {
    for generations in 1..4 {
        let harness = killed(generations);
        assert_eq!(harness.engine.recovery_report().commits_replayed, u64::from(generations));
        assert!(logs(&harness) >= usize::from(generations));
        assert_eq!(harness.step(), Step::Removed);
        assert_eq!(logs(&harness), 0);
        assert_eq!(harness.dump().len(), usize::from(generations));
    }
}

#[test]
fn a_close_removes_it_too() {
    let harness = killed(2);
    harness.close();
    assert_eq!(logs(&harness), 0);
}

#[test]
fn who_dies_before_that_leaves_it_to_the_next_open() {
    let harness = killed(3);
    let left = logs(&harness);
    let harness = harness.reopen();
    let report = harness.engine.recovery_report().clone();
    // A log has a value log beside it.
    assert_eq!((report.commits_replayed, report.files_swept), (0, 2 * left));
    assert_eq!(logs(&harness), 0);
    assert_eq!(harness.dump().len(), 3);
}
