//! What a workload asks of an engine.

use std::path::Path;

use crate::data::Key;

/// Anything that stops a benchmark.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Equal for every engine that has the setting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) cache_bytes: usize,
    pub(crate) memtable_bytes: usize,
    /// Every commit survives power loss. Otherwise it survives the death of the process, or what comes nearest, which the adapter
    /// states.
    pub(crate) durable: bool,
}

/// The direction of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Forward,
    Reverse,
}

/// What is scanned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan<'a> {
    /// The smallest key that is visited; none is the start.
    pub(crate) from: Option<&'a [u8]>,
    /// At most so many entries.
    pub(crate) limit: usize,
    pub(crate) order: Order,
    /// Values are not looked at, and visited as empty.
    pub(crate) keys_only: bool,
}

impl Scan<'_> {
    /// Everything, in key order.
    pub(crate) const ALL: Self =
        Self { from: None, limit: usize::MAX, order: Order::Forward, keys_only: false };
}

/// Shown each key and value.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]);

/// One open engine.
pub(crate) trait Engine: Send + Sync {
    /// Writes all pairs in one transaction or batch.
    fn put_batch(&self, pairs: &[(Key, Vec<u8>)]) -> Result<(), Failure>;
    /// Shows one key's value, read in its own transaction; whether there is one.
    fn get(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool, Failure>;
    /// Shows entries in key order.
    fn scan(&self, scan: Scan<'_>, visit: Visit<'_>) -> Result<(), Failure>;
    /// Hands what is in memory to the background, or to the disk. The harness then waits until the process is idle.
    fn flush(&self) -> Result<(), Failure>;
    /// Closes cleanly.
    fn close(self: Box<Self>) -> Result<(), Failure>;
}

/// An engine that has just been opened.
pub(crate) type Opened = Result<Box<dyn Engine>, Failure>;

/// How to open an engine, and under which settings it runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opener {
    pub(crate) name: &'static str,
    /// What is not equal for all: version, compression, what a buffered commit means.
    pub(crate) settings: &'static str,
    pub(crate) open: fn(&Path, Settings) -> Opened,
}
