//! Goal: no call waits for something that its own caller holds. Method: one thread calls everything from inside everything else; a
//! watchdog, generous enough for any machine, tells a deadlock from a slow test.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step fails the test")]
#![allow(clippy::disallowed_methods, reason = "a test starts threads of its own")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use base::vfs::{Fault, FaultKind, FaultVfs, MemVfs, Operation};
use kv::{Db, Options};

/// Runs `story` and fails when it does not come to its end.
fn comes_to_an_end(story: impl FnOnce() + Send + 'static) {
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let outcome = catch_unwind(AssertUnwindSafe(story));
        let _receiver_has_gone = sender.send(());
        outcome.unwrap();
    });
    assert!(receiver.recv_timeout(Duration::from_secs(60)).is_ok(), "it waits for itself");
    thread.join().unwrap();
}

/// Everything that takes a lock or waits for background work.
fn use_everything(db: &Db, name: &str) {
    for number in 0..40_u32 {
        db.set(format!("{name}/{number:03}"), vec![1; number as usize * 10]).unwrap();
    }
    db.update(|txn| {
        let count = txn.prefix(name)?.count();
        txn.set(format!("{name} count"), count.to_string())
    })
    .unwrap();
    db.flush().unwrap();
    db.compact().unwrap();
    db.sync().unwrap();
    let _step = db.step().unwrap();
    assert!(db.verify().unwrap().is_clean());
    assert!(db.stats().last_version > 0 && db.iter().unwrap().rev().count() > 40);
}

/// badger #1744, #1529, fjall #74: locks were taken again by their holder, callbacks ran under them, iterators held them against
/// writers. Every call works from inside a transaction, an iteration, an update and the progress of a verification.
#[test]
fn hb_75_every_call_works_from_inside_every_other() {
    for threads in [0, 2] {
        comes_to_an_end(move || {
            let db = Options::tiny().maintenance_threads(threads).open_in_memory().unwrap();
            use_everything(&db, "alone");
            let reader = db.begin_read().unwrap();
            let mut writer = db.begin_write().unwrap();
            writer.set("pending", "1").unwrap();
            let mut ranges = [db.iter().unwrap(), reader.iter().unwrap(), writer.iter().unwrap()];
            let held: Vec<_> = ranges.iter_mut().map(|range| (range.next(), range.next_back())).collect();
            use_everything(&db, "beside readers");
            db.view(|_| {
                use_everything(&db, "in a view");
                Ok(())
            })
            .unwrap();
            db.update(|txn| {
                txn.set("outer", "1")?;
                db.update(|inner| inner.set("inner", "1"))?;
                use_everything(&db, "in an update");
                Ok(())
            })
            .unwrap();
            let mut calls = 0;
            let verified = db.verify_with(&mut |_, _| {
                calls += 1;
                if calls == 2 {
                    use_everything(&db, "in a verification");
                }
            });
            assert!(verified.unwrap().is_clean() && calls > 2);
            for range in &mut ranges {
                assert!(range.next().unwrap().is_ok());
            }
            writer.commit().unwrap();
            drop(held);
            db.view(|_| db.close()).unwrap();
            assert!(db.get("outer").unwrap_err().is_closed());
            drop((ranges, reader));
        });
    }
}

/// fjall #257, #288: after a panic in background work writers waited for ever. They are told of it, and readers go on.
#[test]
fn hb_76_nobody_waits_for_work_that_has_panicked() {
    for (operation, suffix) in
        [(Operation::Create, ".sst"), (Operation::Create, ".wal"), (Operation::Sync, ".sst")]
    {
        comes_to_an_end(move || {
            let vfs = FaultVfs::new(Arc::new(MemVfs::new()));
            let db = Options::tiny().with_vfs(Arc::new(vfs.clone())).open("/db").unwrap();
            vfs.inject(Fault::new(FaultKind::Panic).on(operation).path_ends_with(suffix));
            let (mut written, mut refused) = (0, 0);
            while refused < 3 {
                let set = || db.set(format!("{written:06}"), [1; 60]);
                match catch_unwind(AssertUnwindSafe(set)) {
                    Ok(Ok(_)) => written += 1,
                    Ok(Err(_)) | Err(_) => refused += 1,
                }
                assert!(written < 100_000, "{suffix}: nothing is ever refused");
            }
            assert_eq!(vfs.fired(), 1);
            assert!(db.iter().unwrap().count() >= written);
            let _closed = db.close();
        });
    }
}
