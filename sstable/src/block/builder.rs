//! Collects the entries of one block and lays them out.

use base::codec::put_varint;
use base::{InternalKey, Version};

use super::{TAIL_BYTES, WIDE, common_prefix_len, head};

/// Bytes per entry besides key and payload: head, offset, and the usual lengths of both varints.
const OVERHEAD_BYTES: usize = 4 + 2 + 4;

/// Collects entries in key order.
#[derive(Debug, Default)]
pub(crate) struct BlockBuilder {
    /// Each key in full, followed by its payload.
    data: Vec<u8>,
    entries: Vec<Pending>,
    prefix_len: usize,
}

#[derive(Debug)]
struct Pending {
    start: usize,
    key_len: usize,
    version: Version,
}

impl BlockBuilder {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// About how long the block is, in bytes.
    pub(crate) fn byte_len(&self) -> usize {
        self.estimate(self.data.len(), self.entries.len(), self.prefix_len)
    }

    /// About how long the block would be with one more entry.
    pub(crate) fn byte_len_with(&self, user_key: &[u8], payload_len: usize) -> usize {
        let data_len = self.data.len() + user_key.len() + payload_len;
        self.estimate(data_len, self.entries.len() + 1, self.prefix_len_with(user_key))
    }

    fn estimate(&self, data_len: usize, count: usize, prefix_len: usize) -> usize {
        let saved = prefix_len * count.saturating_sub(1);
        data_len + count * OVERHEAD_BYTES + TAIL_BYTES - saved
    }

    fn prefix_len_with(&self, user_key: &[u8]) -> usize {
        match self.entries.first() {
            // Keys ascend, so what the first and the newest share, all share; it can only shrink.
            Some(first) => {
                let end = first.start + self.prefix_len;
                common_prefix_len(self.data.get(first.start..end).unwrap_or_default(), user_key)
            }
            None => user_key.len(),
        }
    }

    /// Adds an entry above all entries before; `encode` appends its payload.
    pub(crate) fn add(&mut self, key: InternalKey<'_>, encode: impl FnOnce(&mut Vec<u8>)) {
        self.prefix_len = self.prefix_len_with(key.user_key);
        let start = self.data.len();
        self.data.extend_from_slice(key.user_key);
        encode(&mut self.data);
        self.entries.push(Pending { start, key_len: key.user_key.len(), version: key.version });
    }

    /// Replaces the contents of `out` by the block, and starts a new one.
    pub(crate) fn finish_into(&mut self, out: &mut Vec<u8>) {
        out.clear();
        let min_version = self.entries.iter().map(|entry| entry.version).min().unwrap_or_default();
        let mut offsets = Vec::with_capacity(self.entries.len() + 1);
        let mut heads = Vec::with_capacity(self.entries.len() * 4);
        let mut prefix: &[u8] = &[];
        let ends = self.entries.iter().skip(1).map(|next| next.start).chain([self.data.len()]);
        for (entry, end) in self.entries.iter().zip(ends) {
            let pair = self.data.get(entry.start..end).unwrap_or_default();
            let (key, payload) = pair.split_at_checked(entry.key_len).unwrap_or_default();
            let (shared, suffix) = key.split_at_checked(self.prefix_len).unwrap_or_default();
            prefix = shared;
            offsets.push(out.len() as u32);
            put_varint(out, suffix.len() as u64);
            put_varint(out, entry.version.0 - min_version.0);
            out.extend_from_slice(suffix);
            out.extend_from_slice(payload);
            heads.extend_from_slice(&head(suffix).to_le_bytes());
        }
        offsets.push(out.len() as u32);
        let wide = out.len() > usize::from(u16::MAX);
        for offset in offsets {
            let width = if wide { 4 } else { 2 };
            out.extend_from_slice(offset.to_le_bytes().get(..width).unwrap_or_default());
        }
        out.extend_from_slice(&heads);
        out.extend_from_slice(prefix);
        out.extend_from_slice(&min_version.0.to_le_bytes());
        out.extend_from_slice(&(prefix.len() as u32).to_le_bytes());
        let count = self.entries.len() as u32 | if wide { WIDE } else { 0 };
        out.extend_from_slice(&count.to_le_bytes());
        self.data.clear();
        self.entries.clear();
        self.prefix_len = 0;
    }
}
