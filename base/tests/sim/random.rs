//! Random scripts against plain models: a file system in memory, and the history of a file.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use base::vfs::{Access, CrashProfile, ImageBudget, MemVfs, SimVfs, Vfs};
use proptest::prelude::*;

use super::{BOTH, ROOT, SECTOR, contents_of, durable, files, filled, images_of};

/// A step of a random script on files `0..3`.
#[derive(Clone, Debug)]
enum Step {
    Write { file: u8, at: u16, len: u16 },
    SetLen { file: u8, len: u16 },
    Allocate { file: u8, len: u16 },
    Sync { file: u8 },
    Rename { from: u8, to: u8 },
    Remove { file: u8 },
    SyncDir,
}

fn step(longest: u16) -> impl Strategy<Value = Step> {
    let file = || 0_u8..3;
    prop_oneof![
        4 => (file(), 0..longest, 0..longest).prop_map(|(file, at, len)| Step::Write { file, at, len }),
        1 => (file(), 0..2 * longest).prop_map(|(file, len)| Step::SetLen { file, len }),
        1 => (file(), 0..2 * longest).prop_map(|(file, len)| Step::Allocate { file, len }),
        2 => file().prop_map(|file| Step::Sync { file }),
        1 => (file(), file()).prop_map(|(from, to)| Step::Rename { from, to }),
        1 => file().prop_map(|file| Step::Remove { file }),
        1 => Just(Step::SyncDir),
    ]
}

fn name(file: u8) -> PathBuf {
    PathBuf::from(format!("f{file}"))
}

/// Carries out a step; a missing file is created by what needs it.
fn run(vfs: &dyn Vfs, step: &Step, number: u8) {
    let open =
        |file: u8| vfs.open(&name(file), Access::ReadWrite).or_else(|_| vfs.create(&name(file))).unwrap();
    match step {
        Step::Write { file, at, len } => {
            open(*file).write_all_at(u64::from(*at), &filled(number, usize::from(*len))).unwrap();
        }
        Step::SetLen { file, len } => open(*file).set_len(u64::from(*len)).unwrap(),
        Step::Allocate { file, len } => open(*file).allocate(u64::from(*len)).unwrap(),
        Step::Sync { file } => open(*file).sync().unwrap(),
        Step::Rename { from, to } => {
            let _missing = vfs.rename(&name(*from), &name(*to));
        }
        Step::Remove { file } => {
            let _missing = vfs.remove(&name(*file));
        }
        Step::SyncDir => vfs.sync_dir(Path::new(ROOT)).unwrap(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// What a killed process leaves, and what is there when all is synced, is what a plain file system holds.
    #[test]
    fn nothing_is_lost_without_a_power_cut(steps in prop::collection::vec(step(1400), 1..25)) {
        let (vfs, plain) = (SimVfs::new(), MemVfs::new());
        let mut expected = vec![(0, plain.snapshot())];
        for (step, number) in steps.iter().zip(1..) {
            run(&vfs, step, number);
            run(&plain, step, number);
            expected.push((vfs.recording().len(), plain.snapshot()));
        }
        let recording = vfs.recording();
        for (k, files_then) in &expected {
            prop_assert_eq!(&files(recording.kill_image(*k)), files_then);
        }
        prop_assert_eq!(vfs.visible().snapshot(), plain.snapshot());
        let resumed = recording.resume(recording.len());
        prop_assert_eq!(resumed.visible().snapshot(), plain.snapshot());
        for file in plain.snapshot().into_keys() {
            resumed.open(&file, Access::ReadWrite).unwrap().sync().unwrap();
        }
        resumed.sync_dir(Path::new(ROOT)).unwrap();
        for profile in BOTH {
            prop_assert_eq!(images_of(&resumed, profile), BTreeSet::from([plain.snapshot()]));
        }
    }

    /// Every sector of every image is one that the file had at its last sync or after a write since.
    #[test]
    fn no_image_holds_what_never_was(
        writes in prop::collection::vec((0_u16..1500, 1_u16..900, any::<bool>()), 1..10),
    ) {
        let vfs = SimVfs::new();
        let file = durable(&vfs, "a", &filled(0, 5 * SECTOR));
        let content = || file.map().unwrap().to_vec();
        let mut since_sync = vec![content()];
        for ((at, len, sync), number) in writes.into_iter().zip(1..) {
            file.write_all_at(u64::from(at), &filled(number, usize::from(len))).unwrap();
            since_sync.push(content());
            if sync {
                file.sync().unwrap();
                since_sync = vec![content()];
            }
            let images = contents_of(&vfs, CrashProfile::Strict, "a");
            for content in &since_sync {
                prop_assert!(images.contains(&Some(content.clone())), "a prefix is missing");
            }
            for image in images.into_iter().flatten() {
                prop_assert_eq!(image.len(), 5 * SECTOR);
                for (index, sector) in image.chunks(SECTOR).enumerate() {
                    let was = |content: &Vec<u8>| content.chunks(SECTOR).nth(index) == Some(sector);
                    prop_assert!(since_sync.iter().any(was), "sector {} was never like this", index);
                }
            }
        }
    }

    /// Leaving out what earlier crash points had already leaves nothing out.
    #[test]
    fn only_new_images_are_enough(steps in prop::collection::vec(step(350), 1..7)) {
        let vfs = SimVfs::new();
        for (step, number) in steps.iter().zip(1..) {
            run(&vfs, step, number);
        }
        let recording = vfs.recording();
        for profile in BOTH {
            let hashes = |only_new| -> (usize, HashSet<u128>) {
                let budget = ImageBudget { exhaustive_up_to: 1 << 14, only_new, ..ImageBudget::default() };
                let images = recording.crash_points().flat_map(|k| recording.images(k, profile, &budget));
                let hashes: Vec<u128> = images.map(|image| image.hash()).collect();
                (hashes.len(), hashes.into_iter().collect())
            };
            let ((all_count, all), (new_count, new)) = (hashes(false), hashes(true));
            prop_assert!(new_count <= all_count);
            prop_assert!(all == new, "{} of {} images", new.len(), all.len());
        }
    }
}
