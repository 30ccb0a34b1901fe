//! Goal: a merge shows every key once, in order, in both directions. Method: all runs of a merge hold the same keys, or random
//! ones, and the merge is compared with a sorted map.

use std::collections::BTreeMap;

use base::{Cursor, Direction, Entry, EntryRef, InternalKey, Payload, Result, Version};
use bytes::Bytes;

use super::MergeCursor;

/// A sorted run in memory; its values say which run it is.
#[derive(Debug)]
struct Run {
    keys: Vec<(Vec<u8>, u64)>,
    name: [u8; 1],
    at: Option<usize>,
}

impl Run {
    fn new(mut keys: Vec<(Vec<u8>, u64)>, name: u8) -> Self {
        keys.sort_by(|a, b| internal(a).cmp(&internal(b)));
        keys.dedup();
        Self { keys, name: [name], at: None }
    }

    fn stand(&mut self, at: Option<usize>) -> Result<()> {
        self.at = at.filter(|at| *at < self.keys.len());
        Ok(())
    }
}

fn internal((key, version): &(Vec<u8>, u64)) -> InternalKey<'_> {
    InternalKey::new(key, Version(*version))
}

impl Cursor for Run {
    fn key(&self) -> Option<InternalKey<'_>> {
        Some(internal(&self.keys[self.at?]))
    }

    fn entry(&self) -> Option<Entry<'_>> {
        self.at.map(|_| Entry::inline(&self.name))
    }

    fn inline_value(&self) -> Option<Bytes> {
        self.at.map(|_| Bytes::copy_from_slice(&self.name))
    }

    fn first(&mut self) -> Result<()> {
        self.stand(Some(0))
    }

    fn last(&mut self) -> Result<()> {
        self.stand(self.keys.len().checked_sub(1))
    }

    fn seek(&mut self, target: InternalKey<'_>) -> Result<()> {
        self.stand(Some(self.keys.partition_point(|key| internal(key) < target)))
    }

    fn seek_back(&mut self, target: InternalKey<'_>) -> Result<()> {
        self.stand(self.keys.partition_point(|key| internal(key) <= target).checked_sub(1))
    }

    fn next(&mut self) -> Result<()> {
        self.stand(self.at.map(|at| at + 1))
    }

    fn prev(&mut self) -> Result<()> {
        self.stand(self.at.and_then(|at| at.checked_sub(1)))
    }
}

/// What a merge shows: the key, and the run that it comes from.
fn shown(merge: &MergeCursor<Run>) -> Option<((Vec<u8>, u64), u8)> {
    let key = merge.key()?;
    Some(((key.user_key.to_vec(), key.version.0), merge.inline_value()?[0]))
}

/// badger #1153: a merge showed a key that stood in several runs more than once. With the same keys in one to eight runs, and with
/// random ones, each is shown once, from the newest run that has it, however often the direction turns.
#[test]
fn hb_61_equal_keys_are_shown_once() {
    let mut random = fastrand::Rng::with_seed(61);
    for runs in 1..=8 {
        for is_same in [true, false] {
            let mut keys = || -> Vec<(Vec<u8>, u64)> {
                let many = if is_same { 12 } else { random.u64(..14) };
                (0..many)
                    .map(|at| if is_same { at } else { random.u64(..40) })
                    .map(|at| (vec![at as u8 / 3], at % 3))
                    .collect()
            };
            let sources: Vec<Run> = (0..runs).map(|name| Run::new(keys(), name)).collect();
            let mut oracle = BTreeMap::new();
            for run in sources.iter().rev() {
                for (key, version) in &run.keys {
                    let newest_first = std::cmp::Reverse(*version);
                    oracle.insert((key.clone(), newest_first), ((key.clone(), *version), run.name[0]));
                }
            }
            let all: Vec<_> = oracle.into_values().collect();
            let mut merge = MergeCursor::new(sources);
            step_about(&mut merge, &all, &mut random);
            walk_about(&mut merge, &all, &mut random);
        }
    }
}

/// To the end, back to the start, and then at random.
fn step_about(merge: &mut MergeCursor<Run>, all: &[((Vec<u8>, u64), u8)], random: &mut fastrand::Rng) {
    merge.first().unwrap();
    for expected in all {
        assert_eq!(shown(merge).as_ref(), Some(expected));
        merge.next().unwrap();
    }
    assert_eq!(shown(merge), None);
    merge.last().unwrap();
    for expected in all.iter().rev() {
        assert_eq!(shown(merge).as_ref(), Some(expected));
        merge.prev().unwrap();
    }
    assert_eq!(shown(merge), None);
    for (start, (key, _)) in all.iter().enumerate() {
        merge.seek(internal(key)).unwrap();
        let mut at = start;
        for _ in 0..20 {
            assert_eq!(shown(merge).as_ref(), all.get(at));
            if random.bool() && at + 1 < all.len() {
                merge.next().unwrap();
                at += 1;
            } else if at > 0 {
                merge.prev().unwrap();
                at -= 1;
            }
        }
    }
}

/// Walks of random length and direction, one after another, from random places on.
fn walk_about(merge: &mut MergeCursor<Run>, all: &[((Vec<u8>, u64), u8)], random: &mut fastrand::Rng) {
    for (start, (key, _)) in all.iter().enumerate() {
        merge.seek(internal(key)).unwrap();
        let mut at = Some(start);
        for _ in 0..10 {
            let (is_forward, mut left) = (random.bool(), random.usize(..6));
            let direction = if is_forward { Direction::Forward } else { Direction::Backward };
            while left > 0 && merge.key().is_some() {
                let before = left;
                let visit = &mut |found: &EntryRef<'_>| {
                    if left == 0 {
                        return false;
                    }
                    let Payload::Inline(name) = found.entry.payload else { return false };
                    let here = ((found.key.user_key.to_vec(), found.key.version.0), name[0]);
                    assert_eq!(Some(&here), at.and_then(|at| all.get(at)));
                    at = at.and_then(|at| if is_forward { Some(at + 1) } else { at.checked_sub(1) });
                    left -= 1;
                    true
                };
                merge.walk(direction, visit).unwrap();
                assert!(left < before, "a walk shows at least one entry");
            }
            assert_eq!(shown(merge).as_ref(), at.and_then(|at| all.get(at)));
            if merge.key().is_none() {
                break;
            }
        }
    }
}
