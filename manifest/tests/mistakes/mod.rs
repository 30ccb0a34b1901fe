//! Puts one mistake, or what may be one, into an edit.

use fastrand::Rng;
use manifest::{Edit, Generation, LogLength, State, ValueUse};

pub(crate) fn spoil(rng: &mut Rng, edit: &mut Edit, state: &State) {
    let some_number = rng.u64(..state.numbers_below() + 20);
    let some_key = vec![rng.u8(b'a'..=b'h')];
    let tables: Vec<_> = state.tables().map(|table| table.number).collect();
    let some_table = rng.choice(tables).unwrap_or(some_number);
    if let Some(table) = edit.tables_added.first_mut() {
        match rng.u32(..14) {
            0 => table.number = some_number,
            1 => table.level = rng.u8(..9),
            2 => table.smallest = some_key,
            3 => table.largest = some_key,
            4 => table.max_version += rng.u64(..5),
            5 => table.tombstones = table.entries + rng.u64(..2),
            6 => table.newest_generation += rng.u64(..3),
            7 => table.oldest_generation = some_number,
            8 => table.value_use.push(ValueUse { segment: some_number, values: 1, record_bytes: 80 }),
            9 => table.value_use.iter_mut().for_each(|used| used.values += 1),
            10 => table.min_expiry = Some(rng.u64(9..22)),
            11 => table.min_version += rng.u64(..5),
            12 => edit.segments_added.clear(),
            _ => edit.tables_removed.truncate(1),
        }
        return;
    }
    match rng.u32(..11) {
        0 => edit.tables_removed.push(some_table),
        1 => edit.tables_moved.push((some_table, rng.u8(..9))),
        2 => edit.generations_retired.push(some_number),
        3 => edit.generations_retired.extend(state.generations().next_back().map(|open| open.id)),
        4 => edit.segments_removed.extend(state.segments().map(|segment| segment.meta.number)),
        5 => edit.numbers_below = Some(some_number),
        6 => edit.last_version = Some(some_number),
        7 => edit.last_commit = Some(some_number),
        8 => edit.last_generation = Some(some_number),
        9 => edit.closed = Some(vec![LogLength { file_number: some_number, ..LogLength::default() }]),
        _ => edit.generations_opened.push(Generation { id: some_number, wal: some_number, vlog: some_table }),
    }
}
