//! The part of the engine that changes by edits: the manifest, file numbers, and which tables are spoken for.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use base::Result;
use base::vfs::Vfs;
use manifest::{Edit, Manifest, State, TableMeta};

use crate::compaction::Manual;

/// How many file numbers are leased at a time.
const LEASE: u64 = 64;

/// Guarded by one lock, which is held while an edit is written.
#[derive(Debug)]
pub(crate) struct Structure {
    pub(crate) manifest: Manifest,
    next_number: u64,
    /// Inputs of running steps.
    pub(crate) busy: HashSet<u64>,
    /// Tables and segments whose compaction failed on damage: left alone until the next open.
    pub(crate) damaged: HashSet<u64>,
    /// A manual compaction that is under way.
    pub(crate) manual: Option<Manual>,
    /// What DISCARD says; `None` before it is written.
    pub(crate) ledger_segments: Option<BTreeMap<u64, vlog::SegmentDead>>,
}

impl Structure {
    /// Takes over the manifest of `state`, which was read from `directory`; its first edit replaces the file. `first_number`
    /// is above every number that was ever used.
    pub(crate) fn resume(
        vfs: Arc<dyn Vfs>,
        directory: &Path,
        state: State,
        first_number: u64,
    ) -> Result<Self> {
        Ok(Self::new(Manifest::resume(vfs, directory, state)?, first_number))
    }

    /// Numbers are handed out from `next_number` on, under the lease that the manifest holds.
    pub(crate) fn new(manifest: Manifest, next_number: u64) -> Self {
        Self {
            manifest,
            next_number,
            busy: HashSet::new(),
            damaged: HashSet::new(),
            manual: None,
            ledger_segments: None,
        }
    }

    /// A number that no file of this database ever had.
    pub(crate) fn next_file_number(&mut self) -> Result<u64> {
        if self.next_number >= self.manifest.state().numbers_below() {
            self.commit(Edit::default())?;
        }
        let number = self.next_number;
        self.next_number += 1;
        Ok(number)
    }

    /// Passes over numbers, so that the next `count` ones are the last of the lease: every later one needs a lease from an edit
    /// that comes after these have been handed out. A file with such a number then proves that there was that edit.
    pub(crate) fn skip_to_last(&mut self, count: u64) -> Result<()> {
        let wanted = self.next_number + count;
        if wanted > self.manifest.state().numbers_below() {
            self.manifest.commit(Edit { numbers_below: Some(wanted), ..Edit::default() })?;
        }
        self.next_number = self.next_number.max(self.manifest.state().numbers_below().saturating_sub(count));
        Ok(())
    }

    /// The number that the next file will have.
    pub(crate) fn peek_number(&self) -> u64 {
        self.next_number
    }

    /// Makes an edit durable; a larger lease rides on it when the present one runs low.
    pub(crate) fn commit(&mut self, mut edit: Edit) -> Result<()> {
        if self.next_number + LEASE / 2 > self.manifest.state().numbers_below() {
            edit.numbers_below = Some(self.next_number + LEASE);
        }
        Ok(self.manifest.commit(edit)?)
    }

    /// The segments that no table would reference after `removed` left and `added` came.
    pub(crate) fn segments_without_reference(&self, removed: &[u64], added: &[TableMeta]) -> Vec<u64> {
        let state = self.manifest.state();
        let mut left: BTreeMap<u64, u64> = BTreeMap::new();
        for table in removed.iter().filter_map(|number| state.table(*number)) {
            for used in &table.value_use {
                let live = || state.segment(used.segment).map_or(0, |segment| segment.live_values);
                let left = left.entry(used.segment).or_insert_with(live);
                *left = left.saturating_sub(used.values);
            }
        }
        for used in added.iter().flat_map(|table| &table.value_use) {
            if let Some(left) = left.get_mut(&used.segment) {
                *left += used.values;
            }
        }
        left.into_iter().filter(|(_, values)| *values == 0).map(|(segment, _)| segment).collect()
    }
}
