//! Chooses what to compact next; a pure function of the table set.

use std::collections::HashSet;
use std::sync::Arc;

use base::Version;
use base::seeded::{self, Bug};

use super::targets::Targets;
use crate::Options;
use crate::options::LEVELS;
use crate::table_set::{TableHandle, TableSet};

/// A compaction to be done: inputs of one level and what they meet in the next.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Newest first: the order in which a read would meet them.
    pub(crate) inputs: Vec<Arc<TableHandle>>,
    pub(crate) output_level: usize,
    /// The inputs only change their level.
    pub(crate) is_move: bool,
    /// Why, for the log.
    pub(crate) reason: Reason,
}

/// What a compaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Too many tables in L0.
    L0Count,
    /// A level is above its target.
    LevelSize,
    /// A table holds mostly tombstones that nobody needs.
    Tombstones,
    /// The user asked for it.
    Manual,
}

/// A manual compaction: everything that was written before it is moved to the last level and rewritten there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manual {
    /// Tables numbered below this are to be rewritten.
    pub(crate) below_number: u64,
}

/// What the picker looks at.
#[derive(Debug)]
pub(crate) struct State<'a> {
    pub(crate) tables: &'a TableSet,
    /// Tables that must be left alone: inputs of running steps, and damaged ones.
    pub(crate) busy: &'a HashSet<u64>,
    pub(crate) options: &'a Options,
    /// Nobody reads below this version.
    pub(crate) floor: Version,
    pub(crate) manual: Option<Manual>,
}

/// The most urgent compaction that is possible now.
pub(crate) fn pick(state: &State<'_>) -> Option<Plan> {
    let mut sizes = [0; LEVELS];
    for (level, size) in sizes.iter_mut().enumerate() {
        *size = state.tables.level_bytes(level);
    }
    let targets = Targets::new(&sizes, state.options);
    if let Some(plan) = state.manual.and_then(|manual| pick_manual(state, &targets, manual)) {
        return Some(plan);
    }
    let mut scores: Vec<(f64, usize)> = Vec::new();
    let l0_count = state.tables.level(0).len();
    scores.push((l0_count as f64 / state.options.l0_compaction_trigger as f64, 0));
    for (level, size) in sizes.iter().enumerate().take(LEVELS - 1).skip(1) {
        if *size > 0 {
            // A level above the base has no target: it is to be emptied.
            let target = targets.level_bytes.get(level).copied().unwrap_or(0).max(1);
            let above_base = level < targets.base_level || targets.level_bytes.get(level) == Some(&0);
            scores.push((if above_base { f64::INFINITY } else { *size as f64 / target as f64 }, level));
        }
    }
    scores.retain(|(score, level)| if *level == 0 { *score >= 1.0 } else { *score > 1.0 });
    scores.sort_by(|a, b| b.0.total_cmp(&a.0));
    scores
        .iter()
        .find_map(|(_, level)| match level {
            0 => pick_l0(state, &targets, Reason::L0Count),
            _ => pick_level(state, *level, Reason::LevelSize),
        })
        .or_else(|| pick_tombstones(state))
}

/// All of L0 goes together: what leaves L0 takes every older table that it overlaps with it.
fn pick_l0(state: &State<'_>, targets: &Targets, reason: Reason) -> Option<Plan> {
    let l0 = state.tables.level(0);
    let l0 = if seeded::is(Bug::CompactionLeavesOlderL0) { l0.get(..1)? } else { l0 };
    let smallest = l0.iter().map(|table| &table.meta.smallest).min()?;
    let largest = l0.iter().map(|table| &table.meta.largest).max()?;
    let below: Vec<_> = state.tables.overlapping(targets.base_level, smallest, largest).cloned().collect();
    let inputs: Vec<_> = l0.iter().chain(&below).cloned().collect();
    let is_move = below.is_empty() && are_disjoint(l0) && reason != Reason::Manual;
    free(state, Plan { inputs, output_level: targets.base_level, is_move, reason })
}

fn are_disjoint(tables: &[Arc<TableHandle>]) -> bool {
    let mut sorted: Vec<_> = tables.iter().collect();
    sorted.sort_by(|a, b| a.meta.smallest.cmp(&b.meta.smallest));
    sorted.windows(2).all(|pair| matches!(pair, [a, b] if a.meta.largest < b.meta.smallest))
}

/// The table of `level` that meets the fewest bytes of the next level per byte of its own.
fn pick_level(state: &State<'_>, level: usize, reason: Reason) -> Option<Plan> {
    let mut candidates: Vec<(f64, &Arc<TableHandle>)> = Vec::new();
    for table in state.tables.level(level) {
        let below: u64 = overlap(state, table, level + 1).map(|other| other.meta.file_bytes).sum();
        candidates.push((below as f64 / table.meta.file_bytes.max(1) as f64, table));
    }
    candidates.sort_by(|a, b| a.0.total_cmp(&b.0));
    candidates.iter().find_map(|(_, table)| plan_table(state, table, level, reason))
}

fn overlap<'a>(
    state: &'a State<'_>,
    table: &'a TableHandle,
    level: usize,
) -> impl Iterator<Item = &'a Arc<TableHandle>> {
    state.tables.overlapping(level, &table.meta.smallest, &table.meta.largest)
}

fn plan_table(state: &State<'_>, table: &Arc<TableHandle>, level: usize, reason: Reason) -> Option<Plan> {
    let below: Vec<_> = overlap(state, table, level + 1).cloned().collect();
    // A table of tombstones must be read to be rid of them.
    let is_move = below.is_empty() && reason != Reason::Tombstones;
    let inputs = std::iter::once(table).chain(&below).cloned().collect();
    free(state, Plan { inputs, output_level: level + 1, is_move, reason })
}

/// A table that is mostly tombstones, all of them old enough for every reader.
fn pick_tombstones(state: &State<'_>) -> Option<Plan> {
    let stale = |table: &&Arc<TableHandle>| {
        table.meta.tombstones > 0
            && table.meta.tombstones * 2 >= table.meta.entries
            && table.meta.max_version <= state.floor.0
    };
    let deepest = state.tables.deepest()?;
    (1..=deepest).find_map(|level| {
        state.tables.level(level).iter().filter(stale).find_map(|table| {
            if level == deepest {
                rewrite(state, table, level, Reason::Tombstones)
            } else {
                plan_table(state, table, level, Reason::Tombstones)
            }
        })
    })
}

/// Rewrites one table where it is.
fn rewrite(state: &State<'_>, table: &Arc<TableHandle>, level: usize, reason: Reason) -> Option<Plan> {
    free(state, Plan { inputs: vec![Arc::clone(table)], output_level: level, is_move: false, reason })
}

fn pick_manual(state: &State<'_>, targets: &Targets, manual: Manual) -> Option<Plan> {
    let asked = |table: &Arc<TableHandle>| table.number() < manual.below_number;
    if state.tables.level(0).iter().any(asked) {
        return pick_l0(state, targets, Reason::Manual);
    }
    let deepest = state.tables.deepest()?;
    for level in 1..deepest {
        let mut tables = state.tables.level(level).iter();
        if let Some(plan) = tables.find_map(|table| plan_table(state, table, level, Reason::Manual)) {
            return Some(plan);
        }
    }
    let mut old = state.tables.level(deepest).iter().filter(|table| asked(table));
    old.find_map(|table| rewrite(state, table, deepest, Reason::Manual))
}

/// True while a manual compaction has tables left to treat.
pub(crate) fn manual_has_work(tables: &TableSet, manual: Manual) -> bool {
    let deepest = tables.deepest().unwrap_or(0);
    let asked = |table: &Arc<TableHandle>| table.number() < manual.below_number;
    tables.iter().any(|table| asked(table) || (1..deepest).contains(&usize::from(table.meta.level)))
}

/// The plan, unless one of its tables is busy.
fn free(state: &State<'_>, plan: Plan) -> Option<Plan> {
    let busy = plan.inputs.iter().any(|table| state.busy.contains(&table.number()));
    ((!busy || seeded::is(Bug::ChooseBusyTables)) && !plan.inputs.is_empty()).then_some(plan)
}
