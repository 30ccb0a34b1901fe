//! Carries out one planned compaction, part by part.

use std::ops::Bound;
use std::sync::Arc;

use base::seeded::{self, Bug};
use base::{Cursor, InternalKey, KeyBounds, Result, Retention, UnixSeconds};
use manifest::Edit;

use super::pick::Plan;
use super::split::split;
use crate::core::Core;
use crate::flush::{compression_of, copy_retained};
use crate::inner::Inner;
use crate::output::{Output, OutputShape, OutputWriter, abandon};
use crate::read::{LevelCursor, MergeCursor, Source};
use crate::table_set::{TableHandle, TableSet};

/// A compaction that is under way: its parts may be done by several threads.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: u64,
    pub(crate) plan: Plan,
    retention: Retention,
    /// The levels below the output, when the compaction was planned: what may hold older versions.
    deeper: Vec<Vec<Arc<TableHandle>>>,
    parts: Vec<KeyBounds>,
    next_part: usize,
    running: usize,
    outputs: Vec<Output>,
    failed: bool,
}

/// What a job has to offer to a thread that looks for work.
pub(crate) enum Offer {
    /// Merge this part.
    Part(usize),
    /// Every part is done: install.
    Install,
    /// A part failed and nobody works on the others any more: give up.
    GiveUp,
    /// Others are at work on the last parts.
    Nothing,
}

impl Job {
    pub(crate) fn new(id: u64, plan: Plan, retention: Retention, tables: &TableSet, parts: usize) -> Self {
        let deeper = tables.levels.iter().skip(plan.output_level + 1).cloned().collect();
        let parts = if plan.is_move { Vec::new() } else { split(&plan.inputs, parts) };
        Self {
            id,
            plan,
            retention,
            deeper,
            parts,
            next_part: 0,
            running: 0,
            outputs: Vec::new(),
            failed: false,
        }
    }

    /// Takes the next piece of work.
    pub(crate) fn take(&mut self) -> Offer {
        if self.failed {
            return if self.running == 0 { Offer::GiveUp } else { Offer::Nothing };
        }
        if self.next_part < self.parts.len() {
            self.next_part += 1;
            self.running += 1;
            return Offer::Part(self.next_part - 1);
        }
        if self.running == 0 { Offer::Install } else { Offer::Nothing }
    }

    /// True when nobody is at work on it.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.running == 0
    }

    /// True when every part is merged.
    pub(crate) fn is_merged(&self) -> bool {
        self.is_at_rest() && !self.failed && self.next_part == self.parts.len()
    }

    /// What is needed to merge a part without holding a lock.
    pub(crate) fn part(&self, index: usize) -> Option<Part> {
        let mut oldest_generation = u64::MAX;
        let mut newest_generation = 0;
        for table in &self.plan.inputs {
            oldest_generation = oldest_generation.min(table.meta.oldest_generation);
            newest_generation = newest_generation.max(table.meta.newest_generation);
        }
        Some(Part {
            bounds: self.parts.get(index)?.clone(),
            inputs: self.plan.inputs.clone(),
            output_level: self.plan.output_level,
            retention: self.retention.clone(),
            deeper: self.deeper.clone(),
            oldest_generation,
            newest_generation,
        })
    }

    /// Hands in the outcome of a part.
    pub(crate) fn finish_part(&mut self, outcome: Option<Vec<Output>>) {
        self.running -= 1;
        match outcome {
            Some(outputs) => self.outputs.extend(outputs),
            None => self.failed = true,
        }
    }

    /// Gives up what was written.
    pub(crate) fn give_up(&mut self) {
        abandon(std::mem::take(&mut self.outputs));
    }

    /// Replaces the inputs by the outputs with one edit.
    pub(crate) fn install(mut self, inner: &Inner) -> Result<()> {
        if self.plan.is_move {
            return self.install_move(inner);
        }
        let outputs = std::mem::take(&mut self.outputs);
        if let Err(error) = inner.core.vfs.sync_dir(&inner.core.directory) {
            abandon(outputs);
            return Err(inner.core.step_failed(error));
        }
        let removed: Vec<u64> = self.plan.inputs.iter().map(|table| table.number()).collect();
        let added: Vec<_> = outputs.iter().map(|output| output.meta.clone()).collect();
        let mut structure = inner.core.structure()?.lock();
        let segments_removed = structure.segments_without_reference(&removed, &added);
        let edit = Edit {
            tables_added: added,
            tables_removed: removed.clone(),
            segments_removed: segments_removed.clone(),
            ..Edit::default()
        };
        if seeded::is(Bug::UnlinkBeforeEdit) {
            self.plan.inputs.iter().try_for_each(|table| inner.core.vfs.remove(table.file().path()))?;
        }
        if let Err(error) = inner.core.commit_edit(&mut structure, edit) {
            if !inner.core.halt.is_tripped() {
                abandon(outputs);
            }
            return Err(error);
        }
        let tables: Vec<_> = outputs.into_iter().map(|output| inner.core.adopt(output)).collect();
        inner.views.change(|view| {
            view.tables = Arc::new(view.tables.with_changes(&removed, &tables));
            Inner::drop_segments(view, &segments_removed);
        });
        drop(structure);
        for table in &self.plan.inputs {
            table.file().retire();
        }
        inner.core.counters.compactions.add(1);
        tracing::info!(
            reason = ?self.plan.reason,
            level = self.plan.output_level,
            inputs = removed.len(),
            outputs = tables.len(),
            "compacted"
        );
        Ok(())
    }

    fn install_move(self, inner: &Inner) -> Result<()> {
        let level = self.plan.output_level;
        let moved: Vec<u64> = self.plan.inputs.iter().map(|table| table.number()).collect();
        let edit = Edit {
            tables_moved: moved.iter().map(|number| (*number, level as u8)).collect(),
            ..Edit::default()
        };
        let mut structure = inner.core.structure()?.lock();
        inner.core.commit_edit(&mut structure, edit)?;
        let tables: Vec<_> = self.plan.inputs.iter().map(|table| Arc::new(table.moved_to(level))).collect();
        inner.views.change(|view| view.tables = Arc::new(view.tables.with_changes(&moved, &tables)));
        inner.core.counters.moves.add(1);
        tracing::debug!(level, tables = moved.len(), "moved tables down");
        Ok(())
    }
}

/// One key range of a compaction.
#[derive(Debug)]
pub(crate) struct Part {
    bounds: KeyBounds,
    inputs: Vec<Arc<TableHandle>>,
    output_level: usize,
    retention: Retention,
    deeper: Vec<Vec<Arc<TableHandle>>>,
    oldest_generation: u64,
    newest_generation: u64,
}

impl Part {
    /// Merges the part into new tables, synced.
    pub(crate) fn run(&self, core: &Core, now: UnixSeconds) -> Result<Vec<Output>> {
        let is_bottom = self.deeper.iter().all(Vec::is_empty);
        let shape = OutputShape {
            level: self.output_level,
            table_bytes: core.options.table_bytes,
            compression: compression_of(core, self.output_level, is_bottom),
            oldest_generation: self.oldest_generation,
            newest_generation: self.newest_generation,
            created_at: now,
        };
        let mut writer = OutputWriter::new(core, shape);
        let mut merge = Bounded { merge: MergeCursor::new(self.sources()?), end: &self.bounds };
        match &self.bounds.start {
            Bound::Unbounded => merge.merge.first()?,
            Bound::Included(start) | Bound::Excluded(start) => {
                merge.merge.seek(InternalKey::first_of(start))?
            }
        }
        let keep = core.options.keep_versions;
        copy_retained(&mut merge, &self.retention, keep, |key| self.may_hold_older(key), &mut writer)?;
        let read = self.inputs.iter().map(|table| table.meta.file_bytes).sum();
        core.counters.compaction_bytes_read.add(read);
        writer.finish()
    }

    /// The tables that are read.
    pub(crate) fn input_numbers(&self) -> impl Iterator<Item = u64> {
        self.inputs.iter().map(|table| table.number())
    }

    /// Newest first: L0 tables one by one, each deeper level as one run.
    fn sources(&self) -> Result<Vec<Source>> {
        let mut sources = Vec::new();
        let mut run: Vec<Arc<TableHandle>> = Vec::new();
        for table in &self.inputs {
            let inside =
                self.bounds.admits_end(&table.meta.smallest) && self.bounds.admits_start(&table.meta.largest);
            if !inside {
                continue;
            }
            if table.meta.level == 0 {
                sources.push(Source::Table(table.table()?.cursor()));
                continue;
            }
            if run.last().is_some_and(|last| last.meta.level != table.meta.level) {
                sources.push(Source::Level(LevelCursor::new(std::mem::take(&mut run))));
            }
            run.push(Arc::clone(table));
        }
        if !run.is_empty() {
            sources.push(Source::Level(LevelCursor::new(run)));
        }
        Ok(sources)
    }

    /// True when a table outside the inputs that is older in read order may hold `user_key`. The inputs contain
    /// everything of their own levels that overlaps them, so only deeper levels count.
    fn may_hold_older(&self, user_key: &[u8]) -> bool {
        if seeded::is(Bug::DropTombstoneTooEarly) {
            return false;
        }
        if seeded::is(Bug::DropTombstoneOfPartOnly) {
            let begins_inside = |table: &Arc<TableHandle>| self.bounds.admits_start(&table.meta.smallest);
            return self.deeper.iter().flatten().any(|table| begins_inside(table) && table.covers(user_key));
        }
        self.deeper.iter().any(|level| TableSet::find_in_level(level, user_key).is_some())
    }
}

/// A merge that ends at the end of a range.
struct Bounded<'a> {
    merge: MergeCursor<Source>,
    end: &'a KeyBounds,
}

impl Cursor for Bounded<'_> {
    fn key(&self) -> Option<InternalKey<'_>> {
        self.merge.key().filter(|key| self.end.admits_end(key.user_key))
    }

    fn entry(&self) -> Option<base::Entry<'_>> {
        self.merge.entry()
    }

    fn inline_value(&self) -> Option<bytes::Bytes> {
        self.merge.inline_value()
    }

    fn first(&mut self) -> Result<()> {
        self.merge.first()
    }

    fn last(&mut self) -> Result<()> {
        self.merge.last()
    }

    fn seek(&mut self, target: InternalKey<'_>) -> Result<()> {
        self.merge.seek(target)
    }

    fn seek_back(&mut self, target: InternalKey<'_>) -> Result<()> {
        self.merge.seek_back(target)
    }

    fn next(&mut self) -> Result<()> {
        self.merge.next()
    }

    fn prev(&mut self) -> Result<()> {
        self.merge.prev()
    }
}
