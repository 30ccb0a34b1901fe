//! Goal: the operational bugs that other engines had do not happen here, as far as the features exist. Method: the story of each
//! on a small database. Numbers and sources are those of the hall of bugs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails the test")]

mod common;
mod cuts;

use std::path::Path;
use std::sync::Arc;

use base::UnixSeconds;
use base::clock::ManualClock;
use base::vfs::{Fault, FaultKind, FaultVfs, MemVfs, Operations, Times, Vfs};
use common::{DIRECTORY, Harness};
use cuts::{Map, value};
use engine::{Durability, Engine, Environment, Options, TableAccess};

/// badger #2234: opening for reading only needed the permission to write. Here it works where every change is forbidden, logs
/// to be replayed and all, and does not even try one.
#[test]
fn hb_81_a_read_only_open_needs_no_permission_to_write() {
    let memory = MemVfs::new();
    let harness = Harness::over(Arc::new(memory.clone()), Options::tiny());
    for number in 0..60_u64 {
        let len = if number % 3 == 0 { 150 } else { 30 };
        harness.commit(&[(&number.to_be_bytes(), Some(&value(number, len)))], Durability::Buffered);
        if number == 30 {
            harness.flush();
        }
    }
    let expected = harness.dump();
    drop(harness);
    let before = memory.snapshot();
    for access in [TableAccess::Mapped, TableAccess::Positional] {
        let faulty = FaultVfs::new(Arc::new(memory.clone()));
        faulty.inject(Fault::new(FaultKind::NoPermission).on(Operations::CHANGES).times(Times::Forever));
        let environment = Environment {
            vfs: Arc::new(faulty.clone()),
            clock: Arc::new(ManualClock::new(UnixSeconds(1_000))),
        };
        let options = Options { access, ..Options::tiny() };
        let engine = Engine::open_read_only(Path::new(DIRECTORY), options, environment).unwrap();
        let at = engine.visible().load();
        for (key, value) in &expected {
            let found = engine.get(key, at).unwrap().unwrap();
            assert_eq!(found.value(key).unwrap().as_deref(), Some(value.as_slice()));
        }
        assert!(engine.verify(&mut |_, _| {}).unwrap().is_clean());
        drop(engine);
        assert_eq!(faulty.fired(), 0, "it tried to change something");
    }
    assert!(memory.snapshot() == before);
}

/// rocksdb #14016: the newest log was deleted when the clock had gone back. Here the clock may jump anywhere between and during
/// lives of a database: what has no expiry is there.
#[test]
fn hb_81_a_clock_that_jumps_costs_nothing() {
    let times = [1_000, 0, u64::MAX, 1, u64::MAX - 1, 2_000, 1_999, 50, u64::MAX, 7];
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut harness = Harness::over(Arc::new(MemVfs::new()), Options::tiny());
        let mut state = Map::new();
        for number in 0..120_u64 {
            harness.clock.set(UnixSeconds(times[random.usize(..times.len())]));
            let (key, value) = (vec![random.u8(..30)], value(number, random.usize(1..120)));
            harness.commit(&[(&key, Some(&value))], Durability::Buffered);
            state.insert(key, value);
            match random.u32(..12) {
                0 => harness = harness.reopen(),
                1 => harness = harness.close_and_reopen(),
                2 => harness.flush(),
                3..8 => drop(harness.step()),
                _ => {}
            }
            if number % 10 == 0 {
                assert_eq!(harness.dump().len(), state.len(), "seed {seed}, after {number}");
            }
        }
        harness.settle();
        assert_eq!(harness.reopen().dump().into_iter().collect::<Map>(), state, "seed {seed}");
    }
}

/// badger #1144: an upgrade mixed files of two ways of sealing. Here the options that decide how bytes are stored may change at
/// every open: what was stored before is read as it was stored.
#[test]
fn hb_81_ways_of_storing_may_be_mixed() {
    use base::Compression::{Lz4, None, Zstd};
    let memory = MemVfs::new();
    let vfs: Arc<dyn Vfs> = Arc::new(memory);
    let mut state = Map::new();
    for (round, compression) in [None, Lz4, Zstd(3), None, Zstd(1), Lz4].into_iter().enumerate() {
        let options = Options {
            value_compression: compression,
            upper_compression: compression,
            bottom_compression: compression,
            value_threshold: if round % 2 == 0 { 64 } else { 300 },
            access: if round % 3 == 0 { TableAccess::Positional } else { TableAccess::Mapped },
            ..Options::tiny()
        };
        let harness = Harness::over(Arc::clone(&vfs), options);
        assert_eq!(harness.dump().into_iter().collect::<Map>(), state, "round {round}");
        for number in 0..30_u64 {
            let (key, value) =
                (vec![(number * 7 + round as u64) as u8], vec![round as u8; 20 + number as usize * 20]);
            harness.commit(&[(&key, Some(&value))], Durability::Buffered);
            state.insert(key, value);
            harness.step();
        }
        harness.verify();
    }
    let harness = Harness::over(vfs, Options::tiny());
    assert_eq!(harness.dump().into_iter().collect::<Map>(), state);
    harness.engine.request_compaction().unwrap();
    harness.settle();
    assert_eq!(harness.dump().into_iter().collect::<Map>(), state);
}
