//! The way of a read: point reads and scans over one view.

mod end;
mod fill;
mod get;
mod level_cursor;
mod merge;
#[cfg(test)]
mod merge_tests;
mod page;
mod scan;
#[cfg(test)]
mod scan_tests;
mod source;
#[cfg(test)]
mod test_tables;

pub use get::{CurrentView, Found};
pub(crate) use level_cursor::LevelCursor;
pub(crate) use merge::MergeCursor;
pub use page::ScanItem;
pub use scan::ScanOptions;
pub(crate) use scan::{Scan, ScanHost, merge_of};
pub(crate) use source::Source;
