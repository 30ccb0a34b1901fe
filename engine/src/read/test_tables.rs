//! For tests of scans: a run of entries as tables, in memory.

use std::path::Path;
use std::sync::Arc;

use base::header::{DatabaseId, FileIdentity};
use base::vfs::MemVfs;
use base::{Entry, InternalKey};
use manifest::TableMeta;
use sstable::{BlockCache, BuildOptions, Builder, TableAccess};

use crate::directory::NumberedFile;
use crate::files::{LivingFile, Reaper};
use crate::table_set::{TableHandle, TableOpener};

/// Makes tables in one directory in memory.
pub(super) struct Tables {
    vfs: Arc<MemVfs>,
    reaper: Arc<Reaper>,
    made: Vec<Arc<TableHandle>>,
}

impl Tables {
    pub(super) fn new() -> Self {
        let vfs = Arc::new(MemVfs::new());
        base::vfs::Vfs::create_dir_all(&*vfs, Path::new("/db")).unwrap();
        Self { vfs, reaper: Arc::new(Reaper::default()), made: Vec::new() }
    }

    /// A table of `entries`, which ascend, in `level`; in L0 newer than those before it. Nothing without entries.
    pub(super) fn add(&mut self, level: u8, entries: &[(InternalKey<'_>, Entry<'_>)]) {
        let (Some((first, _)), Some((last, _))) = (entries.first(), entries.last()) else { return };
        let number = self.made.len() as u64 + 1;
        let path = NumberedFile::Table(number).path(Path::new("/db"));
        let identity = FileIdentity { file_number: number, ..FileIdentity::default() };
        let vfs: Arc<dyn base::vfs::Vfs> = Arc::<MemVfs>::clone(&self.vfs);
        // Blocks of some entries each, so that walks cross them.
        let options = BuildOptions::default().block_bytes(128);
        let mut builder = Builder::create_in(Arc::clone(&vfs), &path, identity, options).unwrap();
        for (key, entry) in entries {
            builder.add(*key, entry).unwrap();
        }
        builder.finish().unwrap();
        let meta = TableMeta {
            number,
            level,
            smallest: first.user_key.to_vec(),
            largest: last.user_key.to_vec(),
            newest_generation: number,
            ..TableMeta::default()
        };
        let opener = TableOpener {
            vfs,
            access: TableAccess::Mapped,
            cache: BlockCache::with_capacity(1),
            database_id: DatabaseId::default(),
        };
        let file = LivingFile::new(path, &self.reaper);
        self.made.push(Arc::new(TableHandle::new(meta, file, opener)));
    }

    pub(super) fn into_handles(self) -> Vec<Arc<TableHandle>> {
        self.made
    }
}
