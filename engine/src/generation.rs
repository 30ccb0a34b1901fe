//! A generation: one memtable and the pair of logs that make it recoverable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use base::header::FileIdentity;
use base::log::LogFile;
use base::seeded::{self, Bug};
use base::{Result, Version};
use manifest::Edit;
use memtable::Memtable;

use crate::core::Core;
use crate::directory::NumberedFile;
use crate::files::LivingFile;

/// A memtable with its logs. Open generations are written by the leader of a commit group, one at a time.
#[derive(Debug)]
pub(crate) struct Generation {
    pub(crate) id: u64,
    pub(crate) wal_number: u64,
    pub(crate) vlog_number: u64,
    pub(crate) memtable: Arc<Memtable>,
    pub(crate) wal: LogFile,
    pub(crate) vlog: LogFile,
    /// Reads values of this generation; the value log is not a segment until the flush.
    pub(crate) values: Arc<vlog::Segment>,
    last_commit: AtomicU64,
    value_count: AtomicU64,
    value_record_bytes: AtomicU64,
    retired: AtomicBool,
}

impl Generation {
    /// How many files it takes.
    pub(crate) const LOGS: u64 = 2;

    /// Opens a generation ahead of its use: numbers, logs, and the edit that lists them, all durable.
    ///
    /// # Errors
    /// [`base::Error::NoSpace`] leaves nothing behind; a failed write stops all writing.
    pub(crate) fn open_new(core: &Core) -> Result<Self> {
        let numbers = {
            let mut structure = core.structure()?.lock();
            let id = structure.manifest.state().last_generation() + 1;
            let wal = core.next_number_in(&mut structure)?;
            let vlog = core.next_number_in(&mut structure)?;
            manifest::Generation { id, wal, vlog }
        };
        let generation = Self::create(core, numbers).map_err(|error| {
            forget_logs(core, numbers);
            core.step_failed(error)
        })?;
        let edit = Edit { generations_opened: vec![numbers], ..Edit::default() };
        let opened = core.commit_edit(&mut core.structure()?.lock(), edit);
        if let Err(error) = opened {
            if !core.halt.is_tripped() || seeded::is(Bug::DeleteFilesOfAnEditInDoubt) {
                forget_logs(core, numbers);
            }
            return Err(error);
        }
        Ok(generation)
    }

    /// Opens the first generation of a life. Its logs take the last numbers of a lease, so that every later file proves that
    /// there was a later edit.
    ///
    /// # Errors
    /// As [`Generation::open_new`].
    pub(crate) fn open_first(core: &Core) -> Result<Self> {
        core.skip_to_last(Self::LOGS)?;
        Self::open_new(core)
    }

    /// Creates both logs with their headers and makes them durable, directory included.
    fn create(core: &Core, numbers: manifest::Generation) -> Result<Self> {
        let (vfs, directory, database_id) = (&*core.vfs, &core.directory, core.database_id);
        let allocate_bytes = core.options.allocation_step_bytes();
        let identity = |file_number| FileIdentity { database_id, file_number };
        let wal_path = NumberedFile::Wal(numbers.wal).path(directory);
        let vlog_path = NumberedFile::ValueLog(numbers.vlog).path(directory);
        let wal = wal::create(vfs, &wal_path, identity(numbers.wal), allocate_bytes)?;
        let vlog = vlog::create(vfs, &vlog_path, identity(numbers.vlog), allocate_bytes)?;
        wal.sync()?;
        vlog.sync()?;
        vfs.sync_dir(directory)?;
        Ok(Self {
            id: numbers.id,
            wal_number: numbers.wal,
            vlog_number: numbers.vlog,
            memtable: Arc::new(Memtable::new(&core.pool)),
            values: Arc::new(vlog::Segment::over_log(&vlog)),
            wal,
            vlog,
            last_commit: AtomicU64::new(0),
            value_count: AtomicU64::new(0),
            value_record_bytes: AtomicU64::new(0),
            retired: AtomicBool::new(false),
        })
    }

    /// The number of the last commit written to either log; 0 = none yet.
    pub(crate) fn last_commit(&self) -> u64 {
        self.last_commit.load(Ordering::Acquire)
    }

    pub(crate) fn set_last_commit(&self, number: u64) {
        self.last_commit.store(number, Ordering::Release);
    }

    /// Counts values that were appended to the value log.
    pub(crate) fn add_values(&self, count: u64, record_bytes: u64) {
        self.value_count.fetch_add(count, Ordering::AcqRel);
        self.value_record_bytes.fetch_add(record_bytes, Ordering::AcqRel);
    }

    /// How many values the value log holds.
    pub(crate) fn value_count(&self) -> u64 {
        self.value_count.load(Ordering::Acquire)
    }

    /// The length of their records with padding, in bytes.
    pub(crate) fn value_record_bytes(&self) -> u64 {
        self.value_record_bytes.load(Ordering::Acquire)
    }

    /// The highest version in the memtable.
    pub(crate) fn newest(&self) -> Version {
        self.memtable.newest()
    }

    /// Lets both logs go, once the edit that retires the generation is durable.
    pub(crate) fn retire_logs(&self, core: &Core) {
        self.set_retired();
        for file in [NumberedFile::Wal(self.wal_number), NumberedFile::ValueLog(self.vlog_number)] {
            // Dropped at once, so the reaper gets it.
            LivingFile::new(file.path(&core.directory), &core.reaper).retire();
        }
    }

    /// True once the flush edit that retires it is durable: its logs need no sync any more.
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    pub(crate) fn set_retired(&self) {
        self.retired.store(true, Ordering::Release);
    }
}

/// Removes logs that the manifest never listed; what cannot be removed is swept at the next open.
fn forget_logs(core: &Core, numbers: manifest::Generation) {
    for file in [NumberedFile::Wal(numbers.wal), NumberedFile::ValueLog(numbers.vlog)] {
        let _swept_later = core.vfs.remove(&file.path(&core.directory));
    }
}
