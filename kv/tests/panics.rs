//! Goal: a panic, of ours or of our caller's, harms nobody else: what panics below stops writing with the cause, waiters wake,
//! reads go on, close and drop return, and the next open finds everything acknowledged; what panics in a closure or in the
//! clock changes nothing at all.
//! Method: a file system that panics at every operation k of a script, with and without threads; closures and a clock that
//! panic.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails the test")]
#![allow(clippy::disallowed_methods, reason = "a test starts threads of its own")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base::UnixSeconds;
use base::vfs::{Fault, FaultKind, FaultVfs, MemVfs};
use kv::{Clock, Db, Error, Options};

/// Panics that were asked for are not reported: a backtrace takes longer than a run.
fn silence_expected_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload_as_str().is_none_or(|text| !text.starts_with("injected")) {
                report(info);
            }
        }));
    });
}

fn options(vfs: &FaultVfs, threads: usize) -> Options {
    Options::new()
        .with_engine_options(engine::Options::tiny())
        .maintenance_threads(threads)
        .with_vfs(Arc::new(vfs.clone()))
}

fn key(writer: u32, number: u32) -> String {
    format!("{writer}/{number:04}")
}

/// Some go to the value log.
fn value(number: u32) -> Vec<u8> {
    vec![number as u8; if number.is_multiple_of(4) { 150 } else { 30 }]
}

/// Writes until it is told that writing has stopped; how many were acknowledged.
fn write(db: &Db, writer: u32, most: u32) -> u32 {
    for number in 0..most {
        let written = catch_unwind(AssertUnwindSafe(|| db.set(key(writer, number), value(number))));
        if !matches!(written, Ok(Ok(_))) {
            return number;
        }
    }
    most
}

/// Everything acknowledged is there, and of each writer at most one more.
fn check(db: &Db, acknowledged: &[u32], what: &str) {
    for (writer, count) in acknowledged.iter().enumerate() {
        let items: Vec<_> = db.prefix(format!("{writer}/")).unwrap().map(Result::unwrap).collect();
        let found = u32::try_from(items.len()).unwrap();
        assert!(found == *count || found == *count + 1, "{what}: {found} of {count} of writer {writer}");
        for (item, number) in items.iter().zip(0..) {
            assert_eq!(item.value().unwrap(), value(number), "{what}");
        }
    }
}

/// One run with a panic at operation `k`; false when the run has fewer.
fn run(k: u64, threads: usize) -> bool {
    const WRITERS: u32 = 2;
    let what = format!("panic at operation {k} with {threads} threads");
    println!("{what}");
    let vfs = FaultVfs::new(Arc::new(MemVfs::new()));
    vfs.inject(Fault::new(FaultKind::Panic).nth(k));
    let mut acknowledged = vec![0; WRITERS as usize];
    if let Ok(opened) = catch_unwind(AssertUnwindSafe(|| options(&vfs, threads).open("/db"))) {
        let db = opened.unwrap();
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| (db.clone(), writer))
                .map(|(db, writer)| scope.spawn(move || write(&db, writer, 40)))
                .collect();
            for (count, writer) in acknowledged.iter_mut().zip(writers) {
                *count = writer.join().unwrap();
            }
        });
        let flushed = catch_unwind(AssertUnwindSafe(|| db.flush().and_then(|()| db.compact())));
        vfs.clear();
        // Stopped, or in working order; nothing between.
        match db.set("after", "the panic") {
            Ok(_) => db.flush().and_then(|()| db.compact()).unwrap(),
            Err(error) => assert!(error.is_halted(), "{what}: {error}"),
        }
        drop(flushed);
        // Reads go on, without the last commit, if that is in doubt.
        check(&db, &acknowledged, &what);
        let _halted = db.close();
        assert!(matches!(db.get("0/0000"), Err(Error::Closed)));
    }
    vfs.clear();
    let db = options(&vfs, threads).open("/db").unwrap_or_else(|error| panic!("{what}: {error}"));
    check(&db, &acknowledged, &what);
    assert!(db.verify().unwrap().is_clean(), "{what}");
    db.set("after", "all").unwrap();
    db.close().unwrap();
    vfs.fired() > 0
}

/// `KV_PANIC_STRIDE` (default 2) picks every how manyeth k.
fn campaign(threads: usize) {
    silence_expected_panics();
    let stride = std::env::var("KV_PANIC_STRIDE").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let mut runs = 0;
    for k in (1 + threads as u64..).step_by(stride) {
        if !run(k, threads) {
            break;
        }
        runs += 1;
    }
    assert!(runs > 5, "the script does too little: {runs} runs");
}

#[test]
fn a_panic_at_any_file_operation_without_threads() {
    campaign(0);
}

#[test]
fn a_panic_at_any_file_operation_with_threads() {
    campaign(2);
}

/// The closing call itself meets the panic: it is an error, and the directory is free for the next open.
#[test]
fn a_panic_while_closing_is_an_error_and_lets_the_directory_go() {
    silence_expected_panics();
    let mut panics = 0;
    for k in (1..).step_by(3) {
        let vfs = FaultVfs::new(Arc::new(MemVfs::new()));
        let db = options(&vfs, 0).open("/db").unwrap();
        assert_eq!(write(&db, 0, 20), 20);
        vfs.inject(Fault::new(FaultKind::Panic).nth(k));
        let before = vfs.fired();
        let closed = db.close();
        if vfs.fired() == before {
            closed.unwrap();
            break;
        }
        panics += 1;
        let told = closed.unwrap_err().to_string();
        assert!(told.contains("panicked"), "{told}");
        // The old handle is still there.
        let again = options(&vfs, 0).open("/db").unwrap();
        check(&again, &[20], &format!("panic at operation {k} of close"));
    }
    assert!(panics > 3, "{panics}");
}

/// A handle that is dropped closes the database; a panic below must not come out of the destructor, or a test that fails, say,
/// would end the process.
#[test]
fn a_panic_while_a_handle_is_dropped_stays_inside() {
    silence_expected_panics();
    let vfs = FaultVfs::new(Arc::new(MemVfs::new()));
    let db = options(&vfs, 1).open("/db").unwrap();
    assert_eq!(write(&db, 0, 20), 20);
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let db = db;
        vfs.inject(Fault::new(FaultKind::Panic).times(base::vfs::Times::Forever));
        db.update::<()>(|_| panic!("injected into the closure")).unwrap();
    }));
    assert!(unwound.is_err());
    vfs.clear();
    check(&options(&vfs, 0).open("/db").unwrap(), &[20], "after the drop");
}

/// More often than the memory of transactions would last, if it were not given back.
#[test]
fn a_panic_in_a_closure_rolls_back_and_leaves_nothing_behind() {
    silence_expected_panics();
    let db = Options::new().memory_budget(64 << 20).open_in_memory().unwrap();
    db.set("a", "1").unwrap();
    for round in 0..200 {
        let updated = catch_unwind(AssertUnwindSafe(|| {
            db.update::<()>(|txn| {
                assert_eq!(txn.get("a")?.unwrap(), "1");
                txn.set("a", vec![0; 1 << 20])?;
                panic!("injected into round {round}");
            })
        }));
        assert!(updated.is_err());
        let viewed = catch_unwind(AssertUnwindSafe(|| {
            db.view::<()>(|txn| {
                let mut all = txn.iter()?;
                all.next();
                panic!("injected into round {round}");
            })
        }));
        assert!(viewed.is_err());
    }
    assert_eq!(db.get("a").unwrap().unwrap(), "1");
    db.update(|txn| txn.set("a", "2")).unwrap();
    assert_eq!(db.get("a").unwrap().unwrap(), "2");
    // No snapshot is left that would keep the old value.
    db.compact().unwrap();
    db.close().unwrap();
}

/// A clock that panics when it is told to.
#[derive(Debug, Default)]
struct BadClock {
    is_bad: AtomicBool,
}

impl Clock for BadClock {
    fn now(&self) -> UnixSeconds {
        assert!(!self.is_bad.load(Ordering::SeqCst), "injected into the clock");
        UnixSeconds(1_000)
    }
}

#[test]
fn a_panic_in_the_clock_is_the_callers_and_stops_nothing() {
    silence_expected_panics();
    for threads in [0, 2] {
        let vfs = FaultVfs::new(Arc::new(MemVfs::new()));
        let clock = Arc::new(BadClock::default());
        let db = options(&vfs, threads).with_clock(Arc::<BadClock>::clone(&clock)).open("/db").unwrap();
        assert_eq!(write(&db, 0, 20), 20);
        clock.is_bad.store(true, Ordering::SeqCst);
        for _ in 0..10 {
            assert!(catch_unwind(AssertUnwindSafe(|| db.begin_read().map(drop))).is_err());
            assert!(db.get("0/0000").unwrap().is_some(), "what cannot expire is read without the time");
            assert!(catch_unwind(AssertUnwindSafe(|| db.update(|txn| txn.set("0/0000", "x")))).is_err());
            let flushed = catch_unwind(AssertUnwindSafe(|| db.flush()));
            assert!(!matches!(flushed, Ok(Ok(()))), "a flush needs the time");
        }
        clock.is_bad.store(false, Ordering::SeqCst);
        check(&db, &[20], "with a good clock again");
        assert_eq!(write(&db, 1, 40), 40);
        db.flush().unwrap();
        db.compact().unwrap();
        assert!(db.verify().unwrap().is_clean());
        db.close().unwrap();
    }
}
