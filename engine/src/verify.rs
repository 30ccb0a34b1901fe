//! Checks everything that can be checked: every checksum, every order, every pointer, the manifest against the directory,
//! and DISCARD against the manifest.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Cursor, Error, KeyBounds, Result, ValuePointer};

use crate::directory::NumberedFile;
use crate::inner::Inner;
use crate::ledger::ledger_of;
use crate::read::merge_of;
use crate::table_set::TableHandle;
use crate::view::View;

/// What a verification covered, and what it found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Verified {
    /// Tables read in full.
    pub tables: usize,
    /// Entries in them.
    pub entries: u64,
    /// Values read from the value log.
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
            Err(error) if error.is_corruption() || error.is_not_found() => {
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
        let mut verified = Verified::default();
        let total: u64 = view.tables.iter().map(|table| table.meta.file_bytes).sum();
        let mut live: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for table in view.tables.iter() {
            let checked = self.verify_table(&view, table, &mut verified, &mut live);
            verified.record(checked)?;
            verified.tables += 1;
            verified.bytes += table.meta.file_bytes;
            progress(verified.bytes, total);
        }
        let levels = self.verify_levels(&view);
        verified.record(levels)?;
        let order = self.verify_order_of_sources(&view);
        verified.record(order)?;
        let directory = self.verify_directory(&view);
        verified.record(directory)?;
        let accounts = self.verify_accounts(&live);
        verified.record(accounts)?;
        Ok(verified)
    }

    fn verify_table(
        &self,
        view: &View,
        handle: &Arc<TableHandle>,
        verified: &mut Verified,
        live: &mut BTreeMap<u64, (u64, u64)>,
    ) -> Result<()> {
        let path = handle.file().path();
        let mismatch = |what: &str| Error::corruption(path, 0, format!("{what} differs from the manifest's"));
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
        while let (Some(key), Some(entry)) = (cursor.key(), cursor.entry()) {
            verified.entries += 1;
            if let Some(pointer) = entry.pointer() {
                let used = live.entry(pointer.segment).or_default();
                used.0 += 1;
                used.1 += base::record::padded(u64::from(pointer.record_len));
                let read = self.verify_value(view, &pointer, key.user_key, key.version);
                verified.values += 1;
                verified.bytes += u64::from(pointer.record_len);
                verified.record(read)?;
            }
            cursor.next()?;
        }
        Ok(())
    }

    fn verify_value(
        &self,
        view: &View,
        pointer: &ValuePointer,
        user_key: &[u8],
        version: base::Version,
    ) -> Result<()> {
        let value = view.load(&self.core.directory, pointer, user_key, version)?;
        if value.len() as u64 == u64::from(pointer.value_len) {
            return Ok(());
        }
        let path = NumberedFile::ValueLog(pointer.segment).path(&self.core.directory);
        Err(Error::corruption(&path, pointer.offset, "the value's length differs from its pointer's"))
    }

    /// Below L0 the tables of a level are disjoint.
    fn verify_levels(&self, view: &View) -> Result<()> {
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

    /// What the tables reference is what the manifest says that they reference, and DISCARD agrees when it is of the
    /// manifest's present edit.
    fn verify_accounts(&self, live: &BTreeMap<u64, (u64, u64)>) -> Result<()> {
        let Some(state) = self.core.state() else { return Ok(()) };
        for segment in state.segments() {
            let counted = live.get(&segment.meta.number).copied().unwrap_or_default();
            // Tables may have come and gone since the view was taken.
            let is_current = self.views.load().tables.iter().count() == state.tables().len();
            if is_current && counted != (segment.live_values, segment.live_bytes) && self.is_quiet(&state) {
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

    /// True when the manifest has not moved on since `state` was read.
    fn is_quiet(&self, state: &manifest::State) -> bool {
        self.core.state().is_some_and(|now| now.edit_number() == state.edit_number())
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
