//! Edits to bytes and back: serde and bincode, the only file that names bincode.
//!
//! bincode does not notice damage (most flipped bits decode to something), so bytes come here only after the
//! checksum of their record was verified.

use base::{Error, Result};
use bincode::config;
use serde::{Deserialize, Serialize};

use crate::Edit;
use crate::format::EDIT_BYTES_MAX;

/// The versions of a payload. A change of the edit's fields is a new variant here, behind the old ones.
#[derive(Serialize, Deserialize)]
enum Persisted<E> {
    V1(E),
}

type Config = config::Configuration<config::LittleEndian, config::Fixint, config::Limit<{ EDIT_BYTES_MAX }>>;

fn settings() -> Config {
    config::legacy().with_limit::<{ EDIT_BYTES_MAX }>()
}

/// The payload that holds `edit`.
///
/// # Errors
/// [`Error::LimitExceeded`] above [`EDIT_BYTES_MAX`].
pub(crate) fn encode(edit: &Edit) -> Result<Vec<u8>> {
    let bytes = bincode::serde::encode_to_vec(Persisted::V1(edit), settings())
        .map_err(|error| Error::invalid("manifest edit", error.to_string()))?;
    if bytes.len() > EDIT_BYTES_MAX {
        return Err(Error::LimitExceeded {
            what: "manifest edit in bytes",
            limit: EDIT_BYTES_MAX as u64,
            got: bytes.len() as u64,
        });
    }
    Ok(bytes)
}

/// The edit that `payload` holds, which must be all that it holds. Allocates no more than a small multiple of
/// the payload and 2 MiB, whatever the bytes say.
///
/// # Errors
/// What is wrong with the payload, in words.
pub(crate) fn decode(payload: &[u8]) -> Result<Edit, String> {
    let (persisted, used) =
        bincode::serde::borrow_decode_from_slice::<Persisted<Edit>, _>(payload, settings())
            .map_err(|error| format!("the edit cannot be decoded: {error}"))?;
    if used != payload.len() {
        return Err(format!("{} bytes are left over behind the edit", payload.len() - used));
    }
    let Persisted::V1(edit) = persisted;
    Ok(edit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{TableMeta, ValueUse};

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let mut framed = vec![0; 4];
            framed.extend_from_slice(&bytes);
            // What is accepted says the same when written again.
            if let Ok(edit) = decode(&framed) {
                prop_assert_eq!(encode(&edit).unwrap(), framed);
            }
            let _either = decode(&bytes);
        }
    }

    fn sample() -> Edit {
        let table = TableMeta {
            number: 7,
            smallest: b"a".to_vec(),
            largest: vec![0xff; 300],
            min_expiry: Some(1),
            max_expiry: Some(2),
            value_use: vec![ValueUse { segment: 3, values: 1, record_bytes: 64 }],
            ..TableMeta::default()
        };
        Edit { tables_added: vec![table], numbers_below: Some(9), closed: Some(vec![]), ..Edit::default() }
    }

    #[test]
    fn truncated_and_extended_payloads_are_refused() {
        let bytes = encode(&sample()).unwrap();
        assert_eq!(decode(&bytes).unwrap(), sample());
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len]).is_err(), "{len} bytes");
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(decode(&longer).unwrap_err().contains("left over"));
    }

    #[test]
    fn hostile_lengths_are_refused_before_allocation() {
        let bytes = encode(&sample()).unwrap();
        // The table count, the length of the smallest key.
        for at in [4, 21] {
            for length in [u64::MAX, u64::MAX / 2, 1 << 40, EDIT_BYTES_MAX as u64 + 1] {
                let mut hostile = bytes.clone();
                hostile[at..at + 8].copy_from_slice(&length.to_le_bytes());
                assert!(decode(&hostile).is_err(), "{length} at {at}");
            }
        }
    }

    #[test]
    fn an_edit_at_the_limit_comes_back_and_one_above_is_refused() {
        let empty = encode(&Edit::default()).unwrap().len();
        let count = (EDIT_BYTES_MAX - empty) / 8;
        let mut edit = Edit { tables_removed: vec![1; count], ..Edit::default() };
        let bytes = encode(&edit).unwrap();
        assert!(bytes.len() > EDIT_BYTES_MAX - 8);
        assert_eq!(decode(&bytes).unwrap(), edit);
        edit.tables_removed.push(1);
        assert!(matches!(encode(&edit), Err(Error::LimitExceeded { .. })));
    }
}
