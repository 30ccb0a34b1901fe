//! One key with its value as a line of text: JSON for everything, tab-separated for what other tools read.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::escape::{Format, hex, unhex};
use crate::failure::Outcome;

/// A key with its value, outside a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Bytes,
    /// The caller's own byte.
    pub(crate) user_meta: u8,
    /// Seconds since the Unix epoch; absent for a value that stays.
    pub(crate) expires_at: Option<u64>,
}

/// The shape of a JSON line. Bytes that are not UTF-8 go into the fields in hexadecimal.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    key: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    key_hex: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    value: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    value_hex: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "is_zero")]
    meta: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
}

fn is_zero(meta: &u8) -> bool {
    *meta == 0
}

type Field<'a> = Option<Cow<'a, str>>;

/// The plain field, or the one in hexadecimal.
fn fields(bytes: &[u8], format: Option<Format>) -> (Field<'_>, Field<'_>) {
    match std::str::from_utf8(bytes) {
        Ok(text) if format != Some(Format::Hex) => (Some(text.into()), None),
        _ => (None, Some(hex(bytes).into())),
    }
}

fn bytes_of(name: &str, plain: Field<'_>, in_hex: Field<'_>) -> Result<Vec<u8>, String> {
    match (plain, in_hex) {
        (Some(text), None) => Ok(text.into_owned().into_bytes()),
        (None, Some(digits)) => unhex(digits.as_bytes()).map_err(|why| format!("{name}_hex: {why}")),
        (None, None) => Err(format!("neither {name:?} nor \"{name}_hex\" is given")),
        (Some(_), Some(_)) => Err(format!("both {name:?} and \"{name}_hex\" are given; one is enough")),
    }
}

impl Record {
    /// What an item of a scan holds; its value is left empty unless it is asked for.
    pub(crate) fn of_item(item: &kv::Item, with_value: bool) -> Outcome<Self> {
        Ok(Self {
            key: item.key().to_vec(),
            value: if with_value { item.value()? } else { Bytes::new() },
            user_meta: item.user_meta(),
            expires_at: item.expires_at().map(|moment| moment.0),
        })
    }

    /// Reads a JSON object with `key` or `key_hex`, `value` or `value_hex`, and perhaps `meta` and `expires_at`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn from_json(line: &[u8]) -> Result<Self, String> {
        let line: Line<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        Ok(Self {
            key: bytes_of("key", line.key, line.key_hex)?,
            value: bytes_of("value", line.value, line.value_hex)?.into(),
            user_meta: line.meta,
            expires_at: line.expires_at,
        })
    }

    /// As a JSON object, without a line end; what [`Record::from_json`] reads.
    pub(crate) fn to_json(&self, format: Option<Format>, with_value: bool) -> Outcome<Vec<u8>> {
        let (key, key_hex) = fields(&self.key, format);
        let (value, value_hex) = if with_value { fields(&self.value, format) } else { (None, None) };
        let line = Line { key, key_hex, value, value_hex, meta: self.user_meta, expires_at: self.expires_at };
        serde_json::to_vec(&line).map_err(|error| crate::failure::Failure::stream(&error.into()))
    }

    /// Reads a key, a tab, and a value, both escaped.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn from_tsv(line: &[u8], format: Format) -> Result<Self, String> {
        let tab = line.iter().position(|byte| *byte == b'\t');
        let Some((key, [_, value @ ..])) = tab.and_then(|tab| line.split_at_checked(tab)) else {
            return Err("there is no tab between a key and a value".into());
        };
        if value.contains(&b'\t') {
            return Err("there is more than one tab; write \\t for a tab inside a key or value".into());
        }
        let key = format.read(key).map_err(|why| format!("the key: {why}"))?;
        let value = format.read(value).map_err(|why| format!("the value: {why}"))?.into();
        Ok(Self { key, value, ..Self::default() })
    }

    /// As a key, a tab, and a value, without a line end; what [`Record::from_tsv`] reads.
    pub(crate) fn to_tsv(&self, format: Format) -> Vec<u8> {
        let mut line = Vec::with_capacity(self.key.len() + self.value.len() + 2);
        format.write(&self.key, &mut line);
        line.push(b'\t');
        format.write(&self.value, &mut line);
        line
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Goal: both kinds of line give back the record. Method: random records there and back, every form.
        #[test]
        fn lines_give_back_the_record(
            key in prop::collection::vec(any::<u8>(), 0..32),
            value in prop_oneof![".*".prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..64)],
            user_meta: u8,
            expires_at: Option<u64>,
        ) {
            let record = Record { key, value: value.into(), user_meta, expires_at };
            for format in [None, Some(Format::Hex)] {
                let line = record.to_json(format, true).unwrap();
                prop_assert!(!line.contains(&b'\n'));
                prop_assert_eq!(Record::from_json(&line), Ok(record.clone()));
            }
            let plain = Record { user_meta: 0, expires_at: None, ..record };
            for format in [Format::Escaped, Format::Hex] {
                let line = plain.to_tsv(format);
                prop_assert!(!line.contains(&b'\n'));
                prop_assert_eq!(Record::from_tsv(&line, format), Ok(plain.clone()));
            }
        }
    }

    /// Goal: a line that can be read in two ways, or in none, is refused. Method: table.
    #[test]
    fn doubtful_lines_are_refused() {
        for line in [
            "",
            "{}",
            r#"{"key":"a"}"#,
            r#"{"key":"a","key_hex":"61","value":"b"}"#,
            r#"{"key":"a","value":"b","valu":"c"}"#,
            r#"{"key":"a","value":"b","key":"c"}"#,
            r#"{"key":"a","value":1}"#,
            r#"{"key_hex":"6","value":"b"}"#,
            r#"{"key":"a","value":"b","meta":256}"#,
            r#"{"key":"a","value":"b"} {}"#,
        ] {
            assert!(Record::from_json(line.as_bytes()).is_err(), "{line}");
        }
        for line in ["", "key", "key\tvalue\tmore", "key\\\tvalue", "key\t\\q"] {
            assert!(Record::from_tsv(line.as_bytes(), Format::Escaped).is_err(), "{line}");
        }
    }
}
