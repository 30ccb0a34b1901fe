//! How long an engine takes to open after `kill -9`, and what it still has of what it had acknowledged.

use std::io::Read;
use std::time::Instant;

use crate::data::{random_key, touch, value};
use crate::engine::Failure;
use crate::plan::{Plan, Workload};
use crate::record::{Measure, Record};
use crate::stages::Context;

/// Entries a commit.
const BATCH: u64 = 10;
/// The most entries, so that slow engines come to an end.
const ENTRIES_MAX: u64 = 200_000;

/// As many as fill half a memtable, so that every engine still has them in its log.
fn entries(plan: &Plan) -> u64 {
    let half = (plan.memtable_mib << 20) as f64 / 2.0;
    ((half / plan.logical_bytes(1)) as u64).min(plan.keys).clamp(1, ENTRIES_MAX)
}

/// Fills the log with buffered commits, says so, and waits to be killed; ends by itself when the parent is gone.
pub(super) fn fill(context: &Context<'_>) -> Result<(), Failure> {
    let engine = context.open("recovery", false)?;
    let (count, bytes) = (entries(context.plan), context.plan.value_bytes);
    let mut next = 0;
    while next < count {
        let end = (next + BATCH).min(count);
        let pairs: Vec<_> = (next..end).map(|index| (random_key(index), value(index, bytes))).collect();
        engine.put_batch(&pairs)?;
        next = end;
    }
    (context.emit)(&Record::Ready)?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Opens what the killed process left.
pub(super) fn reopen(context: &Context<'_>) -> Result<(), Failure> {
    let started = Instant::now();
    let engine = context.open("recovery", false)?;
    engine.get(&random_key(0), &mut touch)?;
    context.figure(Workload::Recovery, Measure::Time, started.elapsed().as_secs_f64() * 1e3)?;
    let (count, mut lost) = (entries(context.plan), 0_u64);
    for index in 0..count {
        lost += u64::from(!engine.get(&random_key(index), &mut touch)?);
    }
    context.figure(Workload::Recovery, Measure::LostPercent, lost as f64 * 100.0 / count as f64)?;
    engine.close()
}
