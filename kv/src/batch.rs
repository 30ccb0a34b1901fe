//! Many writes that are not one transaction.

use std::fmt;
use std::sync::Arc;

use engine::Durability;
use txn::{Pending, WriteSet};

use crate::budget::Reservation;
use crate::handle::Handle;
use crate::key::{check_key, check_value};
use crate::{Result, SetOptions};

/// A batch of writes of any number, for loading data: whenever it has grown large it commits what it has and goes on. So it is not
/// one transaction: others may see a part of it, and after a crash a part may be there, always from its beginning on. It reads
/// nothing and never conflicts. Within the batch the last write of a key wins.
///
/// ```
/// # fn main() -> kv::Result<()> {
/// # let db = kv::Options::new().open_in_memory()?;
/// let mut batch = db.write_batch();
/// for number in 0..100_000_u32 {
///     batch.set(number.to_be_bytes(), "x")?;
/// }
/// batch.commit()?;
/// # assert!(db.contains_key(99_999_u32.to_be_bytes())?);
/// # Ok(())
/// # }
/// ```
#[must_use = "the last writes are lost unless they are committed"]
pub struct WriteBatch {
    handle: Arc<Handle>,
    writes: WriteSet,
    reserved: Reservation,
    /// Parts were committed that are not durable yet.
    is_ahead: bool,
}

impl WriteBatch {
    pub(crate) fn new(handle: &Arc<Handle>) -> Self {
        let reserved = Reservation::new(handle.store().budget());
        Self { handle: Arc::clone(handle), writes: WriteSet::new(), reserved, is_ahead: false }
    }

    /// Writes `value` under `key`.
    ///
    /// # Errors
    /// As [`crate::WriteTxn::set`] for this write, which is not in the batch then; or those of a commit of what was there
    /// before, which stays in the batch and may be tried again.
    pub fn set(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.set_with(key, value, &SetOptions::new())
    }

    /// Writes `value` under `key`, with expiry or metadata.
    ///
    /// # Errors
    /// As [`WriteBatch::set`].
    pub fn set_with(
        &mut self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        how: &SetOptions,
    ) -> Result<()> {
        let (key, value) = (key.as_ref(), value.as_ref());
        check_value(value)?;
        self.room_for(key, value.len())?;
        self.writes.set(key, &how.pending(value, || self.handle.store().now()));
        Ok(())
    }

    /// Deletes `key`, whether or not it exists.
    ///
    /// # Errors
    /// As [`WriteBatch::set`].
    pub fn delete(&mut self, key: impl AsRef<[u8]>) -> Result<()> {
        let key = key.as_ref();
        self.room_for(key, 0)?;
        self.writes.delete(key);
        Ok(())
    }

    fn room_for(&mut self, key: &[u8], value_len: usize) -> Result<()> {
        self.handle.store().check_open()?;
        check_key(key)?;
        let cost = WriteSet::cost_bytes(key, &Pending::tombstone()).saturating_add(value_len);
        if !self.writes.is_empty()
            && self.writes.byte_len() + cost > self.handle.store().settings().batch_bytes
        {
            // The last commit makes these durable too, when it is to be durable.
            self.commit_part(Durability::Buffered)?;
            self.is_ahead = true;
        }
        self.reserved.grow_to(self.writes.byte_len().saturating_add(cost).saturating_mul(2))
    }

    /// Commits what is left, with the durability of the database, which then holds for the whole batch.
    ///
    /// # Errors
    /// As [`crate::Db::set`]; what is left is lost then.
    pub fn commit(self) -> Result<()> {
        let durability = self.handle.store().settings().durability;
        self.commit_with(durability)
    }

    /// Commits what is left with this durability, which then holds for the whole batch.
    ///
    /// # Errors
    /// As [`WriteBatch::commit`].
    pub fn commit_with(mut self, durability: Durability) -> Result<()> {
        if !self.writes.is_empty() {
            return self.commit_part(durability);
        }
        let store = self.handle.store();
        store.check_open()?;
        match durability {
            Durability::Sync if self.is_ahead => store.engine().sync().map_err(|error| store.explain(error)),
            Durability::Sync | Durability::Buffered => Ok(()),
        }
    }

    fn commit_part(&mut self, durability: Durability) -> Result<()> {
        let store = self.handle.store();
        let writes = self.writes.iter().map(|(key, pending)| (key, pending.as_entry()));
        store.commit_blind(writes, self.writes.written_keys(), durability)?;
        self.writes.clear();
        Ok(())
    }
}

impl fmt::Debug for WriteBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteBatch").field("writes", &self.writes.len()).finish_non_exhaustive()
    }
}
