//! Goal: `write_atomically` leaves the old file or the new one, whole, whatever happens, and the new one once it has
//! returned. Method: every disk that a power cut after any operation could have left, and every fault at every
//! operation. Broken variants are shown to be caught, so that the method itself is known to work.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use base::Result;
use base::vfs::{
    Access, CrashProfile, Fault, FaultKind, FaultVfs, Image, ImageBudget, MemVfs, SimVfs, Vfs, parent,
    temporary_name, write_atomically,
};

const OLD: &[u8] = &[b'o'; 1300];
const NEW: &[u8] = &[b'n'; 900];
const DONE: u64 = 1;

fn path() -> &'static Path {
    Path::new("d/name")
}

/// A disk that holds the old file and what a killed attempt has left.
fn disk() -> MemVfs {
    let disk = MemVfs::new();
    disk.create_dir_all(Path::new("d")).unwrap();
    for (name, data) in [(path().to_path_buf(), OLD), (temporary_name(path()), b"left over")] {
        disk.create(&name).unwrap().write_all_at(0, data).unwrap();
    }
    disk
}

fn read(vfs: &dyn Vfs) -> Option<Vec<u8>> {
    let file = vfs.open(path(), Access::Read).ok()?;
    Some(file.map().unwrap().to_vec())
}

type Replace = fn(&dyn Vfs, &Path, &[u8]) -> Result<()>;

/// The images in which the promise is broken, and how many different ones there were.
fn broken_images(replace: Replace, profile: CrashProfile) -> (Vec<Image>, usize) {
    let vfs = SimVfs::starting_from(&disk());
    replace(&vfs, path(), NEW).unwrap();
    vfs.note(DONE);
    let recording = vfs.recording();
    let (mut broken, mut seen) = (Vec::new(), HashSet::new());
    for k in recording.crash_points() {
        let done = recording.notes(k).contains(&DONE);
        for image in recording.images(k, profile, &ImageBudget::default()) {
            if seen.insert((image.hash(), done)) {
                let found = read(&image.clone().into_mem());
                let is_new = found.as_deref() == Some(NEW);
                if !is_new && (done || found.as_deref() != Some(OLD)) {
                    broken.push(image);
                }
            }
        }
    }
    (broken, seen.len())
}

#[test]
fn every_power_cut_leaves_the_old_file_or_the_new_one() {
    for profile in [CrashProfile::Strict, CrashProfile::Ext4Like] {
        let (broken, images) = broken_images(write_atomically, profile);
        assert!(broken.is_empty(), "{}", broken[0].explain());
        assert!(images > 8, "only {images} images of {profile:?}");
    }
}

fn prepare(vfs: &dyn Vfs, data: &[u8], sync: bool) -> Result<()> {
    let _left_over = vfs.remove(&temporary_name(path()));
    let file = vfs.create(&temporary_name(path()))?;
    file.write_all_at(0, data)?;
    if sync { file.sync() } else { Ok(()) }
}

fn without_syncing_the_file(vfs: &dyn Vfs, path: &Path, data: &[u8]) -> Result<()> {
    prepare(vfs, data, false)?;
    vfs.rename(&temporary_name(path), path)?;
    vfs.sync_dir(parent(path))
}

fn without_syncing_the_directory(vfs: &dyn Vfs, path: &Path, data: &[u8]) -> Result<()> {
    prepare(vfs, data, true)?;
    vfs.rename(&temporary_name(path), path)
}

fn removing_the_old_file_first(vfs: &dyn Vfs, path: &Path, data: &[u8]) -> Result<()> {
    prepare(vfs, data, true)?;
    vfs.remove(path)?;
    vfs.rename(&temporary_name(path), path)?;
    vfs.sync_dir(parent(path))
}

fn in_place(vfs: &dyn Vfs, path: &Path, data: &[u8]) -> Result<()> {
    let file = vfs.open(path, Access::ReadWrite)?;
    file.write_all_at(0, data)?;
    file.set_len(data.len() as u64)?;
    file.sync()
}

#[test]
fn broken_variants_are_caught() {
    let variants: [Replace; 4] =
        [without_syncing_the_file, without_syncing_the_directory, removing_the_old_file_first, in_place];
    for profile in [CrashProfile::Strict, CrashProfile::Ext4Like] {
        for (number, variant) in variants.into_iter().enumerate() {
            let (broken, _) = broken_images(variant, profile);
            assert!(!broken.is_empty(), "variant {number} passes under {profile:?}");
        }
    }
}

/// A file without content under the new name is the classical loss; it must be among the images.
#[test]
fn the_empty_file_after_a_rename_is_found() {
    let (broken, _) = broken_images(without_syncing_the_file, CrashProfile::Ext4Like);
    let empty = broken.iter().find(|image| read(&(*image).clone().into_mem()) == Some(Vec::new())).unwrap();
    let explanation = empty.explain();
    assert!(explanation.contains("length of d/name: kept nothing, lost op 2"), "{explanation}");
}

#[test]
fn every_fault_leaves_the_old_file_or_the_new_one() {
    // A sync that reports its failure only to the next one has deceived its caller: nothing can be asked of it.
    for kind in FaultKind::ALL.into_iter().filter(|kind| *kind != FaultKind::SyncLate) {
        for nth in 1.. {
            let sim = SimVfs::starting_from(&disk());
            let vfs = FaultVfs::new(Arc::new(sim.clone()));
            vfs.inject(Fault::new(kind).nth(nth));
            let outcome = catch_unwind(AssertUnwindSafe(|| write_atomically(&vfs, path(), NEW)));
            let succeeded = matches!(outcome, Ok(Ok(())));
            let found = read(&sim);
            assert!(found.as_deref() == Some(NEW) || found.as_deref() == Some(OLD), "{kind:?} {nth}");
            assert!(!succeeded || found.as_deref() == Some(NEW), "{kind:?} {nth}");
            let recording = sim.recording();
            for image in recording.images(recording.len(), CrashProfile::Strict, &ImageBudget::default()) {
                let found = read(&image.clone().into_mem());
                let is_right = found.as_deref() == Some(NEW) || (!succeeded && found.as_deref() == Some(OLD));
                assert!(is_right, "{kind:?} {nth}: {}", image.explain());
            }
            if vfs.fired() == 0 {
                assert!(succeeded);
                break;
            }
            assert!(!succeeded, "{kind:?} {nth}: the failure was not reported");
        }
    }
}

/// An attempt that failed, at whatever operation, does not stand in the way of the next one.
#[test]
fn the_next_attempt_succeeds() {
    for nth in 1.. {
        let disk = disk();
        let vfs = FaultVfs::new(Arc::new(disk.clone()));
        vfs.inject(Fault::new(FaultKind::NoSpace).nth(nth));
        let failed = write_atomically(&vfs, path(), NEW).is_err();
        vfs.clear();
        write_atomically(&vfs, path(), b"newest").unwrap();
        assert_eq!(disk.snapshot().len(), 1, "nothing is left over");
        assert_eq!(read(&disk).unwrap(), b"newest");
        if !failed {
            break;
        }
    }
}
