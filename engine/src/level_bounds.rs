//! Which table of a level may hold a key, from a few bytes of each table's bounds that lie side by side.
//!
//! A level of a thousand tables has its bounds in a thousand places of memory; a search among them would miss the cache at
//! every step. Here each bound is the 8 bytes behind what all bounds of the level begin with; a whole key is compared only
//! where those tie.

use std::sync::Arc;

use crate::table_set::TableHandle;

/// The bounds of the tables of one level below L0, which do not overlap.
#[derive(Clone, Debug, Default)]
pub(crate) struct LevelBounds {
    /// What all bounds of the level begin with.
    prefix: Vec<u8>,
    largest: Vec<u64>,
    smallest: Vec<u64>,
}

/// The first 8 bytes of `suffix` as a number that sorts as they do; equal numbers say nothing.
fn head(suffix: &[u8]) -> u64 {
    let mut padded = [0; 8];
    for (to, from) in padded.iter_mut().zip(suffix) {
        *to = *from;
    }
    u64::from_be_bytes(padded)
}

impl LevelBounds {
    /// Those of `level`, which is in key order.
    pub(crate) fn new(level: &[Arc<TableHandle>]) -> Self {
        let (Some(first), Some(last)) = (level.first(), level.last()) else { return Self::default() };
        let (low, high) = (&first.meta.smallest, &last.meta.largest);
        let shared = low.iter().zip(high).take_while(|(low, high)| low == high).count();
        let head_of = |key: &[u8]| head(key.get(shared..).unwrap_or_default());
        Self {
            prefix: low.get(..shared).unwrap_or_default().to_vec(),
            largest: level.iter().map(|table| head_of(&table.meta.largest)).collect(),
            smallest: level.iter().map(|table| head_of(&table.meta.smallest)).collect(),
        }
    }

    /// The table of `level`, whose bounds these are, that may hold `user_key`.
    #[inline]
    pub(crate) fn find<'a>(
        &self,
        level: &'a [Arc<TableHandle>],
        user_key: &[u8],
    ) -> Option<&'a Arc<TableHandle>> {
        let wanted = head(user_key.strip_prefix(self.prefix.as_slice())?);
        let mut index = self.largest.partition_point(|largest| *largest < wanted);
        while self.largest.get(index) == Some(&wanted)
            && level.get(index).is_some_and(|table| table.meta.largest.as_slice() < user_key)
        {
            index += 1;
        }
        let smallest = *self.smallest.get(index)?;
        let table = level.get(index)?;
        let covers = smallest < wanted || smallest == wanted && table.meta.smallest.as_slice() <= user_key;
        covers.then_some(table)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use base::header::DatabaseId;
    use base::vfs::MemVfs;
    use manifest::TableMeta;
    use proptest::prelude::*;
    use sstable::{BlockCache, TableAccess};

    use super::*;
    use crate::files::{LivingFile, Reaper};
    use crate::table_set::{TableOpener, TableSet};

    fn level(bounds: &[Vec<u8>]) -> Vec<Arc<TableHandle>> {
        let reaper = Arc::new(Reaper::default());
        let opener = TableOpener {
            vfs: Arc::new(MemVfs::new()),
            access: TableAccess::Mapped,
            cache: BlockCache::with_capacity(1),
            database_id: DatabaseId::default(),
        };
        let table = |pair: &[Vec<u8>]| {
            let (smallest, largest) = (pair[0].clone(), pair[pair.len() - 1].clone());
            let meta = TableMeta { smallest, largest, ..TableMeta::default() };
            Arc::new(TableHandle::new(meta, LivingFile::new("table".into(), &reaper), opener.clone()))
        };
        bounds.chunks(2).map(table).collect()
    }

    proptest! {
        /// Goal: the search equals a plain one. Method: random tables over small and full alphabets with a common beginning,
        /// some of one key; the keys of their bounds, and others.
        #[test]
        fn find_equals_a_plain_search(
            prefix in proptest::collection::vec(any::<u8>(), 0..4),
            keys in proptest::collection::btree_set(
                proptest::collection::vec(prop_oneof![Just(0u8), Just(255), any::<u8>()], 0..12), 1..40),
            targets in proptest::collection::vec(
                proptest::collection::vec(prop_oneof![Just(0u8), Just(255), any::<u8>()], 0..12), 20),
        ) {
            let with_prefix = |key: &Vec<u8>| [prefix.as_slice(), key].concat();
            let bounds: BTreeSet<Vec<u8>> = keys.iter().map(with_prefix).collect();
            let bounds: Vec<Vec<u8>> = bounds.into_iter().collect();
            let level = level(&bounds);
            let heads = LevelBounds::new(&level);
            let more: Vec<Vec<u8>> = targets.iter().map(with_prefix).collect();
            for key in bounds.iter().chain(&targets).chain(&more) {
                let expected = TableSet::find_in_level(&level, key).and_then(|index| level.get(index));
                let found = heads.find(&level, key);
                prop_assert_eq!(found.map(Arc::as_ptr), expected.map(Arc::as_ptr));
            }
        }
    }
}
