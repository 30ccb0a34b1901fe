//! Keys and values are any bytes; terminals and text files are not. The three ways to write bytes as text, and back.

use std::fmt::Write as _;

use clap::ValueEnum;

/// How bytes are written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The bytes as they are
    Text,
    /// Two hexadecimal digits a byte
    Hex,
    /// Printable UTF-8 as it is, all else as \xNN, \n, \r or \t; a backslash is \\
    Escaped,
}

impl Format {
    /// Appends `bytes` to `out`. `Hex` and `Escaped` never contain a tab or a line end.
    pub(crate) fn write(self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Text => out.extend_from_slice(bytes),
            Self::Hex => out.extend_from_slice(hex(bytes).as_bytes()),
            Self::Escaped => out.extend_from_slice(escape(bytes).as_bytes()),
        }
    }

    /// Reads what was written in this form.
    ///
    /// # Errors
    /// What is wrong with `text` and what would be right.
    pub(crate) fn read(self, text: &[u8]) -> Result<Vec<u8>, String> {
        match self {
            Self::Text => Ok(text.to_vec()),
            Self::Hex => unhex(text),
            Self::Escaped => unescape(text),
        }
    }
}

/// Two lower-case hexadecimal digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        push_hex(*byte, &mut text);
    }
    text
}

fn push_hex(byte: u8, text: &mut String) {
    for digit in [byte >> 4, byte & 15] {
        text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
    }
}

/// Printable UTF-8 as it is, all else escaped; one line, whatever the bytes.
pub(crate) fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                _ if character.is_control() => {
                    push_escaped(character.encode_utf8(&mut [0; 4]).as_bytes(), &mut text)
                }
                _ => text.push(character),
            }
        }
        push_escaped(chunk.invalid(), &mut text);
    }
    text
}

fn push_escaped(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        let _infallible = text.write_str("\\x");
        push_hex(*byte, text);
    }
}

/// Reads hexadecimal digits of either case.
///
/// # Errors
/// What is wrong.
pub(crate) fn unhex(text: &[u8]) -> Result<Vec<u8>, String> {
    let (pairs, []) = text.as_chunks::<2>() else {
        return Err("hexadecimal needs two digits for every byte; one is missing".into());
    };
    pairs.iter().map(|pair| hex_byte(*pair)).collect()
}

fn hex_byte([high, low]: [u8; 2]) -> Result<u8, String> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    match (digit(high), digit(low)) {
        (Some(high), Some(low)) => Ok((high * 16 + low) as u8),
        _ => Err(format!("{:?} is not a hexadecimal byte", escape(&[high, low]))),
    }
}

fn unescape(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        rest = match rest {
            [] => return Ok(bytes),
            [b'\\', b'x', high, low, rest @ ..] => {
                bytes.push(hex_byte([*high, *low])?);
                rest
            }
            [b'\\', code, rest @ ..] => {
                bytes.push(match code {
                    b'\\' => b'\\',
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'0' => 0,
                    _ => return Err(bad_escape(*code)),
                });
                rest
            }
            [b'\\'] => {
                return Err("a backslash at the end escapes nothing; write \\\\ for a backslash".into());
            }
            [byte, rest @ ..] => {
                bytes.push(*byte);
                rest
            }
        };
    }
}

fn bad_escape(code: u8) -> String {
    format!("unknown escape \\{}; known are \\\\ \\n \\r \\t \\0 and \\xNN", escape(&[code]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Goal: escaped text is what the help says. Method: table.
    #[test]
    fn escaped_forms() {
        for (bytes, text) in [
            (b"".as_slice(), ""),
            (b"plain key/1", "plain key/1"),
            ("grüße 日本 🦀".as_bytes(), "grüße 日本 🦀"),
            (b"a\tb\nc\rd\\e", "a\\tb\\nc\\rd\\\\e"),
            (b"\x00\x1b[2J\x7f", "\\x00\\x1b[2J\\x7f"),
            ("\u{85}".as_bytes(), "\\xc2\\x85"),
            (b"\xff\xfeabc\xc3", "\\xff\\xfeabc\\xc3"),
        ] {
            assert_eq!(escape(bytes), text);
        }
    }

    /// Goal: broken text is refused, never guessed. Method: table of broken forms.
    #[test]
    fn broken_text_is_refused() {
        for text in ["\\", "a\\", "\\q", "\\x", "\\x1", "\\xg0", "\\x+1"] {
            assert!(Format::Escaped.read(text.as_bytes()).is_err(), "{text}");
        }
        for text in ["0", "abc", "0g", "+1", " 1"] {
            assert!(Format::Hex.read(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(Format::Escaped.read(b"\\0\\x41"), Ok(b"\0A".to_vec()));
        assert_eq!(Format::Hex.read(b"00fFA0"), Ok(vec![0, 255, 160]));
    }

    proptest! {
        /// Goal: every form gives back the bytes, and the two for lines stay on one line and free of terminal codes.
        /// Method: random bytes there and back.
        #[test]
        fn every_form_gives_back_the_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            for format in [Format::Text, Format::Hex, Format::Escaped] {
                let mut text = Vec::new();
                format.write(&bytes, &mut text);
                prop_assert_eq!(format.read(&text), Ok(bytes.clone()));
                if format != Format::Text {
                    let text = String::from_utf8(text).unwrap();
                    prop_assert!(!text.chars().any(char::is_control));
                }
            }
        }
    }
}
