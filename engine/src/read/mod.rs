//! The way of a read: point reads and scans over one view.

mod get;
mod level_cursor;
mod merge;
#[cfg(test)]
mod merge_tests;
mod scan;
mod source;

pub use get::{CurrentView, Found};
pub(crate) use level_cursor::LevelCursor;
pub(crate) use merge::MergeCursor;
pub(crate) use scan::{Scan, ScanHost, merge_of};
pub use scan::{ScanItem, ScanOptions};
pub(crate) use source::Source;
