//! Goal: whatever file operation fails, no call panics, hangs or lies. Method: count the file operations of a script, then
//! run it again once for every operation k with a failure there, once or from there on; afterwards the database is
//! reopened without faults and must hold exactly what was acknowledged, with or without the commits whose outcome was
//! reported unknown, in order and whole.
//!
//! `ENGINE_FAULT_STRIDE` (default 5) picks every how manyeth k; 1 is the full campaign.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails the test")]

mod common;

use std::collections::BTreeMap;
use std::convert::Infallible;
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
    certain: Map,
    /// Commits of unknown outcome, in order; nothing is acknowledged after the first.
    unknown: Vec<Writes>,
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
    match engine.commit(prepared, durability, |_| Ok::<(), Infallible>(())) {
        Ok(_) => {
            assert!(belief.unknown.is_empty(), "a commit was acknowledged after one of unknown outcome");
            apply(&mut belief.certain, writes);
        }
        Err(CommitError::Refused(never)) => match never {},
        Err(CommitError::NotWritten(error)) => {
            let honest = matches!(error, Error::NoSpace { .. } | Error::Halted { .. } | Error::Io { .. });
            assert!(honest, "not written: {error}");
        }
        Err(CommitError::Unknown(_)) => belief.unknown.push(writes.clone()),
    }
}

fn check_reads(engine: &Engine, belief: &Belief) {
    for (key, value) in belief.certain.iter().take(3) {
        // A read may fail while the disk does, but it may not lie. What is unknown may be visible or not.
        if belief.unknown.is_empty()
            && let Ok(found) = engine.get(key, engine.visible().load())
        {
            let found = found.expect("an acknowledged key is found");
            if let Ok(read) = found.value(key) {
                assert_eq!(read.as_deref(), Some(value.as_slice()), "{}", key.escape_ascii());
            }
        }
    }
}

/// The script: commits, steps, flushes and reopens, from one seed.
fn script(vfs: &Arc<dyn Vfs>, seed: u64) -> Belief {
    let mut random = fastrand::Rng::with_seed(seed);
    let clock = Arc::new(ManualClock::new(UnixSeconds(1_000)));
    let mut belief = Belief::default();
    let mut engine = open(vfs, &clock, &Options::tiny()).ok();
    for _ in 0..300 {
        let action = random.u32(..100);
        let batch = writes(&mut random);
        let durability = if random.bool() { Durability::Sync } else { Durability::Buffered };
        let Some(open_engine) = &engine else { break };
        match action {
            0..45 => commit(open_engine, &batch, durability, &mut belief),
            45..90 => {
                let visible = open_engine.visible().load();
                let _failed = open_engine.step(&|| Retention::new(visible, [], UnixSeconds(1_000)));
            }
            90..93 => drop(open_engine.rotate()),
            93..95 => drop(open_engine.sync()),
            95..98 => check_reads(open_engine, &belief),
            _ => {
                // Two unknown outcomes could not be told apart by order any more, once a reopen has settled the first.
                if !belief.unknown.is_empty() {
                    break;
                }
                engine = None;
                engine = open(vfs, &clock, &Options::tiny()).ok().or(engine);
            }
        }
    }
    belief
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

fn run(seed: u64, fault: Option<Fault>, what: &str) -> u64 {
    let memory = MemVfs::new();
    let faulty = FaultVfs::new(Arc::new(memory.clone()));
    if let Some(fault) = fault {
        faulty.inject(fault);
    }
    let vfs: Arc<dyn Vfs> = Arc::new(faulty.clone());
    let belief = script(&vfs, seed);
    drop(vfs);
    check(&memory, &belief, what);
    faulty.operations()
}

fn campaign(kind: FaultKind, times: Times) {
    let stride = std::env::var("ENGINE_FAULT_STRIDE").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    for seed in [1, 2] {
        let operations = run(seed, None, "no fault");
        assert!(operations > 500, "the script does too little: {operations} file operations");
        // Another offset for each seed, so that strides do not always skip the same operations.
        for k in (1 + seed..=operations).step_by(stride) {
            let what = format!("seed {seed}, operation {k} of {operations}, {kind:?} {times:?}");
            run(seed, Some(Fault::new(kind).nth(k).times(times)), &what);
        }
    }
}

#[test]
fn input_output_error_once() {
    campaign(FaultKind::Io, Times::Once);
}

#[test]
fn input_output_error_for_ever() {
    campaign(FaultKind::Io, Times::Forever);
}

#[test]
fn no_space_once() {
    campaign(FaultKind::NoSpace, Times::Once);
}

#[test]
fn no_space_for_ever() {
    campaign(FaultKind::NoSpace, Times::Forever);
}

#[test]
fn short_write_once() {
    campaign(FaultKind::ShortWrite, Times::Once);
}

#[test]
fn failed_sync_once() {
    campaign(FaultKind::SyncLost, Times::Once);
}
