//! Goal: `FaultVfs` fails exactly what it was told to fail, in the way it was told, and nothing else. Method: scripts on
//! a file system in memory, with the files below looked at directly.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::vfs::{
    Access, Fault, FaultKind, FaultVfs, File, LockKind, MemVfs, Operation, Operations, SimVfs, Times, Vfs,
    write_atomically,
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
            let vfs = FaultVfs::new(Arc::new(SimVfs::new()));
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
                // A late failure is reported by the next sync, which this script does not have.
                (FaultKind::FlippedBit | FaultKind::SyncLate, outcome) => outcome.unwrap().unwrap(),
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
            FaultKind::ShortWrite | FaultKind::TornNoSpace | FaultKind::SyncReverted => 1,
            FaultKind::ShortRead | FaultKind::FlippedBit | FaultKind::SyncLost | FaultKind::SyncLate => 2,
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

#[test]
fn a_disk_of_limited_size_fills_up_and_empties() {
    let (mem, vfs) = faulty();
    mem.create(Path::new("before")).unwrap().write_all_at(0, &[1; 700]).unwrap();
    vfs.limit_bytes(Some(5 * 512 + 511));
    let a = file(&vfs, "a");
    assert_eq!(vfs.used_bytes(), 1024, "files from before count, in whole blocks");
    a.write_all_at(0, &[2; 600]).unwrap();
    assert_eq!(vfs.used_bytes(), 2048);
    let full = a.write_all_at(500, &[3; 2000]).unwrap_err();
    assert!(full.is_no_space(), "{full}");
    let mut expected = vec![2; 500];
    expected.resize(3 * 512, 3);
    assert_eq!(bytes_below(&mem, "a"), expected, "what fits was written");
    assert_eq!(vfs.used_bytes(), 2560);
    a.write_all_at(0, &[4; 3 * 512]).unwrap();
    assert!(a.write_all_at(3 * 512, b"x").unwrap_err().is_no_space());
    assert!(a.allocate(3 * 512 + 1).unwrap_err().is_no_space());
    assert_eq!(bytes_below(&mem, "a").len(), 3 * 512);
    let b = file(&vfs, "b");
    assert!(b.write_all_at(0, b"x").unwrap_err().is_no_space());
    a.set_len(513).unwrap();
    assert_eq!(vfs.used_bytes(), 2048, "what was cut off is free");
    b.write_all_at(0, b"x").unwrap();
    assert!(write_atomically(&vfs, Path::new("c"), b"data").unwrap_err().is_no_space());
    assert!(!vfs.exists(Path::new("c")).unwrap());
    vfs.rename(Path::new("b"), Path::new("before")).unwrap();
    assert_eq!(vfs.used_bytes(), 1536, "the replaced file gives its space back");
    write_atomically(&vfs, Path::new("c"), b"data").unwrap();
    vfs.limit_bytes(None);
    b.write_all_at(0, &[5; 5120]).unwrap();
    assert_eq!(vfs.used_bytes(), 1024 + 5120 + 512);
}

#[test]
fn a_length_takes_no_space_and_an_allocation_does() {
    let (_, vfs) = faulty();
    vfs.limit_bytes(Some(2048));
    let sparse = file(&vfs, "sparse");
    sparse.set_len(1 << 20).unwrap();
    assert_eq!(vfs.used_bytes(), 0);
    sparse.write_all_at(1 << 19, &[1; 512]).unwrap();
    assert_eq!(vfs.used_bytes(), 512, "a hole takes nothing");
    let allocated = file(&vfs, "allocated");
    allocated.allocate(1536).unwrap();
    assert_eq!(vfs.used_bytes(), 2048);
    assert!(sparse.write_all_at(0, b"x").unwrap_err().is_no_space());
    allocated.write_all_at(0, &[1; 1536]).unwrap();
    sparse.set_len(1 << 19).unwrap();
    assert_eq!(vfs.used_bytes(), 1536);
}

#[test]
fn a_removed_file_gives_its_space_back_with_its_last_user() {
    let (_, vfs) = faulty();
    let writer = file(&vfs, "a");
    writer.write_all_at(0, &[1; 2000]).unwrap();
    let reader = vfs.open(Path::new("a"), Access::Read).unwrap();
    let map = reader.map().unwrap();
    vfs.remove(Path::new("a")).unwrap();
    drop(writer);
    assert_eq!(vfs.used_bytes(), 2048, "a handle is left");
    let other = file(&vfs, "a");
    other.write_all_at(0, b"x").unwrap();
    drop(reader);
    assert_eq!(vfs.used_bytes(), 2048 + 512, "a map is left");
    let part = map.slice(..10);
    drop(map);
    assert_eq!(vfs.used_bytes(), 2048 + 512);
    drop(part);
    assert_eq!(vfs.used_bytes(), 512);
    drop(other);
    assert_eq!(vfs.used_bytes(), 512, "what has a name stays");
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
