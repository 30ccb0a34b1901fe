//! Conflict decisions against an oracle that compares every raw key with every read, and the cases in which
//! databases have missed a conflict before.

#![cfg(not(loom))]
#![expect(clippy::unwrap_used, reason = "what cannot be unwrapped is a failed test")]

use std::collections::BTreeSet;
use std::ops::{Bound, RangeBounds};

use base::{KeyBounds, Version};
use proptest::prelude::*;
use txn::{Checked, Conflict, ReadSet, RecentCommits, WriteSet, WrittenKeys};

type Key = Vec<u8>;
type Range = (Bound<Key>, Bound<Key>);

fn slice(bound: &Bound<Key>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

/// A transaction with its reads twice: as recorded, and raw for the oracle.
#[derive(Debug, Default)]
struct Transaction {
    read_version: Version,
    reads: ReadSet,
    points: Vec<Key>,
    ranges: Vec<Range>,
    writes: WriteSet,
    checked: Option<Result<Checked, Conflict>>,
}

impl Transaction {
    fn point(&mut self, key: Key) {
        // What is read after a check is in no check: the check has to be made anew.
        self.checked = None;
        self.reads.point(&key);
        self.points.push(key);
    }

    fn range(&mut self, range: Range) {
        self.checked = None;
        self.reads.range(slice(&range.0), slice(&range.1));
        self.ranges.push(range);
    }

    fn write(&mut self, key: &[u8]) {
        self.writes.delete(key);
    }

    fn has_read(&self, key: &Key) -> bool {
        self.points.contains(key)
            || self.ranges.iter().any(|(start, end)| {
                RangeBounds::<[u8]>::contains(&(slice(start), slice(end)), key.as_slice())
            })
    }
}

/// The real list of commits beside a plain one.
struct Pair {
    real: RecentCommits,
    commits: Vec<(Version, BTreeSet<Key>)>,
    next: Version,
}

impl Pair {
    fn new(last: Version) -> Self {
        Self { real: RecentCommits::new(last, usize::MAX), commits: Vec::new(), next: Version(last.0 + 1) }
    }

    fn newest(&self) -> Version {
        Version(self.next.0 - 1)
    }

    fn check(&self, transaction: &mut Transaction) {
        let outcome = self.real.check_before(&transaction.reads, transaction.read_version);
        transaction.checked = Some(outcome);
    }

    /// Commits, and compares the decision with the oracle's. True when it was admitted.
    fn commit(&mut self, mut transaction: Transaction) -> bool {
        if transaction.checked.is_none() {
            self.check(&mut transaction);
        }
        let keys = transaction.writes.written_keys();
        let outcome = transaction
            .checked
            .unwrap()
            .and_then(|checked| self.real.admit(&transaction.reads, &checked, self.next, &keys));
        let later = self.commits.partition_point(|(version, _)| *version <= transaction.read_version);
        let candidates = if transaction.reads.is_empty() { &[] } else { &self.commits[later..] };
        let lost_to: Vec<Version> = candidates
            .iter()
            .filter(|(_, keys)| keys.iter().any(|key| transaction.has_read(key)))
            .map(|(version, _)| *version)
            .collect();
        match outcome {
            Ok(()) => {
                assert_eq!(lost_to, [], "a conflict was missed: {transaction:?}");
                self.commits.push((self.next, keys.iter().map(<[u8]>::to_vec).collect()));
                self.next.0 += 1;
                true
            }
            Err(conflict) => {
                assert!(lost_to.contains(&conflict.lost_to), "{conflict:?} is none of {lost_to:?}");
                false
            }
        }
    }

    /// Commits the deletion of `keys` without reading anything.
    fn write(&mut self, keys: &[&[u8]]) {
        let mut blind = Transaction::default();
        keys.iter().for_each(|key| blind.write(key));
        assert!(self.commit(blind));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Begin,
    Point(usize, Key),
    Range(usize, Range),
    Write(usize, Key),
    Check(usize),
    Commit(usize),
    Prune,
}

fn any_key() -> impl Strategy<Value = Key> {
    prop::collection::vec(prop::sample::select(vec![0u8, b'a', b'b', 0xff]), 0..4)
}

fn any_bound() -> impl Strategy<Value = Bound<Key>> {
    prop_oneof![
        1 => Just(Bound::Unbounded),
        3 => any_key().prop_map(Bound::Included),
        3 => any_key().prop_map(Bound::Excluded),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    let who = 0usize..6;
    prop_oneof![
        4 => Just(Step::Begin),
        4 => (who.clone(), any_key()).prop_map(|(who, key)| Step::Point(who, key)),
        2 => (who.clone(), any_bound(), any_bound()).prop_map(|(who, start, end)| Step::Range(who, (start, end))),
        8 => (who.clone(), any_key()).prop_map(|(who, key)| Step::Write(who, key)),
        3 => who.clone().prop_map(Step::Check),
        4 => who.prop_map(Step::Commit),
        1 => Just(Step::Prune),
    ]
}

fn run(steps: Vec<Step>) {
    let mut pair = Pair::new(Version::ZERO);
    let mut open: Vec<Transaction> = Vec::new();
    for step in steps {
        match step {
            Step::Begin => {
                open.push(Transaction { read_version: pair.newest(), ..Default::default() });
            }
            Step::Prune => {
                let oldest = open.iter().map(|open| open.read_version).min().unwrap_or(pair.newest());
                pair.real.prune(oldest);
            }
            Step::Commit(who) if who < open.len() => {
                let _admitted = pair.commit(open.remove(who));
            }
            Step::Point(who, key) => open.get_mut(who).into_iter().for_each(|open| open.point(key.clone())),
            Step::Range(who, range) => {
                open.get_mut(who).into_iter().for_each(|open| open.range(range.clone()))
            }
            Step::Write(who, key) => open.get_mut(who).into_iter().for_each(|open| open.write(&key)),
            Step::Check(who) => open.get_mut(who).into_iter().for_each(|open| pair.check(open)),
            Step::Commit(_) => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..Default::default() })]

    /// Goal: the decision is exactly "a later commit wrote something read". Method: random interleavings of
    /// reads, writes, early checks, prunes and commits over few keys; every decision against the oracle.
    #[test]
    fn decisions_are_exact(steps in prop::collection::vec(any_step(), 1..60)) {
        run(steps);
    }
}

/// Goal: the same where there are enough commits for the fingerprint index and for many batches. Method: long
/// seeded runs with long-lived transactions, mostly admitted, over a thousand keys.
#[test]
fn decisions_are_exact_over_long_histories() {
    let (mut admitted, mut refused) = (0, 0);
    for seed in 0..12 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut pair = Pair::new(Version(seed));
        let mut open: Vec<Transaction> = Vec::new();
        let key = |random: &mut fastrand::Rng| format!("key{:05}", random.u32(..20_000)).into_bytes();
        for _ in 0..3000 {
            match random.u32(..100) {
                0..4 => open.push(Transaction { read_version: pair.newest(), ..Default::default() }),
                4..12 if !open.is_empty() => {
                    let who = random.usize(..open.len());
                    open[who].point(key(&mut random));
                }
                12..13 if !open.is_empty() => {
                    let who = random.usize(..open.len());
                    let start = key(&mut random);
                    let mut end = start.clone();
                    *end.last_mut().unwrap() = b'z';
                    open[who].range((Bound::Included(start), Bound::Included(end)));
                }
                13..15 if !open.is_empty() => {
                    let who = random.usize(..open.len());
                    pair.check(&mut open[who]);
                }
                15..18 if open.len() > 6 => {
                    let mut one = open.swap_remove(random.usize(..open.len()));
                    one.write(&key(&mut random));
                    *(if pair.commit(one) { &mut admitted } else { &mut refused }) += 1;
                }
                18..20 if pair.real.is_prune_due() => {
                    let oldest = open.iter().map(|open| open.read_version).min().unwrap_or(pair.newest());
                    pair.real.prune(oldest);
                }
                _ => {
                    let keys: Vec<Key> = (0..random.usize(1..4)).map(|_| key(&mut random)).collect();
                    pair.write(&keys.iter().map(Vec::as_slice).collect::<Vec<_>>());
                }
            }
        }
    }
    assert!(admitted > 100 && refused > 100, "admitted {admitted}, refused {refused}");
}

/// Commits after a transaction that visited `range` and then writes `written` elsewhere. True when both pass.
fn admits(range: &Range, written: &[u8]) -> bool {
    let mut pair = Pair::new(Version::ZERO);
    pair.write(&[b"d", b"f", b"h"]);
    let mut scan = Transaction { read_version: pair.newest(), ..Default::default() };
    scan.range(range.clone());
    scan.write(b"elsewhere");
    pair.write(&[written]);
    pair.commit(scan)
}

/// Goal: a key that appears anywhere in a visited range is a conflict, and next to it is not. Method: for each kind
/// of bound, the keys at, just before and just behind it; databases have tracked returned keys only, or ranges
/// one key short.
#[test]
fn phantoms_at_the_edges_of_a_visited_range() {
    let included = |key: &[u8]| Bound::Included(key.to_vec());
    let excluded = |key: &[u8]| Bound::Excluded(key.to_vec());
    let closed = (included(b"d"), included(b"h"));
    let open = (excluded(b"d"), excluded(b"h"));
    for inside in [&b"d\0"[..], b"e", b"f", b"f\0", b"g\xff\xff"] {
        assert!(!admits(&closed, inside) && !admits(&open, inside), "{inside:?} lies between");
    }
    for outside in [&b""[..], b"c\xff\xff", b"h\0", b"i"] {
        assert!(admits(&closed, outside) && admits(&open, outside), "{outside:?} lies outside");
    }
    for edge in [b"d", b"h"] {
        assert!(!admits(&closed, edge) && admits(&open, edge), "{edge:?} is the bound itself");
    }
    assert!(!admits(&(Bound::Unbounded, excluded(b"d")), b""));
    assert!(admits(&(Bound::Unbounded, excluded(b"d")), b"d"));
    assert!(!admits(&(excluded(b"h"), Bound::Unbounded), &[0xff; 9]));
    assert!(admits(&(excluded(b"h"), Bound::Unbounded), b"h"));
    assert!(admits(&(excluded(b"d"), excluded(b"d")), b"d"), "an empty range reads nothing");
    assert!(admits(&(included(b"h"), included(b"d")), b"f"), "crossed bounds read nothing");
}

#[test]
fn a_key_that_was_not_found_is_read_all_the_same() {
    let mut pair = Pair::new(Version::ZERO);
    let mut one = Transaction::default();
    one.point(b"absent".to_vec());
    one.write(b"other");
    pair.write(&[b"absent"]);
    assert!(!pair.commit(one));
}

#[test]
fn blind_writes_never_conflict() {
    let pair = Pair::new(Version(10));
    let blind = ReadSet::new();
    let keys = WrittenKeys::new([&b"k"[..]]);
    let checked = pair.real.check_before(&blind, Version::ZERO).unwrap();
    for version in 11..20 {
        pair.real.admit(&blind, &checked, Version(version), &keys).unwrap();
    }
    pair.real.admit_unknown(Version(20));
    assert_eq!(pair.real.admit(&blind, &checked, Version(21), &keys), Ok(()));
}

#[test]
fn a_commit_between_check_and_admission_is_seen() {
    for late in [&b"point"[..], b"range5"] {
        let mut pair = Pair::new(Version(3));
        let mut one = Transaction { read_version: pair.newest(), ..Default::default() };
        one.point(b"point".to_vec());
        let bounds = KeyBounds::prefix(b"range");
        one.reads.bounds(&bounds);
        one.ranges.push((bounds.start, bounds.end));
        pair.check(&mut one);
        assert!(one.checked.as_ref().unwrap().is_ok());
        pair.write(&[late]);
        assert!(!pair.commit(one));
    }
}

fn point(key: &[u8]) -> ReadSet {
    let mut reads = ReadSet::new();
    reads.point(key);
    reads
}

/// Goal: what is forgotten is never taken for "nothing happened". Method: prune above a transaction's version
/// before its check, and between its check and its admission.
#[test]
fn a_transaction_older_than_what_is_remembered_is_refused() {
    let keys = WrittenKeys::new([&b"k"[..]]);
    let (nothing, unrelated) = (ReadSet::new(), point(b"unrelated"));
    let recent = RecentCommits::new(Version(5), usize::MAX);
    assert_eq!(recent.check_before(&unrelated, Version(4)).unwrap_err().lost_to, Version(5));
    let blind = recent.check_before(&nothing, Version(5)).unwrap();
    let checked = recent.check_before(&unrelated, Version(5)).unwrap();
    recent.admit(&nothing, &blind, Version(6), &keys).unwrap();
    recent.admit(&nothing, &blind, Version(8), &keys).unwrap();
    recent.prune(Version(7));
    assert_eq!((recent.pruned_to(), recent.len()), (Version(6), 1));
    assert!(recent.check_before(&unrelated, Version(6)).is_ok());
    assert_eq!(recent.check_before(&unrelated, Version(5)).unwrap_err().lost_to, Version(6));
    assert_eq!(recent.admit(&unrelated, &checked, Version(9), &keys).unwrap_err().lost_to, Version(6));
    recent.prune(Version(100));
    assert!(recent.is_empty() && recent.pruned_to() == Version(8));
}

#[test]
fn memory_is_bounded_by_forgetting_the_oldest() {
    let limit = 64 << 10;
    let recent = RecentCommits::new(Version::ZERO, limit);
    let blind = recent.check_before(&ReadSet::new(), Version::ZERO).unwrap();
    for version in 1..2000u64 {
        let keys = WrittenKeys::new([version.to_be_bytes().as_slice()]);
        recent.admit(&ReadSet::new(), &blind, Version(version), &keys).unwrap();
        assert!(recent.byte_len() <= limit);
    }
    assert!(recent.len() > 100 && recent.pruned_to() > Version(1000));
    assert!(recent.check_before(&point(b"k"), Version(900)).is_err());
    assert!(recent.check_before(&point(b"k"), recent.pruned_to()).is_ok());
    // One that is larger than the limit is itself forgotten at once, and refuses all that is older.
    let huge: Vec<Vec<u8>> = (0..5000u32).map(|number| number.to_be_bytes().to_vec()).collect();
    let keys = WrittenKeys::new(huge.iter().map(Vec::as_slice));
    recent.admit(&ReadSet::new(), &blind, Version(2000), &keys).unwrap();
    assert!(recent.is_empty() && recent.byte_len() == 0);
    assert_eq!(recent.check_before(&point(b"k"), Version(1999)).unwrap_err().lost_to, Version(2000));
}

#[test]
fn a_commit_with_unknown_keys_refuses_every_older_reader() {
    let recent = RecentCommits::new(Version(1), usize::MAX);
    let reads = point(b"k");
    let checked = recent.check_before(&reads, Version(1)).unwrap();
    recent.admit_unknown(Version(2));
    let keys = WrittenKeys::new([&b"other"[..]]);
    assert_eq!(recent.admit(&reads, &checked, Version(3), &keys).unwrap_err().lost_to, Version(2));
    let checked = recent.check_before(&reads, Version(2)).unwrap();
    assert_eq!(recent.admit(&reads, &checked, Version(3), &keys), Ok(()));
}

/// Goal: the first and the last versions are ordinary ones.
#[test]
fn boundary_versions() {
    for (read, lost) in [(0, 1), (1, 2), (u64::MAX - 2, u64::MAX - 1)] {
        let mut pair = Pair::new(Version(read));
        let mut one = Transaction { read_version: Version(read), ..Default::default() };
        one.point(b"k".to_vec());
        pair.write(&[b"k"]);
        assert_eq!(pair.newest(), Version(lost));
        assert!(!pair.commit(one));
        let mut after = Transaction { read_version: Version(lost), ..Default::default() };
        after.point(b"k".to_vec());
        pair.check(&mut after);
        assert!(after.checked.unwrap().is_ok());
    }
}

/// Goal: a transaction far behind is told from its own snapshot to the last commit, and not one commit more, also
/// after forgotten commits were swept out of the index. Method: commit N writes key N; look up the keys at both ends.
#[test]
fn the_index_is_exact_at_both_ends() {
    const COMMITS: u64 = 12_000;
    let mut pair = Pair::new(Version::ZERO);
    (1..=COMMITS).for_each(|number| pair.write(&[&number.to_be_bytes()]));
    for begun in [1_000, COMMITS - 1_000] {
        let check = |number: u64| {
            pair.real
                .check_before(&point(&number.to_be_bytes()), Version(begun))
                .map_err(|lost| lost.lost_to.0)
        };
        assert!(check(begun).is_ok() && check(COMMITS + 1).is_ok());
        for later in [begun + 1, begun + 500, COMMITS] {
            assert_eq!(check(later).unwrap_err(), later);
        }
        pair.real.prune(Version(COMMITS - 1_000));
    }
}

/// Goal: an index that was emptied fills again. Method: fill it through long-lived readers, let them end, prune.
#[test]
fn decisions_stay_right_when_the_index_is_swept() {
    let mut pair = Pair::new(Version::ZERO);
    for round in 0..6u32 {
        let mut hit = Transaction { read_version: pair.newest(), ..Default::default() };
        let mut miss = Transaction { read_version: pair.newest(), ..Default::default() };
        hit.point(format!("{round}-1234").into_bytes());
        miss.point(format!("{}-1234", round + 1).into_bytes());
        for number in 0..3000u32 {
            pair.write(&[format!("{round}-{number}").as_bytes()]);
        }
        assert!(!pair.commit(hit) && pair.commit(miss));
        pair.real.prune(pair.newest());
    }
}
