//! Value log: large values apart from their keys, addressed by pointer.
//!
//! A `.vlog` file lives twice. While it grows it belongs to a write-ahead log: [`push_value`] makes records of values,
//! commits stand between them, [`base::log::LogFile`] appends both, [`Segment::over_log`] reads values by position. When
//! it is cut to length it is a sealed segment, which [`Segment::open_mapped`] reads without copying. [`SegmentWriter`]
//! writes a sealed segment at once, for values that move. [`Ledger`] (the file `DISCARD`) remembers how much of each
//! segment is dead, and [`choose_victims`] says which of them are worth collecting. The layouts are drawn in
//! [`mod@format`].
//!
//! ```
//! use std::path::Path;
//! use std::sync::Arc;
//! use base::header::FileIdentity;
//! use base::vfs::{MemVfs, Vfs};
//! use base::{Compression, Version};
//!
//! let vfs: Arc<dyn Vfs> = Arc::new(MemVfs::new());
//! let (path, identity) = (Path::new("000004.vlog"), FileIdentity { file_number: 4, ..Default::default() });
//! let mut writer = vlog::SegmentWriter::create(&vfs, path, identity)?;
//! let pointer = writer.add(b"ada", Version(7), &[42; 5000], Compression::Lz4)?;
//! let summary = writer.finish()?;
//!
//! let segment = vlog::Segment::open_mapped(&*vfs, path, identity, summary.bytes)?;
//! assert_eq!(segment.get(&pointer, b"ada", Version(7))?, vec![42; 5000]);
//! assert!(segment.get(&pointer, b"bob", Version(7)).unwrap_err().is_corruption());
//! # Ok::<(), base::Error>(())
//! ```
#![forbid(unsafe_code)]

pub mod format;
mod ledger;
mod log;
mod scan;
mod segment;
mod value;
mod victims;
mod writer;

pub use format::{FORMAT_VERSION, KIND_VALUE, LEDGER_FORMAT_VERSION};
pub use ledger::{LEDGER_FILE_NAME, Ledger, SegmentDead};
pub use log::{create, recycle, scanner};
pub use scan::{ScannedValue, SegmentReport, ValueScan};
pub use segment::Segment;
pub use value::{PushedValue, push_value};
pub use victims::{Candidate, VictimPolicy, choose_victims};
pub use writer::{SegmentSummary, SegmentWriter};
