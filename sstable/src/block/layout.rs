//! Reads a block where it lies: where its parts are, its entries by number, and the search.

use std::cmp::Ordering;
use std::ops::Range;

use base::codec::{Decoder, Malformed};
use base::{InternalKey, Version};

use super::{TAIL_BYTES, WIDE, head};

/// Heads in a window of this many are counted instead of halved: the compiler compares several at once.
const COUNTED_HEADS: usize = 48;

/// Where the parts of one block are. Small, so that a cursor keeps it beside the bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    count: usize,
    wide: bool,
    /// The end of the entries and the start of the offsets.
    entries_end: usize,
    heads_at: usize,
    prefix_at: usize,
    prefix_end: usize,
    min_version: u64,
}

/// One entry: ranges in the raw block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) version: Version,
    pub(crate) suffix: Range<usize>,
    pub(crate) payload: Range<usize>,
}

/// One entry where it lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) version: Version,
    /// Where `bytes` begin in the block.
    pub(crate) at: usize,
    /// The suffix of the key, and behind it the payload.
    pub(crate) bytes: &'a [u8],
    /// Not above the length of `bytes`.
    pub(crate) suffix_len: usize,
}

impl<'a> Record<'a> {
    /// The suffix of the key, and the payload.
    #[inline(always)]
    pub(crate) fn split(&self) -> (&'a [u8], &'a [u8]) {
        self.bytes.split_at_checked(self.suffix_len).unwrap_or_default()
    }

    /// The same as ranges of the block.
    #[inline]
    pub(crate) fn slot(&self) -> Slot {
        let suffix_end = self.at + self.suffix_len;
        let end = self.at + self.bytes.len();
        Slot { version: self.version, suffix: self.at..suffix_end, payload: suffix_end..end }
    }

    /// The first 8 bytes of the suffix as a number: where those of two keys of a block differ, the keys stand to each other as they
    /// do. A shorter suffix is filled up with zeros.
    #[inline(always)]
    pub(crate) fn suffix_word(&self) -> u64 {
        let Some(chunk) = self.bytes.first_chunk::<8>() else { return self.short_word() };
        let kept = if self.suffix_len < 8 { !(u64::MAX >> (8 * self.suffix_len)) } else { u64::MAX };
        u64::from_be_bytes(*chunk) & kept
    }

    #[cold]
    fn short_word(&self) -> u64 {
        let mut padded = [0; 8];
        for (to, from) in padded.iter_mut().zip(self.split().0) {
            *to = *from;
        }
        u64::from_be_bytes(padded)
    }
}

/// What a block tells about a key at a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// Here it is.
    Here(Slot),
    /// It is nowhere in the table.
    Absent,
    /// All versions here are too new; older ones, if there are any, begin the next block.
    InNextBlock,
}

/// How many of the sorted heads are below `wanted`.
#[inline]
fn heads_below(heads: &[[u8; 4]], wanted: u32) -> usize {
    let mut low = 0;
    let mut window = heads;
    while window.len() > COUNTED_HEADS {
        let (left, right) = window.split_at(window.len() / 2);
        let go_right = right.first().is_some_and(|head| u32::from_le_bytes(*head) < wanted);
        low += if go_right { left.len() } else { 0 };
        window = if go_right { right } else { left };
    }
    // Counted in 32 bits, as wide as what is compared, so that no lane is widened.
    low + window.iter().map(|head| u32::from(u32::from_le_bytes(*head) < wanted)).sum::<u32>() as usize
}

/// The length of a suffix, the version above the block's smallest, and the length of both, in any form.
#[cold]
fn long_header(record: &[u8]) -> Result<(u64, u64, usize), Malformed> {
    let mut decoder = Decoder::new(record);
    let suffix_len = decoder.varint("entry key length")?;
    Ok((suffix_len, decoder.varint("entry version")?, decoder.position()))
}

fn malformed(offset: usize, what: &'static str) -> Malformed {
    Malformed { offset, what }
}

impl Layout {
    /// Finds the parts of `raw`, whose checksum has been verified.
    #[inline]
    pub(crate) fn parse(raw: &[u8]) -> Result<Self, Malformed> {
        let broken = || malformed(raw.len(), "block tail does not fit its block");
        let (before, tail) = raw.split_last_chunk::<TAIL_BYTES>().ok_or_else(broken)?;
        let [v0, v1, v2, v3, v4, v5, v6, v7, p0, p1, p2, p3, c0, c1, c2, c3] = *tail;
        let min_version = u64::from_le_bytes([v0, v1, v2, v3, v4, v5, v6, v7]);
        let prefix_len = u32::from_le_bytes([p0, p1, p2, p3]) as usize;
        let count_and_flag = u32::from_le_bytes([c0, c1, c2, c3]);
        let wide = count_and_flag & WIDE != 0;
        let count = (count_and_flag & !WIDE) as usize;
        if count == 0 {
            return Err(malformed(raw.len(), "block without entries"));
        }
        let width = if wide { 4 } else { 2 };
        let prefix_end = before.len();
        let prefix_at = prefix_end.checked_sub(prefix_len).ok_or_else(broken)?;
        let heads_bytes = count.checked_mul(4).ok_or_else(broken)?;
        let heads_at = prefix_at.checked_sub(heads_bytes).ok_or_else(broken)?;
        let entries_end = heads_at.checked_sub((count + 1) * width).ok_or_else(broken)?;
        Ok(Self { count, wide, entries_end, heads_at, prefix_at, prefix_end, min_version })
    }

    /// How many entries there are; at least one.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Where the entries end.
    #[inline]
    pub(crate) fn entries_end(&self) -> usize {
        self.entries_end
    }

    /// What all keys begin with.
    #[inline]
    pub(crate) fn prefix<'a>(&self, raw: &'a [u8]) -> &'a [u8] {
        raw.get(self.prefix_at..self.prefix_end).unwrap_or_default()
    }

    #[inline]
    fn bounds(&self, raw: &[u8], number: usize) -> Option<(usize, usize)> {
        if self.wide {
            let at = self.entries_end + number * 4;
            let [a, b, c, d, e, f, g, h] = *raw.get(at..at + 8)?.first_chunk()?;
            Some((u32::from_le_bytes([a, b, c, d]) as usize, u32::from_le_bytes([e, f, g, h]) as usize))
        } else {
            let at = self.entries_end + number * 2;
            let [a, b, c, d] = *raw.get(at..at + 4)?.first_chunk()?;
            Some((usize::from(u16::from_le_bytes([a, b])), usize::from(u16::from_le_bytes([c, d]))))
        }
    }

    /// Entry `number`, below [`Layout::count`], as ranges of the block.
    #[inline]
    pub(crate) fn slot(&self, raw: &[u8], number: usize) -> Result<Slot, Malformed> {
        Ok(self.record(raw, number)?.slot())
    }

    /// Entry `number`, below [`Layout::count`].
    #[inline(always)] // A walk takes the parts apart again; as a call they go through memory.
    pub(crate) fn record<'a>(&self, raw: &'a [u8], number: usize) -> Result<Record<'a>, Malformed> {
        let broken = || malformed(self.entries_end, "entry offsets are out of order");
        let (start, end) = self.bounds(raw, number).ok_or_else(broken)?;
        if end > self.entries_end {
            return Err(broken());
        }
        let record = raw.get(start..end).ok_or_else(broken)?;
        let (suffix_len, version_delta, header_len) = match *record {
            [suffix_len, delta, ..] if (suffix_len | delta) & 0x80 == 0 => {
                (u64::from(suffix_len), u64::from(delta), 2)
            }
            // Not zero, which would be a longer form than need be.
            [suffix_len, low, high @ 1..=0x7f, ..] if suffix_len & 0x80 == 0 => {
                (u64::from(suffix_len), u64::from(low & 0x7f) | u64::from(high) << 7, 3)
            }
            _ => long_header(record)?,
        };
        let too_long = || malformed(start, "entry key is longer than its entry");
        let bytes = record.get(header_len..).ok_or_else(too_long)?;
        if suffix_len > bytes.len() as u64 {
            return Err(too_long());
        }
        let version = self
            .min_version
            .checked_add(version_delta)
            .ok_or_else(|| malformed(start, "entry version overflows"))?;
        let (at, suffix_len) = (start + header_len, suffix_len as usize);
        Ok(Record { version: Version(version), at, bytes, suffix_len })
    }

    #[inline]
    fn heads<'a>(&self, raw: &'a [u8]) -> &'a [[u8; 4]] {
        raw.get(self.heads_at..self.prefix_at).unwrap_or_default().as_chunks().0
    }

    /// Fails unless every head is that of its entry: a search for a key that is there may end well with a wrong one, and
    /// a search for its neighbour not.
    pub(crate) fn verify_heads(&self, raw: &[u8]) -> Result<(), Malformed> {
        for (number, stored) in self.heads(raw).iter().enumerate() {
            let slot = self.slot(raw, number)?;
            if u32::from_le_bytes(*stored) != head(raw.get(slot.suffix).unwrap_or_default()) {
                return Err(malformed(self.heads_at + number * 4, "a head is not that of its entry"));
            }
        }
        Ok(())
    }

    /// The newest version of `target.user_key` at or below `target.version`, as far as this block tells.
    #[inline]
    pub(crate) fn find(&self, raw: &[u8], target: InternalKey<'_>) -> Result<Lookup, Malformed> {
        let Some(suffix) = target.user_key.strip_prefix(self.prefix(raw)) else { return Ok(Lookup::Absent) };
        let (wanted, heads) = (head(suffix), self.heads(raw));
        let number = heads_below(heads, wanted);
        if heads.get(number).is_none_or(|head| u32::from_le_bytes(*head) != wanted) {
            return Ok(Lookup::Absent);
        }
        let slot = self.slot(raw, number)?;
        match raw.get(slot.suffix.clone()).unwrap_or_default().cmp(suffix) {
            Ordering::Equal if slot.version <= target.version => Ok(Lookup::Here(slot)),
            Ordering::Greater => Ok(Lookup::Absent),
            Ordering::Equal | Ordering::Less => self.find_behind(raw, suffix, target.version, number + 1),
        }
    }

    /// [`Layout::find`] where the first entry with the head of `suffix` is not the one, from entry `low` on.
    #[cold]
    fn find_behind(
        &self,
        raw: &[u8],
        suffix: &[u8],
        version: Version,
        low: usize,
    ) -> Result<Lookup, Malformed> {
        let wanted = head(suffix);
        let ties = self.heads(raw).get(low..).unwrap_or_default();
        let high = low + ties.partition_point(|head| u32::from_le_bytes(*head) == wanted);
        let number = self.search_ties(raw, suffix, version, low..high)?;
        if number < self.count {
            let slot = self.slot(raw, number)?;
            let is_of_key = raw.get(slot.suffix.clone()) == Some(suffix);
            return Ok(if is_of_key { Lookup::Here(slot) } else { Lookup::Absent });
        }
        let last = self.slot(raw, self.count - 1)?;
        let goes_on = raw.get(last.suffix) == Some(suffix);
        Ok(if goes_on { Lookup::InNextBlock } else { Lookup::Absent })
    }

    /// The number of the first entry at or after `target`; [`Layout::count`] when all are before it.
    #[inline]
    pub(crate) fn lower_bound(&self, raw: &[u8], target: InternalKey<'_>) -> Result<usize, Malformed> {
        let prefix = self.prefix(raw);
        let Some(suffix) = target.user_key.strip_prefix(prefix) else {
            return Ok(if target.user_key < prefix { 0 } else { self.count });
        };
        let wanted = head(suffix);
        let heads = self.heads(raw);
        let low = heads_below(heads, wanted);
        let ties = heads.get(low..).unwrap_or_default();
        if ties.first().is_none_or(|head| u32::from_le_bytes(*head) != wanted) {
            return Ok(low);
        }
        let high = low + ties.partition_point(|head| u32::from_le_bytes(*head) == wanted);
        self.search_ties(raw, suffix, target.version, low..high)
    }

    fn search_ties(
        &self,
        raw: &[u8],
        suffix: &[u8],
        version: Version,
        ties: Range<usize>,
    ) -> Result<usize, Malformed> {
        let Range { start: mut low, end: mut high } = ties;
        // Unique heads are the rule, and then the first is the answer or the one before it.
        let mut middle = low;
        while low < high {
            let slot = self.slot(raw, middle)?;
            let here = raw.get(slot.suffix).unwrap_or_default();
            match here.cmp(suffix).then_with(|| version.cmp(&slot.version)) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Ok(middle),
                Ordering::Greater => high = middle,
            }
            middle = low + (high - low) / 2;
        }
        Ok(low)
    }
}

#[cfg(test)]
mod tests {
    use super::super::BlockBuilder;
    use super::*;
    use proptest::prelude::*;

    fn key(layout: &Layout, raw: &[u8], number: usize) -> (Vec<u8>, Version) {
        let slot = layout.slot(raw, number).unwrap();
        ([layout.prefix(raw), &raw[slot.suffix]].concat(), slot.version)
    }

    proptest! {
        /// Goal: search and access by number agree with a sorted list. Method: random keys over a small alphabet
        /// with a common beginning, many heads equal, large payloads now and then so that offsets are wide.
        #[test]
        fn a_block_is_its_sorted_list(
            prefix in proptest::collection::vec(any::<u8>(), 0..6),
            keys in proptest::collection::btree_set((proptest::collection::vec(0u8..3, 0..9), 0u64..300), 1..200),
            target in (proptest::collection::vec(0u8..3, 0..9), 0u64..300),
            large in 0usize..3,
        ) {
            let mut sorted: Vec<(Vec<u8>, Version)> =
                keys.into_iter().map(|(key, version)| ([prefix.as_slice(), &key].concat(), Version(version))).collect();
            sorted.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
            let mut builder = BlockBuilder::default();
            for (number, (key, version)) in sorted.iter().enumerate() {
                let payload_len = if number < large { 40_000 } else { number };
                builder.add(InternalKey::new(key, *version), |out| out.resize(out.len() + payload_len, 7));
            }
            let mut raw = Vec::new();
            builder.finish_into(&mut raw);
            let layout = Layout::parse(&raw).unwrap();
            prop_assert_eq!(layout.count(), sorted.len());
            for (number, expected) in sorted.iter().enumerate() {
                prop_assert_eq!(&key(&layout, &raw, number), expected);
                let payload_len = if number < large { 40_000 } else { number };
                prop_assert_eq!(layout.slot(&raw, number).unwrap().payload.len(), payload_len);
            }
            let bare = target.0.clone();
            for user_key in [bare, [prefix.as_slice(), &target.0].concat()] {
                let target = InternalKey::new(&user_key, Version(target.1));
                let expected = sorted.partition_point(|(key, version)| InternalKey::new(key, *version) < target);
                prop_assert_eq!(layout.lower_bound(&raw, target).unwrap(), expected);
                let lookup = layout.find(&raw, target).unwrap();
                let is_of_key = |row: &&(Vec<u8>, Version)| row.0 == user_key;
                match sorted.get(expected) {
                    Some(row) if is_of_key(&row) => {
                        prop_assert_eq!(lookup, Lookup::Here(layout.slot(&raw, expected).unwrap()));
                    }
                    None if sorted.last().is_some_and(|row| is_of_key(&row)) => {
                        prop_assert_eq!(lookup, Lookup::InNextBlock);
                    }
                    Some(_) | None => prop_assert_eq!(lookup, Lookup::Absent),
                }
            }
        }

        /// Goal: bytes with a forged checksum do no harm. Method: parse and search noise with a plausible tail.
        #[test]
        fn noise_never_panics(mut raw: Vec<u8>, prefix_len in 0u32..8, count in 0u32..12, wide: bool) {
            raw.extend_from_slice(&[0xff; 8]);
            raw.extend_from_slice(&prefix_len.to_le_bytes());
            raw.extend_from_slice(&(count | if wide { WIDE } else { 0 }).to_le_bytes());
            if let Ok(layout) = Layout::parse(&raw) {
                for number in 0..layout.count() + 1 {
                    let _ = layout.slot(&raw, number);
                }
                let _ = layout.lower_bound(&raw, InternalKey::first_of(&raw));
                let _ = layout.lower_bound(&raw, InternalKey::first_of(b"\0\0"));
                let _ = layout.find(&raw, InternalKey::first_of(&raw));
                let _ = layout.find(&raw, InternalKey::last_of(b"\0\0"));
            }
        }
    }
}
