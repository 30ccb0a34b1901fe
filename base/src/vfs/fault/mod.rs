//! A file system that fails on purpose: the k-th operation, for every k, in every way.
//!
//! Most lost databases were lost by the handling of an error that had been reported. So every test that runs a
//! script may run it again with operation 1, 2, 3 … failing:
//!
//! ```
//! # use std::{path::Path, sync::Arc};
//! # use base::vfs::{Fault, FaultKind, FaultVfs, MemVfs, Vfs, write_atomically};
//! for nth in 1.. {
//!     let vfs = FaultVfs::new(Arc::new(MemVfs::new()));
//!     vfs.inject(Fault::new(FaultKind::Io).nth(nth));
//!     let outcome = write_atomically(&vfs, Path::new("name"), b"content");
//!     if vfs.fired() == 0 {
//!         outcome.unwrap(); // the script has fewer operations than this
//!         break;
//!     }
//!     outcome.unwrap_err();
//! }
//! ```

mod file;
mod ledger;
mod plan;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use self::file::FaultFile;
use self::ledger::Ledger;
use self::plan::Plan;
use super::{Access, File, FileLock, LockKind, Vfs, parent};
use crate::Result;

pub use self::plan::{Fault, FaultKind, Filter, Operation, Operations, Times};

/// Wraps a file system, counts its operations and makes chosen ones fail. Clones share everything.
#[derive(Clone, Debug)]
pub struct FaultVfs {
    shared: Arc<Shared>,
}

type Hook = Arc<dyn Fn(Operation, &Path) + Send + Sync>;

struct Shared {
    inner: Arc<dyn Vfs>,
    plan: Mutex<Plan>,
    ledger: Mutex<Ledger>,
    hook: Mutex<Option<Hook>>,
    read_ahead_bytes: AtomicU64,
}

impl fmt::Debug for Shared {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Shared")
            .field("inner", &self.inner)
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

impl FaultVfs {
    /// Wraps `inner`; nothing fails until told.
    #[must_use]
    pub fn new(inner: Arc<dyn Vfs>) -> Self {
        let shared = Shared {
            inner,
            plan: Mutex::default(),
            ledger: Mutex::default(),
            hook: Mutex::default(),
            read_ahead_bytes: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Arms a fault. Several may be armed at once; when more than one strikes, the first armed wins.
    pub fn inject(&self, fault: Fault) {
        self.shared.plan.lock().arm(fault);
    }

    /// Disarms all faults. What they did stays, lost syncs too.
    pub fn clear(&self) {
        self.shared.plan.lock().disarm();
    }

    /// How many operations a fault has met so far.
    #[must_use]
    pub fn fired(&self) -> u64 {
        self.shared.plan.lock().fired()
    }

    /// How many bytes files were asked to read ahead ([`File::read_ahead`](super::File::read_ahead)) so far.
    #[must_use]
    pub fn read_ahead_bytes(&self) -> u64 {
        self.shared.read_ahead_bytes.load(Ordering::Relaxed)
    }

    /// How many operations there were so far, failed ones included.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.count(Operations::ALL)
    }

    /// How many operations of these kinds there were so far.
    #[must_use]
    pub fn count(&self, operations: impl Into<Operations>) -> u64 {
        self.shared.plan.lock().count(operations.into())
    }

    /// How many operations of each kind there were so far.
    #[must_use]
    pub fn counts(&self) -> Vec<(Operation, u64)> {
        Operation::ALL.iter().map(|operation| (*operation, self.count(*operation))).collect()
    }

    /// Starts to write down every operation with its path, a rename with its new one.
    pub fn start_trace(&self) {
        self.shared.plan.lock().start_trace();
    }

    /// What was written down since [`FaultVfs::start_trace`], which ends the trace.
    #[must_use]
    pub fn take_trace(&self) -> Vec<(Operation, PathBuf)> {
        self.shared.plan.lock().take_trace()
    }

    /// Calls `hook` before every operation, on the thread that asked for it: to wait there, or to look around.
    /// The hook may use this file system; its own operations call it again.
    pub fn before_each(&self, hook: impl Fn(Operation, &Path) + Send + Sync + 'static) {
        *self.shared.hook.lock() = Some(Arc::new(hook));
    }

    /// Limits the disk to so many bytes, in blocks of 512; `None` lifts the limit. A write that does not fit puts down
    /// what does, then fails with [`NoSpace`](crate::Error::NoSpace). A block is taken when it is allocated or first
    /// written, and free again when the file is cut before it, or has neither a name nor a handle nor a map. The files
    /// of a directory are counted from the first operation inside it.
    pub fn limit_bytes(&self, limit: Option<u64>) {
        self.shared.ledger.lock().set_limit(limit);
    }

    /// What all files together have taken of the disk, in bytes.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.shared.ledger.lock().used_bytes()
    }

    fn inner(&self) -> &dyn Vfs {
        self.shared.inner.as_ref()
    }

    /// Counts the operation and carries out what a fault does to any call; what only the call itself can do is
    /// returned.
    fn enter(&self, operation: Operation, path: &Path) -> Result<Option<FaultKind>> {
        let hook = self.shared.hook.lock().clone();
        if let Some(hook) = hook {
            hook(operation, path);
        }
        let struck = self.shared.plan.lock().meet(operation, path);
        match struck {
            Some(
                kind @ (FaultKind::Io
                | FaultKind::NoSpace
                | FaultKind::NoPermission
                | FaultKind::TooManyFiles
                | FaultKind::Interrupted),
            ) => Err(kind.error(operation, path)),
            Some(FaultKind::Panic) => injected_panic(operation, path),
            other => Ok(other),
        }
    }

    /// Enters an operation on a name, and learns what its directory holds before it changes.
    fn enter_name(&self, operation: Operation, path: &Path) -> Result<()> {
        self.enter(operation, path)?;
        self.shared.ledger.lock().learn_parent(self.inner(), path);
        Ok(())
    }
}

#[expect(clippy::panic, reason = "a panic is the fault that was asked for")]
fn injected_panic<T>(operation: Operation, path: &Path) -> Result<T> {
    panic!("injected: panic in {} {}", operation.verb(), path.display())
}

impl Vfs for FaultVfs {
    fn create(&self, path: &Path) -> Result<Arc<dyn File>> {
        self.enter_name(Operation::Create, path)?;
        let mut ledger = self.shared.ledger.lock();
        let inner = self.inner().create(path)?;
        let id = ledger.created(path);
        ledger.opened(id);
        Ok(Arc::new(FaultFile::new(self.clone(), inner, id)))
    }

    fn open(&self, path: &Path, access: Access) -> Result<Arc<dyn File>> {
        self.enter_name(Operation::Open, path)?;
        let mut ledger = self.shared.ledger.lock();
        let inner = self.inner().open(path, access)?;
        let id = ledger.id(path);
        ledger.opened(id);
        Ok(Arc::new(FaultFile::new(self.clone(), inner, id)))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.enter_name(Operation::Rename, to)?;
        let mut ledger = self.shared.ledger.lock();
        ledger.learn_parent(self.inner(), from);
        self.inner().rename(from, to)?;
        ledger.renamed(from, to);
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.enter_name(Operation::Remove, path)?;
        let mut ledger = self.shared.ledger.lock();
        self.inner().remove(path)?;
        ledger.removed(path);
        Ok(())
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        self.enter(Operation::Exists, path)?;
        self.inner().exists(path)
    }

    fn list(&self, directory: &Path) -> Result<Vec<String>> {
        self.enter(Operation::List, directory)?;
        self.shared.ledger.lock().learn(self.inner(), directory);
        self.inner().list(directory)
    }

    fn create_dir_all(&self, directory: &Path) -> Result<()> {
        self.enter(Operation::CreateDir, directory)?;
        self.inner().create_dir_all(directory)
    }

    fn sync_dir(&self, directory: &Path) -> Result<()> {
        let struck = self.enter(Operation::SyncDir, directory)?;
        let is_reported_now = self.shared.ledger.lock().take_late_report_of_directory(directory);
        let failed = match struck {
            Some(FaultKind::SyncLate) if !is_reported_now => {
                self.shared.ledger.lock().report_late_of_directory(directory);
                return self.inner().fail_sync_dir(directory);
            }
            Some(kind) => kind,
            None if is_reported_now => FaultKind::SyncLate,
            None => return self.inner().sync_dir(directory),
        };
        self.inner().fail_sync_dir(directory)?;
        Err(failed.error(Operation::SyncDir, directory))
    }

    fn lock(&self, path: &Path, kind: LockKind) -> Result<Box<dyn FileLock>> {
        self.enter(Operation::Lock, path)?;
        let lock = self.inner().lock(path, kind)?;
        self.shared.ledger.lock().learn(self.inner(), parent(path));
        Ok(lock)
    }

    fn fill_random(&self, out: &mut [u8]) -> Result<()> {
        self.inner().fill_random(out)
    }
}
