//! A disk that fills up, with something on it that can be taken away.

use std::path::PathBuf;
use std::sync::Arc;

use base::vfs::{Access, FaultVfs, MemVfs, OsVfs, Vfs};

use crate::finding::{Checked, Finding};

/// A small disk.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) vfs: Arc<dyn Vfs>,
    /// Where the database is.
    pub(super) directory: PathBuf,
    ballast: Ballast,
}

/// What takes up space beside the database.
#[derive(Debug)]
enum Ballast {
    File { path: PathBuf, filler: PathBuf, bytes: u64 },
    Limit { faulty: FaultVfs, disk_bytes: u64, bytes: u64 },
}

impl Disk {
    /// A file system of its own, at `mounted`.
    pub(super) fn real(mounted: &std::path::Path, ballast_bytes: u64) -> Self {
        Self {
            vfs: Arc::new(OsVfs),
            directory: mounted.join("db"),
            ballast: Ballast::File {
                path: mounted.join("ballast"),
                filler: mounted.join("filler"),
                bytes: ballast_bytes,
            },
        }
    }

    /// Memory with a limit.
    pub(super) fn simulated(disk_bytes: u64, ballast_bytes: u64) -> Self {
        let faulty = FaultVfs::new(Arc::new(MemVfs::new()));
        Self {
            vfs: Arc::new(faulty.clone()),
            directory: PathBuf::from("/db"),
            ballast: Ballast::Limit { faulty, disk_bytes, bytes: ballast_bytes },
        }
    }

    /// Puts the ballast on the disk; false when there is no room for it.
    pub(super) fn load(&self) -> Checked<bool> {
        match &self.ballast {
            Ballast::File { path, bytes, .. } => {
                let loaded = self.vfs.create(path).and_then(|file| file.allocate(*bytes));
                match loaded {
                    Ok(()) => Ok(true),
                    Err(error) if error.is_no_space() => {
                        self.unload()?;
                        Ok(false)
                    }
                    Err(error) => Err(Finding::from(error).at("the ballast")),
                }
            }
            Ballast::Limit { faulty, disk_bytes, bytes } => {
                let limit = disk_bytes - bytes;
                let fits = faulty.used_bytes() <= limit;
                faulty.limit_bytes(Some(if fits { limit } else { *disk_bytes }));
                Ok(fits)
            }
        }
    }

    /// What the database has on it, for people.
    pub(super) fn files(&self) -> Checked<String> {
        let mut files = Vec::new();
        for name in self.vfs.list(&self.directory)? {
            match self.vfs.open(&self.directory.join(&name), Access::Read) {
                Ok(file) => files.push(format!("{name} {}", file.len()?)),
                // Background work has removed it meanwhile.
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        files.sort();
        Ok(files.join(", "))
    }

    /// Takes every byte that is left.
    pub(super) fn fill_up(&self) -> Checked {
        match &self.ballast {
            Ballast::File { filler, .. } => {
                let (file, mut len, mut more) = (self.vfs.create(filler)?, 0, 1 << 20);
                while more >= 4 << 10 {
                    match file.allocate(len + more) {
                        Ok(()) => len += more,
                        Err(error) if error.is_no_space() => more /= 2,
                        Err(error) => return Err(Finding::from(error).at("the filler")),
                    }
                }
            }
            Ballast::Limit { faulty, .. } => faulty.limit_bytes(Some(faulty.used_bytes())),
        }
        Ok(())
    }

    /// Takes away everything that is not the database's.
    pub(super) fn unload(&self) -> Checked {
        match &self.ballast {
            Ballast::File { path, filler, .. } => {
                for path in [path, filler] {
                    if self.vfs.exists(path)? {
                        self.vfs.remove(path)?;
                    }
                }
                Ok(())
            }
            Ballast::Limit { faulty, disk_bytes, .. } => {
                faulty.limit_bytes(Some(*disk_bytes));
                Ok(())
            }
        }
    }
}
