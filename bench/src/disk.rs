//! The disk alone: how often a second can 4 KiB be made durable? Durable commits are read beside these figures.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::engine::Failure;

const PAGE: [u8; 4096] = [7; 4096];
/// The file that is written over, in pages.
const PAGES: u64 = 4096;

/// Syncs a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SyncRates {
    /// The file grows: its length is made durable too.
    pub(crate) append: f64,
    /// Only data changes.
    pub(crate) overwrite: f64,
}

/// Measures both for `duration` each, in a file of its own.
pub(crate) fn sync_rates(directory: &Path, duration: Duration) -> Result<SyncRates, Failure> {
    let open =
        |name: &str| OpenOptions::new().write(true).create(true).truncate(true).open(directory.join(name));
    let mut appended = open("appended")?;
    appended.sync_all()?;
    let append = rate(&mut appended, u64::MAX, duration)?;
    let mut overwritten = open("overwritten")?;
    for _ in 0..PAGES {
        overwritten.write_all(&PAGE)?;
    }
    overwritten.sync_all()?;
    let overwrite = rate(&mut overwritten, PAGES, duration)?;
    Ok(SyncRates { append, overwrite })
}

/// Writes page after page, back at the start after `pages`.
fn rate(file: &mut File, pages: u64, duration: Duration) -> Result<f64, Failure> {
    let (started, mut count) = (Instant::now(), 0_u64);
    while started.elapsed() < duration {
        if count.is_multiple_of(pages) {
            file.seek(SeekFrom::Start(0))?;
        }
        file.write_all(&PAGE)?;
        file.sync_data()?;
        count += 1;
    }
    Ok(count as f64 / started.elapsed().as_secs_f64())
}
