//! An open file of [`FaultVfs`](super::FaultVfs): the faults that only the call itself can carry out.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::ledger::FileId;
use super::{FaultKind, FaultVfs, Operation};
use crate::checksum::seeded_hash;
use crate::vfs::{File, Unsynced};
use crate::{Error, Result};

#[derive(Debug)]
pub(super) struct FaultFile {
    vfs: FaultVfs,
    inner: Arc<dyn File>,
    id: FileId,
    opened: Arc<Opened>,
}

/// Keeps the space of a file taken, also after its name is gone.
#[derive(Debug)]
struct Opened {
    vfs: FaultVfs,
    id: FileId,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.vfs.shared.ledger.lock().closed(self.id);
    }
}

/// A map is a way to reach the file, as a handle is.
struct Mapped {
    data: Bytes,
    _opened: Arc<Opened>,
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl FaultFile {
    /// `id` counts as opened already.
    pub(super) fn new(vfs: FaultVfs, inner: Arc<dyn File>, id: FileId) -> Self {
        let opened = Arc::new(Opened { vfs: vfs.clone(), id });
        Self { vfs, inner, id, opened }
    }

    fn enter(&self, operation: Operation) -> Result<Option<FaultKind>> {
        self.vfs.enter(operation, self.inner.path())
    }

    fn no_space(&self, operation: Operation) -> Error {
        FaultKind::NoSpace.error(operation, self.inner.path())
    }

    /// Flips one bit, another one with every fault.
    fn flip(&self, data: &mut [u8]) {
        let bits = data.len() as u64 * 8;
        if let Some(bit) = seeded_hash(b"bit", self.vfs.fired()).checked_rem(bits)
            && let Some(byte) = usize::try_from(bit / 8).ok().and_then(|at| data.get_mut(at))
        {
            *byte ^= 1 << (bit % 8);
        }
    }

    /// Fails a sync: nothing that was written since the last one is durable, nor will be by a later one.
    fn fail_sync(&self, kind: FaultKind) -> Error {
        let content = if kind == FaultKind::SyncReverted { Unsynced::Reverted } else { Unsynced::Kept };
        match self.inner.fail_sync(content) {
            Ok(()) => kind.error(Operation::Sync, self.path()),
            Err(error) => error,
        }
    }
}

impl File for FaultFile {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn len(&self) -> Result<u64> {
        self.enter(Operation::Len)?;
        self.inner.len()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize> {
        match self.enter(Operation::Read)? {
            Some(FaultKind::ShortRead) => {
                let half = out.len() / 2;
                self.inner.read_at(offset, out.get_mut(..half).unwrap_or_default())
            }
            Some(FaultKind::FlippedBit) => {
                let read = self.inner.read_at(offset, out)?;
                self.flip(out.get_mut(..read).unwrap_or_default());
                Ok(read)
            }
            _ => self.inner.read_at(offset, out),
        }
    }

    fn write_all_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        let torn = self.enter(Operation::Write)?;
        let wanted = if torn.is_some() { data.len() / 2 } else { data.len() };
        let mut ledger = self.vfs.shared.ledger.lock();
        let granted = ledger.granted(self.id, offset, wanted as u64);
        let written = usize::try_from(granted).unwrap_or(wanted);
        if written > 0 || data.is_empty() {
            self.inner.write_all_at(offset, data.get(..written).unwrap_or_default())?;
            ledger.take(self.id, offset, granted);
        }
        drop(ledger);
        match torn {
            Some(kind) => Err(kind.error(Operation::Write, self.path())),
            None if written < wanted => Err(self.no_space(Operation::Write)),
            None => Ok(()),
        }
    }

    fn sync(&self) -> Result<()> {
        let struck = self.enter(Operation::Sync)?;
        let is_reported_now = self.vfs.shared.ledger.lock().take_late_report(self.id);
        match struck {
            Some(FaultKind::SyncLate) if !is_reported_now => {
                self.vfs.shared.ledger.lock().report_late(self.id);
                self.inner.fail_sync(Unsynced::Kept)
            }
            Some(kind) => Err(self.fail_sync(kind)),
            None if is_reported_now => Err(self.fail_sync(FaultKind::SyncLate)),
            None => self.inner.sync(),
        }
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.enter(Operation::SetLen)?;
        let mut ledger = self.vfs.shared.ledger.lock();
        self.inner.set_len(len)?;
        ledger.cut(self.id, len);
        Ok(())
    }

    fn allocate(&self, len: u64) -> Result<()> {
        self.enter(Operation::Allocate)?;
        let mut ledger = self.vfs.shared.ledger.lock();
        if ledger.granted(self.id, 0, len) < len {
            return Err(self.no_space(Operation::Allocate));
        }
        self.inner.allocate(len)?;
        ledger.take(self.id, 0, len);
        Ok(())
    }

    /// A hint is no operation: it cannot fail.
    fn read_ahead(&self, offset: u64, len: u64) {
        self.vfs.shared.read_ahead_bytes.fetch_add(len, Ordering::Relaxed);
        self.inner.read_ahead(offset, len);
    }

    fn map(&self) -> Result<Bytes> {
        let struck = self.enter(Operation::Map)?;
        let data = self.inner.map()?;
        match struck {
            Some(FaultKind::ShortRead) => Ok(data.slice(..data.len() / 2)),
            Some(FaultKind::FlippedBit) => {
                let mut copy = data.to_vec();
                self.flip(&mut copy);
                Ok(Bytes::from(copy))
            }
            _ => Ok(Bytes::from_owner(Mapped { data, _opened: Arc::clone(&self.opened) })),
        }
    }
}
