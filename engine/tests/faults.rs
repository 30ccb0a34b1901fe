//! Goal: whatever file operation fails, no call panics, hangs or lies; and when one panics, writing stops and nothing else.
//! Method: count the file operations of a script that a kind of failure can meet, then run it again once for every such
//! operation k with a failure there, once, five times or from there on; afterwards the database is reopened without faults and
//! must hold exactly what was acknowledged, with or without the commits whose outcome was reported unknown, in order and
//! whole.
//!
//! `ENGINE_FAULT_STRIDE` (default 23) picks every how manyeth k, another start for each campaign; 1 is the full campaign.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails the test")]

mod common;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use base::clock::ManualClock;
use base::vfs::{Fault, FaultKind, FaultVfs, MemVfs, Times, Vfs};
use base::{Entry, Error, Retention, UnixSeconds};
use common::{Harness, assert_same, open};
use engine::{CommitError, Durability, Engine, Options, Step};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;
type Writes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// What the script believes.
#[derive(Default)]
struct Belief {
    /// A panic is what is injected; else none may happen.
    expects_panic: bool,
    certain: Map,
    /// Commits of unknown outcome, in order; nothing is acknowledged after the first.
    unknown: Vec<Writes>,
}

impl Belief {
    /// The outcome of `call`; `None` when it panicked, which it may only if that was injected.
    fn outcome_of<T>(&self, call: impl FnOnce() -> T) -> Option<T> {
        if self.expects_panic { catch_unwind(AssertUnwindSafe(call)).ok() } else { Some(call()) }
    }
}

fn apply(map: &mut Map, writes: &Writes) {
    for (key, value) in writes {
        match value {
            Some(value) => map.insert(key.clone(), value.clone()),
            None => map.remove(key),
        };
    }
}

fn writes(random: &mut fastrand::Rng) -> Writes {
    let mut map = BTreeMap::new();
    for _ in 0..random.usize(1..4) {
        let key = format!("key{:02}", random.u32(..24)).into_bytes();
        let len = if random.u32(..4) == 0 { random.usize(64..700) } else { random.usize(..40) };
        let value = (random.u32(..5) > 0).then(|| vec![random.u8(..); len]);
        map.insert(key, value);
    }
    map.into_iter().collect()
}

fn commit(engine: &Engine, writes: &Writes, durability: Durability, belief: &mut Belief) {
    let entries = writes
        .iter()
        .map(|(key, value)| (key.as_slice(), value.as_deref().map_or(Entry::tombstone(), Entry::inline)));
    let prepared = engine.prepare(entries).unwrap();
    let outcome = belief.outcome_of(|| engine.commit(prepared, durability, |_| Ok::<(), Infallible>(())));
    let Some(outcome) = outcome else {
        // Before the commit was numbered nothing has happened; from then on writing has stopped.
        if engine.halted().is_some() {
            belief.unknown.push(writes.clone());
        }
        return;
    };
    match outcome {
        Ok(_) => {
            assert!(belief.unknown.is_empty(), "a commit was acknowledged after one of unknown outcome");
            apply(&mut belief.certain, writes);
        }
        Err(CommitError::Refused(never)) => match never {},
        Err(CommitError::NotWritten(error)) => {
            // A commit that the halt of a background step has kept from being written is told the cause.
            let honest = matches!(error, Error::NoSpace { .. } | Error::Halted { .. } | Error::Io { .. });
            assert!(honest, "not written: {error}");
        }
        Err(CommitError::Unknown(_)) => belief.unknown.push(writes.clone()),
    }
}

/// A read may fail while the disk does, but it may not lie. What is unknown is not visible: writing has stopped before it was
/// published.
fn check_reads(engine: &Engine, belief: &Belief) {
    let at = engine.visible().load();
    for number in 0..24 {
        let key = format!("key{number:02}").into_bytes();
        let read = belief.outcome_of(|| match engine.get(&key, at)? {
            Some(found) => found.value(&key),
            None => Ok(None),
        });
        if let Some(Ok(read)) = read {
            let expected = belief.certain.get(&key).map(Vec::as_slice);
            assert_eq!(read.as_deref(), expected, "{}", key.escape_ascii());
        }
    }
    let options = engine::ScanOptions::at(at, UnixSeconds(1_000));
    let scanned = belief.outcome_of(|| {
        let (mut scan, mut all) = (engine.scan(options), Map::new());
        while let Some(item) = scan.next()? {
            let value = item.value()?.expect("a live item has a value").to_vec();
            all.insert(item.user_key().to_vec(), value);
        }
        Ok::<Map, Error>(all)
    });
    if let Some(Ok(scanned)) = scanned {
        assert!(scanned == belief.certain, "a scan without an error shows something else");
    }
}

fn step(engine: &Engine, belief: &Belief) {
    let visible = engine.visible().load();
    let stepped =
        belief.outcome_of(|| engine.step(&|| Retention::new(visible, [], UnixSeconds(1_000))).map(drop));
    assert!(stepped.is_some() || engine.halted().is_some(), "a step has panicked, and writing goes on");
}

/// The script: commits, steps, flushes and reopens, from one seed.
fn script(vfs: &Arc<dyn Vfs>, seed: u64, expects_panic: bool) -> Belief {
    let mut random = fastrand::Rng::with_seed(seed);
    let clock = Arc::new(ManualClock::new(UnixSeconds(1_000)));
    let mut belief = Belief { expects_panic, ..Belief::default() };
    let opened = |belief: &Belief| belief.outcome_of(|| open(vfs, &clock, &Options::tiny()).ok()).flatten();
    let mut engine = opened(&belief);
    for _ in 0..300 {
        let action = random.u32(..100);
        let batch = writes(&mut random);
        let durability = if random.bool() { Durability::Sync } else { Durability::Buffered };
        let Some(open_engine) = &engine else { break };
        match action {
            0..45 => commit(open_engine, &batch, durability, &mut belief),
            45..90 => step(open_engine, &belief),
            90..93 => drop(belief.outcome_of(|| open_engine.rotate().ok())),
            93..95 => drop(belief.outcome_of(|| open_engine.sync().ok())),
            95..98 => check_reads(open_engine, &belief),
            _ => {
                // Two unknown outcomes could not be told apart by order any more, once a reopen has settled the first.
                if !belief.unknown.is_empty() {
                    break;
                }
                if random.bool() {
                    belief.outcome_of(|| close(open_engine));
                }
                engine = None;
                engine = opened(&belief).or(engine);
            }
        }
    }
    if let Some(engine) = &engine {
        check_reads(engine, &belief);
    }
    belief
}

/// A clean close, as far as it goes.
fn close(engine: &Engine) {
    engine.stop_commits();
    let step = || engine.step(&|| Retention::new(engine.visible().load(), [], UnixSeconds(1_000)));
    for _ in 0..1_000 {
        if engine.halted().is_some() || (engine.rotate().is_ok_and(|done| done) && !engine.has_frozen()) {
            let _failed = engine.finish_close();
            break;
        }
        let _failed = step();
    }
    engine.release_lock();
}

/// Reopens without faults and compares.
fn check(memory: &MemVfs, belief: &Belief, what: &str) {
    let harness = Harness::over(Arc::new(memory.clone()), Options::tiny());
    let found: Map = harness.dump().into_iter().collect();
    let mut allowed = belief.certain.clone();
    let mut matches = found == allowed;
    for unknown in &belief.unknown {
        apply(&mut allowed, unknown);
        matches |= found == allowed;
    }
    if !matches {
        let list = |map: &Map| map.clone().into_iter().collect::<Vec<_>>();
        assert_same(&list(&found), &list(&belief.certain), what);
    }
    harness.verify();
    // It works on.
    harness.set(b"after", b"all");
    harness.settle();
    let harness = harness.reopen();
    assert_eq!(harness.get(b"after"), Some(b"all".to_vec()), "{what}");
    assert_eq!(harness.step_until_idle(), Step::Idle);
}

fn run(seed: u64, fault: Option<Fault>, what: &str) -> FaultVfs {
    let memory = MemVfs::new();
    let faulty = FaultVfs::new(Arc::new(memory.clone()));
    let expects_panic = fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::Panic);
    if let Some(fault) = fault {
        faulty.inject(fault);
    }
    let vfs: Arc<dyn Vfs> = Arc::new(faulty.clone());
    let belief = script(&vfs, seed, expects_panic);
    drop(vfs);
    check(&memory, &belief, what);
    faulty
}

/// Panics that were asked for are not reported: a backtrace takes longer than a run.
fn silence_injected_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload_as_str().is_none_or(|text| !text.starts_with("injected:")) {
                report(info);
            }
        }));
    });
}

fn campaign(kind: FaultKind, times: Times) {
    silence_injected_panics();
    let stride = std::env::var("ENGINE_FAULT_STRIDE").ok().and_then(|text| text.parse().ok()).unwrap_or(23);
    let mut fired = 0;
    for seed in [1, 2] {
        let clean = run(seed, None, "no fault");
        assert!(clean.operations() > 500, "the script does too little: {} operations", clean.operations());
        let operations = clean.count(kind.operations());
        // Another start for each campaign, so that strides do not always skip the same operations.
        let start = (seed * 7 + kind as u64 * 3 + u64::from(times == Times::Forever) * 11) % stride;
        for k in (1 + start..=operations).step_by(usize::try_from(stride).unwrap()) {
            let what = format!("seed {seed}, operation {k} of {operations}, {kind:?} {times:?}");
            println!("{what}");
            fired += u64::from(run(seed, Some(Fault::new(kind).nth(k).times(times)), &what).fired() > 0);
        }
    }
    assert!(fired > 0, "no failure has struck");
}

/// One test for each kind of failure and how often it strikes.
macro_rules! campaigns {
    ($($name:ident: $kind:ident, $times:expr;)*) => {
        $(#[test]
        fn $name() {
            campaign(FaultKind::$kind, $times);
        })*
    };
}

campaigns! {
    input_output_error_once: Io, Times::Once;
    input_output_error_five_times: Io, Times::Window(5);
    input_output_error_for_ever: Io, Times::Forever;
    no_space_once: NoSpace, Times::Once;
    no_space_five_times: NoSpace, Times::Window(5);
    no_space_for_ever: NoSpace, Times::Forever;
    no_permission_five_times: NoPermission, Times::Window(5);
    too_many_files_five_times: TooManyFiles, Times::Window(5);
    too_many_files_for_ever: TooManyFiles, Times::Forever;
    interrupted_five_times: Interrupted, Times::Window(5);
    short_write_once: ShortWrite, Times::Once;
    short_write_of_a_full_disk_once: TornNoSpace, Times::Once;
    short_read_once: ShortRead, Times::Once;
    short_read_five_times: ShortRead, Times::Window(5);
    flipped_bit_once: FlippedBit, Times::Once;
    flipped_bit_five_times: FlippedBit, Times::Window(5);
    failed_sync_once: SyncLost, Times::Once;
    failed_sync_five_times: SyncLost, Times::Window(5);
    late_report_of_a_failed_sync_once: SyncLate, Times::Once;
    panic_once: Panic, Times::Once;
    panic_for_ever: Panic, Times::Forever;
}
