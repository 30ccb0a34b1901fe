//! The sealed units of a table, found without knowing its format: each begins where the one before it ends, and is as long as its
//! checksum says. Two of the same length that change places are what only a checksum of the place can tell.

use std::path::Path;

use base::header::{CONTENT_START, FileHeader, FileKind, HEADER_BYTES};
use base::seal::Seal;

/// Two units of the same length in one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Twins {
    /// Number of the file.
    pub(super) file: usize,
    /// Where the two begin.
    pub(super) places: (usize, usize),
    /// How long they are, in bytes.
    pub(super) len: usize,
}

/// All pairs of units of the same length in the table `content`, file number `file`.
pub(super) fn twins(file: usize, path: &Path, content: &[u8]) -> Vec<Twins> {
    let units = units(path, content).unwrap_or_default();
    let mut twins = Vec::new();
    for (number, (one, len)) in units.iter().enumerate() {
        let rest = units.get(number + 1..).unwrap_or_default();
        let same = rest.iter().filter(|(other, other_len)| {
            let unit = |at: usize| content.get(at..at + len);
            other_len == len && unit(*one) != unit(*other)
        });
        twins.extend(same.map(|(other, _)| Twins { file, places: (*one, *other), len: *len }));
    }
    twins
}

/// Where each unit begins, and its length.
fn units(path: &Path, content: &[u8]) -> Option<Vec<(usize, usize)>> {
    if path.extension()? != "sst" {
        return None;
    }
    let header = FileHeader::decode(content.get(..HEADER_BYTES)?, path, FileKind::Table, u16::MAX).ok()?;
    let seal = Seal::new(&header);
    let mut units = Vec::new();
    let mut at = CONTENT_START as usize;
    loop {
        let rest = content.get(at..)?;
        let is_unit =
            |len: &usize| rest.get(..*len).is_some_and(|sealed| seal.verify(path, at as u64, sealed).is_ok());
        let Some(len) = (1..=rest.len()).find(is_unit) else { return Some(units) };
        units.push((at, len));
        at += len;
    }
}
