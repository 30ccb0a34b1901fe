//! Random edits that resemble an engine's: flushes, compactions, moves, removals, leases, closes.

use fastrand::Rng;
use manifest::{Edit, Generation, LogLength, SegmentMeta, State, TableMeta, ValueUse};

/// Makes edits that are valid for a state, most of the time.
pub(crate) struct Generator {
    pub(crate) rng: Rng,
    next_number: u64,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rng: Rng::with_seed(seed), next_number: 1 }
    }

    pub(crate) fn edit(&mut self, state: &State) -> Edit {
        let mut edit = match self.rng.u32(..16) {
            0..4 => self.open(state),
            4..8 => self.flush(state),
            8..12 => self.compact(state),
            12..14 => self.move_one(state),
            14 => drop_segments(state),
            _ => close(state),
        };
        if state.numbers_below() < self.next_number + 12 {
            edit.numbers_below = Some(state.numbers_below() + 16);
        }
        edit
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number - 1
    }

    fn key(&mut self) -> Vec<u8> {
        let len = self.rng.usize(1..4);
        (0..len).map(|_| self.rng.u8(b'a'..=b'h')).collect()
    }

    fn open(&mut self, state: &State) -> Edit {
        let id = state.last_generation() + self.rng.u64(1..3);
        let generation = Generation { id, wal: self.number(), vlog: self.number() };
        Edit { generations_opened: vec![generation], ..Edit::default() }
    }

    fn flush(&mut self, state: &State) -> Edit {
        let Some(&oldest) = state.generations().next() else { return self.open(state) };
        let last_version = state.last_version().0 + self.rng.u64(..9);
        let mut edit = Edit {
            generations_retired: vec![oldest.id],
            last_version: Some(last_version),
            last_commit: Some(state.last_commit() + self.rng.u64(..9)),
            ..Edit::default()
        };
        let mut keys: Vec<_> = (0..2 * self.rng.usize(..4)).map(|_| self.key()).collect();
        keys.sort();
        keys.dedup();
        for bounds in keys.chunks_exact(2) {
            let mut table = self.table(last_version, bounds);
            table.oldest_generation = oldest.id;
            table.newest_generation = oldest.id;
            edit.tables_added.push(table);
        }
        if self.rng.bool() {
            let values = self.rng.u64(1..50);
            let meta = SegmentMeta {
                number: oldest.vlog,
                bytes: 64 + values * 200,
                values,
                value_record_bytes: values * 80,
            };
            edit.segments_added.push(meta);
            if let Some(table) = edit.tables_added.first_mut() {
                let used = ValueUse { segment: meta.number, values, record_bytes: meta.value_record_bytes };
                table.value_use.push(used);
            }
        }
        edit
    }

    fn table(&mut self, last_version: u64, bounds: &[Vec<u8>]) -> TableMeta {
        let expires = self.rng.bool();
        let entries = self.rng.u64(1..1000);
        TableMeta {
            number: self.number(),
            smallest: bounds[0].clone(),
            largest: bounds[1].clone(),
            file_bytes: self.rng.u64(..),
            entries,
            tombstones: self.rng.u64(..=entries),
            raw_bytes: self.rng.u64(..1 << 30),
            min_version: self.rng.u64(..=last_version),
            max_version: last_version,
            min_expiry: expires.then_some(10),
            max_expiry: expires.then_some(20),
            created_at: self.rng.u64(..1 << 40),
            ..TableMeta::default()
        }
    }

    /// All of level 0, or one deeper table, with what overlaps below; the outputs stay within the inputs' bounds.
    fn compact(&mut self, state: &State) -> Edit {
        let from = self.rng.u8(..6);
        let mut inputs: Vec<_> = state.level(from).cloned().collect();
        if from > 0 && !inputs.is_empty() {
            inputs = vec![inputs.swap_remove(self.rng.usize(..inputs.len()))];
        }
        let (Some(smallest), Some(largest)) =
            (inputs.iter().map(|t| t.smallest.clone()).min(), inputs.iter().map(|t| t.largest.clone()).max())
        else {
            return self.flush(state);
        };
        let hull = TableMeta { smallest: smallest.clone(), largest: largest.clone(), ..TableMeta::default() };
        inputs.extend(state.level(from + 1).filter(|table| table.overlaps(&hull)).cloned());
        let mut edit =
            Edit { tables_removed: inputs.iter().map(|table| table.number).collect(), ..Edit::default() };
        let mut keys = vec![smallest.clone(), largest.clone()];
        keys.extend((0..2).map(|_| self.key()).filter(|key| (&smallest..=&largest).contains(&key)));
        keys.sort();
        keys.dedup();
        for bounds in keys.chunks_exact(2) {
            let mut table = self.table(inputs.iter().map(|t| t.max_version).max().unwrap(), bounds);
            table.level = from + 1;
            table.oldest_generation = inputs.iter().map(|t| t.oldest_generation).min().unwrap();
            table.newest_generation = inputs.iter().map(|t| t.newest_generation).max().unwrap();
            edit.tables_added.push(table);
        }
        if let Some(first) = edit.tables_added.first_mut() {
            // Each input's values are carried over or dropped.
            let mut used: Vec<ValueUse> = inputs.iter().flat_map(|t| t.value_use.clone()).collect();
            used.retain(|_| self.rng.u8(..4) > 0);
            used.sort_by_key(|used| used.segment);
            used.dedup_by_key(|used| used.segment);
            first.value_use = used;
        }
        edit
    }

    fn move_one(&mut self, state: &State) -> Edit {
        let tables: Vec<_> = state.tables().collect();
        let Some(table) = self.rng.choice(tables) else { return self.open(state) };
        Edit { tables_moved: vec![(table.number, (table.level + 1) % 7)], ..Edit::default() }
    }
}

fn drop_segments(state: &State) -> Edit {
    let unused = state.segments().filter(|segment| segment.tables == 0);
    Edit { segments_removed: unused.map(|segment| segment.meta.number).collect(), ..Edit::default() }
}

fn close(state: &State) -> Edit {
    let logs = state.generations().flat_map(|open| [open.wal, open.vlog]);
    let closed = logs.map(|file_number| LogLength { file_number, bytes: 64 + file_number, last_commit: 3 });
    Edit { closed: Some(closed.collect()), ..Edit::default() }
}
