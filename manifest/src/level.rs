//! The tables of each level in the order in which reads look at them.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use crate::TableMeta;
use crate::state::MAX_LEVELS;

/// All levels. Level 0 is ordered by age, the deeper ones by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Levels {
    young: BTreeMap<Age, Arc<TableMeta>>,
    deep: [BTreeSet<BySmallest>; MAX_LEVELS - 1],
}

/// Ascending from old to new; the file number only tells apart what shares its age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Age {
    newest_generation: u64,
    oldest_generation: u64,
    number: u64,
}

impl Age {
    fn of(table: &TableMeta) -> Self {
        Self {
            newest_generation: table.newest_generation,
            oldest_generation: table.oldest_generation,
            number: table.number,
        }
    }

    fn first_of(newest_generation: u64) -> Self {
        Self { newest_generation, oldest_generation: 0, number: 0 }
    }
}

/// A table of a level without overlaps: there its smallest key identifies it.
#[derive(Clone, Debug)]
struct BySmallest(Arc<TableMeta>);

impl Borrow<[u8]> for BySmallest {
    fn borrow(&self) -> &[u8] {
        &self.0.smallest
    }
}

impl Ord for BySmallest {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.smallest.cmp(&other.0.smallest)
    }
}

impl PartialOrd for BySmallest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for BySmallest {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for BySmallest {}

impl Levels {
    pub(crate) fn insert(&mut self, table: Arc<TableMeta>) {
        match deep_index(table.level) {
            None => {
                self.young.insert(Age::of(&table), table);
            }
            Some(index) => {
                if let Some(level) = self.deep.get_mut(index) {
                    level.insert(BySmallest(table));
                }
            }
        }
    }

    pub(crate) fn remove(&mut self, table: &TableMeta) {
        match deep_index(table.level) {
            None => {
                self.young.remove(&Age::of(table));
            }
            Some(index) => {
                if let Some(level) = self.deep.get_mut(index) {
                    level.remove(table.smallest.as_slice());
                }
            }
        }
    }

    /// The tables of one level: level 0 from new to old, the others by key. None for a level that does not exist.
    pub(crate) fn iter(&self, level: u8) -> impl DoubleEndedIterator<Item = &Arc<TableMeta>> {
        let young = (level == 0).then(|| self.young.values().rev());
        let deep = deep_index(level).and_then(|index| self.deep.get(index));
        young.into_iter().flatten().chain(deep.into_iter().flatten().map(|table| &table.0))
    }

    pub(crate) fn len(&self, level: u8) -> usize {
        match deep_index(level) {
            None => self.young.len(),
            Some(index) => self.deep.get(index).map_or(0, BTreeSet::len),
        }
    }

    /// A table of `level` that may not stand there beside `table`, among those that `stays` names. In a level without
    /// overlaps only the neighbours are looked at; in level 0 only what is not wholly older.
    pub(crate) fn conflict(
        &self,
        level: u8,
        table: &TableMeta,
        stays: impl Fn(&TableMeta) -> bool,
    ) -> Option<&TableMeta> {
        let Some(index) = deep_index(level) else {
            let candidates = self.young.range(Age::first_of(table.oldest_generation)..);
            return candidates
                .map(|(_, other)| &**other)
                .find(|other| stays(other) && other.shares_age(table) && other.overlaps(table));
        };
        let level = self.deep.get(index)?;
        let smallest = table.smallest.as_slice();
        let before = level.range::<[u8], _>((Bound::Unbounded, Bound::Included(smallest)));
        let behind = level.range::<[u8], _>((Bound::Excluded(smallest), Bound::Unbounded));
        let before = before.rev().map(|other| &*other.0).find(|other| stays(other));
        let behind = behind.map(|other| &*other.0).find(|other| stays(other));
        before.into_iter().chain(behind).find(|other| other.overlaps(table))
    }
}

/// Where a level without overlaps stands; `None` for level 0.
fn deep_index(level: u8) -> Option<usize> {
    usize::from(level).checked_sub(1)
}
