//! Goal: a lock that is let go is free at once, whatever else the process does. Method: another thread starts processes all the
//! time; between its fork and its exec each has copies of all open handles of this one.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use base::vfs::{LockKind, OsVfs, Vfs};

/// Enough to meet the short moment many times.
const PROCESSES: u32 = 200;

#[test]
fn a_process_that_starts_does_not_keep_a_lock_alive() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("LOCK");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let starter = scope.spawn(|| {
            for _ in 0..PROCESSES {
                let mut command = Command::new("true");
                command.stdin(Stdio::null()).status().unwrap();
            }
            is_over.store(true, Ordering::Relaxed);
        });
        let mut refused = None;
        while !is_over.load(Ordering::Relaxed) && refused.is_none() {
            let kind = if fastrand::bool() { LockKind::Exclusive } else { LockKind::Shared };
            refused = OsVfs.lock(&path, LockKind::Exclusive).map(drop).err();
            refused = refused.or(OsVfs.lock(&path, kind).map(drop).err());
        }
        starter.join().unwrap();
        assert!(refused.is_none(), "{refused:?}");
    });
}
