//! Goal: whoever opens a directory that another one is just opening is told that it is in use, not that it is damaged.
//! Method: a file system whose lists may lack a name that was replaced while they were read, as the system allows.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base::clock::ManualClock;
use base::vfs::{Access, File, FileLock, LockKind, MemVfs, Vfs};
use base::{Error, Result, UnixSeconds};
use common::{DIRECTORY, Harness, open};
use engine::{Durability, Engine, Environment, Options};

/// Lists without MANIFEST as long as it is being replaced.
#[derive(Debug)]
struct Replacing {
    disk: MemVfs,
    is_replaced_now: AtomicBool,
}

impl Vfs for Replacing {
    fn list(&self, directory: &Path) -> Result<Vec<String>> {
        let mut names = self.disk.list(directory)?;
        names.retain(|name| name != "MANIFEST" || !self.is_replaced_now.load(Ordering::Relaxed));
        Ok(names)
    }

    fn create(&self, path: &Path) -> Result<Arc<dyn File>> {
        self.disk.create(path)
    }

    fn open(&self, path: &Path, access: Access) -> Result<Arc<dyn File>> {
        self.disk.open(path, access)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.disk.remove(path)
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        self.disk.exists(path)
    }

    fn create_dir_all(&self, directory: &Path) -> Result<()> {
        self.disk.create_dir_all(directory)
    }

    fn sync_dir(&self, directory: &Path) -> Result<()> {
        self.disk.sync_dir(directory)
    }

    fn lock(&self, path: &Path, kind: LockKind) -> Result<Box<dyn FileLock>> {
        self.disk.lock(path, kind)
    }

    fn fill_random(&self, out: &mut [u8]) -> Result<()> {
        self.disk.fill_random(out)
    }
}

#[test]
fn an_open_that_loses_a_race_is_refused_as_such() {
    let replacing = Arc::new(Replacing { disk: MemVfs::new(), is_replaced_now: AtomicBool::new(false) });
    let vfs: Arc<dyn Vfs> = Arc::clone(&replacing) as Arc<dyn Vfs>;
    let holder = Harness::over(Arc::clone(&vfs), Options::tiny());
    holder.commit(&[(b"key", Some(b"value"))], Durability::Sync);
    replacing.is_replaced_now.store(true, Ordering::Relaxed);
    let clock = Arc::new(ManualClock::new(UnixSeconds(1_000)));
    let refused = open(&vfs, &clock, &Options::tiny()).unwrap_err();
    assert!(matches!(refused, Error::Locked { .. }), "{refused}");
    let environment = Environment { vfs: Arc::clone(&vfs), clock };
    let refused = Engine::open_read_only(Path::new(DIRECTORY), Options::tiny(), environment).unwrap_err();
    assert!(matches!(refused, Error::Locked { .. }), "{refused}");
}
