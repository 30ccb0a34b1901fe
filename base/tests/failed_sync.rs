//! Goal: a failed sync does in the model what it does on real file systems, and a power cut after it leaves what it could have
//! left, and nothing else. Method: each of the three models by hand on the simulated disk, and random scripts in which syncs
//! fail, against what readers see.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use base::vfs::{
    Access, CrashProfile, Fault, FaultKind, FaultVfs, File, ImageBudget, Operation, SimVfs, Vfs,
};

const ROOT: &str = ".";
const SECTOR: usize = 512;

fn disk() -> (SimVfs, FaultVfs) {
    let sim = SimVfs::new();
    (sim.clone(), FaultVfs::new(Arc::new(sim)))
}

/// A file `a` that holds `data`, durably.
fn durable(vfs: &dyn Vfs, data: &[u8]) -> Arc<dyn File> {
    let file = vfs.create(Path::new("a")).unwrap();
    file.write_all_at(0, data).unwrap();
    file.sync().unwrap();
    vfs.sync_dir(Path::new(ROOT)).unwrap();
    file
}

fn seen(vfs: &dyn Vfs, name: &str) -> Option<Vec<u8>> {
    let file = vfs.open(Path::new(name), Access::Read).ok()?;
    let mut content = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_exact_at(0, &mut content).unwrap();
    Some(content)
}

/// What a power cut now could leave of a file.
fn after_a_cut(sim: &SimVfs, name: &str) -> BTreeSet<Option<Vec<u8>>> {
    let recording = sim.recording();
    let images = recording.images(recording.len(), CrashProfile::Strict, &ImageBudget::default());
    images.map(|image| seen(&image.into_mem(), name)).collect()
}

fn sectors(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(bytes.iter().flat_map(|byte| vec![*byte; SECTOR]).collect())
}

#[test]
fn kept_content_is_readable_and_never_made_durable() {
    let (sim, vfs) = disk();
    let file = durable(&vfs, &[b'-'; 2 * SECTOR]);
    file.write_all_at(0, &[b'1'; SECTOR]).unwrap();
    vfs.inject(Fault::new(FaultKind::SyncLost).on(Operation::Sync));
    assert!(file.sync().is_err());
    assert_eq!(seen(&vfs, "a"), sectors(b"1-"));
    file.sync().unwrap();
    file.write_all_at(SECTOR as u64, &[b'2'; SECTOR]).unwrap();
    // Another handle, and another name: it is the same file.
    vfs.rename(Path::new("a"), Path::new("b")).unwrap();
    vfs.sync_dir(Path::new(ROOT)).unwrap();
    vfs.open(Path::new("b"), Access::ReadWrite).unwrap().sync().unwrap();
    assert_eq!(after_a_cut(&sim, "b"), BTreeSet::from([sectors(b"-2"), sectors(b"12")]));
    // Written again, it is dirty again.
    file.write_all_at(SECTOR as u64 - 1, b"3").unwrap();
    file.sync().unwrap();
    let mut written = sectors(b"12").unwrap();
    written[SECTOR - 1] = b'3';
    assert_eq!(after_a_cut(&sim, "b"), BTreeSet::from([Some(written)]));
}

/// A length is kept in order: the next sync that succeeds makes it durable, and the content behind it is still lost.
#[test]
fn a_lost_append_becomes_a_hole() {
    let (sim, vfs) = disk();
    let file = durable(&vfs, b"");
    file.write_all_at(0, &[b'1'; SECTOR]).unwrap();
    vfs.inject(Fault::new(FaultKind::SyncLost));
    assert!(file.sync().is_err());
    file.write_all_at(SECTOR as u64, &[b'2'; SECTOR]).unwrap();
    file.sync().unwrap();
    assert_eq!(after_a_cut(&sim, "a"), BTreeSet::from([sectors(b"\x002"), sectors(b"12")]));
    file.set_len(SECTOR as u64 / 2).unwrap();
    file.sync().unwrap();
    let half = |byte| Some(vec![byte; SECTOR / 2]);
    assert_eq!(after_a_cut(&sim, "a"), BTreeSet::from([half(0), half(b'1')]));
    file.set_len(SECTOR as u64).unwrap();
    file.sync().unwrap();
    let half_then_zeros = |byte| half(byte).map(|half| [half, vec![0; SECTOR / 2]].concat());
    assert_eq!(after_a_cut(&sim, "a"), BTreeSet::from([half_then_zeros(0), half_then_zeros(b'1')]));
}

#[test]
fn reverted_content_is_gone_for_readers_and_after_a_cut() {
    let (sim, vfs) = disk();
    let file = durable(&vfs, &[b'-'; SECTOR]);
    file.write_all_at(0, &[b'1'; 2 * SECTOR]).unwrap();
    vfs.inject(Fault::new(FaultKind::SyncReverted));
    assert!(file.sync().is_err());
    assert_eq!(seen(&vfs, "a"), sectors(b"-"));
    file.sync().unwrap();
    assert_eq!(after_a_cut(&sim, "a"), BTreeSet::from([sectors(b"-")]));
    file.write_all_at(SECTOR as u64, &[b'2'; SECTOR]).unwrap();
    assert_eq!(sim.visible().snapshot()[Path::new("a")], sectors(b"-2").unwrap());
    file.sync().unwrap();
    assert_eq!(after_a_cut(&sim, "a"), BTreeSet::from([sectors(b"-2")]));
}

#[test]
fn a_late_report_comes_with_the_next_sync_of_the_file_and_only_then() {
    let (sim, vfs) = disk();
    let file = durable(&vfs, &[b'-'; SECTOR]);
    let other = vfs.create(Path::new("other")).unwrap();
    file.write_all_at(0, &[b'1'; SECTOR]).unwrap();
    vfs.inject(Fault::new(FaultKind::SyncLate));
    file.sync().unwrap();
    assert_eq!(after_a_cut(&sim, "a"), BTreeSet::from([sectors(b"-"), sectors(b"1")]), "it has lied");
    other.sync().unwrap();
    file.write_all_at(SECTOR as u64, &[b'2'; SECTOR]).unwrap();
    assert!(vfs.open(Path::new("a"), Access::ReadWrite).unwrap().sync().is_err());
    assert_eq!(seen(&vfs, "a"), sectors(b"12"));
    file.sync().unwrap();
    assert_eq!(
        after_a_cut(&sim, "a"),
        BTreeSet::from([sectors(b"-\0"), sectors(b"-2"), sectors(b"1\0"), sectors(b"12")])
    );
}

#[test]
fn names_that_a_failed_sync_has_lost_stay_in_doubt_until_they_change_again() {
    for kind in [FaultKind::SyncLost, FaultKind::SyncLate] {
        let (sim, vfs) = disk();
        let create = |name: &str| drop(vfs.create(Path::new(name)).unwrap());
        create("a");
        vfs.inject(Fault::new(kind).on(Operation::SyncDir));
        assert_eq!(vfs.sync_dir(Path::new(ROOT)).is_err(), kind == FaultKind::SyncLost);
        if kind == FaultKind::SyncLate {
            assert!(vfs.sync_dir(Path::new(ROOT)).is_err());
        }
        create("b");
        vfs.sync_dir(Path::new(ROOT)).unwrap();
        assert_eq!(after_a_cut(&sim, "a"), BTreeSet::from([None, Some(Vec::new())]));
        assert_eq!(after_a_cut(&sim, "b"), BTreeSet::from([Some(Vec::new())]));
        vfs.rename(Path::new("b"), Path::new("a")).unwrap();
        vfs.sync_dir(Path::new(ROOT)).unwrap();
        assert_eq!(after_a_cut(&sim, "a"), BTreeSet::from([Some(Vec::new())]));
        assert_eq!(after_a_cut(&sim, "b"), BTreeSet::from([None]));
    }
}

/// What readers see is what the next process finds when this one is killed, whichever syncs have failed; and a power cut can
/// leave exactly that, among others.
#[test]
fn random_failures_agree_with_what_readers_see() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (sim, vfs) = disk();
        let file = durable(&vfs, &[b'-'; SECTOR]);
        for step in 0..random.u8(1..14) {
            match random.u8(..10) {
                0..5 => {
                    let data = vec![b'a' + step; random.usize(1..1100)];
                    file.write_all_at(random.u64(..1500), &data).unwrap();
                }
                5 => file.set_len(random.u64(..2000)).unwrap(),
                6 => file.sync().unwrap_or_default(),
                _ => {
                    let kinds = [FaultKind::SyncLost, FaultKind::SyncReverted, FaultKind::SyncLate];
                    vfs.inject(Fault::new(kinds[random.usize(..3)]));
                    let _reported_now_or_later = file.sync();
                }
            }
            let expected = seen(&vfs, "a").unwrap();
            assert_eq!(sim.visible().snapshot()[Path::new("a")], expected, "seed {seed}, step {step}");
        }
        let recording = sim.recording();
        let budget = ImageBudget { at_most: 64, exhaustive_up_to: 64, ..ImageBudget::default() };
        let mut images = recording.images(recording.len(), CrashProfile::Strict, &budget);
        let expected = seen(&vfs, "a");
        assert!(images.any(|image| seen(&image.into_mem(), "a") == expected), "seed {seed}");
    }
}
