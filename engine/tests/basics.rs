//! Goal: each part of the life of a commit works by itself. Method: small hand-made histories.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails the test")]

mod common;

use common::Harness;
use engine::{Durability, Options, Step};

#[test]
fn commits_are_read_back_before_and_after_flush_and_reopen() {
    let harness = Harness::new(Options::tiny());
    harness.set(b"a", b"1");
    harness.set(b"b", &[7; 500]);
    harness.delete(b"a");
    assert_eq!((harness.get(b"a"), harness.get(b"b")), (None, Some(vec![7; 500])));
    harness.flush();
    assert_eq!((harness.get(b"a"), harness.get(b"b")), (None, Some(vec![7; 500])));
    let harness = harness.reopen();
    assert_eq!((harness.get(b"a"), harness.get(b"b")), (None, Some(vec![7; 500])));
    harness.set(b"c", b"3");
    let harness = harness.close_and_reopen();
    assert!(harness.engine.recovery_report().clean);
    assert_eq!(harness.dump(), [(b"b".to_vec(), vec![7; 500]), (b"c".to_vec(), b"3".to_vec())]);
    harness.verify();
}

#[test]
fn a_clean_close_leaves_no_logs_and_no_strays() {
    let harness = Harness::new(Options::tiny());
    for index in 0..200u32 {
        harness.set(&index.to_be_bytes(), &[index as u8; 100]);
        harness.step();
    }
    harness.settle();
    harness.close();
    let names = harness.files();
    assert!(names.iter().all(|name| !name.ends_with(".wal") && !name.ends_with(".tmp")), "{names:?}");
    let stats = harness.engine.stats();
    let tables: usize = stats.levels.iter().map(|level| level.tables).sum();
    assert_eq!(names.iter().filter(|name| name.ends_with(".sst")).count(), tables, "{names:?}");
    assert_eq!(
        names.iter().filter(|name| name.ends_with(".vlog")).count(),
        stats.segments.len(),
        "{names:?}"
    );
}

#[test]
fn segments_without_a_living_value_are_removed() {
    let harness = Harness::new(Options::tiny());
    for round in 0..6u8 {
        for index in 0..20u32 {
            harness.set(&index.to_be_bytes(), &[round; 600]);
        }
        harness.flush();
        harness.settle();
    }
    for index in 0..20u32 {
        harness.delete(&index.to_be_bytes());
    }
    harness.flush();
    harness.engine.request_compaction().unwrap();
    harness.settle();
    let stats = harness.engine.stats();
    assert_eq!(stats.segments, [], "every value was deleted");
    assert_eq!(stats.levels.iter().map(|level| level.entries).sum::<u64>(), 0);
    assert_eq!(harness.files().iter().filter(|name| name.ends_with(".vlog")).count(), stats.logs / 2);
    harness.verify();
}

#[test]
fn a_commit_larger_than_the_memtable_works() {
    let harness = Harness::new(Options::tiny());
    let keys: Vec<[u8; 4]> = (0..3_000u32).map(u32::to_be_bytes).collect();
    let writes: Vec<(&[u8], Option<&[u8]>)> =
        keys.iter().map(|key| (&key[..], Some(&b"value"[..]))).collect();
    harness.commit(&writes, Durability::Buffered);
    assert_eq!(harness.dump().len(), 3_000);
    harness.settle();
    let harness = harness.reopen();
    assert_eq!(harness.dump().len(), 3_000);
    harness.verify();
}

#[test]
fn a_step_with_nothing_to_do_says_so() {
    let harness = Harness::new(Options::tiny());
    harness.settle();
    assert_eq!(harness.step(), Step::Idle);
}

#[test]
fn commits_never_wait_for_memory_that_no_step_frees() {
    let harness = Harness::new(Options::tiny());
    let big = [1u8; 60];
    let keys: Vec<[u8; 4]> = (0..3_000u32).map(u32::to_be_bytes).collect();
    let writes: Vec<(&[u8], Option<&[u8]>)> = keys.iter().map(|key| (&key[..], Some(&big[..]))).collect();
    harness.commit(&writes, Durability::Buffered);
    assert_eq!(harness.engine.pressure(), engine::Pressure::Stop, "all memory is in the active memtable");
    harness.settle();
    assert_eq!(harness.engine.pressure(), engine::Pressure::None);
}

#[test]
fn verify_while_compactions_come_and_go_finds_nothing() {
    let harness = Harness::new(Options::tiny());
    for round in 0..60u8 {
        for index in 0..12u32 {
            harness.set(&index.to_be_bytes(), &[round; 300]);
        }
        // Steps run while the check is under way: the progress callback does them.
        let verified = harness
            .engine
            .verify(&mut |_, _| {
                harness.step();
            })
            .unwrap();
        assert!(verified.is_clean(), "{:?}", verified.findings);
    }
}

#[test]
fn damage_of_one_block_is_one_finding() {
    let memory = base::vfs::MemVfs::new();
    let harness = Harness::over(std::sync::Arc::new(memory.clone()), Options::tiny());
    for index in 0..40u32 {
        harness.set(&index.to_be_bytes(), &[7; 30]);
    }
    harness.close();
    let mut files = memory.snapshot();
    let (_, table) =
        files.iter_mut().find(|(path, _)| path.extension().is_some_and(|it| it == "sst")).unwrap();
    table[100] ^= 4;
    let damaged = std::sync::Arc::new(base::vfs::MemVfs::from_snapshot(files));
    let harness = Harness::over(damaged, Options::tiny());
    let verified = harness.engine.verify(&mut |_, _| {}).unwrap();
    assert_eq!(verified.findings.len(), 1, "{:?}", verified.findings);
    assert!(harness.engine.get(&0u32.to_be_bytes(), base::Version::MAX).unwrap_err().is_corruption());
}

/// Goal: what is not in tables yet is verified as well. Method: harm a durable value in a log, which opening for reading
/// does not look at.
#[test]
fn a_damaged_value_of_a_log_is_a_finding() {
    let memory = base::vfs::MemVfs::new();
    let harness = Harness::over(std::sync::Arc::new(memory.clone()), Options::tiny());
    harness.set(b"large", &[7; 500]);
    harness.set(b"after", b"it");
    drop(harness);
    let mut files = memory.snapshot();
    let logs = files.iter_mut().filter(|(path, _)| path.extension().is_some_and(|it| it == "vlog"));
    let (_, log) = logs.max_by_key(|(_, data)| data.iter().filter(|byte| **byte != 0).count()).unwrap();
    log[64 + 48 + 10] ^= 4;
    let vfs: std::sync::Arc<dyn base::vfs::Vfs> =
        std::sync::Arc::new(base::vfs::MemVfs::from_snapshot(files));
    let clock = std::sync::Arc::new(base::clock::ManualClock::new(base::UnixSeconds(1_000)));
    let environment = engine::Environment { vfs, clock };
    let directory = std::path::Path::new(common::DIRECTORY);
    let reader = engine::Engine::open_read_only(directory, Options::tiny(), environment).unwrap();
    assert!(reader.get(b"large", base::Version::MAX).unwrap().unwrap().value(b"large").is_err());
    let verified = reader.verify(&mut |_, _| {}).unwrap();
    assert_eq!(verified.findings.len(), 1, "{:?}", verified.findings);
}

/// Goal: a file that somebody put there does not use up the numbers. Method: the highest names there are, in a directory
/// that goes on to be written.
#[test]
fn a_stray_file_with_a_high_number_does_no_harm() {
    for number in [u64::MAX, u64::MAX / 2, u64::MAX / 2 - 7, u64::MAX / 4] {
        let memory = base::vfs::MemVfs::new();
        let harness = Harness::over(std::sync::Arc::new(memory.clone()), Options::tiny());
        harness.set(b"a", b"1");
        drop(harness);
        let mut files = memory.snapshot();
        files.insert(std::path::Path::new(common::DIRECTORY).join(format!("{number}.sst")), vec![1]);
        let memory = base::vfs::MemVfs::from_snapshot(files);
        let harness = Harness::over(std::sync::Arc::new(memory), Options::tiny());
        for index in 0..60u8 {
            harness.set(&[index], &[7; 100]);
        }
        harness.flush();
        harness.settle();
        let harness = harness.close_and_reopen();
        assert_eq!((harness.get(b"a"), harness.dump().len()), (Some(b"1".to_vec()), 61), "{number}");
    }
}
