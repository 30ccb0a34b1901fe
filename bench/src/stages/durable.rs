//! Commits that survive power loss, on a small database, each beside the disk's own rate a moment before.

use crate::disk::sync_rates;
use crate::engine::Failure;
use crate::plan::Workload;
use crate::record::Measure;
use crate::stages::{Context, writes};

/// Runs all durable workloads that are wanted.
pub(super) fn run(context: &Context<'_>) -> Result<(), Failure> {
    let engine = context.open("durable", true)?;
    let put = |thread: u64| writes::commits(context, &*engine, thread);
    for workload in context.plan.workloads.iter().copied() {
        let threads = match workload {
            Workload::Durable1 => 1,
            Workload::Durable8 => 8,
            Workload::Durable32 => 32,
            _ => continue,
        };
        let disk = sync_rates(context.directory, context.duration() / 4)?;
        context.timed(workload, threads, &put)?;
        context.figure(workload, Measure::DiskAppendRate, disk.append)?;
        context.figure(workload, Measure::DiskOverwriteRate, disk.overwrite)?;
    }
    engine.close()
}
