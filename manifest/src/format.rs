//! The file `MANIFEST`, drawn, and its constants.
//!
//! ```text
//!   0  file header, 64 bytes (base::header): kind Manifest, file number 0, a new salt in every rewrite
//!  64  +--------------------------------------------------------------+
//!      | SNAPSHOT_BEGIN  lease, last version, last commit             |  number n, mark 0
//!      | SNAPSHOT_PART   generations, segments, tables ...            |  number n, mark 0
//!      |   ...           as many as it takes, about 1 MiB each        |
//!      | SNAPSHOT_END    the clean close, if there was one            |  number n, mark 0
//!      +--------------------------------------------------------------+
//!      | EDIT            one atomic change                            |  number n+1, mark n
//!      | EDIT                                                         |  number n+2, mark n+1
//!      |   ...                                                        |
//!      +--------------------------------------------------------------+  end of file; it is never preallocated
//! ```
//!
//! Everything behind the header is a record (base::record), never compressed. Its `number` is the edit's, its
//! `mark` the edit before, which was durable when it was written, its `version` is 0.
//!
//! **Payload.** All kinds hold the same thing, an edit. bincode, `legacy()` configuration: little-endian, fixed width.
//!
//! ```text
//!      envelope variant  u32   0 = V1
//!      tables added      u64 count, then each:
//!          number u64 | level u8 | smallest: u64 length, bytes | largest: u64 length, bytes
//!          file bytes u64 | entries u64 | tombstones u64 | raw bytes u64 | min version u64 | max version u64
//!          min expiry: u8 0 or 1, then u64 | max expiry: likewise
//!          oldest generation u64 | newest generation u64 | created at u64
//!          value use: u64 count, then each: segment u64 | values u64 | record bytes u64
//!      tables removed    u64 count, then each: number u64
//!      tables moved      u64 count, then each: number u64 | level u8
//!      generations opened   u64 count, then each: id u64 | wal u64 | vlog u64
//!      generations retired  u64 count, then each: id u64
//!      segments added    u64 count, then each: number u64 | bytes u64 | values u64 | value record bytes u64
//!      segments removed  u64 count, then each: number u64
//!      numbers below, last version, last commit, last generation: each u8 0 or 1, then u64
//!      closed            u8 0 or 1, then u64 count, then each: file number u64 | bytes u64 | last commit u64
//! ```
//!
//! **The snapshot** is written to `MANIFEST.tmp`, synced, and renamed into place, so it is whole or it is damage.
//!
//! **The edits** follow one by one, each synced before the next. So only the last one can be torn by a crash: a
//! record that is no good ends the log when nothing valid follows it, and is corruption when something does. Synced
//! edits that rot later, when they are the last ones and nothing behind them is left, cannot be told from a torn
//! write, and an older copy of the file looks as good as the last one: that is the one loss that this file alone does not
//! notice. Who opens the directory does: files that such edits removed are missing then, and files that they added have
//! numbers above the lease, or are logs with commits that no edit accounts for.

use base::header::CONTENT_START;

/// The name of the file in the database's directory.
pub const FILE_NAME: &str = "MANIFEST";
/// The newest format version that this crate reads, and the one it writes.
pub const FORMAT_VERSION: u16 = 1;
/// The largest encoded edit, in bytes.
pub const EDIT_BYTES_MAX: usize = 16 << 20;

/// Where the first record starts, in bytes.
pub(crate) const RECORDS_START: u64 = CONTENT_START;

pub(crate) const KIND_SNAPSHOT_BEGIN: u8 = 1;
pub(crate) const KIND_SNAPSHOT_PART: u8 = 2;
pub(crate) const KIND_SNAPSHOT_END: u8 = 3;
pub(crate) const KIND_EDIT: u8 = 4;
