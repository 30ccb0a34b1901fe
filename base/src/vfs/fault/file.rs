//! An open file of [`FaultVfs`](super::FaultVfs): the faults that only the call itself can carry out.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::ledger::FileId;
use super::{FaultKind, FaultVfs, Operation};
use crate::checksum::seeded_hash;
use crate::vfs::File;
use crate::{Error, Result};

#[derive(Debug)]
pub(super) struct FaultFile {
    vfs: FaultVfs,
    inner: Arc<dyn File>,
    id: FileId,
}

impl FaultFile {
    pub(super) fn new(vfs: FaultVfs, inner: Arc<dyn File>, id: FileId) -> Self {
        Self { vfs, inner, id }
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

    /// Grows the file by `change`, unless the disk is too small for `len`.
    fn grow(&self, operation: Operation, len: u64, change: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut ledger = self.vfs.shared.ledger.lock();
        if ledger.granted_len(self.id, len) < len {
            return Err(self.no_space(operation));
        }
        change()?;
        ledger.grow_to(self.id, len);
        Ok(())
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
        let end = offset.saturating_add(wanted as u64);
        let mut ledger = self.vfs.shared.ledger.lock();
        let granted = ledger.granted_len(self.id, end).saturating_sub(offset);
        let written = usize::try_from(granted).unwrap_or(wanted).min(wanted);
        if written > 0 || data.is_empty() {
            self.inner.write_all_at(offset, data.get(..written).unwrap_or_default())?;
            ledger.grow_to(self.id, offset + written as u64);
        }
        drop(ledger);
        match torn {
            Some(kind) => Err(kind.error(Operation::Write, self.path())),
            None if written < wanted => Err(self.no_space(Operation::Write)),
            None => Ok(()),
        }
    }

    fn sync(&self) -> Result<()> {
        if self.enter(Operation::Sync)? == Some(FaultKind::SyncLost) {
            self.vfs.shared.ledger.lock().lose_syncs_of(self.id);
            return Err(FaultKind::SyncLost.error(Operation::Sync, self.path()));
        }
        if self.vfs.shared.ledger.lock().loses_syncs_of(self.id) {
            return Ok(());
        }
        self.inner.sync()
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.enter(Operation::SetLen)?;
        self.grow(Operation::SetLen, len, || self.inner.set_len(len))?;
        self.vfs.shared.ledger.lock().set_length(self.id, len);
        Ok(())
    }

    fn allocate(&self, len: u64) -> Result<()> {
        self.enter(Operation::Allocate)?;
        self.grow(Operation::Allocate, len, || self.inner.allocate(len))
    }

    fn map(&self) -> Result<Bytes> {
        match self.enter(Operation::Map)? {
            Some(FaultKind::ShortRead) => {
                let map = self.inner.map()?;
                Ok(map.slice(..map.len() / 2))
            }
            Some(FaultKind::FlippedBit) => {
                let mut copy = self.inner.map()?.to_vec();
                self.flip(&mut copy);
                Ok(Bytes::from(copy))
            }
            _ => self.inner.map(),
        }
    }
}
