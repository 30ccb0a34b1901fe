//! Files that live as long as somebody reads them: a file taken out of the manifest is unlinked when its last view is gone.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base::Result;
use base::seeded::{self, Bug};
use base::vfs::Vfs;
use parking_lot::Mutex;

/// Collects the files that nobody needs any more. Readers only put names here; a background step unlinks.
#[derive(Debug, Default)]
pub(crate) struct Reaper {
    obsolete: Mutex<Vec<PathBuf>>,
}

impl Reaper {
    pub(crate) fn is_empty(&self) -> bool {
        self.obsolete.lock().is_empty()
    }

    fn add(&self, path: PathBuf) {
        self.obsolete.lock().push(path);
    }

    /// Unlinks what has been collected; how many files that were. One that is gone already counts as unlinked.
    ///
    /// # Errors
    /// The system's first, after all files have had their turn. What could not be unlinked is swept at the next open.
    pub(crate) fn unlink(&self, vfs: &dyn Vfs, directory: &Path) -> Result<usize> {
        let paths = std::mem::take(&mut *self.obsolete.lock());
        let mut first_error = None;
        for path in &paths {
            match vfs.remove(path) {
                Err(error) if !error.is_not_found() => {
                    first_error.get_or_insert(error);
                }
                _ => {}
            }
        }
        if !paths.is_empty() {
            vfs.sync_dir(directory)?;
        }
        first_error.map_or(Ok(paths.len()), Err)
    }
}

/// A living file. Dropped after [`LivingFile::retire`], it goes to the reaper.
#[derive(Debug)]
pub(crate) struct LivingFile {
    path: PathBuf,
    retired: AtomicBool,
    reaper: Arc<Reaper>,
}

impl LivingFile {
    pub(crate) fn new(path: PathBuf, reaper: &Arc<Reaper>) -> Self {
        Self { path, retired: AtomicBool::new(false), reaper: Arc::clone(reaper) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The manifest does not list the file any more, durably.
    pub(crate) fn retire(&self) {
        if seeded::is(Bug::UnlinkWhileRead) {
            return self.reaper.add(self.path.clone());
        }
        self.retired.store(true, Ordering::Release);
    }
}

impl Drop for LivingFile {
    fn drop(&mut self) {
        if self.retired.load(Ordering::Acquire) {
            self.reaper.add(std::mem::take(&mut self.path));
        }
    }
}
