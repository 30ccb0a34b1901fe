//! What the system says about this process: CPU time, bytes written, memory. Linux tells all of it; elsewhere figures are missing.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::engine::{Engine, Failure};

/// The longest wait for the background.
const SETTLE_MAX: Duration = Duration::from_secs(300);
/// How often the background is looked at.
const POLL: Duration = Duration::from_millis(50);

/// CPU time of all threads so far.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Flushes, waits until the process has done nothing for `quiet`, and gives the moment when it became idle.
pub(crate) fn settle(engine: &dyn Engine, quiet: Duration) -> Result<Instant, Failure> {
    engine.flush()?;
    let started = Instant::now();
    let (mut idle_since, mut last) = (started, (cpu_time(), Io::now()));
    while idle_since.elapsed() < quiet && started.elapsed() < SETTLE_MAX {
        std::thread::sleep(POLL);
        let now = (cpu_time(), Io::now());
        // A tenth of a core is more than timers and this loop take.
        if now.0 - last.0 > POLL / 10 || now.1 != last.1 {
            idle_since = Instant::now();
        }
        last = now;
    }
    Ok(idle_since)
}

/// Bytes that this process has written so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Io {
    /// Pages that went, or will go, to the disk.
    pub(crate) to_disk: u64,
    /// Given to write calls.
    pub(crate) by_calls: u64,
}

impl Io {
    /// `None` where `/proc/self/io` cannot be read.
    pub(crate) fn now() -> Option<Self> {
        let text = std::fs::read_to_string("/proc/self/io").ok()?;
        Some(Self { to_disk: number_after(&text, "write_bytes:")?, by_calls: number_after(&text, "wchar:")? })
    }
}

/// The first number of the line that starts with `name`.
fn number_after(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The most memory seen while something ran, in MiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peak {
    pub(crate) private_mib: f64,
    pub(crate) resident_mib: f64,
}

/// Runs `work`, and looks at the memory every 5 ms meanwhile.
pub(crate) fn with_peak<T>(work: impl FnOnce() -> T) -> (T, Option<Peak>) {
    let (done, private, resident) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
                private.fetch_max(number_after(&text, "RssAnon:").unwrap_or(0), Ordering::Relaxed);
                resident.fetch_max(number_after(&text, "VmRSS:").unwrap_or(0), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        result
    });
    let mib = |kib: &AtomicU64| kib.load(Ordering::Relaxed) as f64 / 1024.0;
    let peak = Peak { private_mib: mib(&private), resident_mib: mib(&resident) };
    (result, (peak.private_mib > 0.0).then_some(peak))
}

/// Bytes that a directory takes on disk: allocated blocks, not lengths, because files may be preallocated or sparse.
pub(crate) fn disk_bytes(directory: &Path) -> Result<u64, Failure> {
    let mut sum = 0;
    for entry in directory.read_dir()? {
        let entry = entry?;
        // A file may be deleted by the background meanwhile.
        let Ok(metadata) = entry.metadata() else { continue };
        sum += if metadata.is_dir() { disk_bytes(&entry.path())? } else { allocated(&metadata) };
    }
    Ok(sum)
}

#[cfg(unix)]
fn allocated(metadata: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(metadata) * 512
}

#[cfg(not(unix))]
fn allocated(metadata: &std::fs::Metadata) -> u64 {
    metadata.len()
}

/// The name of the fact that the control group of this process limits its memory.
pub(crate) const MEMORY_LIMIT: &str = "memory limit";

/// What the control group of this process, and of its children, allows it, in bytes; `None` without a limit.
fn memory_limit() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let bytes = std::fs::read_to_string(limit_file(&groups)?).ok()?.trim().parse().ok()?;
    let memory = number_after(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")? << 10;
    // The first version of control groups writes a very large number where there is no limit, the second one writes "max".
    (bytes < memory).then_some(bytes)
}

/// Where the limit stands, from the text of `/proc/self/cgroup`: a line for each hierarchy, `number:controllers:path`. A group of the
/// first version that controls memory counts before the unified group, which then controls other things.
fn limit_file(groups: &str) -> Option<String> {
    let groups: Vec<(&str, &str)> =
        groups.lines().filter_map(|line| line.split_once(':')?.1.split_once(':')).collect();
    let first = groups.iter().find(|(controllers, _)| controllers.split(',').any(|name| name == "memory"));
    if let Some((_, path)) = first {
        return Some(format!("/sys/fs/cgroup/memory{path}/memory.limit_in_bytes"));
    }
    let (_, path) = groups.iter().find(|(controllers, _)| controllers.is_empty())?;
    Some(format!("/sys/fs/cgroup{path}/memory.max"))
}

/// Processor, cores, memory, system: for the head of a report.
pub(crate) fn machine() -> Vec<(String, String)> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let information = read("/proc/cpuinfo");
    let model = information.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split(": ").nth(1)).unwrap_or(std::env::consts::ARCH);
    let mut facts = vec![("processor".to_string(), format!("{model}, {cores} cores"))];
    if let Some(kib) = number_after(&read("/proc/meminfo"), "MemTotal:") {
        facts.push(("memory".into(), format!("{:.0} GiB", kib as f64 / f64::from(1 << 20))));
    }
    if let Some(bytes) = memory_limit() {
        facts.push((MEMORY_LIMIT.into(), format!("{} MiB, page cache included", bytes >> 20)));
    }
    let kernel = read("/proc/sys/kernel/osrelease");
    facts.push(("system".into(), format!("{} {}", std::env::consts::OS, kernel.trim())));
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_either_version_of_control_groups_is_found() {
        let first = "4:memory:/bench\n3:cpu,cpuacct:/\n0::/\n";
        assert_eq!(limit_file(first).unwrap(), "/sys/fs/cgroup/memory/bench/memory.limit_in_bytes");
        assert_eq!(
            limit_file("0::/user.slice/run-1.scope\n").unwrap(),
            "/sys/fs/cgroup/user.slice/run-1.scope/memory.max"
        );
        assert_eq!(limit_file(""), None);
    }
}
