//! Goal: what ends badly ends well: a directory that is let go is not written to any more, and an open that finds no space leaves
//! no more behind than it found.
//! Method: a faulty file system holds a write up, or limits the bytes of all files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails the test")]
#![allow(clippy::disallowed_methods, reason = "a test starts threads of its own")]

mod common;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base::Entry;
use base::clock::ManualClock;
use base::vfs::{Fault, FaultKind, FaultVfs, MemVfs, Operation, Vfs};
use common::{Harness, open};
use engine::{Durability, Engine, Options};

fn commit(engine: &Engine, key: &[u8]) -> bool {
    let prepared = engine.prepare(std::iter::once((key, Entry::inline(b"value")))).unwrap();
    engine.commit(prepared, Durability::Sync, |_| Ok::<(), Infallible>(())).is_ok()
}

/// After a halt nobody waits for the queue, so a group may still be on its way to its log when the directory is let go.
#[test]
fn the_directory_is_let_go_only_after_the_last_write() {
    let faulty = FaultVfs::new(Arc::new(MemVfs::new()));
    let harness = Harness::over(Arc::new(faulty.clone()), Options::tiny());
    assert!(commit(&harness.engine, b"early"));
    let (held_up, go_on) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (seen, may_go) = (Arc::clone(&held_up), Arc::clone(&go_on));
    faulty.before_each(move |operation, path| {
        let is_first_log = path.ends_with("000001.wal");
        if operation == Operation::Write && is_first_log && !may_go.load(Ordering::SeqCst) {
            seen.store(true, Ordering::SeqCst);
            while !may_go.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    });
    let engine = harness.engine.clone();
    let writer = std::thread::spawn(move || commit(&engine, b"late"));
    while !held_up.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(1));
    }
    faulty.inject(Fault::new(FaultKind::Io).on(Operation::Sync).path_ends_with(".vlog"));
    harness.engine.step(&|| harness.retention()).unwrap_err();
    assert!(harness.engine.halted().is_some());
    let engine = harness.engine.clone();
    let (vfs, clock, options) =
        (Arc::clone(&harness.vfs), Arc::clone(&harness.clock), harness.options.clone());
    let opener = std::thread::spawn(move || {
        engine.stop_commits();
        engine.sync().unwrap_err();
        engine.release_lock();
        let reopened = open(&vfs, &clock, &options).unwrap();
        reopened.get(b"late", reopened.visible().load()).unwrap().is_some()
    });
    std::thread::sleep(Duration::from_millis(100));
    go_on.store(true, Ordering::SeqCst);
    let is_acknowledged = writer.join().unwrap();
    let is_there = opener.join().unwrap();
    assert!(is_there || !is_acknowledged, "an acknowledged commit is lost");
}

/// Each attempt would take what the last one has left, and the space that is freed for it.
#[test]
fn an_open_without_space_leaves_nothing_behind() {
    let memory = MemVfs::new();
    let options = Options::tiny();
    let harness = Harness::over(Arc::new(memory.clone()), options.clone());
    for number in 0..400_u32 {
        let len = if number % 3 == 0 { 200 } else { 40 };
        harness.commit(&[(&number.to_be_bytes(), Some(&vec![number as u8; len]))], Durability::Buffered);
    }
    drop(harness);
    let clock = Arc::new(ManualClock::new(base::UnixSeconds(1_000)));
    let numbered = |memory: &MemVfs| {
        let names = memory.list(std::path::Path::new(common::DIRECTORY)).unwrap();
        names.into_iter().filter(|name| name.contains('.')).collect::<std::collections::BTreeSet<_>>()
    };
    let before = numbered(&memory);
    let mut refusals = 0;
    for room in (1_000_u64..).step_by(7_000) {
        let faulty = FaultVfs::new(Arc::new(memory.clone()));
        let _names = faulty.list(std::path::Path::new(common::DIRECTORY)).unwrap();
        faulty.limit_bytes(Some(faulty.used_bytes() + room));
        let vfs: Arc<dyn Vfs> = Arc::new(faulty);
        match open(&vfs, &clock, &options) {
            Ok(engine) => {
                let at = engine.visible().load();
                assert!((0..400_u32).all(|number| engine.get(&number.to_be_bytes(), at).unwrap().is_some()));
                break;
            }
            Err(error) => {
                assert!(error.is_no_space(), "{error}");
                assert_eq!(numbered(&memory), before, "with {room} bytes of room");
                refusals += 1;
            }
        }
    }
    assert!(refusals > 3, "{refusals}");
}

/// A recovered value log keeps only its sealed part; the space behind is given back by a later open, when the first one could not
/// do it.
#[test]
fn space_behind_a_recovered_value_log_is_given_back_after_a_second_crash() {
    let memory = MemVfs::new();
    let harness = Harness::over(Arc::new(memory.clone()), Options::tiny());
    harness.set(b"large", &[7; 300]);
    // The first commit's mark is in the second one: its values stay where they are.
    harness.set(b"larger", &[8; 300]);
    drop(harness);
    let clock = Arc::new(ManualClock::new(base::UnixSeconds(1_000)));
    let faulty = FaultVfs::new(Arc::new(memory.clone()));
    faulty.inject(Fault::new(FaultKind::Io).on(Operation::SetLen).path_ends_with(".vlog"));
    let vfs: Arc<dyn Vfs> = Arc::new(faulty.clone());
    let engine = open(&vfs, &clock, &Options::tiny()).unwrap();
    assert_eq!(faulty.fired(), 1);
    assert!(engine.get(b"large", engine.visible().load()).unwrap().is_some());
    drop(engine);
    let engine = open(&vfs, &clock, &Options::tiny()).unwrap();
    let sealed = engine.stats().segments;
    assert!(!sealed.is_empty());
    for segment in sealed {
        let path = std::path::Path::new(common::DIRECTORY).join(format!("{:06}.vlog", segment.number));
        assert_eq!(memory.snapshot()[&path].len() as u64, segment.bytes, "{}", path.display());
    }
}

/// A process that is out of file descriptors has lost nothing: writing goes on when there are some again.
#[test]
fn a_file_that_cannot_be_created_now_is_created_later() {
    let faulty = FaultVfs::new(Arc::new(MemVfs::new()));
    let harness = Harness::over(Arc::new(faulty.clone()), Options::tiny());
    // The first commit opens the first memtable; only then is there one to come next.
    assert!(commit(&harness.engine, b".sst"));
    harness.settle();
    for suffix in [".sst", ".wal", ".vlog"] {
        assert!(commit(&harness.engine, suffix.as_bytes()));
        assert!(harness.engine.rotate().unwrap());
        faulty.inject(Fault::new(FaultKind::TooManyFiles).on(Operation::Create).path_ends_with(suffix));
        let error = loop {
            if let Err(error) = harness.engine.step(&|| harness.retention()) {
                break error;
            }
        };
        assert!(error.to_string().contains("too many open files"), "{suffix}: {error}");
        assert!(harness.engine.halted().is_none(), "{suffix}: {:?}", harness.engine.halted());
        harness.settle();
        assert!(!harness.engine.has_frozen(), "{suffix}");
    }
    assert_eq!(harness.dump().len(), 3);
    harness.verify();
    assert_eq!(harness.reopen().dump().len(), 3);
}
