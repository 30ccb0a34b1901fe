//! What a workload asks of an engine.

use std::path::Path;

/// Anything that stops a benchmark.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Equal for every engine that has the setting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) cache_bytes: usize,
    pub(crate) memtable_bytes: usize,
}

/// The direction of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Forward,
    Reverse,
}

/// One open engine. `durable` means that the commit survives power loss; otherwise it survives the death of the process, or
/// what comes nearest (stated in the adapter's settings).
pub(crate) trait Engine: Send + Sync {
    /// Writes all pairs in one transaction or batch.
    fn put_batch(&self, pairs: &[([u8; 16], Vec<u8>)], durable: bool) -> Result<(), Failure>;
    /// Reads one key in its own read transaction; the sum of what was touched, `None` when absent.
    fn get(&self, key: &[u8]) -> Result<Option<u64>, Failure>;
    /// Visits up to `limit` entries from `from` on, or all; what was touched. Keys only: the values are not looked at.
    fn scan(
        &self,
        from: Option<&[u8]>,
        limit: u64,
        order: Order,
        keys_only: bool,
    ) -> Result<(u64, u64), Failure>;
    /// Flushes, and waits until background work is done.
    fn settle(&self) -> Result<(), Failure>;
    /// Closes cleanly.
    fn close(self: Box<Self>) -> Result<(), Failure>;
}

/// An engine that has just been opened.
pub(crate) type Opened = Result<Box<dyn Engine>, Failure>;

/// How to open an engine, and under which settings it runs.
pub(crate) struct Opener {
    pub(crate) name: &'static str,
    /// What is not equal for all.
    pub(crate) settings: &'static str,
    pub(crate) open: fn(&Path, Settings) -> Opened,
}
