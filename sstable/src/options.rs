//! How a table is built, and how it is read.

use std::sync::Arc;

use base::Compression;
use base::header::FileIdentity;

use crate::BlockCache;

/// How a table is built. Values outside their range are brought to its nearest end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BuildOptions {
    /// Raw bytes of a data block, 64 to 1 MiB; default 4 KiB. An entry that is larger has a block of its own.
    /// Larger blocks compress better and make point reads slower.
    pub block_bytes: usize,
    /// Compression of data blocks; default none, which lets a mapped table be read in place.
    pub compression: Compression,
    /// Bits of membership filter per user key, 0 (no filter) to 32; default 10: one false hit in a hundred.
    pub filter_bits_per_key: u32,
    /// User keys per filter partition, 64 to 8 Mi; default 4 Mi. The builder holds 8 bytes for each of them.
    pub filter_partition_keys: usize,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self {
            block_bytes: 4096,
            compression: Compression::None,
            filter_bits_per_key: 10,
            filter_partition_keys: 4 << 20,
        }
    }
}

impl BuildOptions {
    /// Sets [`BuildOptions::block_bytes`].
    #[must_use]
    pub fn block_bytes(mut self, bytes: usize) -> Self {
        self.block_bytes = bytes;
        self
    }

    /// Sets [`BuildOptions::compression`].
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Sets [`BuildOptions::filter_bits_per_key`].
    #[must_use]
    pub fn filter_bits_per_key(mut self, bits: u32) -> Self {
        self.filter_bits_per_key = bits;
        self
    }

    /// Sets [`BuildOptions::filter_partition_keys`].
    #[must_use]
    pub fn filter_partition_keys(mut self, keys: usize) -> Self {
        self.filter_partition_keys = keys;
        self
    }

    pub(crate) fn clamped(self) -> Self {
        let compression = match self.compression {
            Compression::Zstd(level) => Compression::Zstd(level.clamp(1, 22)),
            Compression::None | Compression::Lz4 => self.compression,
        };
        Self {
            block_bytes: self.block_bytes.clamp(64, 1 << 20),
            compression,
            filter_bits_per_key: self.filter_bits_per_key.min(32),
            filter_partition_keys: self.filter_partition_keys.clamp(64, 8 << 20),
        }
    }
}

/// How the bytes of a table are reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TableAccess {
    /// Through a map of the file: uncompressed blocks are read where they lie and verified once per open. A page that
    /// the system cannot read ends the process (SIGBUS).
    #[default]
    Mapped,
    /// With positional reads, through the block cache if there is one; verified at every read from the file.
    Positional,
}

/// How a table is read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReadOptions {
    /// How the bytes are reached; default mapped.
    pub access: TableAccess,
    /// Where blocks stay that had to be read or decompressed; default none.
    pub cache: Option<Arc<BlockCache>>,
    /// Whose file it has to be; default: not checked.
    pub expect: Option<FileIdentity>,
    /// Index bytes up to which all of the index is kept in memory; default 2 MiB, enough for about 400 MiB of data.
    /// Above, only its top is, and a lookup reads one index partition more.
    pub resident_index_bytes: u64,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { access: TableAccess::Mapped, cache: None, expect: None, resident_index_bytes: 2 << 20 }
    }
}

impl ReadOptions {
    /// Sets [`ReadOptions::access`].
    #[must_use]
    pub fn access(mut self, access: TableAccess) -> Self {
        self.access = access;
        self
    }

    /// Sets [`ReadOptions::cache`].
    #[must_use]
    pub fn cache(mut self, cache: Arc<BlockCache>) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Sets [`ReadOptions::expect`].
    #[must_use]
    pub fn expect(mut self, identity: FileIdentity) -> Self {
        self.expect = Some(identity);
        self
    }

    /// Sets [`ReadOptions::resident_index_bytes`].
    #[must_use]
    pub fn resident_index_bytes(mut self, bytes: u64) -> Self {
        self.resident_index_bytes = bytes;
        self
    }
}
