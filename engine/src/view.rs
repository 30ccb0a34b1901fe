//! One consistent read state, and how it is replaced.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, Guard};
use base::header::FileIdentity;
use base::vfs::Vfs;
use base::{Error, Result, ValuePointer, Version};
use bytes::Bytes;
use memtable::Memtable;
use parking_lot::Mutex;
use sstable::TableAccess;

use crate::files::LivingFile;
use crate::generation::Generation;
use crate::table_set::TableSet;

/// A value segment that views may read: sealed, or the growing log of a generation. A sealed one is opened at its first
/// use, so that damage of one segment fails the reads of that segment only.
#[derive(Debug)]
pub(crate) struct SegmentHandle {
    pub(crate) file: LivingFile,
    opened: OnceLock<Arc<vlog::Segment>>,
    opening: Mutex<()>,
    opener: Option<SegmentOpener>,
}

/// What is needed to open a sealed segment.
#[derive(Clone, Debug)]
pub(crate) struct SegmentOpener {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) access: TableAccess,
    pub(crate) identity: FileIdentity,
    pub(crate) sealed_bytes: u64,
}

impl SegmentHandle {
    /// A segment that is open.
    pub(crate) fn growing(segment: Arc<vlog::Segment>, file: LivingFile) -> Self {
        Self { file, opened: OnceLock::from(segment), opening: Mutex::new(()), opener: None }
    }

    /// A sealed segment.
    pub(crate) fn sealed(opener: SegmentOpener, file: LivingFile) -> Self {
        Self { file, opened: OnceLock::new(), opening: Mutex::new(()), opener: Some(opener) }
    }

    /// Asks the processor for the value at `pointer`, if the segment is open.
    #[inline]
    pub(crate) fn prefetch(&self, pointer: &ValuePointer) {
        if let Some(segment) = self.opened.get() {
            segment.prefetch(pointer);
        }
    }

    /// Has the system read these bytes ahead, if the segment is open.
    pub(crate) fn read_ahead(&self, offset: u64, len: u64) {
        if let Some(segment) = self.opened.get() {
            segment.read_ahead(offset, len);
        }
    }

    /// The value at `pointer`, which belongs to `user_key` at `version`, if nothing has asked for it ahead.
    ///
    /// # Errors
    /// Damage, or the system's.
    pub(crate) fn get(&self, pointer: &ValuePointer, user_key: &[u8], version: Version) -> Result<Bytes> {
        let segment = self.segment()?;
        // Its header is verified first, and meanwhile the rest is on the way.
        segment.prefetch(pointer);
        segment.get(pointer, user_key, version)
    }

    /// The open segment.
    ///
    /// # Errors
    /// Damage of its header, or the system's.
    pub(crate) fn segment(&self) -> Result<&Arc<vlog::Segment>> {
        if let Some(segment) = self.opened.get() {
            return Ok(segment);
        }
        let _one_opener = self.opening.lock();
        match (self.opened.get(), &self.opener) {
            (Some(segment), _) => Ok(segment),
            (None, Some(opener)) => {
                let segment = Arc::new(opener.open(self.file.path())?);
                Ok(self.opened.get_or_init(|| segment))
            }
            (None, None) => Err(Error::corruption(self.file.path(), 0, "value segment is not open")),
        }
    }
}

impl SegmentOpener {
    fn open(&self, path: &Path) -> Result<vlog::Segment> {
        match self.access {
            TableAccess::Mapped => {
                vlog::Segment::open_mapped(&*self.vfs, path, self.identity, self.sealed_bytes)
            }
            TableAccess::Positional => vlog::Segment::open_positional(&*self.vfs, path, self.identity),
        }
    }
}

/// Memtables, tables and value segments that belong together.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Newest first.
    pub(crate) memtables: Vec<Arc<Memtable>>,
    pub(crate) tables: Arc<TableSet>,
    pub(crate) segments: Arc<BTreeMap<u64, Arc<SegmentHandle>>>,
}

impl View {
    /// Reads the value that `pointer` of `user_key` at `version` names.
    ///
    /// # Errors
    /// Damage, or the system's.
    pub(crate) fn load(
        &self,
        directory: &Path,
        pointer: &ValuePointer,
        user_key: &[u8],
        version: Version,
    ) -> Result<Bytes> {
        self.segment(directory, pointer.segment)?.get(pointer, user_key, version)
    }

    pub(crate) fn segment(&self, directory: &Path, number: u64) -> Result<&Arc<SegmentHandle>> {
        self.segments.get(&number).ok_or_else(|| {
            let path = crate::directory::NumberedFile::ValueLog(number).path(directory);
            Error::corruption(&path, 0, "a value points into this file, which is not part of the database")
        })
    }
}

/// The current view. Readers load it without a lock; changes are made one at a time and do no I/O.
#[derive(Debug)]
pub(crate) struct Views {
    current: ArcSwap<View>,
    /// How many tables L0 has, for commits, which ask every time.
    l0_tables: AtomicUsize,
    changing: Mutex<()>,
    directory: std::path::PathBuf,
    reaper: Arc<crate::files::Reaper>,
}

impl Views {
    pub(crate) fn new(view: View, directory: &Path, reaper: &Arc<crate::files::Reaper>) -> Self {
        Self {
            l0_tables: AtomicUsize::new(view.tables.level(0).len()),
            current: ArcSwap::from_pointee(view),
            changing: Mutex::new(()),
            directory: directory.to_path_buf(),
            reaper: Arc::clone(reaper),
        }
    }

    /// The current view, for a short use.
    #[inline]
    pub(crate) fn load(&self) -> Guard<Arc<View>> {
        self.current.load()
    }

    /// The current view, to be kept.
    pub(crate) fn load_full(&self) -> Arc<View> {
        self.current.load_full()
    }

    /// How many tables L0 has now.
    #[inline]
    pub(crate) fn l0_tables(&self) -> usize {
        self.l0_tables.load(Ordering::Relaxed)
    }

    /// Replaces the view by a changed copy.
    pub(crate) fn change(&self, change: impl FnOnce(&mut View)) {
        let _one_at_a_time = self.changing.lock();
        let mut view = View::clone(&self.current.load());
        change(&mut view);
        self.l0_tables.store(view.tables.level(0).len(), Ordering::Relaxed);
        self.current.store(Arc::new(view));
    }

    /// Puts the memtable of `next` on top, and makes its values readable.
    pub(crate) fn rotate(&self, next: &Generation) {
        let path = crate::directory::NumberedFile::ValueLog(next.vlog_number).path(&self.directory);
        let file = LivingFile::new(path, &self.reaper);
        let handle = Arc::new(SegmentHandle::growing(Arc::clone(&next.values), file));
        self.change(|view| {
            view.memtables.insert(0, Arc::clone(&next.memtable));
            let mut segments = BTreeMap::clone(&view.segments);
            segments.insert(next.vlog_number, handle);
            view.segments = Arc::new(segments);
        });
    }
}
