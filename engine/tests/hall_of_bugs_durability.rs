//! Goal: the durability bugs that other engines had do not happen here. Method: for each a short script that plays its
//! story, then every disk that a power cut could have left, or every place where the disk could have failed. Numbers
//! and sources are those of the hall of bugs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails the test")]

mod common;
mod cuts;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use base::header::CONTENT_START;
use base::vfs::{Fault, FaultKind, FaultVfs, MemVfs, Operation, SimVfs, Times};
use base::{Entry, SharedVersion};
use common::Harness;
use cuts::{Disks, Life, check, value};
use engine::{CommitError, Durability, Engine, Options, Step};
use parking_lot::Mutex;

/// A commit whose outcome is of interest.
fn try_commit(engine: &Engine, key: &[u8], value: &[u8]) -> Result<(), CommitError<Infallible>> {
    let prepared = engine.prepare(std::iter::once((key, Entry::inline(value)))).unwrap();
    engine.commit(prepared, Durability::Sync, |_| Ok(())).map(|_| ())
}

/// rocksdb #10560: the log was rotated while it was synced, the retired one was taken for synced, its tail never was. Here a
/// sync reaches every log that holds an earlier commit, wherever rotations fell between.
#[test]
fn hb_16_a_sync_reaches_retired_logs() {
    for rotations in 0_u32..8 {
        for explicit in [false, true] {
            let mut life = Life::new(Options::tiny());
            let from = life.now();
            for round in 0..3 {
                life.small(&format!("small{round}"));
                life.large(&format!("large{round}"));
                if rotations & (1 << round) != 0 {
                    life.rotate();
                    // A spare for the next rotation, nothing else: the frozen logs are not flushed.
                    assert_eq!(life.harness.step(), Step::OpenedGeneration);
                }
            }
            if explicit {
                life.sync();
            } else {
                life.set("last", 20, Durability::Sync);
            }
            let recording = life.sim.recording();
            let mut disks = Disks::new(&recording, from.max(recording.len() - 4));
            while let Some((disk, limits, what)) = disks.next() {
                check(disk, &life.harness.options, &life.states, limits, &format!("{rotations:b} {what}"));
            }
        }
    }
}

/// rocksdb #4990: the sync of a manifest record failed, the files that it listed were deleted, and after the restart the
/// record was there all the same. Here an edit of unknown fate keeps every file that it may list.
#[test]
fn hb_18_files_of_an_edit_of_unknown_fate_are_kept() {
    let mut halts = 0;
    for kind in [FaultKind::Io, FaultKind::SyncLost] {
        for nth in 1.. {
            let memory = MemVfs::new();
            let faulty = FaultVfs::new(Arc::new(memory.clone()));
            let harness = Harness::over(Arc::new(faulty.clone()), Options::tiny());
            let mut committed = BTreeMap::new();
            faulty.inject(Fault::new(kind).on(Operation::Sync).path_ends_with("MANIFEST").nth(nth));
            for number in 0..60_u64 {
                let (key, value) = ((number % 17).to_be_bytes().to_vec(), value(number, 90));
                if try_commit(&harness.engine, &key, &value).is_err() {
                    break;
                }
                committed.insert(key, value);
                if number % 10 == 9 {
                    let _rotated = harness.engine.rotate();
                }
                for _ in 0..3 {
                    let _step = harness.engine.step(&|| harness.retention());
                }
            }
            // Steps go on being asked for after the failure.
            for _ in 0..20 {
                let _step = harness.engine.step(&|| harness.retention());
            }
            halts += usize::from(harness.engine.halted().is_some());
            let fired = faulty.fired();
            drop(harness);
            let harness = Harness::over(Arc::new(memory), Options::tiny());
            let found: BTreeMap<_, _> = harness.dump().into_iter().collect();
            assert_eq!(found, committed, "{kind:?}, sync {nth} of the manifest");
            harness.verify();
            if fired == 0 {
                break;
            }
        }
    }
    assert!(halts > 20, "{halts}");
}

/// The numbers in the names of files that were created since the trace began.
fn created(faulty: &FaultVfs) -> BTreeSet<String> {
    let trace = faulty.take_trace().into_iter();
    let names = trace.filter(|(operation, _)| *operation == Operation::Create);
    let names = names.map(|(_, path)| path.file_name().unwrap().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with('0')).map(|name| name[..6].to_owned()).collect()
}

/// rocksdb #7621: after a failed sync and a crash a file number was given out again, and then an older manifest tail came to
/// light that meant the earlier file. Here no number is used twice, whatever was lost of the files and of the manifest.
#[test]
fn hb_19_no_file_number_is_used_twice() {
    let sim = SimVfs::new();
    let faulty = FaultVfs::new(Arc::new(sim.clone()));
    faulty.start_trace();
    let mut life = Harness::over(Arc::new(faulty.clone()), Options::tiny());
    let from = sim.recording().len();
    for number in 0..40_u64 {
        life.commit(&[(&number.to_be_bytes(), Some(&value(number, 100)))], Durability::Buffered);
        if number % 8 == 7 {
            life.flush();
        }
        if number == 20 {
            life = life.reopen();
        }
    }
    let first_life = created(&faulty);
    assert!(first_life.len() > 15, "{}", first_life.len());
    // What a cut left of files that were created later is of no interest: their numbers were not used yet.
    let recording = sim.recording();
    let mut used_by = vec![BTreeSet::new(); recording.len() + 1];
    for k in 0..recording.len() {
        let mut used = used_by[k].clone();
        let described = recording.describe(k);
        if let Some(name) = described.split("create /db/").nth(1).filter(|name| name.starts_with('0')) {
            used.insert(name[..6].to_owned());
        }
        used_by[k + 1] = used;
    }
    for (k, used) in used_by.iter().enumerate().skip(from) {
        let mut disks = Disks::new(&recording, k);
        // Only the cut right after operation k: the most that can be lost of it.
        for _ in 0..12 {
            let Some((disk, _, what)) = disks.next() else { break };
            let faulty = FaultVfs::new(Arc::new(disk));
            faulty.start_trace();
            let second = Harness::over(Arc::new(faulty.clone()), Options::tiny());
            second.commit(&[(b"second", Some(b"life"))], Durability::Sync);
            second.flush();
            let twice: Vec<_> = created(&faulty).intersection(used).cloned().collect();
            assert!(twice.is_empty(), "{twice:?} again, {what}");
        }
    }
}

/// rocksdb #12489: a newer log was on disk before an older one, and recovery jumped the hole. Here what follows a hole is not
/// applied, neither from the same log nor from a later one.
#[test]
fn hb_22_recovery_never_jumps_a_hole() {
    let memory = MemVfs::new();
    let harness = Harness::over(Arc::new(memory.clone()), Options::tiny());
    let logs = |memory: &MemVfs| -> BTreeSet<PathBuf> {
        let is_log = |path: &PathBuf| path.extension().is_some_and(|extension| extension != "sst");
        memory.snapshot().into_keys().filter(is_log).collect()
    };
    for number in 0..3_u8 {
        harness.commit(&[(&[b'a', number], Some(&[number; 20]))], Durability::Buffered);
    }
    let older = logs(&memory);
    assert_eq!(harness.step(), Step::OpenedGeneration);
    assert!(harness.engine.rotate().unwrap());
    harness.commit(&[(b"b", Some(&[9; 20]))], Durability::Buffered);
    harness.commit(&[(b"c", Some(&[9; 200]))], Durability::Buffered);
    drop(harness);
    let whole = memory.snapshot();
    for kept in 0..=3_usize {
        let mut files = whole.clone();
        for (_, data) in files.iter_mut().filter(|(path, _)| older.contains(*path)) {
            // A wal of three commits of equal length; what was never written reads as zeros.
            let written = data.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            let start = CONTENT_START as usize;
            let each = written.saturating_sub(start).div_ceil(3);
            data[(start + each * kept).min(written.max(start))..].fill(0);
        }
        let harness = Harness::over(Arc::new(MemVfs::from_snapshot(files)), Options::tiny());
        let found: Vec<_> = harness.dump().into_iter().map(|(key, _)| key).collect();
        let mut expected: Vec<Vec<u8>> = (0..kept as u8).map(|number| vec![b'a', number]).collect();
        if kept == 3 {
            expected.extend([b"b".to_vec(), b"c".to_vec()]);
        }
        assert_eq!(found, expected, "{kept} commits of the older log kept");
    }
}

/// rocksdb #14780: recovery wrote the manifest edit before the directory of the table it names was synced. Here a power cut
/// at any operation of an open loses nothing that the open found, or had shown.
#[test]
fn hb_23_recovery_syncs_names_before_it_lists_them() {
    let mut life = Life::new(Options::tiny());
    for number in 0..6 {
        life.small(&format!("small{number}"));
        life.large(&format!("large{number}"));
    }
    life.sync();
    let from = life.now();
    let life = life.reopen();
    assert!(life.harness.engine.recovery_report().tables_written > 0);
    assert!(life.cut_from(from) > 50);
}

/// badger #1625: a table was relied on that had never been synced. Here what a flush has installed survives, although its
/// logs are gone.
#[test]
fn hb_30_a_flushed_table_is_on_disk() {
    let mut life = Life::new(Options::tiny());
    let from = life.now();
    for round in 0..2 {
        for number in 0..8 {
            life.small(&format!("small{number}"));
            life.large(&format!("large{round}{number}"));
        }
        life.flush();
        life.harness.settle();
    }
    assert!(life.cut_from(from) > 100);
}

/// badger #1847: `Sync()` did not reach the log of the active memtable. Here what was acknowledged before a sync survives.
#[test]
fn hb_34_an_explicit_sync_reaches_the_active_logs() {
    for kinds in [&["small"][..], &["large"], &["small", "large"], &["large", "small"]] {
        let mut life = Life::new(Options::tiny());
        let from = life.now();
        for kind in kinds {
            life.set(kind, if *kind == "small" { 20 } else { 300 }, Durability::Buffered);
        }
        life.sync();
        life.cut_from(from);
    }
}

/// badger #1916: subscribers were told of a commit before it was in the log. There are no subscribers here, but what they
/// would hang on to is the visible version: it must not move before the write, nor, for a durable commit, before the sync.
#[test]
fn hb_35_nothing_is_visible_before_it_is_logged() {
    let faulty = FaultVfs::new(Arc::new(MemVfs::new()));
    let harness = Harness::over(Arc::new(faulty.clone()), Options::tiny());
    let visible: Arc<SharedVersion> = Arc::clone(harness.engine.visible());
    let seen: Arc<Mutex<Vec<(Operation, u64)>>> = Arc::default();
    let told = Arc::clone(&seen);
    faulty.before_each(move |operation, _| told.lock().push((operation, visible.load().0)));
    for (number, len) in [(1, 20), (2, 200), (3, 20)] {
        let before = harness.engine.visible().load().0;
        seen.lock().clear();
        let version = harness.set(b"key", &value(number, len)).0;
        assert_eq!(version, before + 1);
        let operations = std::mem::take(&mut *seen.lock());
        for wanted in [Operation::Write, Operation::Sync] {
            assert!(operations.iter().any(|(operation, _)| *operation == wanted), "{wanted:?}");
        }
        assert!(operations.iter().all(|(_, visible)| *visible == before), "{operations:?}");
    }
}

/// badger #1090: garbage collection removed log entries whose table was in memory only. Here logs go, and value logs become
/// segments, only when an edit on disk says so; and without that edit they stay.
#[test]
fn hb_36_a_log_goes_only_after_what_replaces_it_is_listed() {
    let mut life = Life::new(Options::tiny());
    let from = life.now();
    for number in 0..4 {
        life.small(&format!("small{number}"));
        life.large(&format!("large{number}"));
    }
    life.sync();
    life.flush();
    life.harness.settle();
    assert!(life.cut_from(from) > 50);

    // The disk has no room for the edit: the tables are written in vain, the logs are all there is.
    let memory = MemVfs::new();
    let faulty = FaultVfs::new(Arc::new(memory.clone()));
    let harness = Harness::over(Arc::new(faulty.clone()), Options::tiny());
    harness.set(b"small", b"value");
    harness.set(b"large", &[7; 300]);
    harness.settle();
    assert!(harness.engine.rotate().unwrap());
    faulty.inject(
        Fault::new(FaultKind::NoSpace)
            .on(Operation::Allocate)
            .path_ends_with("MANIFEST")
            .times(Times::Forever),
    );
    for _ in 0..20 {
        let _no_room = harness.engine.step(&|| harness.retention());
    }
    let harness = Harness::over(Arc::new(MemVfs::from_snapshot(memory.snapshot())), Options::tiny());
    assert_eq!(harness.get(b"small"), Some(b"value".to_vec()));
    assert_eq!(harness.get(b"large"), Some(vec![7; 300]));
}

/// surrealkv #390: no sync after a compaction, so that the manifest listed an empty table. Here the outputs of a compaction,
/// file and name, are on disk before their inputs go.
#[test]
fn hb_39_compaction_outputs_are_on_disk() {
    let mut life = Life::new(Options::tiny());
    for round in 0..2 {
        for number in 0..10 {
            life.small(&format!("small{number}"));
            life.large(&format!("large{round}{number}"));
        }
        life.flush();
    }
    let from = life.now();
    life.harness.settle();
    assert!(life.harness.engine.stats().compactions > 0);
    assert!(life.cut_from(from) > 20);
}

/// leveldb #195, #189, #193: an unlink may reach the disk before a rename; the first manifest was not synced; an old log was
/// not synced when a new one was begun. Here a cut anywhere in the life of a new database, its second open included, leaves a
/// database that opens.
#[test]
fn hb_40_a_new_database_survives_a_cut_at_any_moment() {
    let mut life = Life::new(Options::tiny());
    life.set("first", 20, Durability::Sync);
    life.small("second");
    life.rotate();
    life.large("third");
    let mut life = life.reopen();
    life.set("fourth", 20, Durability::Sync);
    assert!(life.cut_from(0) > 100);
}

/// fjall #304: the error of a journal write was assigned to `_`, and a later sync reported durability. Here a failed write is
/// told to the commit, and everything after it is refused.
#[test]
fn hb_42_no_write_error_is_swallowed() {
    for kind in [FaultKind::Io, FaultKind::NoSpace, FaultKind::ShortWrite, FaultKind::TornNoSpace] {
        for (suffix, len) in [(".wal", 20), (".vlog", 200)] {
            let memory = MemVfs::new();
            let faulty = FaultVfs::new(Arc::new(memory.clone()));
            let harness = Harness::over(Arc::new(faulty.clone()), Options::tiny());
            harness.set(b"before", &value(1, len));
            faulty.inject(Fault::new(kind).on(Operation::Write).path_ends_with(suffix));
            let failed = try_commit(&harness.engine, b"failed", &value(2, len));
            assert!(matches!(failed, Err(CommitError::Unknown(_))), "{kind:?}: {failed:?}");
            harness.engine.sync().unwrap_err();
            let refused = try_commit(&harness.engine, b"after", &value(3, len));
            assert!(matches!(refused, Err(CommitError::NotWritten(_))), "{kind:?}: {refused:?}");
            assert_eq!(harness.get(b"before"), Some(value(1, len)), "reads go on");
            assert_eq!(harness.get(b"failed"), None);
            drop(harness);
            let harness = Harness::over(Arc::new(memory), Options::tiny());
            assert_eq!(harness.get(b"before"), Some(value(1, len)), "{kind:?}");
            assert_eq!(harness.get(b"after"), None);
        }
    }
}

/// redb #836, #1177: after a passing error a clean end of the process wrote "all is well" over a broken state. Here a close
/// after any failure refuses to seal, and the next open recovers.
#[test]
fn hb_46_a_failure_is_never_closed_over() {
    let mut seals = 0;
    for operation in [Operation::Write, Operation::Sync] {
        for suffix in [".wal", ".vlog", ".sst", "MANIFEST"] {
            let memory = MemVfs::new();
            let faulty = FaultVfs::new(Arc::new(memory.clone()));
            let harness = Harness::over(Arc::new(faulty.clone()), Options::tiny());
            harness.set(b"small", b"value");
            harness.set(b"large", &[7; 300]);
            faulty.inject(Fault::new(FaultKind::Io).on(operation).path_ends_with(suffix));
            let unknown = [(b"one", 20), (b"two", 300)]
                .map(|(key, len)| try_commit(&harness.engine, key, &value(1, len)).is_err());
            for _ in 0..3 {
                let _failed = harness.engine.rotate();
                let _failed = harness.engine.step(&|| harness.retention());
            }
            harness.engine.stop_commits();
            let is_whole = harness.engine.halted().is_none();
            let closed = harness.engine.finish_close();
            assert!(closed.is_err(), "{operation:?} of {suffix}: halted {}", !is_whole);
            seals += usize::from(faulty.fired() > 0);
            drop(harness);
            let harness = Harness::over(Arc::new(memory), Options::tiny());
            assert!(!harness.engine.recovery_report().clean, "{operation:?} of {suffix}");
            assert_eq!(harness.get(b"small"), Some(b"value".to_vec()));
            assert_eq!(harness.get(b"large"), Some(vec![7; 300]));
            for (key, (len, failed)) in [b"one", b"two"].into_iter().zip([20, 300].into_iter().zip(unknown)) {
                let found = harness.get(key);
                assert!(found == Some(value(1, len)) || (failed && found.is_none()), "{suffix}");
            }
            harness.verify();
        }
    }
    assert_eq!(seals, 8);
}

/// The same when nothing but background work has failed, and every memtable is empty.
#[test]
fn hb_46_a_failed_compaction_is_not_closed_over() {
    for (operation, suffix) in
        [(Operation::Write, ".sst"), (Operation::Sync, ".sst"), (Operation::Sync, "MANIFEST")]
    {
        let memory = MemVfs::new();
        let faulty = FaultVfs::new(Arc::new(memory.clone()));
        let harness = Harness::over(Arc::new(faulty.clone()), Options::tiny());
        for round in 0..2 {
            harness.set(b"small", &value(round, 20));
            harness.set(b"large", &value(round, 300));
            harness.flush();
        }
        faulty.inject(Fault::new(FaultKind::Io).on(operation).path_ends_with(suffix));
        while harness.engine.step(&|| harness.retention()).is_ok() {}
        harness.engine.stop_commits();
        let refused = harness.engine.finish_close();
        assert!(matches!(refused, Err(base::Error::Halted { .. })), "{operation:?} of {suffix}: {refused:?}");
        drop(harness);
        let harness = Harness::over(Arc::new(memory), Options::tiny());
        assert_eq!(harness.engine.recovery_report().commits_replayed, 0);
        assert!(harness.engine.recovery_report().generations > 0, "it was not closed");
        assert_eq!(harness.get(b"small"), Some(value(1, 20)));
        assert_eq!(harness.get(b"large"), Some(value(1, 300)));
        harness.verify();
    }
}

/// The same from the other side: a close that comes before the flush, frozen memtables or an active one, is refused.
#[test]
fn hb_46_a_close_never_retires_what_is_not_in_tables() {
    for rotations in [0, 1] {
        let harness = Harness::new(Options::tiny());
        harness.set(b"small", b"value");
        harness.settle();
        for _ in 0..rotations {
            assert!(harness.engine.rotate().unwrap());
        }
        harness.engine.stop_commits();
        harness.engine.finish_close().unwrap_err();
        let harness = harness.reopen();
        assert_eq!(harness.get(b"small"), Some(b"value".to_vec()));
        harness.close();
        assert!(harness.reopen().engine.recovery_report().clean);
    }
}

/// redb fd82cedb: a header was on disk, the growth of its file was not, and the database did not open. Here what an edit
/// lists has its length on disk too.
#[test]
fn hb_48_lengths_are_on_disk_before_a_file_is_listed() {
    let mut life = Life::new(Options::tiny());
    let from = life.now();
    for round in 0..3 {
        life.large(&format!("large{round}"));
        life.rotate();
        assert_eq!(life.harness.step(), Step::OpenedGeneration);
    }
    assert!(life.cut_from(from) > 50);
}
