//! One version of one key, its value not loaded yet.

use base::{SharedEntry, SharedPayload, UnixSeconds, Version};
use bytes::Bytes;
use engine::{Found, ScanItem};
use txn::Pending;

use crate::{Error, Result};

/// A key with its metadata; the value is loaded when it is asked for. Owns what it needs, however long it is held; an
/// item of a scan shares it with its neighbours, and keeps about 64 KiB of keys and values in memory: copy what is kept for long.
#[derive(Clone, Debug)]
pub struct Item {
    source: Source,
}

/// Items of scans are many and small; the others are boxed, so that those are not moved about in their size: two words.
#[derive(Clone, Debug)]
enum Source {
    Scanned(ScanItem),
    Other(Box<Other>),
}

#[derive(Clone, Debug)]
enum Other {
    Found(Bytes, Found),
    /// A write of the transaction that reads.
    Own(OwnWrite),
}

impl Other {
    fn key(&self) -> &[u8] {
        match self {
            Self::Found(key, _) => key,
            Self::Own(own) => &own.key,
        }
    }

    fn entry(&self) -> &SharedEntry {
        match self {
            Self::Found(_, found) => &found.entry,
            Self::Own(own) => &own.entry,
        }
    }

    fn value(&self) -> Result<Option<Bytes>> {
        match self {
            Self::Found(key, found) => Ok(found.value(key)?),
            Self::Own(own) if own.is_key_only => Err(key_only()),
            Self::Own(own) => Ok(match &own.entry.payload {
                SharedPayload::Inline(value) => Some(value.clone()),
                SharedPayload::Tombstone | SharedPayload::Separated(_) => None,
            }),
        }
    }

    fn value_ref(&self) -> Option<&[u8]> {
        match &self.entry().payload {
            _ if matches!(self, Self::Own(own) if own.is_key_only) => None,
            SharedPayload::Inline(value) => Some(value),
            SharedPayload::Tombstone => Some(&[]),
            SharedPayload::Separated(_) => None,
        }
    }
}

#[derive(Clone, Debug)]
struct OwnWrite {
    key: Bytes,
    /// With the version that the transaction reads at.
    entry: SharedEntry,
    /// The scan was asked for keys only.
    is_key_only: bool,
}

impl Item {
    pub(crate) fn found(key: &[u8], found: Found) -> Self {
        Self { source: Source::Other(Box::new(Other::Found(Bytes::copy_from_slice(key), found))) }
    }

    #[inline]
    pub(crate) fn scanned(item: ScanItem) -> Self {
        Self { source: Source::Scanned(item) }
    }

    pub(crate) fn own(key: Bytes, pending: &Pending<'_>, version: Version) -> Self {
        let entry = SharedEntry::new(version, pending.as_entry(), Bytes::copy_from_slice);
        let own = OwnWrite { key, entry, is_key_only: false };
        Self { source: Source::Other(Box::new(Other::Own(own))) }
    }

    /// The same, for a scan that was asked for keys only.
    pub(crate) fn without_value(mut self) -> Self {
        if let Source::Other(other) = &mut self.source
            && let Other::Own(own) = &mut **other
        {
            own.is_key_only = true;
        }
        self
    }

    /// The key.
    #[inline]
    #[must_use]
    pub fn key(&self) -> &[u8] {
        match &self.source {
            Source::Scanned(item) => item.user_key(),
            Source::Other(other) => other.key(),
        }
    }

    /// Loads the value; empty for a deletion, see [`Item::is_deleted`]. Shares memory where it can: copy a small value that is
    /// kept for long.
    ///
    /// # Errors
    /// Damage, or the system's. [`Error::InvalidOption`] when the scan was asked for keys only.
    #[inline]
    pub fn value(&self) -> Result<Bytes> {
        let value = match &self.source {
            Source::Scanned(item) if item.is_key_only() => return Err(key_only()),
            Source::Scanned(item) => item.value()?,
            Source::Other(other) => other.value()?,
        };
        Ok(value.unwrap_or_default())
    }

    /// The value, if it can be had without loading it: `None` when it lies in the value log, or when the scan was asked for keys
    /// only; empty for a deletion. Borrowed from what the item keeps, so it costs less than [`Item::value`]; where it is `None`,
    /// that one tells.
    ///
    /// ```
    /// # fn main() -> kv::Result<()> {
    /// let db = kv::Options::new().open_in_memory()?;
    /// db.set("pear", "green")?;
    /// let mut bytes = 0;
    /// for item in db.scan()?.iter()? {
    ///     let item = item?;
    ///     bytes += match item.value_ref() {
    ///         Some(value) => value.len(),
    ///         None => item.value()?.len(),
    ///     };
    /// }
    /// assert_eq!(bytes, 5);
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    #[must_use]
    pub fn value_ref(&self) -> Option<&[u8]> {
        match &self.source {
            Source::Scanned(item) => {
                let value = item.value_ref();
                if value.is_none() && item.is_tombstone() && !item.is_key_only() { Some(&[]) } else { value }
            }
            Source::Other(other) => other.value_ref(),
        }
    }

    /// The length of the value in bytes, known without loading it; 0 for a deletion.
    #[must_use]
    pub fn value_len(&self) -> u64 {
        match &self.source {
            Source::Scanned(item) => item.value_len(),
            Source::Other(other) => other.entry().as_entry().value_len(),
        }
    }

    /// The commit that wrote it. For a write of the transaction that reads it: the version at which that one reads.
    #[must_use]
    pub fn version(&self) -> Version {
        match &self.source {
            Source::Scanned(item) => item.version(),
            Source::Other(other) => other.entry().version,
        }
    }

    /// The byte that was set with [`crate::SetOptions::user_meta`]; 0 without.
    #[must_use]
    pub fn user_meta(&self) -> u8 {
        match &self.source {
            Source::Scanned(item) => item.user_meta(),
            Source::Other(other) => other.entry().user_meta,
        }
    }

    /// When it expires; `None` = never.
    #[must_use]
    pub fn expires_at(&self) -> Option<UnixSeconds> {
        match &self.source {
            Source::Scanned(item) => item.expires_at(),
            Source::Other(other) => other.entry().expires_at,
        }
    }

    /// True when this version deleted the key. Only a scan over all versions shows those.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        match &self.source {
            Source::Scanned(item) => item.is_tombstone(),
            Source::Other(other) => other.entry().as_entry().is_tombstone(),
        }
    }

    /// True when older versions of the key need not be kept.
    #[must_use]
    pub fn hides_older(&self) -> bool {
        match &self.source {
            Source::Scanned(item) => item.hides_older(),
            Source::Other(other) => other.entry().hides_older,
        }
    }
}

#[cold]
fn key_only() -> Error {
    Error::option("keys_only", "the scan was asked for keys only; leave it out to load values")
}
