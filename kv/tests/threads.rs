//! Goal: with real threads and real background work, every snapshot is consistent and no update is lost.
//! Method: a bank whose sum is constant, moved about by several threads with `update`, while others add up snapshots, flush and
//! compact; limits are tiny, so memtables rotate all the time.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step fails the test")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kv::{Db, Options};

const ACCOUNTS: u64 = 40;
const INITIAL: u64 = 1_000;
const TRANSFERS: u64 = 1_500;

fn account(number: u64) -> Vec<u8> {
    format!("account/{number:04}").into_bytes()
}

fn amount(value: &[u8]) -> u64 {
    u64::from_le_bytes(value[..8].try_into().unwrap())
}

/// Some balances are long, so that they go to the value log.
fn balance(amount: u64, len: usize) -> Vec<u8> {
    let mut value = amount.to_le_bytes().to_vec();
    value.resize(8 + len, 0xee);
    value
}

fn sum(db: &Db, reverse: bool) -> (u64, usize) {
    let scan = db.scan().unwrap().prefix("account/");
    let range = if reverse { scan.reverse() } else { scan }.iter().unwrap();
    range.fold((0, 0), |(sum, count), item| (sum + amount(&item.unwrap().value().unwrap()), count + 1))
}

fn transfer(db: &Db, rng: &mut fastrand::Rng) -> kv::Result<()> {
    let (from, to, len) = (account(rng.u64(..ACCOUNTS)), account(rng.u64(..ACCOUNTS)), rng.usize(..150));
    db.update(|txn| {
        let held = amount(&txn.get(&from)?.unwrap());
        let moved = held.min(7);
        txn.set(&from, balance(held - moved, len))?;
        let there = amount(&txn.get(&to)?.unwrap());
        txn.set(&to, balance(there + moved, len))
    })
}

#[test]
fn the_sum_of_all_accounts_is_constant_in_every_snapshot() {
    let directory = tempfile::tempdir().unwrap();
    let options = || {
        Options::new()
            .with_engine_options(engine::Options::tiny())
            .durability(kv::Durability::Buffered)
            .maintenance_threads(2)
            .max_retries(10_000)
    };
    let db = options().open(directory.path()).unwrap();
    let mut batch = db.write_batch();
    for number in 0..ACCOUNTS {
        batch.set(account(number), balance(INITIAL, 0)).unwrap();
    }
    batch.commit().unwrap();
    let (done, checked) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|seed| {
                let db = db.clone();
                scope.spawn(move || {
                    let mut rng = fastrand::Rng::with_seed(seed);
                    (0..TRANSFERS).for_each(|_| transfer(&db, &mut rng).unwrap());
                })
            })
            .collect();
        for reverse in [false, true] {
            let (db, done, checked) = (db.clone(), &done, &checked);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(sum(&db, reverse), (ACCOUNTS * INITIAL, ACCOUNTS as usize));
                    checked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let (db, done) = (db.clone(), &done);
        scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                db.flush().unwrap();
                db.compact().unwrap();
            }
        });
        let outcomes: Vec<_> = writers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        outcomes.into_iter().for_each(|outcome| outcome.unwrap());
    });
    assert!(checked.load(Ordering::Relaxed) > 10);
    assert!(db.stats().flushes > 10 && db.stats().compactions > 0, "{:?}", db.stats());
    let verified = db.verify().unwrap();
    assert!(verified.is_clean(), "{:?}", verified.findings);
    db.close().unwrap();
    let db = options().open(directory.path()).unwrap();
    assert_eq!(sum(&db, false), (ACCOUNTS * INITIAL, ACCOUNTS as usize));
    assert!(db.recovery_report().clean);
}

/// Goal: the check at numbering sees the commits that came after the check before it. Method: all threads want to change one key
/// all the time, so that most of them are between the two checks when another one commits.
#[test]
fn no_increment_is_lost() {
    const THREADS: u32 = 8;
    const INCREMENTS: u32 = 1_000;
    let options = Options::new().durability(kv::Durability::Buffered).max_retries(u32::MAX);
    let db = options.open_in_memory().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..INCREMENTS {
                    db.update(|txn| {
                        let before = txn
                            .get("n")?
                            .map_or(0, |value| u32::from_le_bytes(value[..].try_into().unwrap()));
                        txn.set("n", (before + 1).to_le_bytes())
                    })
                    .unwrap();
                }
            });
        }
    });
    assert_eq!(db.get("n").unwrap().unwrap(), (THREADS * INCREMENTS).to_le_bytes()[..]);
}

/// Goal: a read without a snapshot sees the newest version that was visible when it began, whatever is forgotten meanwhile.
/// Method: one thread counts a key up, large and small, while memtables are flushed and compacted away as fast as they can be;
/// readers never see it missing, never see it fall, and never less than what was acknowledged before they asked.
#[test]
fn single_reads_neither_miss_nor_go_back() {
    let options = Options::new().with_engine_options(engine::Options::tiny()).maintenance_threads(2);
    let db = options.durability(kv::Durability::Buffered).open_in_memory().unwrap();
    db.set("counter", balance(0, 0)).unwrap();
    let (acknowledged, done) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let reader = || {
            let mut last = 0;
            while !done.load(Ordering::Acquire) {
                let floor = acknowledged.load(Ordering::Acquire).max(last);
                last = amount(&db.get("counter").unwrap().unwrap());
                assert!(last >= floor, "{last} was read when {floor} had been seen");
            }
        };
        let compacter = || {
            while !done.load(Ordering::Acquire) {
                db.flush().unwrap();
                db.compact().unwrap();
            }
        };
        let (first, second, third) = (scope.spawn(reader), scope.spawn(reader), scope.spawn(compacter));
        for count in 1..=4_000 {
            db.set("counter", balance(count, if count % 5 == 0 { 100 } else { 0 })).unwrap();
            acknowledged.store(count, Ordering::Release);
        }
        done.store(true, Ordering::Release);
        for thread in [first, second, third] {
            thread.join().unwrap();
        }
    });
    db.close().unwrap();
}

/// Goal: `close` ends everybody, with `Closed` and nothing else, and what was acknowledged is there.
/// Method: close under writers, readers and a flusher, then open and compare with what each writer was told.
#[test]
fn closing_under_load_loses_nothing_that_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let options = || Options::new().with_engine_options(engine::Options::tiny());
    let db = options().open(directory.path()).unwrap();
    let acknowledged: Vec<u64> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3_u64)
            .map(|writer| {
                let db = db.clone();
                scope.spawn(move || {
                    for number in 0.. {
                        match db.set(format!("{writer}/{number:06}"), [1; 50]) {
                            Ok(_) => {}
                            Err(kv::Error::Closed) => return number,
                            Err(error) => panic!("{error}"),
                        }
                    }
                    0
                })
            })
            .collect();
        let flusher = db.clone();
        scope.spawn(move || {
            while let Ok(()) = flusher.flush() {}
            assert!(flusher.flush().is_err_and(|error| error.is_closed()));
        });
        let reader = db.clone();
        scope.spawn(move || {
            loop {
                match reader.iter().and_then(|mut range| range.try_for_each(|item| item.map(drop))) {
                    Ok(()) => {}
                    Err(error) => return assert!(error.is_closed(), "{error}"),
                }
            }
        });
        while db.stats().flushes < 5 {
            std::thread::yield_now();
        }
        db.close().unwrap();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    // The old handles are still there; the directory is free all the same.
    let again = options().open(directory.path()).unwrap();
    assert!(again.recovery_report().clean);
    for (writer, count) in acknowledged.iter().enumerate() {
        assert_eq!(again.prefix(format!("{writer}/")).unwrap().count() as u64, *count);
    }
}
