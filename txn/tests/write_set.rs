//! The write set against a plain map, with its memory estimate kept honest.

#![cfg(not(loom))]

use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds};

use base::{Entry, KeyBounds, UnixSeconds};
use proptest::prelude::*;
use txn::{Pending, WriteSet};

fn any_key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0u8..3, 0..3)
}

fn any_bound() -> impl Strategy<Value = Bound<Vec<u8>>> {
    prop_oneof![
        Just(Bound::Unbounded),
        any_key().prop_map(Bound::Included),
        any_key().prop_map(Bound::Excluded),
    ]
}

fn any_pending() -> impl Strategy<Value = Pending> {
    let value = prop::option::of(prop::collection::vec(any::<u8>(), 0..20));
    (value, any::<u8>(), any::<Option<u64>>(), any::<bool>()).prop_map(
        |(value, user_meta, expires_at, hides_older)| Pending {
            value: value.map(Into::into),
            user_meta,
            expires_at: expires_at.map(UnixSeconds),
            hides_older,
        },
    )
}

proptest! {
    /// Goal: last write wins, every range in both directions is that of a plain map, bounds may be crossed, and the
    /// estimate is the sum of what each write was said to cost. Method: random writes, then random ranges.
    #[test]
    fn behaves_like_a_plain_map(
        writes in prop::collection::vec((any_key(), any_pending()), 0..30),
        ranges in prop::collection::vec((any_bound(), any_bound()), 1..10),
    ) {
        let (mut set, mut model) = (WriteSet::new(), BTreeMap::new());
        for (key, pending) in writes {
            let (before, cost) = (set.byte_len(), WriteSet::cost_bytes(&key, &pending));
            let replaced = set.set(&key, pending.clone());
            prop_assert!(set.byte_len() <= before + cost);
            prop_assert_eq!(replaced, model.insert(key, pending));
        }
        prop_assert_eq!((set.len(), set.is_empty()), (model.len(), model.is_empty()));
        let costs = model.iter().map(|(key, pending)| WriteSet::cost_bytes(key, pending));
        prop_assert_eq!(set.byte_len(), costs.sum::<usize>());
        for (key, pending) in &model {
            prop_assert_eq!(set.get(key), Some(pending));
        }
        for (start, end) in ranges {
            let bounds = KeyBounds { start, end };
            let inside = |key: &[u8]| {
                let range = (bounds.start.as_ref().map(Vec::as_slice), bounds.end.as_ref().map(Vec::as_slice));
                RangeBounds::<[u8]>::contains(&range, key)
            };
            let mut expected: Vec<_> = model.iter().filter(|(key, _)| inside(key)).collect();
            let found = |(key, pending): (&bytes::Bytes, &Pending)| (key.to_vec(), pending.clone());
            let forwards: Vec<_> = set.bounds(&bounds).map(found).collect();
            prop_assert!(forwards.iter().map(|(key, pending)| (key, pending)).eq(expected.iter().copied()));
            expected.reverse();
            let backwards: Vec<_> = set.bounds(&bounds).rev().map(found).collect();
            prop_assert!(backwards.iter().map(|(key, pending)| (key, pending)).eq(expected));
        }
        let keys = set.written_keys();
        prop_assert!(keys.iter().eq(model.keys().map(Vec::as_slice)));
        set.clear();
        prop_assert!(set.is_empty() && set.byte_len() == 0);
    }
}

#[test]
fn a_deletion_is_an_answer_and_entries_carry_everything() {
    let mut set = WriteSet::new();
    set.set(b"k", Pending::value("v"));
    assert_eq!(set.get(b"k").unwrap().as_entry(), Entry::inline(b"v"));
    let expiring =
        Pending { user_meta: 7, expires_at: Some(UnixSeconds(9)), hides_older: true, ..Pending::value("w") };
    set.set(b"k", expiring);
    let expected =
        Entry { user_meta: 7, expires_at: Some(UnixSeconds(9)), hides_older: true, ..Entry::inline(b"w") };
    assert_eq!(set.get(b"k").unwrap().as_entry(), expected);
    set.delete(b"k");
    assert_eq!(set.get(b"k").unwrap().as_entry(), Entry::tombstone());
    assert_eq!(set.get(b"absent"), None);
}
