//! Membership filter over user keys: says "absent" without a look at the index, wrong in one of a hundred other cases.
//!
//! A blocked Bloom filter: the hash picks one line of 64 bytes, and all probes stay in it, so a question costs one
//! cache miss. Partitions hold a bounded number of keys each, so that the memory of the builder is bounded; the
//! directory knows the last key of each, so that a question goes to one of them.

use std::sync::OnceLock;

use base::Result;
use base::checksum::content_hash;
use base::codec::{Decoder, Malformed, put_prefixed, put_varint};
use bytes::Bytes;

use crate::format::{FILTER_ALIGNMENT, Handle};
use crate::sink::Sink;
use crate::source::Source;

const LINE_BYTES: usize = 64;
const LINE_BITS: u64 = 512;
const MAX_PROBES: u8 = 24;
/// Odd, so multiplying permutes; its high bits depend on all bits below.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

/// The hash of a user key that filters use, the same for all tables: compute it once per lookup. It is
/// [`content_hash`], so what else is asked by that hash can share it.
#[inline]
#[must_use]
pub fn key_hash(user_key: &[u8]) -> u64 {
    content_hash(user_key)
}

/// The probes of `hash` in its line, as bit numbers below 512.
#[inline]
fn probes(hash: u64, count: u8) -> impl Iterator<Item = usize> {
    // The line was picked by the highest bits, so start from a product that depends on the lower ones.
    let mut state = hash.rotate_left(32);
    (0..count).map(move |_| {
        state = state.wrapping_mul(MIX);
        (state >> 55) as usize
    })
}

#[inline]
fn line_of(hash: u64, lines: usize) -> usize {
    ((u128::from(hash) * lines as u128) >> 64) as usize
}

#[inline]
fn line_contains(line: &[u8; LINE_BYTES], hash: u64, count: u8) -> bool {
    probes(hash, count).all(|bit| line.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1))
}

/// The number of probes that errs least at this many bits per key. Lines fill unevenly, which favours fewer.
fn probe_count(bits_per_key: u32) -> u8 {
    match bits_per_key {
        0..=2 => 1,
        bits => u8::try_from(bits * 6 / 10).unwrap_or(MAX_PROBES).clamp(2, MAX_PROBES),
    }
}

/// Collects the hashes of user keys and writes partitions.
#[derive(Debug)]
pub(crate) struct FilterBuilder {
    bits_per_key: u32,
    partition_keys: usize,
    hashes: Vec<u64>,
    last_key: Vec<u8>,
    /// Handle and last key of what is written.
    written: Vec<(Handle, Vec<u8>)>,
    sealed_bytes: u64,
}

impl FilterBuilder {
    pub(crate) fn new(bits_per_key: u32, partition_keys: usize) -> Self {
        Self {
            bits_per_key,
            partition_keys,
            hashes: Vec::new(),
            last_key: Vec::new(),
            written: Vec::new(),
            sealed_bytes: 0,
        }
    }

    /// Adds a user key above all before.
    pub(crate) fn add(&mut self, user_key: &[u8], sink: &mut Sink) -> Result<()> {
        if self.bits_per_key == 0 {
            return Ok(());
        }
        if self.hashes.len() >= self.partition_keys {
            self.flush(sink)?;
        }
        self.hashes.push(key_hash(user_key));
        self.last_key.clear();
        self.last_key.extend_from_slice(user_key);
        Ok(())
    }

    /// About how many bytes the keys since the last partition will take.
    pub(crate) fn pending_bytes(&self) -> u64 {
        self.hashes.len() as u64 * u64::from(self.bits_per_key) / 8
    }

    pub(crate) fn sealed_bytes(&self) -> u64 {
        self.sealed_bytes
    }

    fn flush(&mut self, sink: &mut Sink) -> Result<()> {
        if self.hashes.is_empty() {
            return Ok(());
        }
        let bits = self.hashes.len() * self.bits_per_key as usize;
        let mut lines = vec![[0u8; LINE_BYTES]; bits.div_ceil(LINE_BITS as usize)];
        let count = probe_count(self.bits_per_key);
        let line_count = lines.len();
        for hash in self.hashes.drain(..) {
            if let Some(line) = lines.get_mut(line_of(hash, line_count)) {
                for bit in probes(hash, count) {
                    if let Some(byte) = line.get_mut(bit / 8) {
                        *byte |= 1 << (bit % 8);
                    }
                }
            }
        }
        sink.align(FILTER_ALIGNMENT);
        let handle = sink.seal(lines.as_flattened(), base::Compression::None)?;
        self.sealed_bytes += u64::from(handle.sealed_bytes);
        self.written.push((handle, std::mem::take(&mut self.last_key)));
        Ok(())
    }

    /// Writes what is left, and then the directory; `None` when there is no filter.
    pub(crate) fn finish(&mut self, sink: &mut Sink) -> Result<Option<Handle>> {
        self.flush(sink)?;
        if self.written.is_empty() {
            return Ok(None);
        }
        let mut directory = vec![probe_count(self.bits_per_key)];
        put_varint(&mut directory, self.written.len() as u64);
        for (handle, last_key) in &self.written {
            handle.encode(&mut directory);
            put_prefixed(&mut directory, last_key);
        }
        let handle = sink.seal(&directory, base::Compression::None)?;
        self.sealed_bytes += u64::from(handle.sealed_bytes);
        Ok(Some(handle))
    }
}

/// The filter of an open table.
#[derive(Debug)]
pub(crate) struct Filter {
    probes: u8,
    partitions: Vec<Partition>,
}

#[derive(Debug)]
struct Partition {
    handle: Handle,
    last_key: Box<[u8]>,
    /// Loaded and verified at the first use. Dropped with the table: a filter that is not in memory saves nothing.
    lines: OnceLock<Bytes>,
}

impl Filter {
    pub(crate) fn decode(directory: &[u8], file_bytes: u64) -> std::result::Result<Self, Malformed> {
        let mut decoder = Decoder::new(directory);
        let probes = decoder.u8("filter probes")?;
        if probes > MAX_PROBES {
            return Err(decoder.malformed("more filter probes than there can be"));
        }
        let count = decoder.varint("filter partition count")?;
        let mut partitions = Vec::new();
        for _ in 0..count {
            let handle = Handle::decode(&mut decoder)?;
            if !handle.is_inside(file_bytes) {
                return Err(decoder.malformed("a filter partition lies outside the file"));
            }
            let last_key = decoder.prefixed("filter partition key")?.into();
            partitions.push(Partition { handle, last_key, lines: OnceLock::new() });
        }
        decoder.finish("bytes after the filter directory")?;
        Ok(Self { probes, partitions })
    }

    /// False when `user_key`, whose hash this is, is certainly absent.
    #[inline]
    pub(crate) fn may_contain_key(&self, source: &Source, user_key: &[u8], hash: u64) -> Result<bool> {
        let partition = match self.partitions.as_slice() {
            [only] => only,
            many => match many.get(many.partition_point(|partition| *partition.last_key < *user_key)) {
                Some(partition) => partition,
                None => return Ok(false),
            },
        };
        self.ask(partition, source, hash)
    }

    /// False when no key of this hash is in any partition.
    pub(crate) fn may_contain(&self, source: &Source, hash: u64) -> Result<bool> {
        for partition in &self.partitions {
            if self.ask(partition, source, hash)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    #[inline]
    fn ask(&self, partition: &Partition, source: &Source, hash: u64) -> Result<bool> {
        let bytes = match partition.lines.get() {
            Some(bytes) => bytes,
            None => {
                let loaded = source.read(partition.handle)?;
                partition.lines.get_or_init(|| loaded)
            }
        };
        let lines = bytes.as_chunks::<LINE_BYTES>().0;
        // A line that is not there proves nothing.
        Ok(lines.get(line_of(hash, lines.len())).is_none_or(|line| line_contains(line, hash, self.probes)))
    }

    /// Where the partitions are, for `verify` and `describe`.
    pub(crate) fn handles(&self) -> impl Iterator<Item = Handle> {
        self.partitions.iter().map(|partition| partition.handle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: no key is denied, and strangers are admitted about as seldom as the theory says. Method: count.
    #[test]
    fn keys_are_found_and_strangers_seldom() {
        for (bits, limit_per_mille) in [(5, 150), (10, 18), (16, 4)] {
            let mut sink = Sink::in_memory(&crate::builder::memory_header());
            let mut builder = FilterBuilder::new(bits, 30_000);
            let key = |number: u64| number.to_be_bytes();
            for number in 0..100_000 {
                builder.add(&key(number), &mut sink).unwrap();
            }
            builder.finish(&mut sink).unwrap();
            assert_eq!(builder.written.len(), 4);
            let probes = probe_count(bits);
            let written = sink.into_bytes().unwrap();
            let admits = |handle: &Handle, number: u64| {
                let raw = &written[handle.offset as usize..][..handle.sealed_bytes as usize - 16];
                let (lines, rest) = raw.as_chunks::<LINE_BYTES>();
                assert!(rest.is_empty() && handle.offset.is_multiple_of(FILTER_ALIGNMENT));
                let hash = key_hash(&key(number));
                line_contains(&lines[line_of(hash, lines.len())], hash, probes)
            };
            for number in 0..100_000 {
                assert!(admits(&builder.written[number as usize / 30_000].0, number));
            }
            let (first, _) = &builder.written[0];
            let admitted = (1_000_000..1_100_000).filter(|number| admits(first, *number)).count();
            assert!(admitted < limit_per_mille * 100, "{bits} bits: {admitted} of 100000");
        }
    }
}
