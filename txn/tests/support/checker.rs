//! The white-box checker of serializability: replay in commit order, in linear time.

use std::collections::{BTreeMap, HashMap};

use base::Version;

pub(crate) type Key = u8;
pub(crate) type Value = u64;
pub(crate) type State = BTreeMap<Key, Value>;

/// One read and its answer.
#[derive(Clone, Debug)]
pub(crate) enum Read {
    /// A look-up.
    Point(Key, Option<Value>),
    /// A scan of `low..=high`, from either end, that was given up after `answer.len()` keys when `is_cut_short`.
    Scan { low: Key, high: Key, is_reversed: bool, is_cut_short: bool, answer: Vec<(Key, Value)> },
}

impl Read {
    fn is_true_in(&self, state: &State) -> bool {
        match self {
            Self::Point(key, answer) => state.get(key) == answer.as_ref(),
            Self::Scan { low, high, is_reversed, is_cut_short, answer } => {
                let inside = state.range(low..=high).map(|(key, value)| (*key, *value));
                let mut expected: Vec<_> =
                    if *is_reversed { inside.rev().collect() } else { inside.collect() };
                if *is_cut_short {
                    expected.truncate(answer.len());
                }
                expected == *answer
            }
        }
    }
}

/// What a finished transaction did. Reads that its own writes answered are left out.
#[derive(Clone, Debug)]
pub(crate) struct Finished {
    /// Moments of its begin and of its acknowledgement, on one counter.
    pub(crate) began: u64,
    pub(crate) ended: u64,
    pub(crate) read_version: Version,
    /// `None` when it wrote nothing.
    pub(crate) commit_version: Option<Version>,
    pub(crate) reads: Vec<Read>,
    pub(crate) writes: BTreeMap<Key, Option<Value>>,
}

/// The first violation of strict serializability in the history, in words.
pub(crate) fn check(history: &[Finished]) -> Option<String> {
    let mut writers: Vec<_> = history.iter().filter(|finished| finished.commit_version.is_some()).collect();
    writers.sort_by_key(|finished| finished.commit_version);
    let mut state = State::new();
    let mut states = HashMap::from([(Version::ZERO, state.clone())]);
    for writer in writers {
        // Its reads must be true at the place of its commit, after all earlier commits.
        if let Some(read) = writer.reads.iter().find(|read| !read.is_true_in(&state)) {
            return Some(format!("{read:?} is not true at the commit of {writer:?}"));
        }
        for (key, value) in &writer.writes {
            match value {
                Some(value) => state.insert(*key, *value),
                None => state.remove(key),
            };
        }
        states.insert(writer.commit_version?, state.clone());
    }
    for finished in history {
        let Some(seen) = states.get(&finished.read_version) else {
            return Some(format!("there is no commit {}", finished.read_version));
        };
        if let Some(read) = finished.reads.iter().find(|read| !read.is_true_in(seen)) {
            return Some(format!("{read:?} is not true at the snapshot of {finished:?}"));
        }
    }
    check_real_time(history)
}

/// What was acknowledged before a transaction began must be in its snapshot.
fn check_real_time(history: &[Finished]) -> Option<String> {
    let mut ends: Vec<_> =
        history.iter().filter_map(|done| Some((done.ended, done.commit_version?))).collect();
    ends.sort_unstable();
    let mut newest = Version::ZERO;
    let newest_by_end: Vec<_> = ends
        .into_iter()
        .map(|(ended, version)| {
            newest = newest.max(version);
            (ended, newest)
        })
        .collect();
    history.iter().find_map(|finished| {
        let before = newest_by_end.partition_point(|(ended, _)| *ended < finished.began);
        let (_, newest) = newest_by_end.get(before.checked_sub(1)?)?;
        (*newest > finished.read_version).then(|| format!("{finished:?} does not see commit {newest}"))
    })
}
