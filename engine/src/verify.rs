//! Checks everything that can be checked: every checksum, every order, every pointer, the manifest against the directory,
//! and DISCARD against the manifest.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Cursor, Error, KeyBounds, Result, ValuePointer, Version};

use crate::directory::NumberedFile;
use crate::inner::Inner;
use crate::ledger::ledger_of;
use crate::read::merge_of;
use crate::table_set::TableHandle;
use crate::view::View;

/// How often progress is told.
const PROGRESS_BYTES: u64 = 4 << 20;

/// What a verification covered, and what it found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Verified {
    /// Tables read in full.
    pub tables: usize,
    /// Entries in them.
    pub entries: u64,
    /// Values read from the value log, those of commits that are only in logs included.
    pub values: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Everything that is wrong; empty for a sound database.
    pub findings: Vec<Error>,
}

impl Verified {
    /// True when nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    fn record(&mut self, outcome: Result<()>) -> Result<()> {
        match outcome {
            Err(error) if error.is_unreadable() || error.is_not_found() => {
                self.findings.push(error);
                Ok(())
            }
            other => other,
        }
    }
}

/// Told now and then how many bytes of how many are done.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

impl Inner {
    /// Reads everything that belongs to the present view.
    ///
    /// # Errors
    /// What keeps the check from going on; damage is a finding, not an error.
    pub(crate) fn verify(&self, progress: Progress<'_>) -> Result<Verified> {
        let view = self.views.load_full();
        let mut check =
            Check { inner: self, view: &view, verified: Verified::default(), live: BTreeMap::new() };
        check.tables(progress)?;
        check.memtables()?;
        check.record(verify_levels(&view))?;
        check.record(self.verify_directory(&view))?;
        // What follows reads the same blocks again, and counts on all of them.
        if check.verified.is_clean() {
            check.record(self.verify_order_of_sources(&view))?;
            let accounts = self.verify_accounts(&view, &check.live);
            check.record(accounts)?;
        }
        Ok(check.verified)
    }

    /// Every file of the view is there.
    fn verify_directory(&self, view: &View) -> Result<()> {
        let names = self.core.vfs.list(&self.core.directory)?;
        let present: std::collections::HashSet<_> =
            names.iter().filter_map(|name| NumberedFile::parse(name)).collect();
        let tables = view.tables.iter().map(|table| NumberedFile::Table(table.number()));
        let segments = view.segments.keys().map(|number| NumberedFile::ValueLog(*number));
        match tables.chain(segments).find(|file| !present.contains(file)) {
            Some(file) => Err(Error::corruption(&file.path(&self.core.directory), 0, "the file is missing")),
            None => Ok(()),
        }
    }

    /// What the tables reference is what the manifest says that they reference, unless tables have come and gone since the
    /// view was taken; and DISCARD agrees when it is stamped with the manifest's present edit.
    fn verify_accounts(&self, view: &View, live: &BTreeMap<u64, (u64, u64)>) -> Result<()> {
        let Some(state) = self.core.state() else { return Ok(()) };
        let is_same = view.tables.iter().count() == state.tables().len()
            && view.tables.iter().all(|table| state.table(table.number()).is_some());
        for segment in state.segments().filter(|_| is_same) {
            let counted = live.get(&segment.meta.number).copied().unwrap_or_default();
            if counted != (segment.live_values, segment.live_bytes) {
                let path = NumberedFile::ValueLog(segment.meta.number).path(&self.core.directory);
                let what = "the tables reference other bytes of it than the manifest says";
                return Err(Error::corruption(&path, 0, what));
            }
        }
        let ledger = vlog::Ledger::read(&*self.core.vfs, &self.core.directory, self.core.database_id)?;
        let expected = ledger_of(&state);
        match ledger {
            Some(ledger) if ledger.edit_number == expected.edit_number && ledger != expected => {
                let path = self.core.directory.join(vlog::LEDGER_FILE_NAME);
                Err(Error::corruption(
                    &path,
                    0,
                    "it disagrees with the manifest edit that it is stamped with",
                ))
            }
            _ => Ok(()),
        }
    }

    /// Newer versions of a key stand above older ones: what every point read relies on.
    fn verify_order_of_sources(&self, view: &View) -> Result<()> {
        let mut merge = merge_of(view, &KeyBounds::all())?;
        merge.first()?;
        let mut last: Option<(Vec<u8>, usize)> = None;
        while let (Some(key), Some(source)) = (merge.key(), merge.source()) {
            match &mut last {
                Some((user_key, highest)) if user_key.as_slice() == key.user_key => {
                    if source < *highest {
                        let what = format!(
                            "version {} of key {} stands above a newer one",
                            key.version,
                            key.user_key.escape_ascii()
                        );
                        return Err(Error::corruption(&self.core.directory, 0, what));
                    }
                    *highest = source;
                }
                _ => last = Some((key.user_key.to_vec(), source)),
            }
            merge.next()?;
        }
        Ok(())
    }
}

/// A verification under way.
struct Check<'a> {
    inner: &'a Inner,
    view: &'a View,
    verified: Verified,
    /// Values and record bytes that the tables reference, by segment.
    live: BTreeMap<u64, (u64, u64)>,
}

impl Check<'_> {
    fn record(&mut self, outcome: Result<()>) -> Result<()> {
        self.verified.record(outcome)
    }

    fn tables(&mut self, progress: Progress<'_>) -> Result<()> {
        let value_bytes = |table: &Arc<TableHandle>| {
            table.meta.value_use.iter().map(|value_use| value_use.record_bytes).sum::<u64>()
        };
        let tables = self.view.tables.iter();
        let total: u64 = tables.map(|table| table.meta.file_bytes + value_bytes(table)).sum();
        for table in self.view.tables.iter() {
            let outcome = self.table(table, &mut |done| progress(done.min(total), total));
            self.record(outcome)?;
            self.verified.tables += 1;
            progress(self.verified.bytes.min(total), total);
        }
        Ok(())
    }

    fn table(&mut self, handle: &Arc<TableHandle>, progress: &mut dyn FnMut(u64)) -> Result<()> {
        let path = handle.file().path();
        let mismatch = |what: &str| Error::corruption(path, 0, format!("{what} differs from the manifest's"));
        self.verified.bytes += handle.meta.file_bytes;
        let table = handle.table()?;
        table.verify()?;
        let meta = &handle.meta;
        if table.file_bytes() != meta.file_bytes {
            return Err(mismatch("table length"));
        }
        if table.smallest() != meta.smallest.as_slice() || table.largest() != meta.largest.as_slice() {
            return Err(mismatch("key range"));
        }
        if table.properties().entries != meta.entries {
            return Err(mismatch("number of entries"));
        }
        let mut cursor = table.cursor();
        cursor.first()?;
        let mut reported = self.verified.bytes;
        while let (Some(key), Some(entry)) = (cursor.key(), cursor.entry()) {
            self.verified.entries += 1;
            if let Some(pointer) = entry.pointer() {
                let live = self.live.entry(pointer.segment).or_default();
                *live = (live.0 + 1, live.1 + base::record::padded(u64::from(pointer.record_len)));
                let outcome = self.value(&pointer, key.user_key, key.version);
                self.record(outcome)?;
            }
            if self.verified.bytes - reported > PROGRESS_BYTES {
                reported = self.verified.bytes;
                progress(reported);
            }
            cursor.next()?;
        }
        Ok(())
    }

    /// The values of commits that are not in tables yet: open reads their records, and not the values in front of them.
    fn memtables(&mut self) -> Result<()> {
        for memtable in &self.view.memtables {
            let mut cursor = memtable.cursor();
            cursor.first()?;
            while let (Some(key), Some(entry)) = (cursor.key(), cursor.entry()) {
                if let Some(pointer) = entry.pointer() {
                    let outcome = self.value(&pointer, key.user_key, key.version);
                    self.record(outcome)?;
                }
                cursor.next()?;
            }
        }
        Ok(())
    }

    fn value(&mut self, pointer: &ValuePointer, user_key: &[u8], version: Version) -> Result<()> {
        self.verified.values += 1;
        self.verified.bytes += base::record::padded(u64::from(pointer.record_len));
        let directory = &self.inner.core.directory;
        let value = self.view.load(directory, pointer, user_key, version)?;
        if value.len() as u64 == u64::from(pointer.value_len) {
            return Ok(());
        }
        let path = NumberedFile::ValueLog(pointer.segment).path(directory);
        Err(Error::corruption(&path, pointer.offset, "the value's length differs from its pointer's"))
    }
}

/// Below L0 the tables of a level are disjoint.
fn verify_levels(view: &View) -> Result<()> {
    for level in view.tables.levels.iter().skip(1) {
        for pair in level.windows(2) {
            if let [left, right] = pair
                && left.meta.largest >= right.meta.smallest
            {
                let what = format!("its keys overlap those of table {}", right.number());
                return Err(Error::corruption(left.file().path(), 0, what));
            }
        }
    }
    Ok(())
}
