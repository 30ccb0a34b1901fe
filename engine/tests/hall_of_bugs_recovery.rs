//! Goal: the recovery bugs that other engines had do not happen here: of logs. Method: for each a small database in the
//! state that the story needs, its files harmed or its open interrupted in every way the story allows, and opened again.
//! Numbers and sources are those of the hall of bugs. `hall_of_bugs_recovery_steps.rs` has those of crashes in a row and of background work.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails the test")]

mod common;
mod cuts;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::clock::ManualClock;
use base::header::CONTENT_START;
use base::vfs::{Fault, FaultKind, FaultVfs, MemVfs, Operation, Operations, Times, Vfs};
use base::{Compression, Entry, Result, UnixSeconds};
use common::{DIRECTORY, Harness, open};
use cuts::{Map, apply, value};
use engine::{CommitError, Durability, Engine, Environment, Options, TableAccess};

type Files = BTreeMap<PathBuf, Vec<u8>>;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(UnixSeconds(1_000)))
}

fn open_files(files: &Files, options: &Options) -> (MemVfs, Result<Engine>) {
    let memory = MemVfs::from_snapshot(files.clone());
    let vfs: Arc<dyn Vfs> = Arc::new(memory.clone());
    (memory, open(&vfs, &clock(), options))
}

fn dump(engine: &Engine) -> Result<Map> {
    let scan_options = engine::ScanOptions::at(engine.visible().load(), UnixSeconds(1_000));
    let mut scan = engine.scan(scan_options);
    let mut all = Map::new();
    while let Some(item) = scan.next()? {
        let value = item.value()?.expect("a live item has a value").to_vec();
        all.insert(item.user_key().to_vec(), value);
    }
    Ok(all)
}

/// The files of one kind, and how much of each was written.
fn logs(files: &Files, extension: &str) -> Vec<(PathBuf, usize)> {
    let of_kind = files.iter().filter(|(path, _)| path.extension().is_some_and(|found| found == extension));
    let written = |data: &Vec<u8>| data.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    of_kind.map(|(path, data)| (path.clone(), written(data))).collect()
}

/// Commits of two keys each, to both logs in turn, in one generation. The states after each commit, and the files as a
/// kill leaves them.
fn pairs(count: u64, durability: Durability) -> (Vec<Map>, Files) {
    pairs_on(MemVfs::new(), count, durability)
}

fn pairs_on(memory: MemVfs, count: u64, durability: Durability) -> (Vec<Map>, Files) {
    let harness = Harness::over(Arc::new(memory.clone()), Options::tiny());
    let mut states = vec![Map::new()];
    for number in 0..count {
        let value = value(number, if number % 2 == 0 { 20 } else { 90 });
        let keys = [vec![b'a', number as u8], b"both".to_vec()];
        harness.commit(&[(&keys[0], Some(&value)), (&keys[1], Some(&value))], durability);
        let mut state = states.last().unwrap().clone();
        apply(&mut state, &keys.into_iter().map(|key| (key, Some(value.clone()))).collect());
        states.push(state);
    }
    drop(harness);
    (states, memory.snapshot())
}

/// pebble #567, and rocksdb #12918: records of an earlier life of a log, or of another log, stood behind its end and were
/// replayed. Here they are no records: file number, salt and place are in their checksums.
#[test]
fn hb_24_stale_and_foreign_records_are_never_replayed() {
    let (states, files) = pairs(2, Durability::Buffered);
    // Another life: it draws other random bytes, so its salts differ and nothing else does.
    let other_life = MemVfs::from_snapshot(Files::from([(PathBuf::from("/elsewhere"), vec![1])]));
    let (_, other) = pairs_on(other_life, 12, Durability::Buffered);
    for extension in ["wal", "vlog"] {
        let (path, end) = logs(&files, extension)[0].clone();
        let (other_path, other_end) = logs(&other, extension)[0].clone();
        let mut harmed = files.clone();
        let log = harmed.get_mut(&path).unwrap();
        let end = end.next_multiple_of(8);
        log.resize(log.len().max(other_end), 0);
        // The other database wrote the same commits first, so that its later records stand exactly where ours go on.
        log[end..other_end].copy_from_slice(&other[&other_path][end..other_end]);
        let (_, engine) = open_files(&harmed, &Options::tiny());
        assert_eq!(&dump(&engine.unwrap()).unwrap(), states.last().unwrap(), "{extension}");
    }
}

/// pebble d40d24140: the durable mark advanced only with an option for metrics set, so that damage looked like the end of
/// the log. Here, under every option, damage of what a later record says was durable is told, whatever byte it is.
#[test]
fn hb_26_damage_below_a_mark_is_told_under_every_option() {
    for (access, compression, group_bytes) in [
        (TableAccess::Mapped, Compression::Lz4, 4 << 10),
        (TableAccess::Positional, Compression::None, 1),
        (TableAccess::Mapped, Compression::Zstd(1), 1),
        (TableAccess::Positional, Compression::Lz4, 1 << 20),
    ] {
        let options = Options {
            access,
            value_compression: compression,
            upper_compression: compression,
            group_bytes,
            keep_versions: NonZeroU32::new(2).unwrap(),
            ..Options::tiny()
        };
        for len in [20, 90] {
            let memory = MemVfs::new();
            let harness = Harness::over(Arc::new(memory.clone()), options.clone());
            for number in 0..3_u64 {
                harness.set(&[number as u8], &value(number, len));
            }
            drop(harness);
            let files = memory.snapshot();
            let (path, end) = logs(&files, if len == 20 { "wal" } else { "vlog" })[0].clone();
            // The third record says that the first two were durable.
            let start = CONTENT_START as usize;
            for at in start..start + (end - start) * 2 / 3 - 8 {
                let mut harmed = files.clone();
                harmed.get_mut(&path).unwrap()[at] ^= 0x10;
                if harmed[&path][at] == 0x10 && files[&path][at] == 0 {
                    // Padding between records is covered by no checksum, and read by nobody.
                    if open_files(&harmed, &options).1.is_ok_and(|engine| dump(&engine).is_ok()) {
                        continue;
                    }
                }
                let (_, opened) = open_files(&harmed, &options);
                let told = match opened {
                    Err(error) => error.is_corruption(),
                    Ok(engine) => dump(&engine).is_err_and(|error| error.is_corruption()),
                };
                assert!(told, "{options:?}: byte {at} of {} bytes", path.display());
            }
        }
    }
}

/// pebble #2234: a read-only open put later records into an earlier memtable. Here it shows what a read-write open of the
/// same files shows, also when transactions are larger than memtables and go to both logs of several generations.
#[test]
fn hb_28_a_read_only_open_shows_what_a_read_write_open_shows() {
    for seed in 0..30 {
        let mut random = fastrand::Rng::with_seed(seed);
        let memory = MemVfs::new();
        let harness = Harness::over(Arc::new(memory.clone()), Options::tiny());
        let mut state = Map::new();
        for _ in 0..random.usize(1..20) {
            let count = if random.u32(..4) == 0 { 120 } else { random.usize(1..4) };
            let writes: BTreeMap<Vec<u8>, Option<Vec<u8>>> = (0..count)
                .map(|_| {
                    let len = if random.u32(..4) == 0 { 80 } else { random.usize(..60) };
                    let value = (random.u32(..5) > 0).then(|| value(random.u64(..), len));
                    (vec![random.u8(..40)], value)
                })
                .collect();
            let borrowed: Vec<_> =
                writes.iter().map(|(key, value)| (key.as_slice(), value.as_deref())).collect();
            harness.commit(&borrowed, Durability::Buffered);
            apply(&mut state, &writes.into_iter().collect());
            match random.u32(..4) {
                0 => drop(harness.engine.rotate().unwrap()),
                1 => drop(harness.step()),
                _ => {}
            }
        }
        let version = harness.engine.visible().load();
        drop(harness);
        let files = memory.snapshot();
        for access in [TableAccess::Mapped, TableAccess::Positional] {
            let options = Options { access, ..Options::tiny() };
            let vfs: Arc<dyn Vfs> = Arc::new(MemVfs::from_snapshot(files.clone()));
            let environment = Environment { vfs, clock: clock() };
            let read_only =
                Engine::open_read_only(Path::new(DIRECTORY), options.clone(), environment).unwrap();
            let (_, writable) = open_files(&files, &options);
            let writable = writable.unwrap();
            assert_eq!(read_only.visible().load(), version, "seed {seed}");
            assert_eq!(writable.visible().load(), version, "seed {seed}");
            assert_eq!(dump(&read_only).unwrap(), state, "seed {seed}, read-only");
            for key in (0..40_u8).map(|key| vec![key]) {
                let found = read_only.get(&key, version).unwrap();
                let value = found.and_then(|found| found.value(&key).unwrap());
                assert_eq!(value.as_deref(), state.get(&key).map(Vec::as_slice), "seed {seed}, {key:?}");
            }
            assert_eq!(dump(&writable).unwrap(), state, "seed {seed}, read-write");
        }
    }
}

/// badger #1465: an open that failed cut the value log to nothing while it cleaned up. Here an open that fails, at whatever
/// operation, leaves every file that the manifest lists as it was.
#[test]
fn hb_31_a_failed_open_changes_nothing_that_is_needed() {
    let memory = MemVfs::new();
    let harness = Harness::over(Arc::new(memory.clone()), Options::tiny());
    for number in 0..40_u64 {
        let len = if number % 3 == 0 { 150 } else { 30 };
        harness.commit(&[(&number.to_be_bytes(), Some(&value(number, len)))], Durability::Buffered);
        if number == 15 {
            harness.flush();
        }
        if number == 30 {
            assert!(harness.engine.rotate().unwrap());
        }
    }
    let expected: Map = harness.dump().into_iter().collect();
    drop(harness);
    let before = memory.snapshot();
    let mut failures = 0;
    for times in [Times::Once, Times::Forever] {
        for nth in 1.. {
            let memory = MemVfs::from_snapshot(before.clone());
            let faulty = FaultVfs::new(Arc::new(memory.clone()));
            faulty.inject(Fault::new(FaultKind::Io).nth(nth).times(times));
            let vfs: Arc<dyn Vfs> = Arc::new(faulty.clone());
            let opened = open(&vfs, &clock(), &Options::tiny());
            let fired = faulty.fired();
            if opened.is_err() {
                failures += 1;
                let after = memory.snapshot();
                let listed = manifest::read(&memory, Path::new(DIRECTORY)).unwrap();
                // A log that has become a segment may be cut to what counts of it.
                let logs = listed.generations().flat_map(|open| [open.wal, open.vlog]);
                let needed: BTreeSet<u64> = logs.chain(listed.tables().map(|table| table.number)).collect();
                for (path, data) in &before {
                    let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
                    if number.is_some_and(|number| needed.contains(&number)) {
                        assert!(after.get(path) == Some(data), "{nth} {times:?}: {}", path.display());
                    }
                }
            }
            drop(opened);
            let (_, engine) = open_files(&memory.snapshot(), &Options::tiny());
            assert_eq!(dump(&engine.unwrap()).unwrap(), expected, "operation {nth}, {times:?}");
            if fired == 0 {
                break;
            }
        }
    }
    assert!(failures > 50, "{failures}");
    // Damage is refused, and nothing at all is touched.
    let listed = manifest::read(&MemVfs::from_snapshot(before.clone()), Path::new(DIRECTORY)).unwrap();
    let needed: Vec<String> = listed
        .generations()
        .map(|open| format!("{DIRECTORY}/{:06}.wal", open.wal))
        .chain(["MANIFEST", "KEYREGISTRY"].map(|name| format!("{DIRECTORY}/{name}")))
        .collect();
    for path in needed.iter().map(Path::new) {
        let mut harmed = before.clone();
        harmed.get_mut(path).unwrap()[20] ^= 1;
        let (memory, opened) = open_files(&harmed, &Options::tiny());
        assert!(opened.is_err_and(|error| error.is_corruption()), "{}", path.display());
        assert!(memory.snapshot() == harmed, "{}", path.display());
    }
}

/// badger #1126: a log of zeros was taken to be valid up to offset 0, and was cut to that. Here zeros, or nothing, behind or
/// in place of the records never cost what was validated before them, and a log without its header is damage.
#[test]
fn hb_32_zeros_never_cost_what_stands_before_them() {
    for len in [20, 200] {
        let memory = MemVfs::new();
        let harness = Harness::over(Arc::new(memory.clone()), Options::tiny());
        let mut states = vec![Map::new()];
        for number in 0..4_u64 {
            harness.set(&[number as u8], &value(number, len));
            states.push(harness.dump().into_iter().collect());
        }
        drop(harness);
        let files = memory.snapshot();
        let (written, idle) = if len == 20 { ("wal", "vlog") } else { ("vlog", "wal") };
        let (path, end) = logs(&files, written)[0].clone();
        for from in (CONTENT_START as usize..end + 16).step_by(8) {
            for is_cut in [false, true] {
                let mut harmed = files.clone();
                let log = harmed.get_mut(&path).unwrap();
                if is_cut {
                    log.truncate(from.min(log.len()));
                } else {
                    let from = from.min(log.len());
                    log[from..].fill(0);
                }
                let (_, opened) = open_files(&harmed, &Options::tiny());
                match opened {
                    Err(error) => assert!(error.is_corruption(), "{error}"),
                    Ok(engine) => {
                        let found = dump(&engine).unwrap();
                        assert!(states.contains(&found), "{written} from {from}: {} keys", found.len());
                        if from >= end {
                            assert_eq!(&found, states.last().unwrap());
                        }
                        assert!(engine.verify(&mut |_, _| {}).unwrap().is_clean());
                    }
                }
            }
        }
        for log in [written, idle] {
            let (path, _) = logs(&files, log)[0].clone();
            for zeros in [0, 1, 4096] {
                let mut harmed = files.clone();
                harmed.insert(path.clone(), vec![0; zeros]);
                let (memory, opened) = open_files(&harmed, &Options::tiny());
                assert!(opened.is_err_and(|error| error.is_corruption()));
                assert!(memory.snapshot() == harmed, "{zeros} zeros instead of {}", path.display());
            }
        }
    }
}

/// badger #592, #613: the end mark of the first transaction was lost, or the last log but one was damaged, and what was cut
/// off was wrong. Here, with each log cut at each length, no transaction is there in part, none is there without those before
/// it, and what a later one says was durable is missed loudly.
#[test]
fn hb_33_each_log_cut_at_each_length() {
    const COUNT: u64 = 6;
    for durability in [Durability::Buffered, Durability::Sync] {
        let (states, files) = pairs(COUNT, durability);
        for extension in ["wal", "vlog"] {
            let (path, end) = logs(&files, extension)[0].clone();
            let mut refusals = 0;
            for len in CONTENT_START as usize..=end {
                let mut harmed = files.clone();
                harmed.get_mut(&path).unwrap().truncate(len);
                let (_, opened) = open_files(&harmed, &Options::tiny());
                match opened {
                    Ok(engine) => {
                        let found = dump(&engine).unwrap();
                        let commits = states.iter().position(|state| *state == found);
                        let commits =
                            commits.unwrap_or_else(|| panic!("{extension} cut to {len}: no prefix"));
                        let least = if durability == Durability::Sync { COUNT as usize - 1 } else { 0 };
                        assert!(commits >= least, "{extension} cut to {len}: {commits} commits");
                    }
                    Err(error) => {
                        assert!(error.is_corruption() && durability == Durability::Sync, "{error}");
                        refusals += 1;
                    }
                }
            }
            assert_eq!(refusals > 0, durability == Durability::Sync, "{extension}");
        }
    }
}

fn try_commit(engine: &Engine, key: &[u8], value: &[u8]) -> Result<(), CommitError<Infallible>> {
    let prepared = engine.prepare(std::iter::once((key, Entry::inline(value)))).unwrap();
    engine.commit(prepared, Durability::Sync, |_| Ok(())).map(|_| ())
}

/// fjall #308: an error in the middle of a batch left a part of a record, and what was acknowledged behind it was never found
/// again. Here every commit that was acknowledged, before and after a failure, is there after the next open and the one after.
#[test]
fn hb_43_nothing_acknowledged_stands_behind_half_a_record() {
    for kind in [FaultKind::Io, FaultKind::NoSpace, FaultKind::ShortWrite, FaultKind::TornNoSpace] {
        for nth in 1.. {
            let memory = MemVfs::new();
            let mut acknowledged = Map::new();
            let faulty = FaultVfs::new(Arc::new(memory.clone()));
            let harness = Harness::over(Arc::new(faulty.clone()), Options::tiny());
            faulty.inject(
                Fault::new(kind).on(Operations::of(&[Operation::Write, Operation::Allocate])).nth(nth),
            );
            for number in 0..8_u64 {
                let (key, value) =
                    (vec![number as u8], value(number, if number % 2 == 0 { 20 } else { 900 }));
                if try_commit(&harness.engine, &key, &value).is_ok() {
                    acknowledged.insert(key, value);
                }
            }
            let fired = faulty.fired();
            drop(harness);
            let mut harness = Harness::over(Arc::new(memory), Options::tiny());
            for round in 0..2_u8 {
                let found: Map = harness.dump().into_iter().collect();
                let missing = acknowledged.iter().find(|(key, value)| found.get(*key) != Some(value));
                assert_eq!(missing, None, "{kind:?} at {nth}, round {round}");
                harness.set(&[100 + round], b"later");
                acknowledged.insert(vec![100 + round], b"later".to_vec());
                harness = harness.reopen();
            }
            if fired == 0 {
                break;
            }
        }
    }
}

/// fjall #68, #317: the length of a value had 16 bits in the journal; and a journal begun after a recovery had a name that
/// the next open did not know. Here lengths on both sides of every boundary come back from the logs and from tables, over
/// open, write, open, open.
#[test]
fn hb_45_lengths_at_every_boundary_survive_open_write_open_open() {
    let lengths = [0, 1, 63, 64, 127, 128, 255, 256, 16_383, 16_384, 65_535, 65_536, 65_537, (1 << 20) - 1];
    let lengths = lengths.into_iter().chain([1 << 20, (1 << 20) + 1, (1 << 21) - 1, 1 << 21]);
    let keys = [1_usize, 127, 128, 255, 256, 16_383, 16_384, 65_535, 65_536];
    let writes: Vec<(Vec<u8>, Vec<u8>)> = lengths
        .enumerate()
        .map(|(at, len)| (vec![at as u8; keys[at % keys.len()]], value(at as u64, len)))
        .collect();
    let inline = Options { value_threshold: 1 << 20, memtable_bytes: 4 << 20, ..Options::tiny() };
    let inline = Options { write_buffer_bytes: 16 << 20, ..inline };
    for options in [Options::tiny(), inline] {
        let mut harness = Harness::new(options);
        let check = |harness: &Harness, what: &str| {
            for (key, value) in &writes {
                let is_same = harness.get(key).as_deref() == Some(value.as_slice());
                assert!(is_same, "{what}: {} bytes under {} bytes", value.len(), key.len());
            }
        };
        for (key, value) in &writes {
            harness.set(key, value);
        }
        check(&harness, "in memory");
        harness = harness.reopen();
        check(&harness, "replayed");
        for (key, value) in &writes {
            harness.set(key, value);
        }
        harness.set(b"last", b"written");
        harness = harness.reopen().reopen();
        check(&harness, "replayed twice");
        assert_eq!(harness.get(b"last"), Some(b"written".to_vec()));
        harness.engine.request_compaction().unwrap();
        harness.settle();
        check(&harness.reopen(), "compacted");
    }
}
