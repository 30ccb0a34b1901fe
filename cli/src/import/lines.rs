//! Records from lines of text.

use std::io::BufRead;
use std::path::Path;

use super::batches::Found;
use crate::escape::Format;
use crate::failure::{Failure, Outcome};
use crate::record::Record;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Json,
    Tsv(Format),
}

/// Reads one record a line; empty lines are skipped.
pub(crate) struct Lines {
    input: Box<dyn BufRead + Send>,
    name: String,
    kind: Kind,
    number: u64,
    line: Vec<u8>,
}

impl Lines {
    /// JSON lines.
    pub(crate) fn json(input: Box<dyn BufRead + Send>, path: &Path) -> Self {
        Self::new(input, path, Kind::Json)
    }

    /// Lines of key, tab, value.
    pub(crate) fn tsv(input: Box<dyn BufRead + Send>, path: &Path, format: Format) -> Self {
        Self::new(input, path, Kind::Tsv(format))
    }

    fn new(input: Box<dyn BufRead + Send>, path: &Path, kind: Kind) -> Self {
        let is_stream = crate::user_files::is_stream(path);
        let name = if is_stream { "standard input".into() } else { path.display().to_string() };
        Self { input, name, kind, number: 0, line: Vec::new() }
    }

    fn read(&mut self) -> Outcome<Option<Found>> {
        loop {
            self.line.clear();
            let read = self.input.read_until(b'\n', &mut self.line);
            let source_bytes =
                read.map_err(|error| Failure::Storage(format!("cannot read {}: {error}", self.name)))?;
            if source_bytes == 0 {
                return Ok(None);
            }
            self.number += 1;
            let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            let record = match self.kind {
                Kind::Json => Record::from_json(line),
                Kind::Tsv(format) => Record::from_tsv(line, format),
            };
            let place = |why: String| Failure::Usage(format!("{}, line {}: {why}", self.name, self.number));
            let record = record.map_err(place)?;
            if record.key.is_empty() {
                return Err(place("the key is empty".into()));
            }
            return Ok(Some(Found::Record { record, source_bytes: source_bytes as u64 }));
        }
    }
}

impl Iterator for Lines {
    type Item = Outcome<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
