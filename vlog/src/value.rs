//! One value as the payload of a record.

use base::codec::{Decoder, Malformed, put_prefixed};
use base::record::RecordBuffer;
use base::{Compression, Result};

use crate::format::KIND_VALUE;

/// A value record inside a [`RecordBuffer`], with what a pointer to it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushedValue {
    /// Bytes from the start of the buffer.
    pub offset: usize,
    /// Length of the whole record without padding, in bytes.
    pub record_len: u32,
    /// Length of the value, in bytes.
    pub value_len: u32,
}

/// Appends `value` to `buffer` as one value record, compressed when asked for and when it pays.
///
/// # Errors
/// [`base::Error::LimitExceeded`] when key and value together are above [`base::record::MAX_PAYLOAD_BYTES`].
pub fn push_value(
    buffer: &mut RecordBuffer,
    key: &[u8],
    value: &[u8],
    compression: Compression,
) -> Result<PushedValue> {
    let pushed = buffer.push(KIND_VALUE, compression, |out| {
        put_prefixed(out, key);
        out.extend_from_slice(value);
    })?;
    // Both fit: a record is at most MAX_PAYLOAD_BYTES and a header long.
    let (record_len, value_len) = (pushed.record_len as u32, value.len() as u32);
    Ok(PushedValue { offset: pushed.offset, record_len, value_len })
}

/// Splits the payload of a value record into its key and the place where its value starts.
pub(crate) fn split(payload: &[u8]) -> Result<(&[u8], usize), Malformed> {
    let mut decoder = Decoder::new(payload);
    let key = decoder.prefixed("key of a value")?;
    Ok((key, decoder.position()))
}
