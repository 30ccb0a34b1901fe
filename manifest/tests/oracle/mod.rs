//! The plain version of the state: maps without an index, every rule asked of everything after every edit.

use std::collections::{BTreeMap, BTreeSet};

use manifest::{Edit, Generation, LogLength, MAX_LEVELS, SegmentMeta, State, TableMeta};

#[derive(Clone)]
pub(crate) struct Oracle {
    lease: u64,
    last_version: u64,
    last_commit: u64,
    last_generation: u64,
    tables: BTreeMap<u64, TableMeta>,
    generations: BTreeMap<u64, Generation>,
    segments: BTreeMap<u64, SegmentMeta>,
    closed: Option<Vec<LogLength>>,
}

impl Oracle {
    pub(crate) fn new(lease: u64) -> Self {
        Self {
            lease,
            last_version: 0,
            last_commit: 0,
            last_generation: 0,
            tables: BTreeMap::new(),
            generations: BTreeMap::new(),
            segments: BTreeMap::new(),
            closed: None,
        }
    }

    /// The state after `edit`, or `None` when it is invalid.
    pub(crate) fn after(&self, edit: &Edit) -> Option<Self> {
        let mut next = self.clone();
        self.numbers_are_free(edit)?;
        let mut touched = BTreeSet::new();
        for number in &edit.tables_removed {
            next.tables.remove(number)?;
            touched.insert(*number);
        }
        for (number, level) in &edit.tables_moved {
            let table = next.tables.get_mut(number)?;
            if table.level == *level || !touched.insert(*number) {
                return None;
            }
            table.level = *level;
        }
        next.tables.extend(edit.tables_added.iter().map(|table| (table.number, table.clone())));
        for id in &edit.generations_retired {
            next.generations.remove(id)?;
        }
        if let (Some(retired), Some((oldest, _))) =
            (edit.generations_retired.iter().max(), next.generations.first_key_value())
            && retired > oldest
        {
            return None;
        }
        for open in &edit.generations_opened {
            if open.id <= next.last_generation {
                return None;
            }
            next.last_generation = open.id;
            next.generations.insert(open.id, *open);
        }
        for number in &edit.segments_removed {
            next.segments.remove(number)?;
        }
        next.segments.extend(edit.segments_added.iter().map(|segment| (segment.number, *segment)));
        for (counter, new) in [
            (&mut next.lease, edit.numbers_below),
            (&mut next.last_version, edit.last_version),
            (&mut next.last_commit, edit.last_commit),
            (&mut next.last_generation, edit.last_generation),
        ] {
            let new = new.unwrap_or(*counter);
            if new < *counter {
                return None;
            }
            *counter = new;
        }
        next.closed = edit.closed.clone();
        next.is_sound().then_some(next)
    }

    fn numbers_are_free(&self, edit: &Edit) -> Option<()> {
        let logs = self.generations.values().flat_map(|open| [open.wal, open.vlog]);
        let mut taken: BTreeSet<u64> =
            self.tables.keys().chain(self.segments.keys()).copied().chain(logs).collect();
        let mut claim =
            |number: u64| (number > 0 && number < self.lease && taken.insert(number)).then_some(());
        for table in &edit.tables_added {
            claim(table.number)?;
        }
        for open in &edit.generations_opened {
            claim(open.wal)?;
            claim(open.vlog)?;
        }
        let own_log = |number| {
            let retired = edit.generations_retired.iter().filter_map(|id| self.generations.get(id));
            retired.into_iter().any(|open| open.vlog == number)
        };
        let mut sealed = BTreeSet::new();
        for segment in &edit.segments_added {
            if own_log(segment.number) {
                // Under its own number, but only once, and only if nothing else has just taken it.
                sealed.insert(segment.number).then_some(())?;
            } else {
                claim(segment.number)?;
            }
        }
        Some(())
    }

    fn is_sound(&self) -> bool {
        let tables: Vec<_> = self.tables.values().collect();
        let apart = |a: &TableMeta, b: &TableMeta| {
            let keys_meet = a.smallest <= b.largest && b.smallest <= a.largest;
            let ages_meet =
                a.oldest_generation <= b.newest_generation && b.oldest_generation <= a.newest_generation;
            a.level != b.level || !keys_meet || (a.level == 0 && !ages_meet)
        };
        let disjoint = tables.iter().enumerate().all(|(i, a)| tables[..i].iter().all(|b| apart(a, b)));
        let logs: Vec<u64> = self.generations.values().flat_map(|open| [open.wal, open.vlog]).collect();
        let closed: Vec<u64> = self.closed.iter().flatten().map(|log| log.file_number).collect();
        let closed_once: BTreeSet<u64> = closed.iter().copied().collect();
        disjoint
            && tables.iter().all(|table| self.is_sane(table))
            && self.segments.values().all(|segment| {
                let (values, bytes, _) = self.live(segment.number);
                segment.value_record_bytes <= segment.bytes
                    && values <= segment.values
                    && bytes <= segment.value_record_bytes
            })
            && closed.len() == closed_once.len()
            && closed.iter().all(|log| logs.contains(log))
    }

    fn is_sane(&self, table: &TableMeta) -> bool {
        usize::from(table.level) < MAX_LEVELS
            && table.smallest <= table.largest
            && table.tombstones <= table.entries
            && table.min_version <= table.max_version
            && table.max_version <= self.last_version
            && table.min_expiry.is_some() == table.max_expiry.is_some()
            && table.min_expiry <= table.max_expiry
            && table.oldest_generation <= table.newest_generation
            && table.newest_generation <= self.last_generation
            && table.value_use.windows(2).all(|pair| pair[0].segment < pair[1].segment)
            && table.value_use.iter().all(|used| self.segments.contains_key(&used.segment))
    }

    fn live(&self, segment: u64) -> (u64, u64, u64) {
        let used = self.tables.values().flat_map(|table| &table.value_use);
        used.filter(|used| used.segment == segment)
            .fold((0, 0, 0), |(v, b, t), used| (v + used.values, b + used.record_bytes, t + 1))
    }

    /// Panics when `state` says anything else.
    pub(crate) fn compare(&self, state: &State) {
        assert_eq!(state.numbers_below(), self.lease);
        assert_eq!(state.last_version().0, self.last_version);
        assert_eq!(state.last_commit(), self.last_commit);
        assert_eq!(state.last_generation(), self.last_generation);
        assert_eq!(state.closed(), self.closed.as_deref());
        assert!(state.tables().map(|table| &**table).eq(self.tables.values()));
        assert!(state.generations().eq(self.generations.values()));
        for level in 0..MAX_LEVELS as u8 {
            let mut expected: Vec<_> = self.tables.values().filter(|table| table.level == level).collect();
            if level == 0 {
                expected
                    .sort_by_key(|t| std::cmp::Reverse((t.newest_generation, t.oldest_generation, t.number)));
            } else {
                expected.sort_by(|a, b| a.smallest.cmp(&b.smallest));
            }
            assert_eq!(state.level_len(level), expected.len());
            assert!(state.level(level).map(|table| &**table).eq(expected));
        }
        assert_eq!(state.segments().len(), self.segments.len());
        for segment in state.segments() {
            let number = segment.meta.number;
            assert_eq!(Some(&segment.meta), self.segments.get(&number));
            assert_eq!((segment.live_values, segment.live_bytes, segment.tables), self.live(number));
            assert_eq!(segment.dead_bytes(), segment.meta.bytes - segment.live_bytes);
            assert!(state.is_alive(number));
        }
    }
}
