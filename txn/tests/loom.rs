//! The kernel of `begin` against `retention`, on the real code, in every order and with every reordering that the
//! memory model allows.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test -p txn --release --test loom`.

#![cfg(loom)]

use std::sync::Arc;

use base::{Retention, UnixSeconds, Version};
use txn::{SharedVersion, Snapshot, Snapshots};

fn registry() -> (Arc<SharedVersion>, Arc<Snapshots>) {
    let visible = Arc::new(SharedVersion::new(Version(1)));
    (Arc::clone(&visible), Snapshots::new(visible))
}

fn model(kernel: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(kernel);
}

/// One key is written by every commit: `retention` must keep the version that `snapshot` reads of it, and judge
/// expiry no later than `snapshot` does.
fn assert_keeps(retention: &Retention, snapshot: &Snapshot) {
    let newer = snapshot.version().next();
    assert!(retention.sees(newer, snapshot.version()), "{retention:?} drops what {snapshot:?} reads");
    assert!(retention.oldest_time <= snapshot.time(), "{retention:?} expires what {snapshot:?} reads");
}

/// Goal: a snapshot begun at any moment finds what it reads, whatever retentions were computed at that moment.
/// Method: one thread begins, the other publishes and computes retentions, twice, so that the version taken anew is
/// overtaken too.
#[test]
fn loom_begin_against_retention() {
    model(|| {
        let (visible, snapshots) = registry();
        let remover = loom::thread::spawn({
            let snapshots = Arc::clone(&snapshots);
            move || {
                [2, 3].map(|version| {
                    visible.publish(Version(version));
                    snapshots.retention(UnixSeconds(100 + version))
                })
            }
        });
        let snapshot = snapshots.begin(UnixSeconds(100));
        for retention in remover.join().unwrap() {
            assert_keeps(&retention, &snapshot);
        }
    });
}

/// Goal: a read without a slot finds what it reads in the state that it loads, whatever was dropped from that state
/// before. Method: the state is the number of retentions that were carried out on it; those must keep what is read.
#[test]
fn loom_read_current_against_retention() {
    model(|| {
        let (visible, snapshots) = registry();
        let carried_out = Arc::new(loom::sync::atomic::AtomicUsize::new(0));
        let remover = loom::thread::spawn({
            let (snapshots, carried_out) = (Arc::clone(&snapshots), Arc::clone(&carried_out));
            move || {
                [2, 3].map(|version| {
                    visible.publish(Version(version));
                    let retention = snapshots.retention(UnixSeconds(100 + version));
                    carried_out.fetch_add(1, loom::sync::atomic::Ordering::Release);
                    retention
                })
            }
        });
        let load = || carried_out.load(loom::sync::atomic::Ordering::Acquire);
        let (state, version) = snapshots.read_current(load);
        let time = snapshots.time_of_read(UnixSeconds(100));
        for retention in &remover.join().unwrap()[..state] {
            assert!(retention.sees(version.next(), version), "{retention:?} drops what is read at {version}");
            assert!(retention.oldest_time <= time, "{retention:?} expires what is read at {time:?}");
        }
    });
}

/// Goal: the same for a snapshot that lives in a chunk of slots added at that moment, and for the oldest
/// read-write version.
#[test]
fn loom_growing_against_retention() {
    model(|| {
        let (visible, snapshots) = registry();
        let first = snapshots.begin(UnixSeconds(100));
        let remover = loom::thread::spawn({
            let snapshots = Arc::clone(&snapshots);
            move || {
                visible.publish(Version(2));
                (snapshots.retention(UnixSeconds(101)), snapshots.oldest_read_write())
            }
        });
        let second = snapshots.begin_read_write(UnixSeconds(100));
        let (retention, oldest_read_write) = remover.join().unwrap();
        assert_keeps(&retention, &first);
        assert_keeps(&retention, &second);
        assert!(oldest_read_write <= second.version());
    });
}

/// Goal: a version handed from a snapshot to its clone is held without a gap. Method: the clone is made and the
/// original ends while the other thread scans.
#[test]
fn loom_clone_against_retention() {
    model(|| {
        let (visible, snapshots) = registry();
        let original = snapshots.begin(UnixSeconds(100));
        let remover = loom::thread::spawn({
            let snapshots = Arc::clone(&snapshots);
            move || {
                visible.publish(Version(2));
                snapshots.retention(UnixSeconds(101))
            }
        });
        let clone = original.clone();
        drop(original);
        assert_keeps(&remover.join().unwrap(), &clone);
    });
}

/// Goal: a refused or granted `begin_at` is right: what is granted is kept.
#[test]
fn loom_begin_at_against_retention() {
    model(|| {
        let (visible, snapshots) = registry();
        let remover = loom::thread::spawn({
            let snapshots = Arc::clone(&snapshots);
            move || {
                visible.publish(Version(2));
                snapshots.retention(UnixSeconds(101))
            }
        });
        let granted = snapshots.begin_at(Version(1), UnixSeconds(100));
        let retention = remover.join().unwrap();
        if let Ok(snapshot) = granted {
            assert_keeps(&retention, &snapshot);
        }
    });
}

/// Goal: two threads never own one slot, also when they race for the last free one.
#[test]
fn loom_two_threads_never_share_a_slot() {
    model(|| {
        let (_, snapshots) = registry();
        let other = loom::thread::spawn({
            let snapshots = Arc::clone(&snapshots);
            move || snapshots.begin(UnixSeconds(100))
        });
        let mine = snapshots.begin(UnixSeconds(100));
        let theirs = other.join().unwrap();
        assert_eq!(snapshots.count(), 2);
        drop(mine);
        assert_eq!(snapshots.count(), 1);
        drop(theirs);
        assert_eq!(snapshots.count(), 0);
    });
}
