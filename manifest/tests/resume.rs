//! Goal: a manifest that was taken over but not changed is not written, its first edit replaces it as a whole, and only a file
//! whose last edit says nothing but that the database was closed proves that all of it is durable.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::Path;
use std::sync::Arc;

use base::header::DatabaseId;
use base::vfs::{Access, Fault, FaultKind, FaultVfs, MemVfs, Operation, Vfs};
use manifest::{CommitError, Edit, Manifest, read, read_with_proof};

fn directory() -> &'static Path {
    Path::new("db")
}

fn edit(number: u64) -> Edit {
    Edit { last_commit: Some(number), last_version: Some(number), ..Edit::default() }
}

fn closed() -> Edit {
    Edit { closed: Some(Vec::new()), ..Edit::default() }
}

/// A manifest with the edits 1 to 3.
fn manifest(memory: &MemVfs) -> Manifest {
    memory.create_dir_all(directory()).unwrap();
    let mut manifest = Manifest::create(Arc::new(memory.clone()), directory(), DatabaseId([1; 16])).unwrap();
    (1..=3).for_each(|number| manifest.commit(edit(number)).unwrap());
    manifest
}

#[test]
fn the_first_edit_replaces_the_file_and_nothing_does_before() {
    let memory = MemVfs::new();
    let live = manifest(&memory).state().clone();
    let before = memory.snapshot();
    let mut resumed = Manifest::resume(Arc::new(memory.clone()), directory(), live.clone()).unwrap();
    assert!(resumed.is_untouched() && resumed.byte_len() == 0);
    assert_eq!(resumed.state().edit_number(), live.edit_number() + 2);
    assert_eq!(memory.snapshot(), before);
    for number in 4..=6 {
        resumed.commit(edit(number)).unwrap();
        assert!(!resumed.is_untouched());
        assert_eq!(&read(&memory, directory()).unwrap(), resumed.state());
    }
    assert_eq!(resumed.state().edit_number(), live.edit_number() + 5);
}

#[test]
fn only_a_last_edit_that_says_closed_and_nothing_else_is_a_proof() {
    let memory = MemVfs::new();
    let mut manifest = manifest(&memory);
    let proven = || read_with_proof(&memory, directory()).unwrap().1;
    assert!(!proven());
    manifest.commit(Edit { closed: Some(Vec::new()), ..edit(4) }).unwrap();
    assert!(!proven());
    manifest.commit(closed()).unwrap();
    assert!(proven());
    manifest.commit(edit(5)).unwrap();
    assert!(!proven());
    manifest.commit(closed()).unwrap();
    assert!(proven());
    // In a snapshot the edit stands together with all others, and so proves nothing.
    let mut resumed =
        Manifest::resume(Arc::new(memory.clone()), directory(), manifest.state().clone()).unwrap();
    resumed.commit(closed()).unwrap();
    assert!(!proven());
    resumed.commit(closed()).unwrap();
    assert!(proven());
    // Torn bytes behind it may be all that is left of another edit.
    let file = memory.open(&directory().join("MANIFEST"), Access::ReadWrite).unwrap();
    file.write_all_at(file.len().unwrap(), b"torn").unwrap();
    assert!(!proven());
}

#[test]
fn a_first_edit_without_space_or_descriptors_leaves_the_file_and_is_tried_again() {
    for (operation, kind) in [(Operation::Create, FaultKind::Io), (Operation::Write, FaultKind::NoSpace)] {
        let memory = MemVfs::new();
        let state = manifest(&memory).state().clone();
        let before = memory.snapshot();
        let faulty = FaultVfs::new(Arc::new(memory.clone()));
        let mut resumed = Manifest::resume(Arc::new(faulty.clone()), directory(), state).unwrap();
        faulty.inject(Fault::new(kind).on(operation));
        assert!(matches!(resumed.commit(edit(4)), Err(CommitError::Storage(_))));
        assert!(resumed.is_untouched() && !resumed.is_halted());
        assert_eq!(memory.snapshot(), before);
        resumed.commit(edit(4)).unwrap();
        assert_eq!(&read(&memory, directory()).unwrap(), resumed.state());
    }
}

/// Method: the threshold of rewriting is raised before the first edit, far above the length of the file.
#[test]
fn the_first_edit_is_written_whatever_the_threshold_of_rewriting_is() {
    let memory = MemVfs::new();
    let live = manifest(&memory).state().clone();
    let resumed = Manifest::resume(Arc::new(memory.clone()), directory(), live).unwrap();
    let mut resumed = resumed.with_rewrite_bytes_min(1 << 20);
    for number in 4..=6 {
        resumed.commit(edit(number)).unwrap();
        assert!(!resumed.is_untouched());
        assert_eq!(&read(&memory, directory()).unwrap(), resumed.state());
    }
}
