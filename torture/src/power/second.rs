//! Crashes inside the recovery from a crash.

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use base::vfs::{CrashProfile, ImageBudget, MemVfs, SimVfs, Vfs};

use crate::campaign::Case;
use crate::finding::Checked;
use crate::runner::Mark;
use crate::script::{Operation, random};

use super::check::{Expected, open};
use super::recorded::Recorded;

/// Operations after the recovery, before the second crash.
const BETWEEN: usize = 3;

/// The power is cut while `files` are opened, and shortly after.
pub(super) fn cut_again(
    case: &mut Case<'_>,
    files: BTreeMap<PathBuf, Vec<u8>>,
    expected: &Expected,
) -> Checked {
    let sim = SimVfs::starting_from(&MemVfs::from_snapshot(files));
    cut_during_open(case, &sim, expected, expected).map_err(|finding| finding.at("second crash"))
}

/// The process dies at `moment`; while the next one opens the database, whose files still have unsynced parts, the power is
/// cut.
pub(super) fn kill_then_cut(
    case: &mut Case<'_>,
    recorded: &Recorded,
    moment: usize,
    after_kill: &Expected,
) -> Checked {
    case.counters.count("kill images");
    cut_during_open(case, &recorded.recording.resume(moment), after_kill, &recorded.after_cut(moment))
}

/// Opens what is on `sim`, which must show what `first` says, and cuts the power at every moment of that: what is left must
/// be as `before` says until the open has returned, and hold what it has shown from then on.
fn cut_during_open(case: &mut Case<'_>, sim: &SimVfs, first: &Expected, before: &Expected) -> Checked {
    let from = sim.recorded();
    let disk: Arc<dyn Vfs> = Arc::new(sim.clone());
    let opened_at = Cell::new(None);
    let marks = |mark| {
        // The first of these comes when the open returns.
        if matches!(mark, Mark::Durable(_)) && opened_at.get().is_none() {
            opened_at.set(Some(sim.recorded()));
        }
    };
    let (mut runner, commits) = open(disk, first, &marks)?;
    let opened_at = opened_at.get().unwrap_or(from);
    let mut work = random(&mut fastrand::Rng::with_seed(case.seed), BETWEEN);
    work.0.retain(|operation| matches!(operation, Operation::Step(_) | Operation::Kill | Operation::Close));
    runner.run(&work)?;
    drop(runner);
    let after = Expected { commits: commits..=commits, ..before.clone() };
    let recording = sim.recording();
    let mut seen = HashSet::new();
    for moment in from..=recording.len() {
        let expected = if moment < opened_at { before } else { &after };
        let profile = if moment % 2 == 0 { CrashProfile::Strict } else { CrashProfile::Ext4Like };
        let budget =
            ImageBudget { exhaustive_up_to: 4, at_most: 4, random: 2, seed: case.seed, only_new: false };
        for image in recording.images(moment, profile, &budget) {
            if seen.insert((image.hash(), moment < opened_at)) {
                case.counters.count("second crashes");
                let explained = |finding: crate::Finding| {
                    let text =
                        format!("{profile:?}, after operation {moment} of the open: {}", image.explain());
                    finding.at(text)
                };
                open(Arc::new(image.clone().into_mem()), expected, &|_| {}).map_err(explained)?;
            }
        }
    }
    Ok(())
}
