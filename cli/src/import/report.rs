//! Tells a test harness which batches were reported committed, in a form that a killed process leaves readable.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::escape::hex;
use crate::failure::{Failure, Outcome};
use crate::record::Record;

/// Appends to a file, one write for each committed batch.
///
/// ```text
/// batch COUNT FIRST LAST
/// KEY            COUNT times; every key is in hexadecimal
/// ```
///
/// A batch with fewer keys than it says was cut off by the end of the process.
#[derive(Debug)]
pub(crate) struct BatchReport {
    file: File,
    path: PathBuf,
}

impl BatchReport {
    /// Appends to the file at `path`.
    pub(crate) fn open(path: &Path) -> Outcome<Self> {
        Ok(Self { file: crate::user_files::open_to_append(path)?, path: path.to_path_buf() })
    }

    /// Tells that `records` are committed.
    pub(crate) fn append(&mut self, records: &[Record]) -> Outcome {
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return Ok(()) };
        let mut text = format!("batch {} {} {}\n", records.len(), hex(&first.key), hex(&last.key));
        for record in records {
            text.push_str(&hex(&record.key));
            text.push('\n');
        }
        self.file.write_all(text.as_bytes()).map_err(|error| Failure::file("write", &self.path, &error))
    }
}
