//! Goal: a read shows what its snapshot holds, and nothing else. Method: for each way in which another engine showed something
//! else, a history that would show it here, compared with a map of versions.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails the test")]

mod common;

use std::sync::Arc;

use base::vfs::{CrashProfile, Fault, FaultKind, FaultVfs, ImageBudget, MemVfs, Operation, SimVfs, Times};
use base::{Compression, Entry, KeyBounds, Version};
use common::{Harness, History, assert_same};
use engine::{Durability, LEVELS, Options, ScanOptions, Step, TableAccess};

fn key(number: u32) -> Vec<u8> {
    format!("key{number:04}").into_bytes()
}

fn write(harness: &Harness, history: &mut History, key: &[u8], value: Option<&[u8]>) -> Version {
    let version = harness.commit(&[(key, value)], Durability::Buffered);
    history.insert((key.to_vec(), version.0), value.map(<[u8]>::to_vec));
    version
}

/// Random writes and deletions, short and long values.
fn write_some(harness: &Harness, history: &mut History, random: &mut fastrand::Rng, keys: u32) {
    let len = if random.u32(..4) == 0 { random.usize(64..400) } else { random.usize(..60) };
    let value = (random.u32(..4) > 0).then(|| vec![random.u8(..); len]);
    write(harness, history, &key(random.u32(..keys)), value.as_deref());
}

fn compact(harness: &Harness) {
    harness.flush();
    harness.engine.request_compaction().unwrap();
    harness.settle();
}

/// surrealkv #326, #351: a compaction dropped what an open snapshot needed, because the newest version was a deletion at the bottom.
/// What a snapshot reads stays the same through deletion and compaction of everything.
#[test]
fn hb_15_snapshots_outlive_deletion_and_compaction() {
    let mut random = fastrand::Rng::with_seed(15);
    let mut history = History::new();
    let harness = Harness::new(Options::tiny());
    let mut dumps = Vec::new();
    for number in 0..300 {
        write_some(&harness, &mut history, &mut random, 30);
        if number % 60 == 30 {
            let at = harness.engine.visible().load();
            harness.held.borrow_mut().push(at);
            dumps.push((at, harness.dump()));
        }
    }
    for number in 0..30 {
        write(&harness, &mut history, &key(number), None);
    }
    compact(&harness);
    harness.check(&history, "deleted and compacted");
    for (at, dump) in dumps {
        assert_same(&harness.dump_at(at), &dump, &format!("snapshot {at}"));
    }
    harness.held.borrow_mut().clear();
    compact(&harness);
    assert_eq!(harness.tables(), [0; LEVELS], "the snapshots were all that held it");
}

/// sled #897: transactions over several trees came back in part after a crash. Whatever a power cut leaves, a commit over three
/// prefixes, with values in both kinds of log, is there in all three or in none.
#[test]
fn hb_50_a_commit_over_several_prefixes_comes_back_whole() {
    const COMMITS: u32 = 24;
    let mut random = fastrand::Rng::with_seed(50);
    let sim = SimVfs::new();
    let harness = Harness::over(Arc::new(sim.clone()), Options::tiny());
    for number in 0..COMMITS {
        let (a, b, c) = (format!("a/{number:02}"), format!("b/{number:02}"), format!("c/{number:02}"));
        let (short, mut long) = (vec![number as u8; 9], vec![0; 700 + number as usize * 40]);
        random.fill(&mut long);
        let middle = if number % 3 == 0 { &short } else { &long };
        let durability = if number % 8 == 7 { Durability::Sync } else { Durability::Buffered };
        let writes = [(a.as_bytes(), &short), (b.as_bytes(), middle), (c.as_bytes(), &long)];
        let writes = writes.map(|(key, value)| (key, Some(value.as_slice())));
        harness.commit(if number % 4 == 0 { &writes[..2] } else { &writes }, durability);
        if number % 5 == 0 {
            harness.step();
        }
    }
    let recording = sim.recording();
    let budget = ImageBudget { exhaustive_up_to: 16, at_most: 32, random: 24, ..ImageBudget::default() };
    let (mut images, mut partial) = (0, 0);
    for point in recording.crash_points() {
        for image in recording.images(point, CrashProfile::Strict, &budget) {
            let explanation = image.explain();
            let opened = Harness::over(Arc::new(image.into_mem()), Options::tiny());
            let found = opened.dump();
            for number in 0..COMMITS {
                let ending = format!("/{number:02}");
                let parts = found.iter().filter(|(key, _)| key.ends_with(ending.as_bytes())).count();
                let whole = if number % 4 == 0 { 2 } else { 3 };
                assert!(parts == 0 || parts == whole, "{parts} of {whole} of commit {number}\n{explanation}");
                partial += u32::from(parts == 0);
            }
            images += 1;
        }
    }
    assert!(images > 100 && partial > 100, "{images} images, {partial} commits not there");
}

/// lsm-tree #315: moving tables put a newer one behind an older one that it overlaps, so a point read was stale. After every change
/// of the tables, moves too, point reads, scans and the map agree.
#[test]
fn hb_51_point_reads_and_scans_agree_after_every_change() {
    let (mut moves, mut changes) = (0, 0);
    for seed in 0..4 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut history = History::new();
        let options = Options { base_level_bytes: 1 << 10, table_bytes: 1 << 10, ..Options::tiny() };
        let harness = Harness::new(options);
        for number in 0..240 {
            // Rising keys make tables that can be moved; the others overlap them.
            let key = if number % 3 > 0 { key(number) } else { key(random.u32(..240)) };
            let value = (random.u32(..5) > 0).then(|| vec![random.u8(..); 24]);
            write(&harness, &mut history, &key, value.as_deref());
            if number % 10 == 0 {
                harness.engine.rotate().unwrap();
            }
            let step = harness.step();
            if matches!(step, Step::InstalledFlush | Step::InstalledCompaction) {
                changes += 1;
                harness.check(&history, &format!("seed {seed}, after write {number}"));
            }
        }
        moves += harness.engine.stats().moves;
    }
    assert!(changes > 60 && moves > 3, "{changes} changes, {moves} moves");
}

/// lsm-tree #300: a rewritten value file said "not compressed" of compressed bytes. Values that recovery copies read back as they
/// were written, at once and after another open, with every compression.
#[test]
fn hb_52_copied_values_keep_their_compression() {
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd(3)] {
        let options = Options { value_compression: compression, ..Options::tiny() };
        let harness = Harness::new(options);
        let mut history = History::new();
        for number in 0..20 {
            let mut value = vec![7; 300 + number as usize];
            if number % 3 == 0 {
                fastrand::Rng::with_seed(u64::from(number)).fill(&mut value);
            }
            write(&harness, &mut history, &key(number), Some(&value));
        }
        let harness = harness.reopen();
        assert!(harness.engine.recovery_report().values_copied > 10);
        harness.check(&history, &format!("{compression:?}, copied"));
        let harness = harness.close_and_reopen();
        compact(&harness);
        harness.check(&history, &format!("{compression:?}, opened again"));
    }
}

/// lsm-tree #200, fjall #198: what was found and the files that it needs were looked up at different moments. What a read has found
/// can be loaded however long after, when everything has been deleted and compacted away.
#[test]
fn hb_54_what_was_found_keeps_the_files_that_it_needs() {
    let harness = Harness::new(Options::tiny());
    for number in 0..30 {
        harness.set(&key(number), &[number as u8; 500]);
    }
    // Reopened, so that no value file is open before it is needed.
    let harness = harness.close_and_reopen();
    let at = harness.engine.visible().load();
    let found: Vec<_> =
        (0..30).map(|number| harness.engine.get(&key(number), at).unwrap().unwrap()).collect();
    let mut scan = harness.engine.scan(harness.scan_options(at));
    let items: Vec<_> = std::iter::from_fn(|| scan.next().unwrap()).collect();
    drop(scan);
    for number in 0..30 {
        harness.delete(&key(number));
    }
    compact(&harness);
    assert_eq!(harness.engine.stats().segments, [], "the database needs none of them");
    for (number, (found, item)) in found.iter().zip(&items).enumerate() {
        let expected = [number as u8; 500];
        assert_eq!(found.value(&key(number as u32)).unwrap().unwrap(), expected[..]);
        assert_eq!(item.value().unwrap().unwrap(), expected[..]);
    }
    drop((found, items));
    harness.settle();
    let value_logs = harness.files().iter().filter(|name| name.ends_with(".vlog")).count();
    assert_eq!(value_logs, harness.engine.stats().logs / 2, "nobody needs them now: {:?}", harness.files());
}

/// rocksdb #1816, #6973: a read took its version, then the files; a flush between dropped what that version sees. However many steps
/// come between taking a version and reading at it, and in the middle of a scan, it reads the same.
#[test]
fn hb_55_background_work_between_version_and_read_changes_nothing() {
    for pause in 0..24 {
        let harness = Harness::new(Options::tiny());
        let mut history = History::new();
        let mut random = fastrand::Rng::with_seed(pause);
        for _ in 0..60 {
            write_some(&harness, &mut history, &mut random, 40);
        }
        let at = harness.engine.visible().load();
        harness.held.borrow_mut().push(at);
        let expected = common::visible(&history, at);
        let mut scan = harness.engine.scan(harness.scan_options(at));
        let mut seen = Vec::new();
        for round in 0..=expected.len() {
            if round % 6 == 0 {
                for _ in 0..8 {
                    write_some(&harness, &mut history, &mut random, 40);
                }
                while !harness.engine.rotate().unwrap() {
                    harness.step();
                }
                for _ in 0..pause {
                    harness.step();
                }
            }
            if let Some(item) = scan.next().unwrap() {
                seen.push((item.user_key().to_vec(), item.value().unwrap().unwrap().to_vec()));
            }
        }
        assert_same(&seen, &expected, &format!("{pause} steps, the scan"));
        harness.check(&history, &format!("{pause} steps"));
    }
}

/// rocksdb #9648, pebble #751: a snapshot taken between listing the snapshots and doing the work was ignored by it. Steps are told
/// what was seen long ago; whatever was taken or written since, they leave alone.
#[test]
fn hb_56_a_snapshot_taken_after_the_listing_is_honoured() {
    let harness = Harness::new(Options::tiny());
    let mut history = History::new();
    let mut random = fastrand::Rng::with_seed(56);
    let mut listed = harness.retention();
    for number in 0..600 {
        write_some(&harness, &mut history, &mut random, 20);
        if number % 10 == 0 {
            harness.engine.rotate().unwrap();
        }
        if number % 7 == 0 {
            harness.held.borrow_mut().push(harness.engine.visible().load());
        }
        harness.engine.step(&|| listed.clone()).unwrap();
        if number % 60 == 59 {
            harness.check(&history, &format!("write {number}"));
            harness.held.borrow_mut().clear();
            listed = harness.retention();
        }
    }
    let stats = harness.engine.stats();
    assert!(stats.flushes > 20 && stats.compactions > 10, "{stats:?}");
}

/// pebble #1963, #2036, #2829: shortcuts for seeks, with filters and bounds, skipped keys. With filters and without, small blocks and
/// large, mapped or not: every range shows the same keys, and every one of them is found.
#[test]
fn hb_60_shortcuts_skip_no_key() {
    for (number, access) in [TableAccess::Mapped, TableAccess::Positional].into_iter().enumerate() {
        for (filter_bits_per_key, block_bytes) in [(0, 64), (1, 128), (10, 4 << 10)] {
            let mut random = fastrand::Rng::with_seed(60 + number as u64);
            let mut history = History::new();
            let options = Options {
                access,
                filter_bits_per_key,
                block_bytes,
                table_bytes: 1 << 10,
                base_level_bytes: 2 << 10,
                ..Options::tiny()
            };
            let harness = Harness::new(options);
            for _ in 0..500 {
                let key = key(random.u32(..200));
                // Keys that are a prefix of others, and versions enough to make seeks pay.
                let key = if random.bool() { &key[..] } else { &key[..random.usize(3..7)] };
                let value = (random.u32(..5) > 0).then(|| vec![random.u8(..); random.usize(..40)]);
                write(&harness, &mut history, key, value.as_deref());
                harness.step();
            }
            let what = format!("{access:?}, {filter_bits_per_key} bits, blocks of {block_bytes}");
            harness.check(&history, &what);
            let at = harness.engine.visible().load();
            let all = common::visible(&history, at);
            let mut bound = || match random.u32(..7) {
                0 => std::ops::Bound::Unbounded,
                1 => std::ops::Bound::Included(b"key".to_vec()),
                2..5 => std::ops::Bound::Included(key(random.u32(..200))),
                _ => std::ops::Bound::Excluded(key(random.u32(..200))[..random.usize(3..8)].to_vec()),
            };
            for _ in 0..150 {
                let bounds = KeyBounds { start: bound(), end: bound() };
                let expected: Vec<_> = all.iter().filter(|(key, _)| bounds.contains(key)).cloned().collect();
                assert_range(&harness, bounds, at, &expected, &what);
            }
        }
    }
}

/// The range as seen forward, backward, and from both ends in turn.
fn assert_range(
    harness: &Harness,
    bounds: KeyBounds,
    at: Version,
    expected: &[(Vec<u8>, Vec<u8>)],
    what: &str,
) {
    let what = format!("{what}, {bounds:?}");
    let options = ScanOptions { bounds, ..harness.scan_options(at) };
    for pattern in 0..3 {
        let mut scan = harness.engine.scan(options.clone());
        let (mut front, mut back) = (Vec::new(), Vec::new());
        for number in 0.. {
            let is_front = pattern == 0 || (pattern == 2 && number % 3 > 0);
            let item = if is_front { scan.next() } else { scan.next_back() };
            let Some(item) = item.unwrap() else { break };
            let value = item.value().unwrap().unwrap().to_vec();
            if is_front { &mut front } else { &mut back }.push((item.user_key().to_vec(), value));
        }
        back.reverse();
        assert_same(&[front, back].concat(), expected, &format!("{what}, pattern {pattern}"));
    }
}

/// badger #2108, #992: a prefix read backward missed keys, and bounds with bytes at the end of their range hid data. Every prefix of
/// extreme bytes shows its keys, from both ends.
#[test]
fn hb_62_prefixes_of_extreme_bytes_show_their_keys() {
    let bytes = [0x00, 0x01, 0x7f, 0xfe, 0xff];
    let mut keys: Vec<Vec<u8>> = vec![Vec::new()];
    for _ in 0..3 {
        let longer = |key: &Vec<u8>| bytes.map(|byte| [key.as_slice(), &[byte]].concat());
        keys.extend(keys.clone().iter().flat_map(longer));
    }
    keys.sort();
    keys.dedup();
    let harness =
        Harness::new(Options { base_level_bytes: 1 << 10, table_bytes: 1 << 10, ..Options::tiny() });
    let mut history = History::new();
    let mut random = fastrand::Rng::with_seed(62);
    for round in 0..3 {
        let mut order = keys.clone();
        random.shuffle(&mut order);
        for key in order.iter().filter(|key| !key.is_empty()) {
            let value = (random.u32(..4) > 0).then(|| vec![round; random.usize(..90)]);
            write(&harness, &mut history, key, value.as_deref());
            harness.step();
        }
    }
    harness.check(&history, "all keys");
    let at = harness.engine.visible().load();
    let all = common::visible(&history, at);
    for prefix in &keys {
        let expected: Vec<_> = all.iter().filter(|(key, _)| key.starts_with(prefix)).cloned().collect();
        assert_range(&harness, KeyBounds::prefix(prefix), at, &expected, "prefix");
    }
}

/// badger #1313: a value that had moved into its key's table still said that it was elsewhere. Sessions with other thresholds read,
/// recover and compact what the ones before them wrote.
#[test]
fn hb_63_the_threshold_may_change_between_sessions() {
    let mut random = fastrand::Rng::with_seed(63);
    let mut history = History::new();
    let mut harness = Harness::new(Options::tiny());
    for (session, value_threshold) in [64, 1 << 20, 1, 200, 1 << 20, 64].into_iter().enumerate() {
        let options = Options { value_threshold, ..Options::tiny() };
        harness = if session % 2 == 0 {
            harness.with_options(options)
        } else {
            // What the last session left in its logs is recovered under the new threshold.
            Harness { options, ..harness }.reopen()
        };
        harness.check(&history, &format!("session {session}, opened"));
        for _ in 0..80 {
            write_some(&harness, &mut history, &mut random, 50);
            if random.u32(..4) == 0 {
                harness.step();
            }
        }
        if session == 3 {
            compact(&harness);
        }
        harness.check(&history, &format!("session {session}"));
    }
    compact(&harness);
    harness.check(&history, "at the end");
}

/// rocksdb #10921: after a failed flush the memtables were flushed out of order, and L0 was in the wrong one. Whichever flush fails,
/// with more of them waiting, reads stay right, and so they do after a kill.
#[test]
fn hb_64_a_flush_that_is_tried_again_keeps_the_order() {
    for failing in 1..=3 {
        let memory = MemVfs::new();
        let faulty = FaultVfs::new(Arc::new(memory.clone()));
        let harness = Harness::over(Arc::new(faulty.clone()), Options::tiny());
        let mut history = History::new();
        for generation in 0..4_u8 {
            for number in 0..6 {
                let value = ((number + u32::from(generation)) % 3 > 0).then_some([generation; 70]);
                write(&harness, &mut history, &key(number), value.as_ref().map(|value| &value[..]));
            }
            while !harness.engine.rotate().unwrap() {
                assert_eq!(harness.step(), Step::OpenedGeneration);
            }
        }
        let fault = Fault::new(FaultKind::NoSpace).on(Operation::Create).path_ends_with(".sst");
        faulty.inject(fault.nth(failing).times(Times::Window(2)));
        let mut failed = 0;
        loop {
            match harness.engine.step(&|| harness.retention()) {
                Ok(Step::Idle) => break,
                Ok(_) => {}
                Err(error) => {
                    assert!(error.is_no_space(), "{error}");
                    failed += 1;
                }
            }
            let what = format!("failing {failing}, {failed} failed");
            harness.check(&history, &what);
            let killed = Harness::over(Arc::new(MemVfs::from_snapshot(memory.snapshot())), Options::tiny());
            killed.check(&history, &format!("{what}, killed"));
        }
        assert_eq!(failed, 2);
    }
}

/// rocksdb #13155: a snapshot at sequence 0 was not honoured. The first and the last versions are versions like all others.
#[test]
fn hb_65_the_first_and_the_last_version_are_honoured() {
    let harness = Harness::new(Options::tiny());
    let mut history = History::new();
    harness.held.borrow_mut().extend([Version::ZERO, Version(1)]);
    assert_eq!(write(&harness, &mut history, b"a", Some(b"first")), Version(1));
    write(&harness, &mut history, b"a", Some(b"second"));
    write(&harness, &mut history, b"b", Some(&[1; 100]));
    write(&harness, &mut history, b"a", None);
    compact(&harness);
    harness.check(&history, "compacted");
    assert_eq!(harness.get_at(b"a", Version(1)), Some(b"first".to_vec()));
    assert_eq!(harness.dump_at(Version::ZERO), []);
    for at in [Version(u64::MAX - 1), Version::MAX] {
        assert_same(&harness.dump_at(at), &harness.dump(), "above all versions");
        assert_eq!(harness.get_at(b"a", at), None);
        let since = ScanOptions { since: at, ..harness.scan_options(Version::MAX) };
        assert!(harness.engine.scan(since).next().unwrap().is_none());
    }
    harness.held.borrow_mut().clear();
    compact(&harness);
    assert_eq!(harness.engine.stats().levels[LEVELS - 1].entries, 1);
}

/// badger #2067: an empty value became an absent one. It stays what it is in memory, in logs, in tables of every level, and through
/// every kind of reading.
#[test]
fn hb_66_an_empty_value_is_not_an_absent_one() {
    for access in [TableAccess::Mapped, TableAccess::Positional] {
        let options = Options { value_threshold: 1, access, ..Options::tiny() };
        let memory = MemVfs::new();
        let harness = Harness::over(Arc::new(memory.clone()), options);
        let mut history = History::new();
        for (number, value) in [Some(&b""[..]), None, Some(b"x")].into_iter().cycle().take(30).enumerate() {
            write(&harness, &mut history, &key(number as u32), value);
        }
        let with_meta = Entry { user_meta: 5, ..Entry::inline(b"") };
        let version = harness.commit_entries(&[(b"meta", with_meta)], Durability::Sync);
        history.insert((b"meta".to_vec(), version.0), Some(Vec::new()));
        harness.check(&history, "in memory");
        let copy = Harness::over(Arc::new(MemVfs::from_snapshot(memory.snapshot())), harness.options.clone());
        copy.check(&history, "replayed");
        harness.flush();
        harness.check(&history, "in L0");
        harness.held.borrow_mut().push(version);
        compact(&harness);
        harness.check(&history, "in the last level");
        let harness = harness.close_and_reopen();
        harness.check(&history, "opened again");
        let found = harness.engine.get(b"meta", Version::MAX).unwrap().unwrap();
        assert_eq!((found.entry.user_meta, found.value(b"meta").unwrap().unwrap().len()), (5, 0));
    }
}
