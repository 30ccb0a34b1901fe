//! The registry of snapshots: what begins where, what is kept for it, and that nothing is lost between threads.

#![cfg(not(loom))]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base::{SharedVersion, UnixSeconds, Version};
use proptest::prelude::*;
use txn::{BeginError, Snapshot, Snapshots};

const NOW: UnixSeconds = UnixSeconds(1_000);

fn registry(visible: u64) -> (Arc<SharedVersion>, Arc<Snapshots>) {
    let visible = Arc::new(SharedVersion::new(Version(visible)));
    (Arc::clone(&visible), Snapshots::new(visible))
}

#[derive(Clone, Debug)]
enum Step {
    Publish(u64),
    Begin { is_read_write: bool },
    BeginAt(u64),
    Clone(usize),
    Drop(usize),
    Scan,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1u64..4).prop_map(Step::Publish),
        any::<bool>().prop_map(|is_read_write| Step::Begin { is_read_write }),
        (0u64..60).prop_map(Step::BeginAt),
        (0usize..8).prop_map(Step::Clone),
        (0usize..8).prop_map(Step::Drop),
        Just(Step::Scan),
    ]
}

proptest! {
    /// Goal: the answers are exactly those of a plain list of open snapshots and a highest cut. Method: random
    /// single-threaded scripts.
    #[test]
    fn answers_are_those_of_a_plain_list(steps in prop::collection::vec(any_step(), 1..120)) {
        let (visible, snapshots) = registry(0);
        let mut open: Vec<(Snapshot, bool)> = Vec::new();
        let mut cut = Version::ZERO;
        for step in steps {
            match step {
                Step::Publish(more) => visible.publish(Version(visible.load().0 + more)),
                Step::Begin { is_read_write } => {
                    let begin = if is_read_write { Snapshots::begin_read_write } else { Snapshots::begin };
                    let snapshot = begin(&snapshots, NOW);
                    prop_assert_eq!((snapshot.version(), snapshot.time()), (visible.load(), NOW));
                    open.push((snapshot, is_read_write));
                }
                Step::BeginAt(version) => match snapshots.begin_at(Version(version), NOW) {
                    Ok(snapshot) => {
                        prop_assert!(Version(version) >= cut && Version(version) <= visible.load());
                        prop_assert_eq!(snapshot.version(), Version(version));
                        open.push((snapshot, false));
                    }
                    Err(BeginError::BelowFloor { floor }) => {
                        prop_assert!(floor == cut && Version(version) < cut);
                    }
                    Err(error) => {
                        prop_assert_eq!(error, BeginError::AboveVisible { visible: visible.load() });
                        prop_assert!(Version(version) > visible.load());
                    }
                },
                Step::Clone(which) if which < open.len() => open.push(open[which].clone()),
                Step::Drop(which) if which < open.len() => drop(open.swap_remove(which)),
                Step::Clone(_) | Step::Drop(_) => {}
                Step::Scan => {
                    cut = visible.load();
                    let retention = snapshots.retention(NOW);
                    let mut below: Vec<_> = open.iter().map(|(snapshot, _)| snapshot.version()).collect();
                    below.retain(|version| *version < cut);
                    below.sort();
                    below.dedup();
                    prop_assert_eq!((retention.cut, &retention.snapshots), (cut, &below));
                    let read_write = open.iter().filter(|open| open.1).map(|open| open.0.version());
                    prop_assert_eq!(snapshots.oldest_read_write(), read_write.min().unwrap_or(cut).min(cut));
                }
            }
        }
        drop(open);
        prop_assert_eq!(snapshots.count(), 0);
    }
}

#[test]
fn a_clone_keeps_what_its_original_kept() {
    let (visible, snapshots) = registry(3);
    let original = snapshots.begin(NOW);
    let clone = original.clone();
    visible.publish(Version(9));
    drop(original);
    assert_eq!(snapshots.retention(NOW).floor(), Version(3));
    drop(clone);
    assert_eq!(snapshots.retention(NOW).floor(), Version(9));
}

#[test]
fn read_only_snapshots_do_not_hold_commits_back() {
    let (visible, snapshots) = registry(3);
    let reader = snapshots.begin(NOW);
    visible.publish(Version(9));
    let writer = snapshots.begin_read_write(NOW);
    visible.publish(Version(12));
    assert_eq!(snapshots.oldest_read_write(), Version(9));
    assert_eq!(snapshots.retention(NOW).floor(), Version(3));
    drop((reader, writer));
    assert_eq!(snapshots.oldest_read_write(), Version(12));
}

#[test]
fn a_chosen_floor_keeps_history_until_it_is_raised() {
    let visible = Arc::new(SharedVersion::new(Version(50)));
    let snapshots = Snapshots::keeping_from(Arc::clone(&visible), Version(10));
    assert_eq!(snapshots.retention(NOW).cut, Version(10));
    assert_eq!(
        snapshots.begin_at(Version(9), NOW).unwrap_err(),
        BeginError::BelowFloor { floor: Version(10) }
    );
    assert_eq!(snapshots.begin_read_write_at(Version(10), NOW).unwrap().version(), Version(10));
    assert_eq!(snapshots.begin(NOW).version(), Version(50));
    snapshots.raise_floor(Version(30));
    snapshots.raise_floor(Version(20));
    assert_eq!(snapshots.retention(NOW).cut, Version(30));
    assert!(snapshots.begin_at(Version(29), NOW).is_err());
    snapshots.raise_floor(Version::MAX);
    assert_eq!(snapshots.retention(NOW).cut, Version(50));
}

#[test]
fn boundary_versions_are_registered_as_they_are() {
    for version in [0, 1, u64::MAX - 1] {
        let (visible, snapshots) = registry(version);
        let snapshot = snapshots.begin(NOW);
        visible.publish(Version(version.saturating_add(1).min(u64::MAX - 1)));
        assert_eq!((snapshot.version(), snapshots.count()), (Version(version), 1));
        assert_eq!(snapshots.retention(NOW).floor(), Version(version));
        assert!(snapshots.begin_at(Version::MAX, NOW).is_err());
    }
}

/// Goal: nobody judges expiry at a time before the one by which compaction already did, also when clock readings of
/// several threads arrive out of order; and a clock that was wrong and is set back does not stay wrong for ever.
#[test]
fn time_follows_the_cut_of_time() {
    let (_, snapshots) = registry(1);
    assert_eq!(snapshots.retention(UnixSeconds(1_005)).oldest_time, UnixSeconds(1_005));
    let late = snapshots.begin(UnixSeconds(1_000));
    assert_eq!(late.time(), UnixSeconds(1_005));
    assert_eq!(snapshots.begin_at(Version(1), UnixSeconds(1_002)).unwrap().time(), UnixSeconds(1_005));
    assert_eq!(snapshots.retention(UnixSeconds(1_002)).oldest_time, UnixSeconds(1_002));
    assert_eq!(
        snapshots.begin(UnixSeconds(1_000)).time(),
        UnixSeconds(1_005),
        "it does not fall by disorder"
    );
    assert_eq!(snapshots.retention(UnixSeconds(2_000)).oldest_time, UnixSeconds(1_005), "held by a snapshot");
    drop(late);
    assert_eq!(snapshots.retention(UnixSeconds(9_000_000)).oldest_time, UnixSeconds(9_000_000));
    assert_eq!(snapshots.begin(UnixSeconds(3_000)).time(), UnixSeconds(3_000), "the clock was set back");
    assert_eq!(snapshots.retention(UnixSeconds(3_001)).oldest_time, UnixSeconds(3_001));
    assert_eq!(snapshots.begin(UnixSeconds(3_000)).time(), UnixSeconds(3_001));
}

/// Goal: no retention forgets what a snapshot reads. Method: one thread publishes and keeps, for one key written
/// by every commit, the newest version that was ever declared droppable; others begin, clone, hand over and end
/// snapshots, and look whether theirs was among it.
#[test]
fn what_a_snapshot_reads_is_never_dropped_by_another_thread() {
    const VERSIONS: u64 = 20_000;
    let (visible, snapshots) = registry(0);
    let dropped: Vec<AtomicBool> = (0..=VERSIONS).map(|_| AtomicBool::new(false)).collect();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    let snapshot = snapshots.begin_read_write(NOW);
                    let clone = snapshot.clone();
                    drop(snapshot);
                    let more: Vec<_> = (0..40).map(|_| snapshots.begin(NOW)).collect();
                    for held in more.iter().chain([&clone]) {
                        let read = held.version().0 as usize;
                        assert!(
                            !dropped[read].load(Ordering::SeqCst),
                            "version {read} is read and was dropped"
                        );
                    }
                }
            });
        }
        let mut kept: Vec<u64> = vec![0];
        for version in 1..=VERSIONS {
            kept.push(version);
            visible.publish(Version(version));
            let retention = snapshots.retention(NOW);
            let newer = |index: usize| kept.get(index + 1).copied().map(Version);
            let stays: Vec<bool> =
                (0..kept.len()).map(|index| retention.sees(newer(index), Version(kept[index]))).collect();
            for (version, stays) in kept.iter().zip(&stays) {
                dropped[*version as usize].fetch_or(!stays, Ordering::SeqCst);
            }
            let mut stays = stays.into_iter();
            kept.retain(|_| stays.next().unwrap());
        }
        is_over.store(true, Ordering::SeqCst);
        assert!(kept.len() < 500, "{} versions were kept: nothing is ever forgotten", kept.len());
    });
    assert_eq!(snapshots.count(), 0);
}

#[test]
fn snapshots_are_owned_and_cross_threads() {
    fn is_free<T: Send + Sync + 'static>() {}
    is_free::<Snapshot>();
    is_free::<Snapshots>();
}
