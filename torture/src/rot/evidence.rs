//! What the logs still prove after the damage: the highest commit known durable that any good record header names. An own,
//! simple reading of them, to measure recovery by.

use std::path::Path;

use base::header::{FileHeader, FileKind};
use base::record::{RECORD_ALIGNMENT, RECORD_HEADER_BYTES, RecordHeader};

fn headers<'a>(path: &Path, content: &'a [u8]) -> Option<impl Iterator<Item = RecordHeader> + 'a> {
    let kind = if path.extension()? == "wal" { FileKind::Wal } else { FileKind::ValueLog };
    let seed = FileHeader::decode(content, path, kind, u16::MAX).ok()?.seed();
    let last = content.len().saturating_sub(RECORD_HEADER_BYTES);
    let places = (base::header::HEADER_BYTES..=last).step_by(RECORD_ALIGNMENT);
    Some(places.filter_map(move |at| RecordHeader::decode(content.get(at..)?, seed, at as u64)))
}

/// The highest mark in a log; `None` when there is none.
pub(super) fn highest_mark(path: &Path, content: &[u8]) -> Option<u64> {
    headers(path, content)?.map(|header| header.mark).max()
}

/// The highest commit number in a log; `None` when there is none.
pub(super) fn highest_number(path: &Path, content: &[u8]) -> Option<u64> {
    headers(path, content)?.map(|header| header.number).max()
}
