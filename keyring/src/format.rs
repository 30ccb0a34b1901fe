//! The file `KEYREGISTRY`, drawn, and its encoding.
//!
//! ```text
//!   0  file header, 64 bytes (base::header): kind Keyring, file number 0, a new salt in every rewrite
//!  64  +-----------------------------------------------------------+
//!      | KEY  one data key                                         |  number = its place, from 0
//!      | KEY                                                       |
//!      |   ...                                                     |
//!      | END  empty                                                |  number = how many keys there are
//!      +-----------------------------------------------------------+  end of file
//! ```
//!
//! Everything behind the header is a record (base::record), never compressed, with version 0 and mark 0. The END record
//! makes a file that lost its tail tell so. Little-endian.
//!
//! **KEY payload**
//!
//! ```text
//!   0  id           u32   the data key id in file headers, never 0, ascending
//!   4  algorithm    u32   what the key is for; opaque
//!   8  created at   u64   seconds since the Unix epoch
//!  16  wrapped key        opaque, to the end of the payload
//! ```

use base::UnixSeconds;
use base::codec::{Decoder, Malformed};
use base::header::CONTENT_START;

use crate::KeyRecord;

/// The name of the file in the database's directory.
pub const FILE_NAME: &str = "KEYREGISTRY";
/// The newest format version that this crate reads, and the one it writes.
pub const FORMAT_VERSION: u16 = 1;
/// The longest wrapped key, in bytes.
pub const WRAPPED_BYTES_MAX: usize = 4096;

/// Where the first record starts, in bytes.
pub(crate) const RECORDS_START: u64 = CONTENT_START;
/// The longest payload, in bytes.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 16 + WRAPPED_BYTES_MAX;

pub(crate) const KIND_KEY: u8 = 1;
pub(crate) const KIND_END: u8 = 2;

pub(crate) fn encode_key(key: &KeyRecord, out: &mut Vec<u8>) {
    out.extend_from_slice(&key.id.to_le_bytes());
    out.extend_from_slice(&key.algorithm.to_le_bytes());
    out.extend_from_slice(&key.created_at.0.to_le_bytes());
    out.extend_from_slice(&key.wrapped);
}

pub(crate) fn decode_key(payload: &[u8]) -> Result<KeyRecord, Malformed> {
    let mut decoder = Decoder::new(payload);
    let id = decoder.u32("key id is cut short")?;
    let algorithm = decoder.u32("key algorithm is cut short")?;
    let created_at = UnixSeconds(decoder.u64("key creation time is cut short")?);
    Ok(KeyRecord { id, algorithm, created_at, wrapped: decoder.rest().to_vec() })
}
