//! Goal: what was deleted stays deleted. Method: for each way in which another engine brought deleted data back, a history that
//! would show it here, compared with a map of versions after every step that changes the tables.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails the test")]

mod common;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base::vfs::{FaultVfs, MemVfs, Operation};
use base::{Compression, Entry, Retention, UnixSeconds, Version};
use common::{Harness, History};
use engine::{Durability, Engine, LEVELS, Options, Step};

fn key(number: u32) -> Vec<u8> {
    format!("key{number:04}").into_bytes()
}

/// Bytes that do not compress, so that levels are as large as what is written.
fn value(number: u32, len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(u64::from(number));
    std::iter::repeat_with(|| random.u8(..)).take(len).collect()
}

/// Commits one write and notes it.
fn write(harness: &Harness, history: &mut History, key: &[u8], value: Option<&[u8]>) -> Version {
    let version = harness.commit(&[(key, value)], Durability::Buffered);
    history.insert((key.to_vec(), version.0), value.map(<[u8]>::to_vec));
    version
}

/// Tables go only where these tests send them.
fn quiet() -> Options {
    let never = 100;
    Options {
        memtable_bytes: 256 << 10,
        write_buffer_bytes: 1 << 20,
        l0_compaction_trigger: never,
        l0_slowdown_trigger: never,
        l0_stop_trigger: never,
        base_level_bytes: 40 << 10,
        value_threshold: 256,
        bottom_compression: Compression::None,
        ..Options::tiny()
    }
}

/// Moves everything to the last level.
fn sink(harness: &Harness, history: &History, what: &str) {
    harness.flush();
    harness.engine.request_compaction().unwrap();
    harness.settle_checked(history, what);
}

/// badger #2143: L0 went into a level below one that held data, so a tombstone passed the value under it. L0 never goes below data,
/// whatever the options of earlier sessions left where.
#[test]
fn hb_02_l0_never_passes_a_level_that_holds_data() {
    for seed in 0..6 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut history = History::new();
        let mut harness = Harness::new(Options::tiny());
        let mut deepest_first = 0;
        for session in 0..5 {
            // Many levels and few in turn: what stands above the base level is in the way.
            let base_level_bytes = 1 << if session % 2 == 0 { 10 } else { random.u32(12..17) };
            let level_size_multiplier = random.u64(2..4);
            let options = Options { base_level_bytes, level_size_multiplier, ..Options::tiny() };
            harness = harness.with_options(options);
            if session % 2 == 1 {
                // It is emptied first, unless everything is asked for at once.
                for number in 0..150 {
                    write(&harness, &mut history, &key(number), (number % 2 > 0).then_some(b"new"));
                }
                harness.flush();
                harness.engine.request_compaction().unwrap();
                harness.settle_checked(&history, &format!("seed {seed}, session {session}, asked for"));
            }
            for _ in 0..150 {
                let number = random.u32(..150);
                let value = (random.u32(..3) > 0).then(|| value(random.u32(..), random.usize(30..60)));
                write(&harness, &mut history, &key(number), value.as_deref());
                if random.u32(..16) == 0 {
                    harness.flush();
                }
                if random.bool() {
                    harness.step();
                }
            }
            harness.flush();
            let what = format!("seed {seed}, session {session}");
            harness.settle_checked(&history, &what);
            let first = harness.tables().iter().skip(1).position(|tables| *tables > 0);
            deepest_first = deepest_first.max(LEVELS - 2 - first.unwrap());
        }
        assert!(deepest_first > 0, "seed {seed}: there was only one level");
        for number in 0..150 {
            write(&harness, &mut history, &key(number), None);
        }
        sink(&harness, &history, &format!("seed {seed}, at the end"));
        assert_eq!(harness.tables(), [0; LEVELS]);
    }
}

/// badger #1422: whether something older lies below was asked with the range of the upper tables only. A tombstone of the wider
/// table of the lower level stays, because the value under it does.
#[test]
fn hb_03_what_lies_below_is_asked_for_every_key_of_both_levels() {
    let mut history = History::new();
    let harness = Harness::new(quiet());
    for number in 0..600 {
        write(&harness, &mut history, &key(number), Some(&value(number, 50)));
    }
    sink(&harness, &history, "the last level");
    let harness = harness.with_options(Options { l0_compaction_trigger: 2, ..quiet() });
    let spread = [0, 10, 20, 100, 200, 300, 400, 500, 599];
    for round in 0..2 {
        for number in spread {
            let deleted = number == 300 || number == 500;
            let value = value(round, 40);
            write(&harness, &mut history, &key(number), (!deleted).then_some(&value));
        }
        harness.flush();
    }
    harness.settle_checked(&history, "a wide table above it");
    assert_eq!(harness.tables()[..6], [0, 0, 0, 0, 0, 1], "the wide table with the tombstones");
    let options = Options { l0_compaction_trigger: 2, base_level_bytes: 10 << 10, ..quiet() };
    let harness = harness.with_options(options);
    for round in 0..2 {
        for number in 0..60 {
            write(&harness, &mut history, &key(number), Some(&value(number + round, 150)));
        }
        harness.flush();
    }
    harness.settle_checked(&history, "a narrow table merged into the wide one");
    let stats = harness.engine.stats();
    assert!(stats.levels[5].entries > 20, "nothing narrow came down: {stats:?}");
    assert_eq!(stats.levels[5].tombstones, 2, "both are still needed");
}

/// badger #1587: cut into sub-ranges, a compaction lost the tombstone of the part that met only one table. What comes out does not
/// depend on the number of parts.
#[test]
fn hb_04_parts_of_a_compaction_give_what_the_whole_gives() {
    let run = |max_subcompactions| {
        let mut history = History::new();
        let options = Options { max_subcompactions, ..quiet() };
        let harness = Harness::new(options.clone());
        for number in 0..600 {
            write(&harness, &mut history, &key(number), Some(&value(number, 50)));
        }
        sink(&harness, &history, "the last level");
        let harness = harness.with_options(Options { l0_compaction_trigger: 3, ..options });
        // Each table has a range that no other has, and tombstones in it.
        for (first, last) in [(0, 250), (150, 450), (350, 600)] {
            for number in first..last {
                let value = (number % 3 > 0).then(|| value(number + 1, 20));
                write(&harness, &mut history, &key(number), value.as_deref());
            }
            harness.flush();
        }
        harness.held.borrow_mut().push(harness.engine.visible().load());
        let mut parts = 0;
        loop {
            match harness.step() {
                Step::Idle => panic!("nothing was compacted"),
                Step::MergedPart => parts += 1,
                // What comes next depends on the sizes of tables, and so on the cuts.
                Step::InstalledCompaction => break,
                _ => {}
            }
        }
        harness.check(&history, &format!("{max_subcompactions} parts at most"));
        let mut all = Vec::new();
        let mut options = harness.scan_options(Version::MAX);
        options.all_versions = true;
        let mut scan = harness.engine.scan(options);
        while let Some(item) = scan.next().unwrap() {
            all.push((item.user_key().to_vec(), item.version(), item.value().unwrap()));
        }
        (all, parts)
    };
    let (whole, parts) = run(1);
    assert_eq!(parts, 1);
    assert!(whole.iter().filter(|(_, _, value)| value.is_none()).count() > 100, "tombstones are needed");
    let mut most = 0;
    for max_subcompactions in 2..=8 {
        let (split, parts) = run(max_subcompactions);
        most = most.max(parts);
        assert!(split == whole, "{max_subcompactions} parts at most");
    }
    assert!(most >= 3, "{most}");
}

/// badger #464: versions of one key lay in several tables; the tombstone went with the first, an older version showed. Deleted, a
/// key with 1 000 versions in tables of every level is gone, and every snapshot below keeps its version.
#[test]
fn hb_05_a_key_with_versions_in_many_tables_goes_as_a_whole() {
    let mut history = History::new();
    let harness = Harness::new(Options { base_level_bytes: 1 << 10, ..Options::tiny() });
    let mut most_tables = 0;
    for number in 0..1_000 {
        let version = write(&harness, &mut history, b"key", Some(&value(number, 30)));
        if number % 50 == 0 {
            write(&harness, &mut history, &key(number), Some(&value(number, 30)));
            harness.held.borrow_mut().push(version);
            harness.flush();
            harness.step();
            most_tables = most_tables.max(harness.tables().iter().sum());
        }
    }
    assert!(most_tables >= 3, "{most_tables}");
    write(&harness, &mut history, b"key", None);
    harness.flush();
    harness.settle_checked(&history, "deleted");
    while !harness.held.borrow().is_empty() {
        harness.held.borrow_mut().pop();
        harness.engine.request_compaction().unwrap();
        harness.settle();
        harness.check(&history, "a snapshot less");
    }
    let entries: u64 = harness.engine.stats().levels.iter().map(|level| level.entries).sum();
    assert_eq!(entries, 20, "nothing of the key is left");
}

/// leveldb #320: a table ended between two versions of a key, and a compaction took the newer ones down past the older. No table
/// ends inside a key, however many versions snapshots keep of it.
#[test]
fn hb_06_no_table_ends_between_versions_of_a_key() {
    let mut history = History::new();
    let options = Options { table_bytes: 1 << 10, base_level_bytes: 1 << 10, ..Options::tiny() };
    let harness = Harness::new(options);
    let mut random = fastrand::Rng::with_seed(6);
    for number in 0..3_000_u32 {
        let value = (number % 97 > 0).then(|| value(number, 12));
        let version = write(&harness, &mut history, &key(random.u32(..4)), value.as_deref());
        if number % 4 == 0 {
            harness.held.borrow_mut().push(version);
        }
        harness.step();
    }
    harness.flush();
    harness.settle();
    let stats = harness.engine.stats();
    let largest = stats.levels.iter().map(|level| level.bytes / level.tables.max(1) as u64).max().unwrap();
    assert!(largest > 4 << 10, "the versions of a key are larger than a table should be: {stats:?}");
    harness.held.borrow_mut().retain(|version| version.0 % 64 == 0);
    harness.check(&history, "snapshots held");
    harness.held.borrow_mut().clear();
    write(&harness, &mut history, &key(0), None);
    sink(&harness, &history, "snapshots let go");
}

/// leveldb #184: a manual compaction took some of the L0 tables that overlap, and left older ones above. What leaves L0 takes
/// everything older with it.
#[test]
fn hb_07_a_manual_compaction_leaves_nothing_older_above() {
    for seed in 0..4 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut history = History::new();
        let harness = Harness::new(Options { table_bytes: 1 << 10, ..quiet() });
        for table in 0..8 {
            for _ in 0..20 {
                let value = (random.u32(..3) > 0).then(|| value(random.u32(..), 40));
                write(&harness, &mut history, &key(random.u32(..30)), value.as_deref());
            }
            harness.flush();
            harness.settle();
            // In the middle, so that there are L0 tables older and newer than what was asked for.
            if table == 4 {
                harness.engine.request_compaction().unwrap();
            }
        }
        assert!(harness.tables()[0] > 1, "{:?}", harness.tables());
        harness.engine.request_compaction().unwrap();
        assert!(harness.settle_checked(&history, &format!("seed {seed}")) > 0);
        assert_eq!(harness.tables()[..LEVELS - 1], [0; LEVELS - 1]);
    }
}

/// rocksdb #6799: two compactions picked the same inputs. While one is at work, another has other tables.
#[test]
fn hb_08_compactions_at_work_together_share_no_table() {
    let mut most = 0;
    for seed in 0..4 {
        let faulty = FaultVfs::new(Arc::new(MemVfs::new()));
        let options = Options { base_level_bytes: 1 << 10, table_bytes: 1 << 10, ..Options::tiny() };
        let harness = Harness::over(Arc::new(faulty.clone()), options);
        let nested = interleave(&faulty, &harness.engine);
        let mut random = fastrand::Rng::with_seed(seed);
        let mut history = History::new();
        for number in 0..700 {
            let value = (random.u32(..4) > 0).then(|| value(number, 30));
            write(&harness, &mut history, &key(random.u32(..200)), value.as_deref());
            if number % 20 == 0 {
                harness.flush();
            }
            if number % 90 == 0 {
                harness.settle();
            }
        }
        harness.settle();
        harness.check(&history, &format!("seed {seed}"));
        most += nested.load(Ordering::SeqCst);
        faulty.before_each(|_, _| {});
    }
    assert!(most > 10, "only {most} compactions began while another one was at work");
}

/// Does background work whenever a table is begun, as another thread would; counts the compactions picked there.
fn interleave(faulty: &FaultVfs, engine: &Engine) -> Arc<AtomicUsize> {
    let picked = Arc::new(AtomicUsize::new(0));
    let (counter, engine, depth) = (Arc::clone(&picked), engine.clone(), AtomicUsize::new(0));
    faulty.before_each(move |operation, path| {
        let is_table = path.extension().is_some_and(|extension| extension == "sst");
        if operation != Operation::Create || !is_table || depth.load(Ordering::SeqCst) == 3 {
            return;
        }
        depth.fetch_add(1, Ordering::SeqCst);
        let visible = engine.visible().load();
        for _ in 0..4 {
            let step = engine.step(&|| Retention::new(visible, [], UnixSeconds(1_000))).unwrap();
            counter.fetch_add(usize::from(step == Step::PickedCompaction), Ordering::SeqCst);
        }
        depth.fetch_sub(1, Ordering::SeqCst);
    });
    picked
}

/// rocksdb #2722: a rewrite that stays in L0 dropped tombstones as if nothing were below. A flush, the only writer of L0 here, keeps
/// every tombstone, over older L0 tables and over levels.
#[test]
fn hb_09_what_is_written_to_l0_keeps_its_tombstones() {
    let mut history = History::new();
    let harness = Harness::new(quiet());
    for number in 0..4 {
        write(&harness, &mut history, &key(number), Some(b"old"));
    }
    sink(&harness, &history, "the last level");
    write(&harness, &mut history, &key(0), Some(b"new"));
    write(&harness, &mut history, &key(1), None);
    harness.flush();
    write(&harness, &mut history, &key(0), None);
    // Its value and its tombstone are in one flush; what is below would show.
    write(&harness, &mut history, &key(2), Some(b"new"));
    write(&harness, &mut history, &key(2), None);
    harness.flush();
    harness.check(&history, "flushed");
    assert_eq!(harness.engine.stats().levels[0].tombstones, 3);
    sink(&harness, &history, "at the end");
}

/// badger #1354, #1166: one version too many was kept, so tombstones and expired entries never went. With no reader, the last
/// level holds exactly the versions that are to be kept.
#[test]
fn hb_12_not_one_version_too_many_is_kept() {
    for keep in 1..=3_usize {
        let mut random = fastrand::Rng::with_seed(keep as u64);
        let keep_versions = NonZeroU32::new(keep as u32).unwrap();
        let harness = Harness::new(Options { keep_versions, ..Options::tiny() });
        let mut kept = vec![0_usize; 40];
        for round in 0..400 {
            let number = random.usize(..kept.len());
            let expired = Entry { expires_at: Some(UnixSeconds(1_000)), ..Entry::inline(b"gone") };
            let long = value(round, 100);
            let (entry, is_live) = match random.u32(..6) {
                0 => (Entry::tombstone(), false),
                1 => (expired, false),
                2 => (Entry::inline(&long), true),
                _ => (Entry::inline(b"short"), true),
            };
            harness.commit_entries(&[(&key(number as u32), entry)], Durability::Buffered);
            kept[number] = if is_live { (kept[number] + 1).min(keep) } else { 0 };
            harness.step();
        }
        harness.flush();
        harness.engine.request_compaction().unwrap();
        harness.settle();
        let stats = harness.engine.stats();
        let (entries, tombstones) = (stats.levels[LEVELS - 1].entries, stats.levels[LEVELS - 1].tombstones);
        assert_eq!(harness.tables()[..LEVELS - 1], [0; LEVELS - 1]);
        assert_eq!((entries, tombstones), (kept.iter().sum::<usize>() as u64, 0), "{keep} versions");
        harness.verify();
    }
}

const KINDS: usize = 6;

fn entry_of(kind: usize, long: &[u8]) -> Entry<'_> {
    let at = |seconds| Some(UnixSeconds(seconds));
    match kind {
        0 => Entry::inline(b"short"),
        1 => Entry::inline(long),
        2 => Entry::tombstone(),
        3 => Entry { expires_at: at(900), ..Entry::inline(b"expired") },
        4 => Entry { expires_at: at(2_000), ..Entry::inline(b"expires later") },
        _ => Entry { hides_older: true, ..Entry::inline(b"the only one") },
    }
}

/// pebble #3087: two kinds of tombstones merged into the weaker one. Every kind of entry over every other over every third, in every
/// place of the tree, with and without snapshots between, reads as the newest of them.
#[test]
fn hb_13_every_kind_of_entry_hides_every_other() {
    let long = value(13, 300);
    for is_held in [true, false] {
        let mut history = History::new();
        let mut harness = Harness::new(quiet());
        for number in 0..600 {
            write(&harness, &mut history, format!("other{number:04}").as_bytes(), Some(&value(number, 50)));
        }
        let keys: Vec<Vec<u8>> = (0..KINDS.pow(3) as u32).map(key).collect();
        for layer in 0..3 {
            let kind_of = |number: usize| number / KINDS.pow(layer) % KINDS;
            let writes: Vec<(&[u8], Entry<'_>)> = keys
                .iter()
                .enumerate()
                .map(|(number, key)| (key.as_slice(), entry_of(kind_of(number), &long)))
                .collect();
            let version = harness.commit_entries(&writes, Durability::Buffered);
            for (key, entry) in writes {
                let value = match entry.payload {
                    base::Payload::Inline(value) if entry.is_live(UnixSeconds(1_000)) => Some(value.to_vec()),
                    _ => None,
                };
                history.insert((key.to_vec(), version.0), value);
            }
            if is_held {
                harness.held.borrow_mut().push(version);
            }
            harness.flush();
            harness.check(&history, "flushed");
            // The first layer goes to the last level, the second to the one above, the third stays in L0.
            match layer {
                0 => sink(&harness, &history, "the last level"),
                1 => {
                    // Reopening lets the snapshots go; they are taken again before anything is rewritten.
                    let held = harness.held.take();
                    harness = harness.with_options(Options { l0_compaction_trigger: 1, ..quiet() });
                    *harness.held.borrow_mut() = held;
                    harness.settle_checked(&history, "the level above");
                    assert!(harness.tables()[5] > 0 || !is_held, "{:?}", harness.tables());
                }
                _ => {}
            }
        }
        harness.settle_checked(&history, "all three layers");
        while harness.held.borrow_mut().pop().is_some() {
            harness.engine.request_compaction().unwrap();
            harness.settle_checked(&history, "a snapshot less");
        }
        sink(&harness, &history, "at the end");
        let live = common::visible(&history, Version::MAX).len() as u64;
        assert_eq!(harness.engine.stats().levels[LEVELS - 1].entries, live);
    }
}

/// pebble #2474: the order of L0, kept up to date edit by edit, was not that of a fresh start. After every change of the tables, what
/// is read is what a process that opens the directory at that moment reads.
#[test]
fn hb_14_the_order_of_tables_is_that_of_a_fresh_start() {
    let memory = MemVfs::new();
    let options = Options { l0_compaction_trigger: 4, base_level_bytes: 2 << 10, ..Options::tiny() };
    let harness = Harness::over(Arc::new(memory.clone()), options);
    let mut random = fastrand::Rng::with_seed(14);
    let mut history = History::new();
    let mut compared = 0;
    for number in 0..400 {
        let value = (random.u32(..4) > 0).then(|| value(number, random.usize(10..90)));
        write(&harness, &mut history, &key(random.u32(..40)), value.as_deref());
        if number % 12 == 0 {
            while !harness.engine.rotate().unwrap() {
                harness.step();
            }
        }
        if !matches!(harness.step(), Step::InstalledFlush | Step::InstalledCompaction) {
            continue;
        }
        compared += 1;
        let what = format!("after write {number}");
        harness.check(&history, &what);
        let copy = Arc::new(MemVfs::from_snapshot(memory.snapshot()));
        let fresh = Harness::over(copy, harness.options.clone());
        fresh.check(&history, &format!("{what}, opened afresh"));
    }
    assert!(compared > 30 && harness.engine.stats().compactions > 3, "{compared}");
}
