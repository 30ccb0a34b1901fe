//! One version of one key, its value not loaded yet.

use base::{Entry, SharedEntry, SharedPayload, UnixSeconds, Version};
use bytes::Bytes;
use engine::{Found, ScanItem};
use txn::Pending;

use crate::{Error, Result};

/// A key with its metadata; the value is loaded when it is asked for. Owns what it needs, however long it is held.
#[derive(Clone, Debug)]
pub struct Item {
    source: Source,
    has_value: bool,
}

#[derive(Clone, Debug)]
enum Source {
    Found {
        key: Bytes,
        found: Found,
    },
    Scanned(ScanItem),
    /// A write of the transaction that reads, at the version that it reads at.
    Own {
        key: Bytes,
        entry: SharedEntry,
    },
}

impl Item {
    pub(crate) fn found(key: &[u8], found: Found) -> Self {
        Self { source: Source::Found { key: Bytes::copy_from_slice(key), found }, has_value: true }
    }

    pub(crate) fn scanned(item: ScanItem) -> Self {
        Self { source: Source::Scanned(item), has_value: true }
    }

    pub(crate) fn own(key: Bytes, pending: &Pending<'_>, version: Version) -> Self {
        let entry = SharedEntry::new(version, pending.as_entry(), Bytes::copy_from_slice);
        Self { source: Source::Own { key, entry }, has_value: true }
    }

    /// The same, for a scan that was asked for keys only.
    pub(crate) fn without_value(self) -> Self {
        Self { has_value: false, ..self }
    }

    fn entry(&self) -> Entry<'_> {
        match &self.source {
            Source::Found { found, .. } => found.entry.as_entry(),
            Source::Scanned(item) => item.entry.as_entry(),
            Source::Own { entry, .. } => entry.as_entry(),
        }
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        match &self.source {
            Source::Found { key, .. } | Source::Own { key, .. } => key,
            Source::Scanned(item) => &item.user_key,
        }
    }

    /// Loads the value; empty for a deletion, see [`Item::is_deleted`]. Shares memory where it can: copy a small value that is
    /// kept for long.
    ///
    /// # Errors
    /// Damage, or the system's. [`Error::InvalidOption`] when the scan was asked for keys only.
    pub fn value(&self) -> Result<Bytes> {
        if !self.has_value {
            return Err(Error::option(
                "keys_only",
                "the scan was asked for keys only; leave it out to load values",
            ));
        }
        let value = match &self.source {
            Source::Found { key, found } => found.value(key)?,
            Source::Scanned(item) => item.value()?,
            Source::Own { entry, .. } => match &entry.payload {
                SharedPayload::Inline(value) => Some(value.clone()),
                SharedPayload::Tombstone | SharedPayload::Separated(_) => None,
            },
        };
        Ok(value.unwrap_or_default())
    }

    /// The length of the value in bytes, known without loading it; 0 for a deletion.
    #[must_use]
    pub fn value_len(&self) -> u64 {
        self.entry().value_len()
    }

    /// The commit that wrote it. For a write of the transaction that reads it: the version at which that one reads.
    #[must_use]
    pub fn version(&self) -> Version {
        match &self.source {
            Source::Found { found, .. } => found.entry.version,
            Source::Scanned(item) => item.entry.version,
            Source::Own { entry, .. } => entry.version,
        }
    }

    /// The byte that was set with [`crate::SetOptions::user_meta`]; 0 without.
    #[must_use]
    pub fn user_meta(&self) -> u8 {
        self.entry().user_meta
    }

    /// When it expires; `None` = never.
    #[must_use]
    pub fn expires_at(&self) -> Option<UnixSeconds> {
        self.entry().expires_at
    }

    /// True when this version deleted the key. Only a scan over all versions shows those.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.entry().is_tombstone()
    }

    /// True when older versions of the key need not be kept.
    #[must_use]
    pub fn hides_older(&self) -> bool {
        self.entry().hides_older
    }
}
