//! Goal: a power cut at any moment leaves a manifest that opens and holds every acknowledged edit, and at most the one
//! in flight beside. Method: record a run that creates, appends, rewrites and reopens, then look at what a power cut
//! after each operation could have left; for a part of these, cut the power again during the reopening.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step fails the test")]

mod generator;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use base::header::DatabaseId;
use base::vfs::{CrashProfile, ImageBudget, MemVfs, SimVfs, Vfs};
use generator::Generator;
use manifest::{Manifest, State};

fn directory() -> &'static Path {
    Path::new("db")
}

/// Runs on `sim`, noting each edit number as it is acknowledged; all states by their edit numbers.
fn run(sim: &SimVfs, seed: u64) -> BTreeMap<u64, State> {
    let mut states = BTreeMap::new();
    let vfs: Arc<dyn Vfs> = Arc::new(sim.clone());
    vfs.create_dir_all(directory()).unwrap();
    let mut generator = Generator::new(seed);
    let mut manifest = Manifest::create(Arc::clone(&vfs), directory(), DatabaseId([1; 16]))
        .unwrap()
        .with_rewrite_bytes_min(0);
    let mut acknowledge = |state: &State| {
        states.insert(state.edit_number(), state.clone());
        sim.note(state.edit_number());
    };
    acknowledge(manifest.state());
    for step in 0..24 {
        let edit = generator.edit(manifest.state());
        if manifest.commit(edit).is_ok() {
            acknowledge(manifest.state());
        }
        if step % 10 == 9 {
            let state = manifest::read(&*vfs, directory()).unwrap();
            manifest =
                Manifest::reopen(Arc::clone(&vfs), directory(), state).unwrap().with_rewrite_bytes_min(0);
            acknowledge(manifest.state());
        }
    }
    states
}

/// The state found, which must be the last acknowledged one or the next.
fn found<'a>(image: &MemVfs, acknowledged: u64, states: &'a BTreeMap<u64, State>, what: &str) -> &'a State {
    let state = manifest::read(image, directory()).unwrap_or_else(|error| panic!("{what}: {error}"));
    let mut possible = states.range(acknowledged..).take(2);
    possible.find(|(_, known)| **known == state).unwrap_or_else(|| panic!("{what}: {state:#?}")).1
}

#[test]
fn no_acknowledged_edit_is_lost() {
    let mut images = 0;
    let budget = ImageBudget { exhaustive_up_to: 256, at_most: 64, random: 16, ..ImageBudget::default() };
    for (seed, profile) in [(1, CrashProfile::Strict), (2, CrashProfile::Ext4Like), (3, CrashProfile::Strict)]
    {
        let sim = SimVfs::new();
        let states = run(&sim, seed);
        let recording = sim.recording();
        for k in recording.crash_points() {
            let acknowledged = recording.notes(k).last().copied();
            for image in recording.images(k, profile, &budget) {
                images += 1;
                let what = format!("seed {seed}, power cut after {k}: {}", image.explain());
                let disk = image.into_mem();
                let Some(acknowledged) = acknowledged else {
                    // Before the creation is acknowledged there may be nothing; what is there is whole.
                    match manifest::read(&disk, directory()) {
                        Ok(state) => assert_eq!(state.edit_number(), 1, "{what}"),
                        Err(error) => assert!(error.is_not_found(), "{what}: {error}"),
                    }
                    continue;
                };
                let state = found(&disk, acknowledged, &states, &what);
                if images % 40 == 0 {
                    cut_again(&disk, state, &what);
                }
            }
        }
    }
    assert!(images > 1000, "{images}");
}

/// The power fails again while the manifest is reopened.
fn cut_again(disk: &MemVfs, state: &State, what: &str) {
    let sim = SimVfs::starting_from(disk);
    let reopened = Manifest::reopen(Arc::new(sim.clone()), directory(), state.clone()).unwrap();
    sim.note(reopened.state().edit_number());
    let new = reopened.state().edit_number();
    let states = BTreeMap::from([(state.edit_number(), state.clone()), (new, reopened.state().clone())]);
    let budget = ImageBudget { exhaustive_up_to: 64, at_most: 16, random: 4, ..ImageBudget::default() };
    let recording = sim.recording();
    for k in recording.crash_points() {
        let acknowledged = recording.notes(k).last().copied().unwrap_or(state.edit_number());
        for image in recording.images(k, CrashProfile::Strict, &budget) {
            let what = format!("{what}; again after {k}: {}", image.explain());
            found(&image.into_mem(), acknowledged, &states, &what);
        }
    }
}
