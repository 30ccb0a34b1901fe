//! What one version of a key holds, and its encoding; the only place where the flag bits exist.
//!
//! ```text
//! | flags u8 | user meta u8 (if flagged) | expiry varint (if flagged) | payload, to the end |
//!
//! flags: bits 0-1 payload kind (0 tombstone, 1 inline value, 2 separated value)
//!        bit 2    hides older versions
//!        bit 3    a user meta byte follows
//!        bit 4    an expiry follows, in seconds since the Unix epoch, not 0
//! separated payload: | segment varint | offset varint | record_len varint | value_len varint |
//! ```

use bytes::Bytes;

use crate::codec::{Decoder, Malformed, put_varint, varint_len};
use crate::{UnixSeconds, Version};

const KIND_MASK: u8 = 0b0000_0011;
const KIND_TOMBSTONE: u8 = 0;
const KIND_INLINE: u8 = 1;
const KIND_SEPARATED: u8 = 2;
const HIDES_OLDER: u8 = 0b0000_0100;
const HAS_USER_META: u8 = 0b0000_1000;
const HAS_EXPIRY: u8 = 0b0001_0000;
const KNOWN_FLAGS: u8 = 0b0001_1111;

/// Where a separated value lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValuePointer {
    /// The number of the value-log file.
    pub segment: u64,
    /// Where its record starts in the file, in bytes.
    pub offset: u64,
    /// The length of the whole record on disk, header included, in bytes.
    pub record_len: u32,
    /// The length of the value itself, in bytes.
    pub value_len: u32,
}

impl ValuePointer {
    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.segment);
        put_varint(out, self.offset);
        put_varint(out, u64::from(self.record_len));
        put_varint(out, u64::from(self.value_len));
    }

    fn decode(decoder: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            segment: decoder.varint("pointer segment")?,
            offset: decoder.varint("pointer offset")?,
            record_len: decoder.varint32("pointer record length")?,
            value_len: decoder.varint32("pointer value length")?,
        })
    }

    /// Reads back the whole of `encoded` in one loop, if it is well formed and each number is below 2^56: the rule.
    #[inline]
    fn decode_usual(encoded: &[u8]) -> Option<Self> {
        let mut numbers = [0u64; 4];
        let mut bytes = encoded.iter();
        for number in &mut numbers {
            let mut shift = 0;
            loop {
                let byte = *bytes.next()?;
                *number |= u64::from(byte & 0x7f) << shift;
                if byte < 0x80 {
                    if byte == 0 && shift > 0 {
                        return None;
                    }
                    break;
                }
                shift += 7;
                if shift == 56 {
                    return None;
                }
            }
        }
        let [segment, offset, record_len, value_len] = numbers;
        let (record_len, value_len) = (u32::try_from(record_len).ok()?, u32::try_from(value_len).ok()?);
        bytes.as_slice().is_empty().then_some(Self { segment, offset, record_len, value_len })
    }

    fn encoded_len(&self) -> usize {
        varint_len(self.segment)
            + varint_len(self.offset)
            + varint_len(u64::from(self.record_len))
            + varint_len(u64::from(self.value_len))
    }
}

/// The payload of one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// The key is deleted.
    Tombstone,
    /// The value itself.
    Inline(&'a [u8]),
    /// The value is in the value log.
    Separated(ValuePointer),
}

/// What one version of a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The value, its place, or the fact of deletion.
    pub payload: Payload<'a>,
    /// A byte for the user's own use.
    pub user_meta: u8,
    /// When it expires; `None` = never.
    pub expires_at: Option<UnixSeconds>,
    /// Older versions of the key are not to be seen or kept.
    pub hides_older: bool,
}

impl<'a> Entry<'a> {
    /// A value with no metadata.
    #[must_use]
    pub fn inline(value: &'a [u8]) -> Self {
        Self::with_payload(Payload::Inline(value))
    }

    /// A deletion.
    #[must_use]
    pub fn tombstone() -> Self {
        Self::with_payload(Payload::Tombstone)
    }

    /// A value in the value log, with no metadata.
    #[must_use]
    pub fn separated(pointer: ValuePointer) -> Self {
        Self::with_payload(Payload::Separated(pointer))
    }

    fn with_payload(payload: Payload<'a>) -> Self {
        Self { payload, user_meta: 0, expires_at: None, hides_older: false }
    }

    /// True for a deletion.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        matches!(self.payload, Payload::Tombstone)
    }

    /// True when the entry has an expiry at or before `now`.
    #[must_use]
    pub fn is_expired(&self, now: UnixSeconds) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// True when a reader at time `now` gets a value: neither deleted nor expired.
    #[must_use]
    pub fn is_live(&self, now: UnixSeconds) -> bool {
        !self.is_tombstone() && !self.is_expired(now)
    }

    /// The length of the value in bytes, wherever it is; 0 for a tombstone.
    #[must_use]
    pub fn value_len(&self) -> u64 {
        match self.payload {
            Payload::Tombstone => 0,
            Payload::Inline(value) => value.len() as u64,
            Payload::Separated(pointer) => u64::from(pointer.value_len),
        }
    }

    /// Where the value is, when it is in the value log.
    #[must_use]
    pub fn pointer(&self) -> Option<ValuePointer> {
        match self.payload {
            Payload::Separated(pointer) => Some(pointer),
            Payload::Tombstone | Payload::Inline(_) => None,
        }
    }

    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let kind = match self.payload {
            Payload::Tombstone => KIND_TOMBSTONE,
            Payload::Inline(_) => KIND_INLINE,
            Payload::Separated(_) => KIND_SEPARATED,
        };
        let flag = |on: bool, bit: u8| if on { bit } else { 0 };
        out.push(
            kind | flag(self.hides_older, HIDES_OLDER)
                | flag(self.user_meta != 0, HAS_USER_META)
                | flag(self.expires_at.is_some(), HAS_EXPIRY),
        );
        if self.user_meta != 0 {
            out.push(self.user_meta);
        }
        if let Some(at) = self.expires_at {
            put_varint(out, at.0);
        }
        match self.payload {
            Payload::Tombstone => {}
            Payload::Inline(value) => out.extend_from_slice(value),
            Payload::Separated(pointer) => pointer.encode(out),
        }
    }

    /// How many bytes [`Entry::encode`] appends.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let payload = match self.payload {
            Payload::Tombstone => 0,
            Payload::Inline(value) => value.len(),
            Payload::Separated(pointer) => pointer.encoded_len(),
        };
        1 + usize::from(self.user_meta != 0) + self.expires_at.map_or(0, |at| varint_len(at.0)) + payload
    }

    /// Reads back the whole of `encoded`.
    ///
    /// # Errors
    /// [`Malformed`] for anything that [`Entry::encode`] does not write.
    #[inline]
    pub fn decode(encoded: &'a [u8]) -> Result<Self, Malformed> {
        match encoded {
            [KIND_INLINE, value @ ..] => Ok(Self::inline(value)),
            [KIND_SEPARATED, pointer @ ..] => match ValuePointer::decode_usual(pointer) {
                Some(pointer) => Ok(Self::separated(pointer)),
                None => Self::decode_any(encoded),
            },
            _ => Self::decode_any(encoded),
        }
    }

    /// The value of an encoded entry that is the common case, an inline value without metadata: it needs no decoder.
    #[inline]
    #[must_use]
    pub fn plain_value(encoded: &'a [u8]) -> Option<&'a [u8]> {
        match encoded {
            [KIND_INLINE, value @ ..] => Some(value),
            _ => None,
        }
    }

    fn decode_any(encoded: &'a [u8]) -> Result<Self, Malformed> {
        let mut decoder = Decoder::new(encoded);
        let flags = decoder.u8("entry flags")?;
        if flags & !KNOWN_FLAGS != 0 {
            return Err(decoder.malformed("unknown entry flags"));
        }
        let user_meta = if flags & HAS_USER_META != 0 { decoder.u8("user meta")? } else { 0 };
        let expires_at =
            if flags & HAS_EXPIRY != 0 { Some(UnixSeconds(decoder.varint("entry expiry")?)) } else { None };
        let payload = match flags & KIND_MASK {
            KIND_TOMBSTONE => Payload::Tombstone,
            KIND_INLINE => Payload::Inline(decoder.rest()),
            KIND_SEPARATED => Payload::Separated(ValuePointer::decode(&mut decoder)?),
            _ => return Err(decoder.malformed("unknown payload kind")),
        };
        decoder.finish("bytes after the entry")?;
        Ok(Self { payload, user_meta, expires_at, hides_older: flags & HIDES_OLDER != 0 })
    }
}

/// The payload of one version, owning or sharing its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SharedPayload {
    /// The key is deleted.
    Tombstone,
    /// The value itself.
    Inline(Bytes),
    /// The value is in the value log.
    Separated(ValuePointer),
}

/// One version of a key, owning or sharing its bytes: what a point read returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedEntry {
    /// The commit that wrote it.
    pub version: Version,
    /// The value, its place, or the fact of deletion.
    pub payload: SharedPayload,
    /// A byte for the user's own use.
    pub user_meta: u8,
    /// When it expires; `None` = never.
    pub expires_at: Option<UnixSeconds>,
    /// Older versions of the key are not to be seen or kept.
    pub hides_older: bool,
}

impl SharedEntry {
    /// Shares `entry`; `share` turns its inline value into shared bytes.
    #[must_use]
    pub fn new(version: Version, entry: Entry<'_>, share: impl FnOnce(&[u8]) -> Bytes) -> Self {
        let payload = match entry.payload {
            Payload::Tombstone => SharedPayload::Tombstone,
            Payload::Inline(value) => SharedPayload::Inline(share(value)),
            Payload::Separated(pointer) => SharedPayload::Separated(pointer),
        };
        Self {
            version,
            payload,
            user_meta: entry.user_meta,
            expires_at: entry.expires_at,
            hides_older: entry.hides_older,
        }
    }

    /// A borrowed view.
    #[must_use]
    pub fn as_entry(&self) -> Entry<'_> {
        let payload = match &self.payload {
            SharedPayload::Tombstone => Payload::Tombstone,
            SharedPayload::Inline(value) => Payload::Inline(value),
            SharedPayload::Separated(pointer) => Payload::Separated(*pointer),
        };
        Entry {
            payload,
            user_meta: self.user_meta,
            expires_at: self.expires_at,
            hides_older: self.hides_older,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_entry() -> impl Strategy<Value = (u8, Vec<u8>, ValuePointer, u8, Option<u64>, bool)> {
        let pointer = (any::<u64>(), any::<u64>(), any::<u32>(), any::<u32>()).prop_map(
            |(segment, offset, record_len, value_len)| ValuePointer {
                segment,
                offset,
                record_len,
                value_len,
            },
        );
        (0u8..3, any::<Vec<u8>>(), pointer, any::<u8>(), any::<Option<u64>>(), any::<bool>())
    }

    proptest! {
        #[test]
        fn entries_come_back((kind, value, pointer, user_meta, expiry, hides_older) in any_entry()) {
            let payload = match kind {
                0 => Payload::Tombstone,
                1 => Payload::Inline(&value),
                _ => Payload::Separated(pointer),
            };
            let entry = Entry { payload, user_meta, expires_at: expiry.map(UnixSeconds), hides_older };
            let mut out = Vec::new();
            entry.encode(&mut out);
            prop_assert_eq!(out.len(), entry.encoded_len());
            prop_assert_eq!(Entry::decode(&out), Ok(entry));
        }

        /// Goal: the short way takes a pointer as the long one does, and nothing else. Method: pointers of numbers of every length, with
        /// bytes changed, added and cut off.
        #[test]
        fn pointers_are_the_same_both_ways(
            numbers: (u64, u64, u32, u32), bits in (0u32..64, 0u32..64, 0u32..32, 0u32..32),
            change in proptest::option::of((any::<proptest::sample::Index>(), any::<u8>())),
            behind in proptest::collection::vec(any::<u8>(), 0..2), cut in 0usize..3,
        ) {
            let pointer = ValuePointer {
                segment: numbers.0 >> bits.0,
                offset: numbers.1 >> bits.1,
                record_len: numbers.2 >> bits.2,
                value_len: numbers.3 >> bits.3,
            };
            let mut encoded = Vec::new();
            Entry::separated(pointer).encode(&mut encoded);
            prop_assert_eq!(Entry::decode(&encoded), Ok(Entry::separated(pointer)));
            if let Some((at, byte)) = change {
                let at = at.index(encoded.len());
                encoded[at] = byte;
            }
            encoded.extend_from_slice(&behind);
            encoded.truncate(encoded.len() - cut.min(encoded.len()));
            prop_assert_eq!(Entry::decode(&encoded), Entry::decode_any(&encoded));
        }

        #[test]
        fn arbitrary_bytes_never_panic(data: Vec<u8>) {
            if let Ok(entry) = Entry::decode(&data) {
                let mut again = Vec::new();
                entry.encode(&mut again);
                // A user meta byte of 0 is never written with its flag; all else has one encoding.
                prop_assert!(again == data || (data[0] & HAS_USER_META != 0 && data[1] == 0));
            }
        }
    }
}
