//! Loading and overwriting in batches, with what it costs in space, writes and memory.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::data::{Key, mix, random_key, value};
use crate::engine::{Engine, Failure};
use crate::measure::{histogram, nanoseconds};
use crate::plan::Workload;
use crate::process::{Io, disk_bytes, settle, with_peak};
use crate::record::Measure;
use crate::stages::Context;

/// Entries a batch.
const BATCH: u64 = 1_000;
/// The resolution of timelines.
const INTERVAL: Duration = Duration::from_millis(100);

/// What came of a load.
pub(super) struct Loaded {
    /// Entries a second; making the entries does not count.
    pub(super) rate: f64,
    /// Of batches.
    pub(super) latencies: Histogram<u64>,
    /// Entries of each interval.
    timeline: Vec<u64>,
    spent: Duration,
}

/// Writes all entries; `key` sets the order.
pub(super) fn load(
    context: &Context<'_>,
    engine: &dyn Engine,
    key: impl Fn(u64) -> Key,
) -> Result<Loaded, Failure> {
    let (keys, bytes) = (context.plan.keys, context.plan.value_bytes);
    let mut latencies = histogram()?;
    let (mut spent, mut timeline) = (Duration::ZERO, Vec::new());
    let (mut pairs, mut next) = (Vec::new(), 0);
    while next < keys {
        let end = (next + BATCH).min(keys);
        pairs.clear();
        pairs.extend((next..end).map(|index| (key(index), value(index, bytes))));
        let started = Instant::now();
        engine.put_batch(&pairs)?;
        let elapsed = started.elapsed();
        latencies.saturating_record(nanoseconds(elapsed));
        spent += elapsed;
        let interval = usize::try_from(spent.as_millis() / INTERVAL.as_millis())?;
        timeline.resize(timeline.len().max(interval + 1), 0);
        timeline[interval] += end - next;
        next = end;
    }
    Ok(Loaded { rate: keys as f64 / spent.as_secs_f64(), latencies, timeline, spent })
}

/// Loads, or overwrites, in random order until settled, and reports all about it that is asked for.
pub(super) fn measured(
    context: &Context<'_>,
    engine: &dyn Engine,
    workload: Workload,
) -> Result<(), Failure> {
    let keys = context.plan.keys;
    // Overwriting goes through the same keys in another order.
    let turn = if workload == Workload::Overwrite { mix(keys) % keys.max(1) } else { 0 };
    let key = |index: u64| random_key(if turn == 0 { index } else { (keys - 1 - index + turn) % keys });
    let before = Io::now();
    let ((loaded, idle), peak) = with_peak(|| {
        let loaded = load(context, engine, key);
        let loading_ended = Instant::now();
        (loaded, settle(engine, context.quiet()).map(|idle| idle - loading_ended))
    });
    let (loaded, idle) = (loaded?, idle?);
    let after = Io::now();
    if !context.plan.wants(workload) {
        return Ok(());
    }
    context.figure(workload, Measure::Rate, loaded.rate)?;
    context.figure(workload, Measure::SettledRate, keys as f64 / (loaded.spent + idle).as_secs_f64())?;
    context.latency(workload, Measure::Rate, &loaded.latencies)?;
    context.timeline(workload, INTERVAL, loaded.timeline)?;
    let logical = context.plan.logical_bytes(keys);
    let space = disk_bytes(context.directory)? as f64 / logical;
    context.figure(workload, Measure::SpaceAmplification, space)?;
    if let (Some(before), Some(after)) = (before, after) {
        let to_disk = (after.to_disk - before.to_disk) as f64 / logical;
        context.figure(workload, Measure::WriteAmplification, to_disk)?;
        let by_calls = (after.by_calls - before.by_calls) as f64 / logical;
        context.figure(workload, Measure::WriteCallAmplification, by_calls)?;
    }
    if let Some(peak) = peak {
        context.figure(workload, Measure::PeakPrivateMib, peak.private_mib)?;
        context.figure(workload, Measure::PeakResidentMib, peak.resident_mib)?;
    }
    Ok(())
}
