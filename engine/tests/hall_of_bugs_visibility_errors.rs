//! Goal: a source that cannot be read is an error, never a gap: a scan is not shown other data, and a compaction does not make the
//! gap durable. Method: build a database with several levels once, then let each single read of tables and value segments fail.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails the test")]

mod common;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use base::Version;
use base::vfs::{Fault, FaultKind, FaultVfs, MemVfs, Operation, Operations, Times};
use common::Harness;
use engine::{Durability, Options, TableAccess};

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

const KINDS: [FaultKind; 3] = [FaultKind::Io, FaultKind::ShortRead, FaultKind::FlippedBit];

fn key(number: u32) -> Vec<u8> {
    format!("key{number:04}").into_bytes()
}

/// Every block is read from its file, so that every read can fail.
fn options() -> Options {
    Options {
        access: TableAccess::Positional,
        base_level_bytes: 1 << 10,
        table_bytes: 1 << 10,
        block_bytes: 256,
        l0_compaction_trigger: 4,
        ..Options::tiny()
    }
}

/// The files of a database with tables in L0 and in several levels, and what it holds. Older values of a key, and values that are
/// deleted, stand below.
fn database() -> (BTreeMap<PathBuf, Vec<u8>>, Pairs) {
    let memory = MemVfs::new();
    let harness = Harness::over(Arc::new(memory.clone()), options());
    let mut random = fastrand::Rng::with_seed(57);
    for number in 0..330_u32 {
        let len = if number % 9 == 0 { 100 } else { 20 };
        let value = (random.u32(..4) > 0).then(|| vec![number as u8; len]);
        harness.commit(&[(&key(random.u32(..70)), value.as_deref())], Durability::Buffered);
        harness.step();
        if number % 30 == 0 {
            harness.flush();
        }
    }
    harness.settle();
    for number in 0..4 {
        harness.set(&key(number * 20), b"newest");
        harness.delete(&key(number * 20 + 7));
        if number % 2 == 1 {
            harness.flush();
        }
    }
    let tables = harness.tables();
    assert!(tables[0] > 1 && tables.iter().filter(|tables| **tables > 0).count() > 2, "{tables:?}");
    assert!(tables.iter().skip(1).any(|tables| *tables > 3), "{tables:?}");
    let expected = harness.dump();
    harness.close();
    (memory.snapshot(), expected)
}

/// The database on a file system whose reads will fail as told, from the `nth` on.
fn opened(
    files: &BTreeMap<PathBuf, Vec<u8>>,
    kind: FaultKind,
    nth: u64,
    times: Times,
) -> (Harness, FaultVfs) {
    let faulty = FaultVfs::new(Arc::new(MemVfs::from_snapshot(files.clone())));
    let harness = Harness::over(Arc::new(faulty.clone()), options());
    let reads = Operations::of(&[Operation::Read, Operation::Map]);
    faulty.inject(Fault::new(kind).on(reads).nth(nth).times(times));
    (harness, faulty)
}

/// rocksdb #11782: the merge of a compaction took an unreadable input for one that had ended. Whichever read of a compaction fails,
/// nothing is lost, and when the disk is well again the compaction is done.
#[test]
fn hb_57_a_compaction_with_an_unreadable_input_changes_nothing() {
    let (files, expected) = database();
    for (first, kind) in (1..).zip(KINDS) {
        let mut failures = 0;
        // Other reads for each kind, so that together they miss none.
        for nth in (first..).step_by(KINDS.len()) {
            let (harness, faulty) = opened(&files, kind, nth, Times::Once);
            harness.engine.request_compaction().unwrap();
            let mut failed = 0;
            for _ in 0..200 {
                match harness.engine.step(&|| harness.retention()) {
                    Ok(engine::Step::Idle) => break,
                    Ok(_) => {}
                    Err(_) => failed += 1,
                }
            }
            let fired = faulty.fired();
            faulty.clear();
            let what = format!("{kind:?} at read {nth}");
            assert_eq!(failed, fired, "{what}: as many steps fail as reads");
            assert_eq!(harness.dump(), expected, "{what}");
            assert!(harness.engine.halted().is_none(), "{what}: reading goes wrong, writing does not");
            let harness = harness.reopen();
            harness.engine.request_compaction().unwrap();
            harness.settle();
            assert_eq!(harness.dump(), expected, "{what}, compacted in the end");
            failures += fired;
            if fired == 0 {
                break;
            }
        }
        assert!(failures > 10, "{failures} failures of {kind:?}");
    }
}

/// A scan in one direction, to its end or its first error, and one call beyond: what it showed, in key order, and if it failed.
fn scan(harness: &Harness, is_forward: bool) -> (Pairs, bool) {
    let mut scan = harness.engine.scan(harness.scan_options(Version::MAX));
    let mut seen = Vec::new();
    let failed = loop {
        let item = if is_forward { scan.next() } else { scan.next_back() };
        match item.and_then(|item| item.map(|item| Ok((item.value()?, item))).transpose()) {
            Ok(None) => break false,
            Ok(Some((value, item))) => seen.push((item.user_key().to_vec(), value.unwrap().to_vec())),
            Err(_) => break true,
        }
    };
    if !is_forward {
        seen.reverse();
    }
    (seen, failed)
}

/// pebble #1115: iterators swallowed errors, so keys were skipped, and deleted keys and older versions showed. Whichever read fails,
/// once or for ever, a scan shows the right items up to its error, and a point read is right or an error.
#[test]
fn hb_58_an_unreadable_source_is_an_error_of_every_read() {
    let (files, expected) = database();
    let live: BTreeMap<_, _> = expected.iter().cloned().collect();
    for (kind, times) in KINDS.into_iter().flat_map(|kind| [(kind, Times::Once), (kind, Times::Forever)]) {
        let mut failures = 0;
        for nth in 1.. {
            let what = format!("{kind:?} {times:?} at read {nth}");
            let mut fired = 0;
            for is_forward in [true, false] {
                let (harness, faulty) = opened(&files, kind, nth, times);
                let (seen, failed) = scan(&harness, is_forward);
                assert_eq!(failed, faulty.fired() > 0, "{what}: the failure shows, forward: {is_forward}");
                let is_part =
                    if is_forward { expected.starts_with(&seen) } else { expected.ends_with(&seen) };
                assert!(is_part && (failed || seen.len() == expected.len()), "{what}, forward: {is_forward}");
                fired += faulty.fired();
            }
            let (harness, faulty) = opened(&files, kind, nth, times);
            for key in (0..70).map(key) {
                let found = harness.engine.get(&key, Version::MAX);
                let value = found.and_then(|found| found.map_or(Ok(None), |found| found.value(&key)));
                if let Ok(value) = value {
                    assert_eq!(
                        value.map(Vec::from),
                        live.get(&key).cloned(),
                        "{what}, {}",
                        key.escape_ascii()
                    );
                }
            }
            fired += faulty.fired();
            failures += fired;
            if fired == 0 {
                break;
            }
        }
        assert!(failures > 50, "{failures} failures of {kind:?}");
    }
}

/// redb #1386: an iterator went on past a page that it could not read. After its first error a scan shows nothing any more, although
/// every read would succeed by then, and from neither end.
#[test]
fn hb_59_a_scan_ends_at_its_first_error() {
    let (files, _) = database();
    let mut failures = 0;
    for is_forward in [true, false] {
        for nth in 1.. {
            let (harness, faulty) = opened(&files, FaultKind::Io, nth, Times::Once);
            let mut scan = harness.engine.scan(harness.scan_options(Version::MAX));
            let failed = loop {
                // Writes make new views, which a scan moves to now and then.
                harness.set(b"other", b"value");
                harness.engine.rotate().unwrap();
                match if is_forward { scan.next() } else { scan.next_back() } {
                    Ok(Some(_)) => {}
                    Ok(None) => break false,
                    Err(_) => break true,
                }
            };
            assert_eq!(failed, faulty.fired() > 0, "read {nth}, forward: {is_forward}");
            for _ in 0..3 {
                let beyond = (scan.next().unwrap(), scan.next_back().unwrap());
                assert!(beyond.0.is_none() && beyond.1.is_none(), "read {nth}, forward: {is_forward}");
            }
            if !failed {
                break;
            }
            failures += 1;
        }
    }
    assert!(failures > 20, "{failures}");
}
