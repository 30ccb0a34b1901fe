//! Standard output for results, standard error for everything else.

use std::ffi::OsStr;
use std::io::{BufWriter, IsTerminal, StdoutLock, Write};

use serde_json::Value;

use crate::args::Common;
use crate::escape::Format;
use crate::failure::{Failure, Outcome};

/// Buffered standard output; call [`Output::finish`] to see the last errors.
#[derive(Debug)]
pub(crate) struct Output(BufWriter<StdoutLock<'static>>);

impl Output {
    /// Standard output.
    pub(crate) fn new() -> Self {
        Self(BufWriter::with_capacity(1 << 16, std::io::stdout().lock()))
    }

    /// True when a person reads it.
    pub(crate) fn is_terminal() -> bool {
        std::io::stdout().is_terminal()
    }

    /// Writes bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Outcome {
        self.0.write_all(bytes).map_err(|error| Failure::stream(&error))
    }

    /// Writes bytes and a line end.
    pub(crate) fn line(&mut self, line: &[u8]) -> Outcome {
        self.bytes(line)?;
        self.bytes(b"\n")
    }

    /// Hands everything to the system.
    pub(crate) fn finish(mut self) -> Outcome {
        self.0.flush().map_err(|error| Failure::stream(&error))
    }
}

/// Prints one JSON value on a line of its own.
pub(crate) fn print_json(value: &Value) -> Outcome {
    print(&value.to_string())
}

/// Prints a text and a line end.
pub(crate) fn print(text: &str) -> Outcome {
    let mut output = Output::new();
    output.line(text.as_bytes())?;
    output.finish()
}

impl Common {
    /// Says something on standard error that is good to know.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            anstream::eprintln!("{text}");
        }
    }

    /// A key or value given as an argument.
    pub(crate) fn argument(&self, name: &str, text: &OsStr) -> Outcome<Vec<u8>> {
        let format = self.format.unwrap_or(Format::Text);
        format.read(text.as_encoded_bytes()).map_err(|why| Failure::Usage(format!("the {name}: {why}")))
    }

    /// The form of keys and values that share a line; bytes as they are could break it.
    pub(crate) fn line_format(&self) -> Outcome<Format> {
        match self.format {
            None | Some(Format::Escaped) => Ok(Format::Escaped),
            Some(Format::Hex) => Ok(Format::Hex),
            Some(Format::Text) => {
                Err(Failure::Usage("--format text cannot tell records apart here; use escaped or hex".into()))
            }
        }
    }
}
