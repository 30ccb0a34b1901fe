//! Goal: the recovery bugs of manifests that other engines had do not happen here. Method: the story of each, played at every
//! byte. Numbers and sources are those of the hall of bugs; other entries are shown by `damage.rs`, `invalid.rs` and `power_cut.rs`.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::Path;
use std::sync::Arc;

use base::Error;
use base::header::DatabaseId;
use base::vfs::{Fault, FaultKind, FaultVfs, MemVfs, Operation, Vfs};
use manifest::{CommitError, Edit, Manifest};

/// Makes edits until one fails, lets go of what makes them fail, makes some more, and reads the manifest as the next open does:
/// it must hold every edit that was acknowledged. Returns whether one failed.
fn fails_and_goes_on(prepare: impl Fn(&FaultVfs)) -> bool {
    let directory = Path::new("db");
    let memory = MemVfs::new();
    memory.create_dir_all(directory).unwrap();
    let faulty = FaultVfs::new(Arc::new(memory.clone()));
    let vfs: Arc<dyn Vfs> = Arc::new(faulty.clone());
    let mut manifest = Manifest::create(Arc::clone(&vfs), directory, DatabaseId([1; 16])).unwrap();
    prepare(&faulty);
    let mut acknowledged = 0;
    let mut failures = 0;
    for number in 1..=20 {
        let edit = Edit { last_commit: Some(number), last_version: Some(number), ..Edit::default() };
        match manifest.commit(edit) {
            Ok(()) => acknowledged = number,
            Err(CommitError::Storage(Error::NoSpace { .. })) => {
                assert!(!manifest.is_halted(), "it said that nothing was written");
                failures += 1;
                faulty.clear();
                faulty.limit_bytes(None);
            }
            Err(error) => {
                assert!(manifest.is_halted(), "{error}");
                failures += 1;
                faulty.clear();
                faulty.limit_bytes(None);
                let state = manifest::read(&memory, directory).unwrap();
                assert!((acknowledged..=number).contains(&state.last_commit()));
                manifest = Manifest::reopen(Arc::clone(&vfs), directory, state).unwrap();
            }
        }
    }
    let state = manifest::read(&memory, directory).unwrap();
    assert_eq!((state.last_commit(), acknowledged), (20, 20), "edits behind the failure are read");
    failures > 0
}

/// rocksdb #6316: the disk was full in the middle of a manifest record, later records followed the broken one, and the next open
/// lost them. Here every edit that was acknowledged is read, with the disk full at any byte and a write torn at any edit.
#[test]
fn hb_20_a_full_disk_in_the_middle_of_an_edit_costs_no_later_edit() {
    let refused = (0..1_200)
        .filter(|room| fails_and_goes_on(|faulty| faulty.limit_bytes(Some(faulty.used_bytes() + room))));
    assert!(refused.count() > 1_000);
    for nth in 1..19 {
        let torn = Fault::new(FaultKind::TornNoSpace).on(Operation::Write).nth(nth);
        assert!(fails_and_goes_on(|faulty| faulty.inject(torn.clone())), "write {nth}");
    }
}
