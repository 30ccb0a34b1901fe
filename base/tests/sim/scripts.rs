//! Small scripts whose outcomes are known by hand.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use base::vfs::{Access, CrashProfile, Image, ImageBudget, LockKind, MemVfs, SimVfs, Vfs};

use super::{
    BOTH, Files, ROOT, SECTOR, contents_of, create, durable, files, filled, images_of, names_of, set,
};

#[test]
fn what_is_synced_is_there_in_the_only_image() {
    let vfs = SimVfs::new();
    durable(&vfs, "a", &filled(1, 2000));
    for profile in BOTH {
        let expected = Files::from([(PathBuf::from("a"), filled(1, 2000))]);
        assert_eq!(images_of(&vfs, profile), BTreeSet::from([expected]));
    }
}

#[test]
fn a_name_needs_a_sync_of_its_directory() {
    let vfs = SimVfs::new();
    create(&vfs, "a", b"data").sync().unwrap();
    assert_eq!(names_of(&vfs, CrashProfile::Strict), set(["", "a"]));
    assert_eq!(names_of(&vfs, CrashProfile::Ext4Like), set(["a"]), "there the sync of the file is enough");
    vfs.create_dir_all(Path::new("elsewhere")).unwrap();
    vfs.sync_dir(Path::new("elsewhere")).unwrap();
    assert_eq!(names_of(&vfs, CrashProfile::Strict), set(["", "a"]), "another directory does not help");
    vfs.sync_dir(Path::new(ROOT)).unwrap();
    assert_eq!(names_of(&vfs, CrashProfile::Strict), set(["a"]));
}

#[test]
fn names_are_independent_or_in_order() {
    let vfs = SimVfs::new();
    durable(&vfs, "old", b"");
    create(&vfs, "a", b"");
    create(&vfs, "b", b"");
    vfs.remove(Path::new("old")).unwrap();
    let strict = ["", "a", "a b", "a b old", "a old", "b", "b old", "old"];
    assert_eq!(names_of(&vfs, CrashProfile::Strict), set(strict));
    assert_eq!(names_of(&vfs, CrashProfile::Ext4Like), set(["old", "a old", "a b old", "a b"]));
}

#[test]
fn a_rename_is_atomic() {
    let vfs = SimVfs::new();
    durable(&vfs, "name", b"old");
    durable(&vfs, "temporary", b"new");
    vfs.rename(Path::new("temporary"), Path::new("name")).unwrap();
    for profile in BOTH {
        let contents = contents_of(&vfs, profile, "name");
        assert_eq!(contents, BTreeSet::from([Some(b"old".to_vec()), Some(b"new".to_vec())]));
        assert_eq!(names_of(&vfs, profile), set(["name temporary", "name"]));
    }
    vfs.sync_dir(Path::new(ROOT)).unwrap();
    assert_eq!(contents_of(&vfs, CrashProfile::Strict, "name"), BTreeSet::from([Some(b"new".to_vec())]));
}

#[test]
fn a_rename_between_directories_needs_both_synced() {
    let vfs = SimVfs::new();
    vfs.create_dir_all(Path::new("d")).unwrap();
    durable(&vfs, "a", b"");
    vfs.rename(Path::new("a"), Path::new("d/a")).unwrap();
    vfs.sync_dir(Path::new("d")).unwrap();
    assert_eq!(names_of(&vfs, CrashProfile::Strict), set(["a", "d/a"]));
    vfs.sync_dir(Path::new(ROOT)).unwrap();
    assert_eq!(names_of(&vfs, CrashProfile::Strict), set(["d/a"]));
}

#[test]
fn an_unlink_may_reach_the_disk_before_an_earlier_rename() {
    let vfs = SimVfs::new();
    durable(&vfs, "a.tmp", b"");
    durable(&vfs, "b", b"");
    vfs.rename(Path::new("a.tmp"), Path::new("a")).unwrap();
    vfs.remove(Path::new("b")).unwrap();
    assert!(names_of(&vfs, CrashProfile::Strict).contains("a.tmp"));
    assert!(!names_of(&vfs, CrashProfile::Ext4Like).contains("a.tmp"));
}

#[test]
fn a_sync_makes_only_its_own_file_durable() {
    let vfs = SimVfs::new();
    let (a, b) = (durable(&vfs, "a", b"old"), durable(&vfs, "b", b"old"));
    a.write_all_at(0, b"new").unwrap();
    b.write_all_at(0, b"new").unwrap();
    b.sync().unwrap();
    for profile in BOTH {
        assert_eq!(contents_of(&vfs, profile, "a").len(), 2, "the older write may be lost");
        assert_eq!(contents_of(&vfs, profile, "b"), BTreeSet::from([Some(b"new".to_vec())]));
    }
}

#[test]
fn sectors_are_independent() {
    let vfs = SimVfs::new();
    let file = durable(&vfs, "a", &filled(b'o', 4 * SECTOR));
    file.write_all_at(100, &filled(b'n', 3 * SECTOR)).unwrap();
    for profile in BOTH {
        let contents = contents_of(&vfs, profile, "a");
        assert_eq!(contents.len(), 1 << 4);
        for content in contents.into_iter().flatten() {
            assert_eq!(content.len(), 4 * SECTOR);
            assert!(content[..100].iter().chain(&content[3 * SECTOR + 100..]).all(|byte| *byte == b'o'));
            for sector in content[100..3 * SECTOR + 100].chunk_by(|a, b| a == b) {
                assert!(sector[0] == b'o' || sector[0] == b'n');
            }
        }
    }
}

/// Memory holds one copy of a sector, so a later write to it takes an earlier one along.
#[test]
fn one_sector_keeps_its_order() {
    let vfs = SimVfs::new();
    let file = durable(&vfs, "a", b"...");
    file.write_all_at(0, b"1").unwrap();
    file.write_all_at(1, b"2").unwrap();
    let expected = [b"...", b"1..", b"12."].map(|content| Some(content.to_vec()));
    assert_eq!(contents_of(&vfs, CrashProfile::Strict, "a"), BTreeSet::from(expected));
}

#[test]
fn a_length_is_independent_of_content() {
    let vfs = SimVfs::new();
    durable(&vfs, "removed", &filled(b's', 3 * SECTOR));
    let file = durable(&vfs, "a", b"");
    vfs.remove(Path::new("removed")).unwrap();
    vfs.sync_dir(Path::new(ROOT)).unwrap();
    file.write_all_at(0, &filled(b'n', 2 * SECTOR)).unwrap();
    for profile in BOTH {
        let contents: BTreeSet<Vec<u8>> = contents_of(&vfs, profile, "a").into_iter().flatten().collect();
        let lengths: BTreeSet<usize> = contents.iter().map(Vec::len).collect();
        assert_eq!(lengths, BTreeSet::from([0, 2 * SECTOR]));
        let with_second = |first: Vec<u8>| [first, filled(b'n', SECTOR)].concat();
        assert!(contents.contains(&with_second(filled(b'n', SECTOR))));
        assert!(contents.contains(&with_second(filled(0, SECTOR))));
        // What was never written may show a removed file, or anything, where no order protects from it.
        let is_strict = profile == CrashProfile::Strict;
        assert_eq!(contents.contains(&with_second(filled(b's', SECTOR))), is_strict);
        let is_plain = |sector: &[u8]| sector.iter().all(|byte| *byte == sector[0]);
        let has_garbage = contents.iter().any(|content| !content.chunks(SECTOR).all(is_plain));
        assert_eq!(has_garbage, is_strict);
        assert_eq!(contents.len(), if is_strict { 1 + 1 + 3 * 3 } else { 1 + 4 });
    }
}

#[test]
fn what_was_cut_does_not_come_back() {
    let vfs = SimVfs::new();
    let file = durable(&vfs, "a", &filled(b'o', 2 * SECTOR));
    file.set_len(10).unwrap();
    file.set_len(2 * SECTOR as u64).unwrap();
    file.write_all_at(SECTOR as u64, &filled(b'n', SECTOR)).unwrap();
    let cut = [filled(b'o', 10), filled(0, 2 * SECTOR - 10)].concat();
    let contents = contents_of(&vfs, CrashProfile::Ext4Like, "a");
    let overwritten = [filled(b'o', SECTOR), filled(b'n', SECTOR)].concat();
    let all = [cut[..SECTOR].to_vec(), filled(b'n', SECTOR)].concat();
    let expected = [filled(b'o', 2 * SECTOR), overwritten, filled(b'o', 10), cut, all].map(Some);
    assert_eq!(contents, BTreeSet::from(expected));
    file.sync().unwrap();
    assert_eq!(contents_of(&vfs, CrashProfile::Strict, "a").len(), 1);
}

#[test]
fn allocated_space_is_zeros_once_synced() {
    let vfs = SimVfs::new();
    let file = durable(&vfs, "a", b"abc");
    file.allocate(3000).unwrap();
    let lengths: BTreeSet<Option<usize>> = contents_of(&vfs, CrashProfile::Strict, "a")
        .into_iter()
        .map(|content| content.map(|data| data.len()))
        .collect();
    assert_eq!(lengths, BTreeSet::from([Some(3), Some(3000)]));
    file.sync().unwrap();
    let expected = [b"abc".to_vec(), filled(0, 2997)].concat();
    assert_eq!(contents_of(&vfs, CrashProfile::Strict, "a"), BTreeSet::from([Some(expected)]));
}

/// The work of a log: records are appended and synced one by one, and acknowledged.
fn log_of_records(sync: bool) -> SimVfs {
    let vfs = SimVfs::new();
    let file = durable(&vfs, "log", b"");
    let mut at = 0;
    for number in 1_u8..=12 {
        let record = filled(number, 100 + 90 * usize::from(number));
        file.write_all_at(at, &record).unwrap();
        at += record.len() as u64;
        if sync {
            file.sync().unwrap();
        }
        vfs.note(u64::from(number));
    }
    vfs
}

/// How many records, in order and whole, the log begins with.
fn whole_records(log: &[u8]) -> u64 {
    let mut rest = log;
    for number in 1_u8.. {
        match rest.split_at_checked(100 + 90 * usize::from(number)) {
            Some((record, behind)) if record.iter().all(|byte| *byte == number) => rest = behind,
            _ => return u64::from(number) - 1,
        }
    }
    0
}

#[test]
fn an_acknowledged_record_is_in_every_image() {
    for (sync, expect_losses) in [(true, false), (false, true)] {
        let recording = log_of_records(sync).recording();
        let (mut checked, mut losses) = (0, 0);
        for (k, profile) in recording.crash_points().flat_map(|k| BOTH.map(|profile| (k, profile))) {
            let acknowledged = recording.notes(k).last().copied().unwrap_or(0);
            for image in recording.images(k, profile, &ImageBudget { at_most: 300, ..ImageBudget::default() })
            {
                checked += 1;
                let log = files(image.clone()).remove(Path::new("log")).unwrap_or_default();
                let is_lost = whole_records(&log) < acknowledged;
                assert!(!is_lost || expect_losses, "after {k}: {}", image.explain());
                losses += u64::from(is_lost);
            }
        }
        assert!(checked > 100);
        assert_eq!(losses > 0, expect_losses);
    }
}

#[test]
fn images_repeat_and_their_hash_tells_them_apart() {
    let recording = log_of_records(false).recording();
    let again = recording.clone();
    let mut files_of_hash: HashMap<u128, Files> = HashMap::new();
    let mut hash_of_files: BTreeMap<Files, u128> = BTreeMap::new();
    let budget = ImageBudget { at_most: 200, ..ImageBudget::default() };
    // Backwards, so that nothing depends on the way the state was reached.
    for k in recording.crash_points().collect::<Vec<_>>().into_iter().rev() {
        let images: Vec<Image> = recording.images(k, CrashProfile::Strict, &budget).collect();
        let hashes = |images: &[Image]| images.iter().map(Image::hash).collect::<Vec<u128>>();
        let repeated: Vec<Image> = again.images(k, CrashProfile::Strict, &budget).collect();
        assert_eq!(hashes(&images), hashes(&repeated));
        for image in images {
            let hash = image.hash();
            let files = files(image);
            assert_eq!(files_of_hash.entry(hash).or_insert_with(|| files.clone()), &files);
            assert_eq!(*hash_of_files.entry(files).or_insert(hash), hash);
        }
    }
    assert!(files_of_hash.len() > 500);
}

#[test]
fn a_budget_is_kept_and_takes_the_telling_images_first() {
    let vfs = SimVfs::new();
    let file = durable(&vfs, "a", &filled(b'o', 40 * SECTOR));
    file.write_all_at(0, &filled(b'n', 40 * SECTOR)).unwrap();
    let recording = vfs.recording();
    let contents = |budget: &ImageBudget| -> HashSet<Vec<u8>> {
        let images = recording.images(recording.len(), CrashProfile::Strict, budget);
        images.map(|image| files(image).remove(Path::new("a")).unwrap()).collect()
    };
    let all = contents(&ImageBudget::default());
    let kept = |content: &[u8]| content.chunks(SECTOR).map(|sector| sector[0] == b'n').collect::<Vec<bool>>();
    let kept: HashSet<Vec<bool>> = all.iter().map(|content| kept(content)).collect();
    for sector in 0..40 {
        let pattern = |rule: &dyn Fn(usize) -> bool| (0..40).map(rule).collect::<Vec<bool>>();
        assert!(kept.contains(&pattern(&|at| at != sector)), "all but sector {sector}");
        assert!(kept.contains(&pattern(&|at| at == sector)), "only sector {sector}");
        assert!(kept.contains(&pattern(&|at| at < sector)), "torn before sector {sector}");
        assert!(kept.contains(&pattern(&|at| at >= sector)), "torn behind sector {sector}");
    }
    let few = contents(&ImageBudget { at_most: 50, ..ImageBudget::default() });
    assert!(few.len() <= 50);
    for content in [filled(b'n', 40 * SECTOR), filled(b'o', 40 * SECTOR)] {
        assert!(few.contains(&content));
    }
    let other_seed = contents(&ImageBudget { at_most: 50, seed: 1, ..ImageBudget::default() });
    assert_ne!(few, other_seed);
}

#[test]
fn another_process_finds_what_a_killed_one_wrote_and_may_still_lose_it() {
    let vfs = SimVfs::new();
    let file = durable(&vfs, "a", b"old");
    let _never_released = vfs.lock(Path::new("LOCK"), LockKind::Exclusive).unwrap();
    file.write_all_at(0, b"new").unwrap();
    let recording = vfs.recording();
    let next = recording.resume(recording.len());
    let _lock = next.lock(Path::new("LOCK"), LockKind::Exclusive).unwrap();
    let file = next.open(Path::new("a"), Access::ReadWrite).unwrap();
    assert_eq!(file.map().unwrap(), &b"new"[..]);
    assert_eq!(contents_of(&next, CrashProfile::Strict, "a").len(), 2, "seen is not durable");
    file.sync().unwrap();
    assert_eq!(contents_of(&next, CrashProfile::Strict, "a"), BTreeSet::from([Some(b"new".to_vec())]));
    create(&next, "b", b"");
    assert!(!vfs.exists(Path::new("b")).unwrap());
    let before = recording.resume(recording.len() - 1).visible().snapshot();
    assert_eq!(before[Path::new("a")], b"old");
}

#[test]
fn a_disk_to_start_from_is_durable() {
    let disk = MemVfs::new();
    disk.create_dir_all(Path::new("d/e")).unwrap();
    disk.create(Path::new("d/a")).unwrap().write_all_at(0, b"data").unwrap();
    let vfs = SimVfs::starting_from(&disk);
    let file = vfs.open(Path::new("d/a"), Access::ReadWrite).unwrap();
    file.write_all_at(0, b"DATA").unwrap();
    vfs.remove(Path::new("d/a")).unwrap();
    for profile in BOTH {
        let contents = contents_of(&vfs, profile, "d/a");
        assert_eq!(contents, BTreeSet::from([None, Some(b"data".to_vec()), Some(b"DATA".to_vec())]));
    }
    let recording = vfs.recording();
    let image = recording.images(0, CrashProfile::Strict, &ImageBudget::default()).next().unwrap().into_mem();
    assert!(image.exists(Path::new("d/e")).unwrap(), "directories without files too");
    assert_eq!(disk.snapshot()[Path::new("d/a")], b"data", "the disk given is left alone");
}

/// Salts must not repeat, or what an earlier life has left would pass for new.
#[test]
fn another_life_draws_other_random_bytes() {
    let vfs = SimVfs::new();
    durable(&vfs, "a", b"data");
    let draw = |vfs: &dyn Vfs| {
        let mut out = [0; 16];
        vfs.fill_random(&mut out).unwrap();
        out
    };
    let recording = vfs.recording();
    let first = draw(&vfs);
    let image = recording.kill_image(recording.len()).into_mem();
    let again = recording.kill_image(recording.len()).into_mem();
    assert_eq!(draw(&image), draw(&again), "runs repeat");
    let lives = [first, draw(&SimVfs::starting_from(&again)), draw(&MemVfs::from_snapshot(image.snapshot()))];
    assert_eq!(HashSet::from(lives).len(), 3);
}

#[test]
fn images_and_operations_can_be_explained() {
    let vfs = SimVfs::new();
    let file = create(&vfs, "a", &filled(1, 600));
    file.sync().unwrap();
    file.set_len(10).unwrap();
    file.allocate(20).unwrap();
    vfs.rename(Path::new("a"), Path::new("b")).unwrap();
    vfs.sync_dir(Path::new(ROOT)).unwrap();
    vfs.create_dir_all(Path::new("d")).unwrap();
    vfs.remove(Path::new("b")).unwrap();
    vfs.note(7);
    let recording = vfs.recording();
    let lines: Vec<String> = (0..recording.len()).map(|at| recording.describe(at)).collect();
    let expected = [
        "op 0: create a",
        "op 1: write 600 bytes at 0 of a",
        "op 2: sync a",
        "op 3: set the length of a to 10",
        "op 4: allocate 20 bytes for a",
        "op 5: rename a to b",
        "op 6: sync directory .",
        "op 7: create directory d",
        "op 8: remove b",
        "op 9: note 7",
    ];
    assert_eq!(lines, expected);
    let images = recording.images(2, CrashProfile::Strict, &ImageBudget::default());
    let explained: Vec<String> = images.map(|image| image.explain()).collect();
    let all_lost = "power cut after 2 operations\ncreate a: kept nothing, lost op 0\nlength of a: kept nothing, lost op 1\n\
                    sector 0 of a: kept nothing, lost op 1\nsector 1 of a: kept nothing, lost op 1";
    assert!(explained.iter().any(|text| text == all_lost), "{explained:#?}");
}
