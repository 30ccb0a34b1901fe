//! The write set against a plain map, with its memory estimate kept honest.

#![cfg(not(loom))]

use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds};

use base::{Entry, KeyBounds, UnixSeconds};
use proptest::prelude::*;
use txn::{Pending, WriteSet};

type Bounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// A pending write that owns its value.
#[derive(Clone, Debug, PartialEq)]
struct Owned {
    value: Option<Vec<u8>>,
    user_meta: u8,
    expires_at: Option<UnixSeconds>,
    hides_older: bool,
}

impl Owned {
    fn borrow(&self) -> Pending<'_> {
        Pending {
            value: self.value.as_deref(),
            user_meta: self.user_meta,
            expires_at: self.expires_at,
            hides_older: self.hides_older,
        }
    }
}

/// Short keys, of which many are alike, and long ones that differ behind their first eight bytes.
fn any_key() -> impl Strategy<Value = Vec<u8>> {
    let short = prop::collection::vec(0u8..3, 0..4);
    let long = prop::collection::vec(0u8..3, 0..4).prop_map(|end| [b"common prefix".to_vec(), end].concat());
    prop_oneof![short, long]
}

fn any_bound() -> impl Strategy<Value = Bound<Vec<u8>>> {
    prop_oneof![
        Just(Bound::Unbounded),
        any_key().prop_map(Bound::Included),
        any_key().prop_map(Bound::Excluded),
    ]
}

fn any_pending() -> impl Strategy<Value = Owned> {
    let value = prop::option::of(prop::collection::vec(any::<u8>(), 0..20));
    (value, any::<u8>(), any::<Option<u64>>(), any::<bool>()).prop_map(
        |(value, user_meta, expires_at, hides_older)| Owned {
            value,
            user_meta,
            expires_at: expires_at.map(UnixSeconds),
            hides_older,
        },
    )
}

proptest! {
    /// Goal: last write wins, every range in both directions is that of a plain map, bounds may be crossed, a clone keeps
    /// what it has, and the estimate covers what each write was said to cost. Method: random writes, the first of
    /// them in order or not, then random ranges.
    #[test]
    fn behaves_like_a_plain_map(
        mut writes in prop::collection::vec((any_key(), any_pending()), 0..400),
        sorted in 0usize..100,
        ranges in prop::collection::vec((any_bound(), any_bound()), 1..10),
    ) {
        let sorted = sorted.min(writes.len());
        writes[..sorted].sort_by(|a, b| a.0.cmp(&b.0));
        let (mut set, mut model) = (WriteSet::new(), BTreeMap::new());
        let mut kept = None;
        for (number, (key, owned)) in writes.into_iter().enumerate() {
            if number == 50 {
                kept = Some((set.clone(), model.clone()));
            }
            let (before, cost) = (set.byte_len(), WriteSet::cost_bytes(&key, &owned.borrow()));
            set.set(&key, &owned.borrow());
            prop_assert!(set.byte_len() <= before + cost);
            model.insert(key, owned);
        }
        check(&set, &model, &ranges)?;
        if let Some((set, model)) = kept {
            check(&set, &model, &ranges)?;
        }
        set.clear();
        prop_assert!(set.is_empty() && set.byte_len() == 0);
    }
}

fn check(set: &WriteSet, model: &BTreeMap<Vec<u8>, Owned>, ranges: &[Bounds]) -> Result<(), TestCaseError> {
    prop_assert_eq!((set.len(), set.is_empty()), (model.len(), model.is_empty()));
    let costs = model.iter().map(|(key, owned)| WriteSet::cost_bytes(key, &owned.borrow()));
    prop_assert!(set.byte_len() >= costs.sum::<usize>());
    for (key, owned) in model {
        prop_assert_eq!(set.get(key), Some(owned.borrow()));
        let longer = [key.as_slice(), b"\x07"].concat();
        prop_assert_eq!(set.get(&longer), None);
    }
    for (start, end) in ranges {
        let bounds = KeyBounds { start: start.clone(), end: end.clone() };
        let inside = |key: &[u8]| {
            let range = (bounds.start.as_ref().map(Vec::as_slice), bounds.end.as_ref().map(Vec::as_slice));
            RangeBounds::<[u8]>::contains(&range, key)
        };
        let inside = model.iter().filter(|(key, _)| inside(key));
        let mut expected: Vec<_> = inside.map(|(key, owned)| (key.as_slice(), owned.borrow())).collect();
        prop_assert!(set.bounds(&bounds).eq(expected.iter().copied()));
        expected.reverse();
        prop_assert!(set.bounds(&bounds).rev().eq(expected));
    }
    let keys = set.written_keys();
    prop_assert!(keys.iter().eq(model.keys().map(Vec::as_slice)));
    Ok(())
}

/// Goal: a transaction that writes one key again and again does not grow without bound. Method: far more bytes than
/// are ever alive.
#[test]
fn overwritten_values_give_their_memory_back() {
    let mut set = WriteSet::new();
    set.set(b"other", &Pending::value(b"stays"));
    for round in 0..1_000u32 {
        set.set(b"key", &Pending::value(&[round as u8; 1_000]));
        assert!(set.byte_len() < 70_000, "{} bytes", set.byte_len());
    }
    assert_eq!(set.get(b"key"), Some(Pending::value(&[231; 1_000])));
    assert_eq!(set.get(b"other"), Some(Pending::value(b"stays")));
}

#[test]
fn a_deletion_is_an_answer_and_entries_carry_everything() {
    let mut set = WriteSet::new();
    set.set(b"k", &Pending::value(b"v"));
    assert_eq!(set.get(b"k").unwrap().as_entry(), Entry::inline(b"v"));
    let expiring =
        Pending { user_meta: 7, expires_at: Some(UnixSeconds(9)), hides_older: true, ..Pending::value(b"w") };
    set.set(b"k", &expiring);
    let expected =
        Entry { user_meta: 7, expires_at: Some(UnixSeconds(9)), hides_older: true, ..Entry::inline(b"w") };
    assert_eq!(set.get(b"k").unwrap().as_entry(), expected);
    set.delete(b"k");
    assert_eq!(set.get(b"k").unwrap().as_entry(), Entry::tombstone());
    assert_eq!(set.get(b"absent"), None);
}
