//! Goal: `FaultVfs` fails exactly what it was told to fail, in the way it was told, and nothing else. Method: scripts on
//! a file system in memory, with the files below looked at directly.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::vfs::{
    Access, CrashProfile, Fault, FaultKind, FaultVfs, File, LockKind, MemVfs, Operation, Operations, SimVfs,
    Times, Vfs, write_atomically,
};
use base::{Error, Result};

fn faulty() -> (MemVfs, FaultVfs) {
    let mem = MemVfs::new();
    (mem.clone(), FaultVfs::new(Arc::new(mem)))
}

fn bytes_below(mem: &MemVfs, name: &str) -> Vec<u8> {
    mem.snapshot().remove(Path::new(name)).unwrap()
}

fn file(vfs: &dyn Vfs, name: &str) -> Arc<dyn File> {
    vfs.create(Path::new(name)).unwrap()
}

/// Every operation at least once.
fn script(vfs: &dyn Vfs) -> Result<()> {
    let directory = Path::new("d");
    vfs.create_dir_all(directory)?;
    let _lock = vfs.lock(&directory.join("LOCK"), LockKind::Exclusive)?;
    let path = directory.join("a");
    let file = vfs.create(&path)?;
    file.allocate(100)?;
    file.write_all_at(0, b"hello")?;
    file.set_len(5)?;
    file.sync()?;
    vfs.sync_dir(directory)?;
    vfs.rename(&path, &directory.join("b"))?;
    let file = vfs.open(&directory.join("b"), Access::Read)?;
    let mut out = vec![0; usize::try_from(file.len()?).unwrap()];
    file.read_exact_at(0, &mut out)?;
    file.map()?;
    if vfs.exists(&directory.join("b"))? && vfs.list(directory)?.len() == 2 {
        vfs.remove(&directory.join("b"))?;
    }
    Ok(())
}

#[test]
fn every_operation_is_counted_and_traced() {
    let (_, vfs) = faulty();
    vfs.start_trace();
    script(&vfs).unwrap();
    let trace = vfs.take_trace();
    assert_eq!(vfs.counts().len(), Operation::ALL.len());
    for (operation, count) in vfs.counts() {
        assert!(count >= 1, "{operation:?} is not part of the script");
        assert_eq!(count, trace.iter().filter(|(traced, _)| *traced == operation).count() as u64);
    }
    assert_eq!(vfs.operations(), trace.len() as u64);
    assert_eq!(trace[0], (Operation::CreateDir, "d".into()));
    assert!(trace.contains(&(Operation::Rename, "d/b".into())), "a rename goes by its new name");
    assert_eq!(vfs.count(Operations::READS), 2);
    assert_eq!(vfs.count([Operation::Sync, Operation::SyncDir]), 2);
    script(&vfs).unwrap();
    assert!(vfs.take_trace().is_empty(), "the trace has ended");
}

#[test]
fn every_single_operation_can_fail_in_every_way() {
    for kind in FaultKind::ALL {
        let mut failures = 0;
        for nth in 1.. {
            let (_, vfs) = faulty();
            vfs.inject(Fault::new(kind).nth(nth));
            let outcome = catch_unwind(AssertUnwindSafe(|| script(&vfs)));
            if vfs.fired() == 0 {
                outcome.unwrap().unwrap();
                break;
            }
            failures += 1;
            assert_eq!(vfs.fired(), 1, "{kind:?} {nth}");
            match (kind, outcome) {
                (FaultKind::Panic, outcome) => assert!(outcome.is_err()),
                (FaultKind::FlippedBit, outcome) => outcome.unwrap().unwrap(),
                (FaultKind::ShortRead, outcome) => {
                    let _short_read_or_short_map = outcome.unwrap();
                }
                (FaultKind::NoSpace | FaultKind::TornNoSpace, outcome) => {
                    assert!(outcome.unwrap().unwrap_err().is_no_space(), "{nth}");
                }
                (_, outcome) => assert!(matches!(outcome.unwrap(), Err(Error::Io { .. })), "{kind:?} {nth}"),
            }
        }
        let expected = match kind {
            FaultKind::ShortWrite | FaultKind::TornNoSpace => 1,
            FaultKind::ShortRead | FaultKind::FlippedBit | FaultKind::SyncLost => 2,
            _ => 16,
        };
        assert_eq!(failures, expected, "{kind:?} met other operations than it is for");
    }
}

#[test]
fn times_and_filters_choose_the_calls() {
    let struck = |fault: Fault| -> Vec<usize> {
        let (_, vfs) = faulty();
        let (log, table) = (file(&vfs, "1.wal"), file(&vfs, "1.sst"));
        vfs.inject(fault);
        let calls = (0..12).map(|call| if call % 2 == 0 { &log } else { &table });
        calls
            .enumerate()
            .filter(|(_, file)| file.write_all_at(0, b"x").is_err())
            .map(|(call, _)| call)
            .collect()
    };
    let io = Fault::new(FaultKind::Io);
    assert_eq!(struck(io.clone()), [0]);
    assert_eq!(struck(io.clone().nth(4)), [3]);
    assert_eq!(struck(io.clone().nth(11).times(Times::Forever)), [10, 11]);
    assert_eq!(struck(io.clone().nth(3).times(Times::Window(2))), [2, 3]);
    assert_eq!(struck(io.clone().nth(2).path_ends_with(".wal").times(Times::Window(3))), [2, 4, 6]);
    assert_eq!(struck(io.clone().on(Operation::Sync).times(Times::Forever)), [0; 0]);
    assert_eq!(struck(io.on(Operations::CHANGES).nth(12)), [11]);
}

#[test]
fn cleared_faults_do_not_strike() {
    let (_, vfs) = faulty();
    vfs.inject(Fault::new(FaultKind::Io).times(Times::Forever));
    assert!(vfs.create(Path::new("a")).is_err());
    vfs.clear();
    script(&vfs).unwrap();
    assert_eq!(vfs.fired(), 1);
}

#[test]
fn a_torn_write_leaves_its_first_half() {
    for (kind, no_space) in [(FaultKind::ShortWrite, false), (FaultKind::TornNoSpace, true)] {
        let (mem, vfs) = faulty();
        let file = file(&vfs, "a");
        file.write_all_at(0, b"........").unwrap();
        vfs.inject(Fault::new(kind));
        assert_eq!(file.write_all_at(4, b"12345678").unwrap_err().is_no_space(), no_space);
        assert_eq!(bytes_below(&mem, "a"), b"....1234");
    }
}

#[test]
fn bad_reads_leave_the_file_whole() {
    let (mem, vfs) = faulty();
    let data = [0x55; 64];
    let file = file(&vfs, "a");
    file.write_all_at(0, &data).unwrap();
    let flipped = |read: &[u8]| read.iter().zip(data).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>();
    for _ in 0..20 {
        let mut out = [0; 64];
        vfs.inject(Fault::new(FaultKind::FlippedBit).on(Operation::Read));
        assert_eq!(file.read_at(0, &mut out).unwrap(), 64);
        assert_eq!(flipped(&out), 1);
        vfs.inject(Fault::new(FaultKind::FlippedBit).on(Operation::Map));
        assert_eq!(flipped(&file.map().unwrap()), 1);
    }
    vfs.inject(Fault::new(FaultKind::ShortRead).times(Times::Window(3)));
    let mut out = [0; 64];
    assert_eq!(file.read_at(0, &mut out).unwrap(), 32);
    assert!(file.read_exact_at(0, &mut out).unwrap_err().is_corruption());
    assert_eq!(file.map().unwrap(), &data[..32]);
    assert_eq!(file.map().unwrap(), &data[..]);
    assert_eq!(bytes_below(&mem, "a"), data);
}

/// After a lost sync a retry reports success, and a power cut still takes what was written.
#[test]
fn a_lost_sync_cannot_be_made_good_by_retrying() {
    let sim = SimVfs::new();
    let vfs = FaultVfs::new(Arc::new(sim.clone()));
    let file = file(&vfs, "a");
    vfs.sync_dir(Path::new(".")).unwrap();
    file.write_all_at(0, b"precious").unwrap();
    vfs.inject(Fault::new(FaultKind::SyncLost));
    assert!(file.sync().is_err());
    vfs.rename(Path::new("a"), Path::new("b")).unwrap();
    vfs.open(Path::new("b"), Access::ReadWrite).unwrap().sync().unwrap();
    vfs.sync_dir(Path::new(".")).unwrap();
    let recording = sim.recording();
    let images = recording.images(recording.len(), CrashProfile::Strict, &base::vfs::ImageBudget::default());
    let contents: Vec<Vec<u8>> = images.map(|image| bytes_below(&image.into_mem(), "b")).collect();
    assert!(contents.contains(&Vec::new()), "nothing was synced");
    assert!(contents.contains(&b"precious".to_vec()), "but it may have been written");

    let (mem, vfs) = faulty();
    vfs.inject(Fault::new(FaultKind::SyncLost));
    assert!(vfs.sync_dir(Path::new(".")).is_err());
    vfs.sync_dir(Path::new(".")).unwrap();
    assert!(mem.snapshot().is_empty());
}

#[test]
fn a_disk_of_limited_size_fills_up_and_empties() {
    let (mem, vfs) = faulty();
    mem.create(Path::new("before")).unwrap().write_all_at(0, &[1; 30]).unwrap();
    vfs.limit_bytes(Some(100));
    let a = file(&vfs, "a");
    assert_eq!(vfs.used_bytes(), 30, "files from before count");
    a.write_all_at(0, &[2; 60]).unwrap();
    let full = a.write_all_at(50, &[3; 40]).unwrap_err();
    assert!(full.is_no_space(), "{full}");
    let mut expected = vec![2; 50];
    expected.resize(70, 3);
    assert_eq!(bytes_below(&mem, "a"), expected, "what fits was written");
    assert_eq!(vfs.used_bytes(), 100);
    a.write_all_at(0, &[4; 70]).unwrap();
    assert!(a.write_all_at(70, b"x").unwrap_err().is_no_space());
    assert!(a.set_len(71).unwrap_err().is_no_space());
    assert!(a.allocate(71).unwrap_err().is_no_space());
    assert_eq!(bytes_below(&mem, "a").len(), 70);
    a.set_len(10).unwrap();
    a.allocate(70).unwrap();
    let b = file(&vfs, "b");
    assert!(b.write_all_at(0, b"x").unwrap_err().is_no_space());
    vfs.rename(Path::new("b"), Path::new("before")).unwrap();
    assert_eq!(vfs.used_bytes(), 70, "the replaced file gives its space back");
    b.write_all_at(0, &[5; 30]).unwrap();
    vfs.remove(Path::new("a")).unwrap();
    assert_eq!(vfs.used_bytes(), 30);
    b.write_all_at(30, &[5; 70]).unwrap();
    assert!(write_atomically(&vfs, Path::new("c"), b"data").unwrap_err().is_no_space());
    vfs.limit_bytes(None);
    write_atomically(&vfs, Path::new("c"), b"data").unwrap();
    assert_eq!(vfs.used_bytes(), 104);
}

#[test]
fn a_hook_sees_each_operation_before_it_happens() {
    let (mem, vfs) = faulty();
    let seen = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&seen);
    vfs.before_each(move |operation, path| {
        if operation == Operation::Create {
            assert!(!mem.exists(path).unwrap());
        }
        counter.fetch_add(1, Ordering::Relaxed);
    });
    script(&vfs).unwrap();
    assert_eq!(seen.load(Ordering::Relaxed), vfs.operations());
}
