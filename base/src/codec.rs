//! Numbers and byte strings to bytes and back: little-endian fixed width, and LEB128.
//!
//! [`Decoder`] reads untrusted bytes: it cannot panic, never reads past its end and never allocates.

/// What was wrong with a byte string, and where in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Bytes from the start of the decoded slice.
    pub offset: usize,
    /// What was wrong.
    pub what: &'static str,
}

/// A cursor over untrusted bytes.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Decoder<'a> {
    /// Starts at the first byte of `data`.
    #[must_use]
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    /// How many bytes have been consumed.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.data.len() - self.at
    }

    /// True when all is consumed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// A complaint about the present position.
    #[must_use]
    pub fn malformed(&self, what: &'static str) -> Malformed {
        Malformed { offset: self.at, what }
    }

    /// Takes `len` bytes; `what` names them in the complaint.
    pub fn bytes(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(len).ok_or_else(|| self.malformed(what))?;
        let taken = self.data.get(self.at..end).ok_or_else(|| self.malformed(what))?;
        self.at = end;
        Ok(taken)
    }

    /// Takes all that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        let rest = self.data.get(self.at..).unwrap_or_default();
        self.at = self.data.len();
        rest
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Malformed> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N, what)?);
        Ok(array)
    }

    /// Takes one byte.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, Malformed> {
        Ok(self.array::<1>(what)?[0])
    }

    /// Takes a little-endian u16.
    pub fn u16(&mut self, what: &'static str) -> Result<u16, Malformed> {
        Ok(u16::from_le_bytes(self.array(what)?))
    }

    /// Takes a little-endian u32.
    pub fn u32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    /// Takes a little-endian u64.
    pub fn u64(&mut self, what: &'static str) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// Takes 16 bytes as they are.
    pub fn bytes16(&mut self, what: &'static str) -> Result<[u8; 16], Malformed> {
        self.array(what)
    }

    /// Takes a LEB128 number. Overlong and overflowing forms are refused, so each number has one encoding.
    #[inline]
    pub fn varint(&mut self, what: &'static str) -> Result<u64, Malformed> {
        // Most lengths are below 128, and most others below 16,384. The last byte of two is not 0, which would be a longer form than
        // need be.
        match self.data.get(self.at..).unwrap_or_default() {
            [byte @ ..0x80, ..] => {
                self.at += 1;
                Ok(u64::from(*byte))
            }
            [low, high @ 1..0x80, ..] => {
                self.at += 2;
                Ok(u64::from(low & 0x7f) | u64::from(*high) << 7)
            }
            rest => match rest.first_chunk().and_then(|word| varint_of_word(u64::from_le_bytes(*word))) {
                Some((value, len)) => {
                    self.at += len;
                    Ok(value)
                }
                None => self.long_varint(what),
            },
        }
    }

    /// Any form, byte by byte; says what is wrong with it.
    fn long_varint(&mut self, what: &'static str) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.u8(what)?;
            if shift == 63 && byte > 1 {
                return Err(self.malformed(what));
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(self.malformed(what));
                }
                return Ok(value);
            }
        }
        Err(self.malformed(what))
    }

    /// Takes a LEB128 number that must fit in 32 bits.
    pub fn varint32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        u32::try_from(self.varint(what)?).map_err(|_| self.malformed(what))
    }

    /// Takes a byte string with its LEB128 length before it.
    pub fn prefixed(&mut self, what: &'static str) -> Result<&'a [u8], Malformed> {
        let len = usize::try_from(self.varint(what)?).map_err(|_| self.malformed(what))?;
        self.bytes(len, what)
    }

    /// Fails unless all is consumed.
    pub fn finish(&self, what: &'static str) -> Result<(), Malformed> {
        if self.is_empty() { Ok(()) } else { Err(self.malformed(what)) }
    }
}

/// The LEB128 number that `word` begins with, and how many bytes it has; `None` when it is not there whole, or malformed.
#[inline]
fn varint_of_word(word: u64) -> Option<(u64, usize)> {
    // The highest bit of a byte is set in all but the last one.
    let ends = !word & 0x8080_8080_8080_8080;
    if ends == 0 {
        return None;
    }
    let len = ends.trailing_zeros() as usize / 8 + 1;
    let groups = word & (u64::MAX >> (64 - 8 * len)) & 0x7f7f_7f7f_7f7f_7f7f;
    if len > 1 && groups >> (8 * (len - 1)) == 0 {
        return None;
    }
    // Groups of 7 bits close up to groups of 14, of 28, and to all.
    let by_14 = (groups & 0x007f_007f_007f_007f) | (groups & 0x7f00_7f00_7f00_7f00) >> 1;
    let by_28 = (by_14 & 0x0000_3fff_0000_3fff) | (by_14 & 0x3fff_0000_3fff_0000) >> 2;
    Some(((by_28 & 0x0fff_ffff) | (by_28 & 0x0fff_ffff_0000_0000) >> 4, len))
}

/// Appends a LEB128 number.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// How many bytes [`put_varint`] appends.
#[must_use]
pub fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Appends a byte string after its LEB128 length.
pub fn put_prefixed(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varints_come_back(value: u64) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            prop_assert_eq!(out.len(), varint_len(value));
            let mut decoder = Decoder::new(&out);
            prop_assert_eq!(decoder.varint("number"), Ok(value));
            prop_assert!(decoder.is_empty());
        }

        /// Goal: the short ways take exactly what the long one takes. Method: numbers of every length, overlong and cut ones, with
        /// bytes behind them.
        #[test]
        fn short_and_long_ways_agree(
            bits in 0u32..65, number: u64, zeros in 0usize..3, behind in proptest::collection::vec(any::<u8>(), 0..12), cut in 0usize..14,
        ) {
            let mut data = Vec::new();
            put_varint(&mut data, number.checked_shr(bits).unwrap_or_default());
            for _ in 0..zeros {
                // Overlong: the last byte goes on, and adds nothing.
                if let Some(last) = data.last_mut() { *last |= 0x80; }
                data.push(0);
            }
            data.extend_from_slice(&behind);
            data.truncate(data.len().saturating_sub(cut % 3));
            let (mut short, mut long) = (Decoder::new(&data), Decoder::new(&data));
            let (taken, expected) = (short.varint("number"), long.long_varint("number"));
            prop_assert_eq!(&taken, &expected);
            prop_assert!(taken.is_err() || short.position() == long.position());
        }

        #[test]
        fn arbitrary_bytes_never_panic(data: Vec<u8>) {
            let mut decoder = Decoder::new(&data);
            while decoder.prefixed("string").is_ok() && !decoder.is_empty() {}
            let mut decoder = Decoder::new(&data);
            while decoder.varint("number").is_ok() {}
        }
    }

    #[test]
    fn overlong_and_overflowing_numbers_are_refused() {
        assert!(Decoder::new(&[0x80, 0x00]).varint("n").is_err());
        assert!(Decoder::new(&[0xff; 11]).varint("n").is_err());
        let mut largest = vec![0xff; 9];
        largest.push(1);
        assert_eq!(Decoder::new(&largest).varint("n"), Ok(u64::MAX));
        largest[9] = 2;
        assert!(Decoder::new(&largest).varint("n").is_err());
    }
}
