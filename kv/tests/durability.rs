//! Goal: what a commit promises holds at the death of the process and at power loss, and a full disk or a failed write is told
//! truthfully. Method: the simulated file system gives back what a power cut could have left, the faulty one fails the
//! operation that is asked for; then the database is opened again and compared with what was acknowledged.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]
#![allow(clippy::disallowed_methods, reason = "a test starts threads of its own")]

use std::sync::Arc;

use base::vfs::{
    CrashProfile, Fault, FaultKind, FaultVfs, ImageBudget, MemVfs, Operation, SimVfs, Times, Vfs,
};
use kv::{Db, Durability, Error, Options};

fn key(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

fn value(number: u32) -> Vec<u8> {
    vec![number as u8; number as usize % 150]
}

fn open(vfs: &(impl Vfs + Clone + 'static)) -> Db {
    Options::tiny().with_vfs(Arc::new(vfs.clone())).open("/db").unwrap()
}

fn write(db: &Db, number: u32, durability: Durability) -> kv::Result<()> {
    let mut txn = db.begin_write()?;
    txn.set(key(number), value(number))?;
    txn.commit_with(durability).map(drop)
}

/// How many are there; they must be the first so many, and whole.
fn count(db: &Db) -> u32 {
    let mut count = 0;
    for item in db.iter().unwrap() {
        let item = item.unwrap();
        assert_eq!(item.key(), key(count), "a commit is missing before another one");
        assert_eq!(item.value().unwrap(), value(count));
        count += 1;
    }
    count
}

#[test]
fn the_death_of_the_process_loses_nothing() {
    for durability in [Durability::Sync, Durability::Buffered] {
        let vfs = MemVfs::new();
        let db = open(&vfs);
        for number in 0..300 {
            write(&db, number, durability).unwrap();
            if number % 37 == 0 {
                let db = open(&MemVfs::from_snapshot(vfs.snapshot()));
                assert_eq!(count(&db), number + 1, "{durability:?}");
                assert!(db.verify().unwrap().is_clean());
            }
        }
    }
}

#[test]
fn power_loss_keeps_a_prefix_that_holds_everything_synced() {
    let vfs = SimVfs::new();
    let db = open(&vfs);
    for number in 0..100 {
        let durability = if number % 10 == 9 { Durability::Sync } else { Durability::Buffered };
        write(&db, number, durability).unwrap();
        if number == 54 {
            db.sync().unwrap();
        }
        if durability == Durability::Sync || number == 54 {
            vfs.note(u64::from(number) + 1);
        }
    }
    let recording = vfs.recording();
    let budget = ImageBudget { exhaustive_up_to: 4, at_most: 4, random: 2, ..ImageBudget::default() };
    let (mut images, mut lost) = (0, 0);
    for point in recording.crash_points() {
        let acknowledged = recording.notes(point).last().copied().unwrap_or(0) as u32;
        for image in recording.images(point, CrashProfile::Strict, &budget) {
            let explanation = image.explain();
            let db = open(&image.into_mem());
            let kept = count(&db);
            assert!(
                (acknowledged..=100).contains(&kept),
                "{acknowledged} were durable, {kept} are left; {explanation}"
            );
            images += 1;
            lost += u32::from(kept < 100);
        }
    }
    assert!(images > 100 && lost > 10, "{images} images, {lost} of them lost something");
}

#[test]
fn a_batch_is_durable_when_its_last_part_is() {
    let vfs = SimVfs::new();
    let db = open(&vfs);
    let mut batch = db.write_batch();
    for number in 0..200 {
        batch.set(key(number), value(number)).unwrap();
    }
    assert!(db.version().0 > 0, "it was large enough to be split");
    batch.commit().unwrap();
    let recording = vfs.recording();
    let budget = ImageBudget { exhaustive_up_to: 16, at_most: 16, random: 8, ..ImageBudget::default() };
    for image in recording.images(recording.len(), CrashProfile::Strict, &budget) {
        assert_eq!(count(&open(&image.into_mem())), 200);
    }
}

/// A batch whose last write was refused has nothing left to commit; what it committed on the way is made durable all the same.
#[test]
fn a_batch_is_durable_even_when_its_last_part_is_empty() {
    let vfs = SimVfs::new();
    let db = Options::tiny().memory_budget(1 << 20).with_vfs(Arc::new(vfs.clone())).open("/db").unwrap();
    let mut batch = db.write_batch();
    batch.set(key(0), value(0)).unwrap();
    assert!(matches!(batch.set(key(1), [1; 200_000]), Err(Error::LimitExceeded { .. })));
    assert_eq!(db.version().0, 1);
    batch.commit().unwrap();
    let recording = vfs.recording();
    for image in recording.images(recording.len(), CrashProfile::Strict, &ImageBudget::default()) {
        assert_eq!(count(&open(&image.into_mem())), 1);
    }
}

/// Fills a disk until commits are refused, with and without threads: no wait may be without end.
#[test]
fn a_full_disk_refuses_commits_and_nothing_else() {
    for threads in [0, 2] {
        let vfs = FaultVfs::new(Arc::new(MemVfs::new()));
        let options = Options::tiny().maintenance_threads(threads).with_vfs(Arc::new(vfs.clone()));
        let db = options.clone().open("/db").unwrap();
        vfs.limit_bytes(Some(200_000));
        let mut written = 0;
        let refused = loop {
            match write(&db, written, Durability::Sync) {
                Ok(()) => written += 1,
                Err(error) => break error,
            }
        };
        assert!(refused.is_no_space(), "{refused}");
        assert!(written > 100, "{written}");
        assert_eq!(count(&db), written, "reads go on");
        vfs.limit_bytes(None);
        for number in written..written + 200 {
            write(&db, number, Durability::Sync).unwrap();
        }
        db.close().unwrap();
        let db = options.open("/db").unwrap();
        assert_eq!(count(&db), written + 200);
        assert!(db.verify().unwrap().is_clean());
    }
}

#[test]
fn a_failed_sync_makes_the_outcome_unknown_and_stops_writing() {
    let disk = SimVfs::new();
    let vfs = FaultVfs::new(Arc::new(disk.clone()));
    let db = Options::tiny().with_vfs(Arc::new(vfs.clone())).open("/db").unwrap();
    for number in 0..20 {
        write(&db, number, Durability::Sync).unwrap();
    }
    vfs.inject(Fault::new(FaultKind::SyncLost).on(Operation::Sync));
    let unknown = write(&db, 20, Durability::Sync).unwrap_err();
    assert!(matches!(unknown, Error::Unknown(_)) && !unknown.is_retryable(), "{unknown}");
    let halted = write(&db, 21, Durability::Sync).unwrap_err();
    assert!(halted.is_halted(), "{halted}");
    assert_eq!(count(&db), 20, "what is not durable is not shown");
    assert!(db.flush().unwrap_err().is_halted());
    assert!(db.close().unwrap_err().is_halted());
    let recording = disk.recording();
    let budget = ImageBudget { exhaustive_up_to: 16, at_most: 16, random: 8, ..ImageBudget::default() };
    for image in recording.images(recording.len(), CrashProfile::Strict, &budget) {
        let kept = count(&open(&image.into_mem()));
        assert!(kept == 20 || kept == 21, "{kept}");
    }
}

/// A table that cannot be opened keeps L0 from shrinking, and reading is no failed write, so nothing halts: the wait must end all
/// the same.
#[test]
fn a_commit_does_not_wait_for_work_that_fails_for_ever() {
    for threads in [0, 1] {
        let vfs = FaultVfs::new(Arc::new(MemVfs::new()));
        let options = Options::tiny().maintenance_threads(threads).with_vfs(Arc::new(vfs.clone()));
        let db = options.open("/db").unwrap();
        vfs.inject(
            Fault::new(FaultKind::TooManyFiles)
                .on([Operation::Open, Operation::Map])
                .path_ends_with(".sst")
                .times(Times::Forever),
        );
        let (told, outcome) = std::sync::mpsc::channel();
        let writer = db.clone();
        std::thread::spawn(move || {
            // The same keys again and again, or the tables would be moved down without being read.
            let refused = (0..20_000).find_map(|number| writer.set(key(number % 40), value(number)).err());
            // Nobody listens any more when it took too long.
            let _ = told.send(refused);
        });
        let refused = outcome.recv_timeout(std::time::Duration::from_secs(30)).expect("the wait ends");
        assert!(refused.is_some_and(|error| error.storage().is_some()), "{threads} threads");
        vfs.clear();
        db.set("after", "all").unwrap();
        db.close().unwrap();
    }
}

/// Background work that finds no space is begun anew after ever longer pauses, or a full disk would be written full and cleared
/// again all day.
#[test]
fn work_without_space_is_tried_again_ever_more_seldom() {
    let vfs = FaultVfs::new(Arc::new(MemVfs::new()));
    let options = Options::tiny().with_vfs(Arc::new(vfs.clone()));
    let db = options.clone().open("/db").unwrap();
    // Flushed, and in need of a compaction.
    for number in 0..400 {
        db.set(key(number % 40), value(number)).unwrap();
        while number % 100 == 99 && db.stats().memtables > 1 {
            db.step().unwrap();
        }
    }
    db.close().unwrap();
    vfs.inject(
        Fault::new(FaultKind::NoSpace).on(Operation::Write).path_ends_with(".sst").times(Times::Forever),
    );
    let db = options.maintenance_threads(1).open("/db").unwrap();
    // The pause doubles each time, so that even on a slow machine a second and a half has room for a few attempts only.
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    let attempts = vfs.fired();
    assert!(attempts <= 8, "{attempts} attempts in 1.5 s");
    while vfs.fired() < 2 {
        std::thread::yield_now();
    }
    vfs.clear();
    db.close().unwrap();
}
