//! The rules that an edit must keep, asked of the state without changing it.

use std::collections::{BTreeMap, BTreeSet};

use base::seeded::{self, Bug};

use crate::state::MAX_LEVELS;
use crate::{Edit, Invalid, SegmentMeta, State, TableMeta};

/// Validates `edit` against `state`.
pub(crate) fn check(state: &State, edit: &Edit) -> Result<(), Invalid> {
    let check = Check { state, edit };
    check.counters()?;
    check.generations()?;
    check.numbers()?;
    for table in &edit.tables_added {
        check.table(table)?;
    }
    let leaving = check.leaving()?;
    check.overlaps(&leaving)?;
    check.segments()?;
    check.closed()
}

struct Check<'a> {
    state: &'a State,
    edit: &'a Edit,
}

/// What an edit changes of the use of one segment.
#[derive(Default)]
struct Shift {
    values_in: u64,
    bytes_in: u64,
    tables_in: u64,
    values_out: u64,
    bytes_out: u64,
    tables_out: u64,
}

impl Check<'_> {
    fn counters(&self) -> Result<(), Invalid> {
        let (state, edit) = (self.state, self.edit);
        for (what, from, to) in [
            ("the lease of file numbers", state.numbers_below(), edit.numbers_below),
            ("the last version", state.last_version().0, edit.last_version),
            ("the last commit number", state.last_commit(), edit.last_commit),
            ("the last generation", self.last_opened(), edit.last_generation),
        ] {
            if let Some(to) = to.filter(|&to| to < from) {
                return Err(Invalid::WentDown { what, from, to });
            }
        }
        Ok(())
    }

    fn last_opened(&self) -> u64 {
        let opened = self.edit.generations_opened.iter().map(|opened| opened.id);
        opened.fold(self.state.last_generation(), u64::max)
    }

    fn generations(&self) -> Result<(), Invalid> {
        let mut last = self.state.last_generation();
        for opened in &self.edit.generations_opened {
            if opened.id <= last {
                return Err(Invalid::GenerationOrder { id: opened.id, last });
            }
            last = opened.id;
        }
        let mut retired = BTreeSet::new();
        for &id in &self.edit.generations_retired {
            if self.state.generation(id).is_none() {
                return Err(Invalid::Unknown { what: "generation", number: id });
            }
            if !retired.insert(id) {
                return Err(Invalid::ChangedTwice { what: "generation", number: id });
            }
        }
        // Recovery starts behind the last commit in tables, so a generation left behind would be skipped.
        let oldest = self.state.generations().map(|open| open.id).find(|id| !retired.contains(id));
        if let (Some(oldest), Some(&newest)) = (oldest, retired.last())
            && newest > oldest
            && !seeded::is(Bug::FlushNewestFirst)
        {
            return Err(Invalid::RetiredOutOfOrder { id: newest, oldest });
        }
        Ok(())
    }

    /// Every file number that the edit brings is leased and free. A value log becomes a segment under its own number
    /// when its generation retires; nothing else takes over a number.
    fn numbers(&self) -> Result<(), Invalid> {
        let edit = self.edit;
        let below = self.state.numbers_below();
        let mut brought = BTreeSet::new();
        let mut claim = |number: u64, is_taken: bool| {
            if number == 0 || number >= below {
                return Err(Invalid::NotLeased { number, below });
            }
            if is_taken || !brought.insert(number) {
                return Err(Invalid::NumberTaken { number });
            }
            Ok(())
        };
        for table in &edit.tables_added {
            claim(table.number, self.state.is_alive(table.number))?;
        }
        for opened in &edit.generations_opened {
            claim(opened.wal, self.state.is_alive(opened.wal))?;
            claim(opened.vlog, self.state.is_alive(opened.vlog))?;
        }
        let retired: BTreeSet<u64> = edit.generations_retired.iter().copied().collect();
        let sealed = self.state.generations().filter(|open| retired.contains(&open.id)).map(|open| open.vlog);
        let sealed: BTreeSet<u64> = sealed.collect();
        for segment in &edit.segments_added {
            let is_own_log = sealed.contains(&segment.number);
            claim(segment.number, !is_own_log && self.state.is_alive(segment.number))?;
        }
        Ok(())
    }

    fn table(&self, table: &TableMeta) -> Result<(), Invalid> {
        if usize::from(table.level) >= MAX_LEVELS {
            return Err(too_deep(table.number, table.level));
        }
        let last_version = self.edit.last_version.unwrap_or(self.state.last_version().0);
        let last_generation = self.edit.last_generation.unwrap_or_else(|| self.last_opened());
        let expiry_is_sane = match (table.min_expiry, table.max_expiry) {
            (None, None) => true,
            (Some(min), Some(max)) => min <= max,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let segments = table.value_use.iter().map(|used| used.segment);
        for (is_kept, why) in [
            (table.smallest <= table.largest, "its smallest key is above its largest"),
            (table.tombstones <= table.entries, "it has more tombstones than entries"),
            (table.min_version <= table.max_version, "its lowest version is above its highest"),
            (table.max_version <= last_version, "it holds a version above the last one given"),
            (expiry_is_sane, "its first expiry is behind its last, or one of them is missing"),
            (table.oldest_generation <= table.newest_generation, "its oldest generation is above its newest"),
            (table.newest_generation <= last_generation, "it is of a generation that was never opened"),
            (segments.is_sorted_by(|a, b| a < b), "its value segments are not in ascending order"),
        ] {
            if !is_kept {
                return Err(Invalid::Table { table: table.number, why });
            }
        }
        Ok(())
    }

    /// The tables that leave their place.
    fn leaving(&self) -> Result<BTreeSet<u64>, Invalid> {
        let mut leaving = BTreeSet::new();
        let removed = self.edit.tables_removed.iter().map(|&number| (number, None));
        let moved = self.edit.tables_moved.iter().map(|&(number, level)| (number, Some(level)));
        for (number, level) in removed.chain(moved) {
            let Some(table) = self.state.table(number) else {
                return Err(Invalid::Unknown { what: "table", number });
            };
            if level.is_some_and(|level| usize::from(level) >= MAX_LEVELS) {
                return Err(too_deep(number, level.unwrap_or_default()));
            }
            if level == Some(table.level) {
                return Err(Invalid::NotMoved { table: number, level: table.level });
            }
            if !leaving.insert(number) {
                return Err(Invalid::ChangedTwice { what: "table", number });
            }
        }
        Ok(leaving)
    }

    fn overlaps(&self, leaving: &BTreeSet<u64>) -> Result<(), Invalid> {
        let added = self.edit.tables_added.iter().map(|table| (table.level, table));
        let moved = self.edit.tables_moved.iter();
        let moved = moved.filter_map(|&(number, level)| Some((level, &**self.state.table(number)?)));
        let mut arriving: Vec<(u8, &TableMeta)> = added.chain(moved).collect();
        for &(level, table) in &arriving {
            let stays = |other: &TableMeta| !leaving.contains(&other.number);
            if let Some(other) = self.state.tables_conflict(table, level, stays) {
                return Err(Invalid::Overlap { table: table.number, other: other.number, level });
            }
        }
        arriving.sort_by(|(a_level, a), (b_level, b)| {
            a_level.cmp(b_level).then_with(|| a.smallest.cmp(&b.smallest))
        });
        let young = arriving.partition_point(|&(level, _)| level == 0);
        let (young, deep) = arriving.split_at(young);
        for pair in deep.windows(2) {
            if let [(level, a), (next_level, b)] = *pair
                && level == next_level
                && a.overlaps(b)
            {
                return Err(Invalid::Overlap { table: b.number, other: a.number, level });
            }
        }
        young_overlap(young)
    }

    fn segments(&self) -> Result<(), Invalid> {
        let mut added = BTreeMap::new();
        for meta in &self.edit.segments_added {
            if meta.value_record_bytes > meta.bytes {
                return Err(Invalid::SegmentCounts { segment: meta.number });
            }
            added.insert(meta.number, *meta);
        }
        let shifts = self.shifts(&added)?;
        for (&number, shift) in &shifts {
            self.segment_holds(number, shift, added.get(&number))?;
        }
        let mut removed = BTreeSet::new();
        for &number in &self.edit.segments_removed {
            let Some(segment) = self.state.segment(number) else {
                return Err(Invalid::Unknown { what: "segment", number });
            };
            if !removed.insert(number) {
                return Err(Invalid::ChangedTwice { what: "segment", number });
            }
            let (tables_in, tables_out) =
                shifts.get(&number).map_or((0, 0), |shift| (shift.tables_in, shift.tables_out));
            let tables = segment.tables.saturating_add(tables_in).saturating_sub(tables_out);
            if tables > 0 {
                return Err(Invalid::SegmentInUse { segment: number, tables });
            }
        }
        Ok(())
    }

    fn shifts(&self, added: &BTreeMap<u64, SegmentMeta>) -> Result<BTreeMap<u64, Shift>, Invalid> {
        let mut shifts: BTreeMap<u64, Shift> = BTreeMap::new();
        for table in &self.edit.tables_added {
            for used in &table.value_use {
                if self.state.segment(used.segment).is_none() && !added.contains_key(&used.segment) {
                    return Err(Invalid::SegmentMissing { table: table.number, segment: used.segment });
                }
                let shift = shifts.entry(used.segment).or_default();
                shift.values_in = shift.values_in.saturating_add(used.values);
                shift.bytes_in = shift.bytes_in.saturating_add(used.record_bytes);
                shift.tables_in += 1;
            }
        }
        for table in self.edit.tables_removed.iter().filter_map(|&number| self.state.table(number)) {
            for used in &table.value_use {
                let shift = shifts.entry(used.segment).or_default();
                shift.values_out = shift.values_out.saturating_add(used.values);
                shift.bytes_out = shift.bytes_out.saturating_add(used.record_bytes);
                shift.tables_out += 1;
            }
        }
        Ok(shifts)
    }

    fn segment_holds(&self, number: u64, shift: &Shift, added: Option<&SegmentMeta>) -> Result<(), Invalid> {
        let present = self.state.segment(number).copied().unwrap_or_default();
        let meta = added.unwrap_or(&present.meta);
        let values = present.live_values.saturating_sub(shift.values_out).saturating_add(shift.values_in);
        let live_bytes = present.live_bytes.saturating_sub(shift.bytes_out).saturating_add(shift.bytes_in);
        for (what, claimed, held) in
            [("values", values, meta.values), ("bytes of values", live_bytes, meta.value_record_bytes)]
        {
            if claimed > held {
                return Err(Invalid::SegmentOverused { segment: number, what, claimed, held });
            }
        }
        Ok(())
    }

    fn closed(&self) -> Result<(), Invalid> {
        let Some(closed) = &self.edit.closed else { return Ok(()) };
        let retired: BTreeSet<u64> = self.edit.generations_retired.iter().copied().collect();
        let open = self.state.generations().filter(|open| !retired.contains(&open.id));
        let open = open.chain(&self.edit.generations_opened);
        let mut logs: BTreeSet<u64> = open.flat_map(|open| [open.wal, open.vlog]).collect();
        for &crate::LogLength { file_number, .. } in closed {
            if !logs.remove(&file_number) {
                return Err(Invalid::ClosedLog { file_number });
            }
        }
        Ok(())
    }
}

fn too_deep(table: u64, level: u8) -> Invalid {
    Invalid::LevelTooDeep { table, level, deepest: (MAX_LEVELS - 1) as u8 }
}

/// Level 0: tables of intersecting ages must not share a key. Sorted by smallest key, so that a table is compared
/// with those only that start inside it.
fn young_overlap(arriving: &[(u8, &TableMeta)]) -> Result<(), Invalid> {
    for (index, (level, table)) in arriving.iter().enumerate() {
        let behind = arriving.get(index + 1..).unwrap_or_default();
        let inside = behind.iter().take_while(|(_, other)| other.smallest <= table.largest);
        if let Some((_, other)) = inside.into_iter().find(|(_, other)| other.shares_age(table)) {
            return Err(Invalid::Overlap { table: other.number, other: table.number, level: *level });
        }
    }
    Ok(())
}
