//! Goal: a scan has the system read ahead what its values lie in, where they lie in the order of their keys; keys alone, and values here
//! and there, ask for nothing. Method: a file system that counts what it is asked for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails the test")]

mod common;

use std::sync::Arc;

use base::Direction;
use base::vfs::{FaultVfs, MemVfs};
use common::Harness;
use engine::{Durability, Options};

const VALUES: u32 = 500;
const VALUE_BYTES: usize = 2_000;

/// The database, closed and opened again, with values written in the order that `turn` makes of their keys.
fn written(turn: u32) -> (FaultVfs, Harness) {
    let disk = FaultVfs::new(Arc::new(MemVfs::new()));
    let harness = Harness::over(Arc::new(disk.clone()), Options::default());
    for number in 0..VALUES {
        let key = (number * turn % VALUES).to_be_bytes();
        harness.commit(&[(&key, Some(&[7; VALUE_BYTES]))], Durability::Buffered);
    }
    (disk, harness.close_and_reopen())
}

/// What a whole scan asks for, in bytes.
fn asked_by_scan(disk: &FaultVfs, harness: &Harness, keys_only: bool) -> u64 {
    // Once before: segments are opened by the first value that is read.
    for _ in 0..2 {
        let before = disk.read_ahead_bytes();
        let mut options = harness.scan_options(harness.engine.visible().load());
        options.keys_only = keys_only;
        let (mut scan, mut items) = (harness.engine.scan(options), 0);
        while let Some(item) = scan.step(Direction::Forward).unwrap() {
            items += 1;
            assert!(keys_only || item.value().unwrap().is_some_and(|value| value.len() == VALUE_BYTES));
        }
        assert_eq!(items, VALUES);
        let asked = disk.read_ahead_bytes() - before;
        if asked > 0 || keys_only {
            return asked;
        }
    }
    0
}

#[test]
fn values_in_the_order_of_their_keys_are_read_ahead() {
    let (disk, harness) = written(1);
    assert_eq!(asked_by_scan(&disk, &harness, true), 0);
    let asked = asked_by_scan(&disk, &harness, false);
    assert!(asked > u64::from(VALUES) * VALUE_BYTES as u64 / 2, "{asked}");
}

#[test]
fn values_here_and_there_are_not() {
    let (disk, harness) = written(1);
    let before = disk.read_ahead_bytes();
    for number in (0..VALUES).step_by(7) {
        assert!(harness.get(&number.to_be_bytes()).is_some());
    }
    assert_eq!(disk.read_ahead_bytes(), before);
    // Neighbouring keys, whose values lie far from each other.
    let (disk, harness) = written(71);
    assert_eq!(asked_by_scan(&disk, &harness, false), 0);
}
