//! Which keys and values can be stored.

use base::MAX_KEY_BYTES;
use engine::MAX_VALUE_BYTES;

use crate::{Error, Result};

/// Refuses a key that cannot be stored.
///
/// # Errors
/// [`Error::InvalidKey`].
#[inline]
pub(crate) fn check_key(key: &[u8]) -> Result<()> {
    if !key.is_empty() && key.len() <= MAX_KEY_BYTES {
        return Ok(());
    }
    Err(Error::InvalidKey {
        why: match key.len() {
            0 => "it is empty; a key has at least one byte".into(),
            len => format!("it has {len} bytes, at most {MAX_KEY_BYTES} are allowed").into(),
        },
    })
}

/// Refuses a value that cannot be stored.
///
/// # Errors
/// [`Error::LimitExceeded`].
#[inline]
pub(crate) fn check_value(value: &[u8]) -> Result<()> {
    if value.len() <= MAX_VALUE_BYTES {
        return Ok(());
    }
    let (limit, got) = (MAX_VALUE_BYTES as u64, value.len() as u64);
    Err(Error::LimitExceeded { what: "value length in bytes", limit, got })
}
