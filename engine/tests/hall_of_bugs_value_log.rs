//! Goal: the value log bugs that other engines had do not happen here, as far as there is garbage collection: values are copied by
//! recovery, and segments go when their last reference goes. Method: the story of each on a small database. Numbers and sources
//! are those of the hall of bugs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails the test")]

mod common;
mod cuts;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use base::vfs::MemVfs;
use base::{Entry, UnixSeconds};
use common::{DIRECTORY, Harness};
use cuts::{Life, value};
use engine::{Durability, Options, ScanOptions};

/// What is stored beside a value: meta byte, expiry, whether it hides what is older.
type Meta = (u8, Option<UnixSeconds>, bool);

/// Every version with what is stored beside it, newest first per key.
fn all_versions(harness: &Harness) -> Vec<(Vec<u8>, Meta, Vec<u8>)> {
    let at = harness.engine.visible().load();
    let mut scan = harness.engine.scan(ScanOptions { all_versions: true, ..harness.scan_options(at) });
    let mut all = Vec::new();
    while let Some(item) = scan.next().unwrap() {
        let meta = (item.user_meta(), item.expires_at(), item.hides_older());
        let value = item.value().unwrap().map_or_else(Vec::new, |value| value.to_vec());
        all.push((item.user_key().to_vec(), meta, value));
    }
    all
}

/// badger #1006, #1619: copying a value lost its time to live, or its mark that older versions are to go. Here whatever copies
/// values or entries (recovery, flush, compaction) keeps every bit that is stored beside them.
#[test]
fn hb_72_copies_keep_every_bit_beside_the_value() {
    let options = Options { keep_versions: NonZeroU32::new(100).unwrap(), ..Options::tiny() };
    let mut harness = Harness::new(options);
    let mut expected = Vec::new();
    let metas = [0_u8, 1, 255].into_iter().flat_map(|user_meta| {
        [None, Some(UnixSeconds(2_000)), Some(UnixSeconds(u64::MAX))]
            .into_iter()
            .flat_map(move |expires_at| [false, true].map(|hides_older| (user_meta, expires_at, hides_older)))
    });
    for ((user_meta, expires_at, hides_older), number) in metas.zip(0_u8..) {
        for len in [10, 200] {
            let key = vec![number, len as u8];
            let value = value(u64::from(number), len);
            let entry = Entry { user_meta, expires_at, hides_older, ..Entry::inline(&value) };
            let prepared = harness.engine.prepare(std::iter::once((key.as_slice(), entry))).unwrap();
            harness.engine.commit(prepared, Durability::Buffered, |_| Ok::<(), Infallible>(())).unwrap();
            expected.push((key, (user_meta, expires_at, hides_older), value));
        }
    }
    assert_eq!(all_versions(&harness), expected, "in memory");
    harness = harness.reopen();
    assert_eq!(harness.engine.recovery_report().values_copied, 18);
    assert_eq!(all_versions(&harness), expected, "copied by recovery");
    harness.set(b"another", b"table");
    harness.flush();
    harness.engine.request_compaction().unwrap();
    harness.settle();
    let mut found = all_versions(&harness);
    found.retain(|(key, ..)| key != b"another");
    assert_eq!(found, expected, "compacted");
}

/// badger #1302, #1003: garbage collection rewrote dead entries over and over, and kept statistics of files that were gone. Here
/// a loop of writes and deletes takes bounded space, and DISCARD tells of the living segments and of no others.
#[test]
fn hb_73_a_loop_of_overwrites_takes_bounded_space() {
    let memory = MemVfs::new();
    let harness = Harness::over(Arc::new(memory.clone()), Options::tiny());
    let mut sizes = Vec::new();
    for round in 0..24_u64 {
        for key in 0..30_u8 {
            if (u64::from(key) + round) % 5 == 0 {
                harness.commit(&[(&[key], None)], Durability::Buffered);
            } else {
                harness.commit(&[(&[key], Some(&value(round, 300)))], Durability::Buffered);
            }
        }
        harness.flush();
        harness.engine.request_compaction().unwrap();
        harness.settle();
        harness.verify();
        let state = manifest::read(&memory, Path::new(DIRECTORY)).unwrap();
        let ledger = vlog::Ledger::read(&memory, Path::new(DIRECTORY), state.database_id()).unwrap().unwrap();
        let told: BTreeSet<u64> = ledger.segments.keys().copied().collect();
        assert_eq!(told, state.segments().map(|segment| segment.meta.number).collect());
        let names: BTreeSet<String> = harness.files().into_iter().collect();
        assert!(told.iter().all(|number| names.contains(&format!("{number:06}.vlog"))), "{told:?} {names:?}");
        // The manifest grows until it is rewritten, by a rule of its own.
        let files = memory.snapshot().into_iter().filter(|(path, _)| !path.ends_with("MANIFEST"));
        sizes.push(files.map(|(_, data)| data.len()).sum::<usize>());
    }
    let (early, late) = (sizes[..4].iter().max().unwrap(), sizes[4..].iter().max().unwrap());
    assert!(late <= &(early * 5 / 4), "{sizes:?}");
}

/// badger #1991, #926, #345: a table pointed into a value log file that had been removed. Here, with some and then all values of a
/// segment overwritten and compacted, a cut at any moment leaves pointers that all resolve.
#[test]
fn hb_74_no_table_points_into_a_segment_that_is_gone() {
    let mut life = Life::new(Options::tiny());
    for key in 0..8 {
        life.set(&format!("key{key}"), 150, Durability::Buffered);
    }
    life.flush();
    let from = life.now();
    for half in [0, 1] {
        for key in (half..8).step_by(2) {
            life.set(&format!("key{key}"), 120, Durability::Buffered);
        }
        life.flush();
        life.harness.engine.request_compaction().unwrap();
        life.harness.settle();
        life.harness.verify();
        assert_eq!(&life.harness.dump().into_iter().collect::<cuts::Map>(), life.states.last().unwrap());
    }
    // The first segment is gone, those of the two halves are left.
    assert_eq!(life.harness.engine.stats().segments.len(), 2);
    assert!(life.cut_from(from) > 100);
}
