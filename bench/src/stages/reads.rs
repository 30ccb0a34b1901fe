//! Point reads, short and full scans of a settled database.

use std::time::{Duration, Instant};

use crate::data::{Key, random_key, touch};
use crate::engine::{Engine, Failure, Order, Scan};
use crate::measure::{Operation, Role, run_for};
use crate::plan::Workload;
use crate::record::Measure;
use crate::stages::Context;

/// Runs all read-only workloads that are wanted.
pub(super) fn run(context: &Context<'_>, engine: &dyn Engine) -> Result<(), Failure> {
    let keys = context.plan.keys;
    let uniform = |thread: u64| present(context, engine, thread);
    let zipf = |thread: u64| -> Result<Operation<'_>, Failure> {
        let mut chooser = context.chooser(thread)?;
        Ok(Box::new(move || read(engine, random_key(chooser.zipf()), true)))
    };
    let absent = |thread: u64| -> Result<Operation<'_>, Failure> {
        let mut chooser = context.chooser(thread)?;
        Ok(Box::new(move || read(engine, random_key(keys + chooser.uniform()), false)))
    };
    let seek = |thread: u64| -> Result<Operation<'_>, Failure> {
        let mut chooser = context.chooser(thread)?;
        Ok(Box::new(move || short_scan(engine, random_key(chooser.uniform()), 100)))
    };
    // What was just loaded or settled comes into the caches before anything is measured.
    let warm_up = context.duration().min(Duration::from_millis(300));
    run_for(warm_up, &[Role { threads: 1, operation: &uniform }])?;
    for workload in context.plan.workloads.iter().copied() {
        match workload {
            Workload::Get => context.timed(workload, 1, &uniform)?,
            Workload::Get2 => context.timed(workload, 2, &uniform)?,
            Workload::GetZipf => context.timed(workload, 1, &zipf)?,
            Workload::GetAbsent => context.timed(workload, 1, &absent)?,
            Workload::GetAbsent2 => context.timed(workload, 2, &absent)?,
            Workload::Seek100 => context.timed(workload, 1, &seek)?,
            Workload::Scan => full_scan(context, engine, workload, Scan::ALL)?,
            Workload::ScanReverse => {
                full_scan(context, engine, workload, Scan { order: Order::Reverse, ..Scan::ALL })?;
            }
            Workload::ScanKeys => {
                full_scan(context, engine, workload, Scan { keys_only: true, ..Scan::ALL })?
            }
            _ => {}
        }
    }
    Ok(())
}

/// Reads entries that exist, all equally likely.
pub(super) fn present<'a>(
    context: &Context<'_>,
    engine: &'a dyn Engine,
    thread: u64,
) -> Result<Operation<'a>, Failure> {
    let mut chooser = context.chooser(thread)?;
    Ok(Box::new(move || read(engine, random_key(chooser.uniform()), true)))
}

/// A benchmark that reads nothing measures nothing: what is there must be found, and nothing else.
pub(super) fn read(engine: &dyn Engine, key: Key, expected: bool) -> Result<(), Failure> {
    if engine.get(&key, &mut touch)? == expected {
        Ok(())
    } else {
        Err("a key is not as it was written".into())
    }
}

/// Reads up to `limit` entries from a key that exists.
pub(super) fn short_scan(engine: &dyn Engine, from: Key, limit: usize) -> Result<(), Failure> {
    let mut visited = 0;
    let scan = Scan { from: Some(&from), limit, ..Scan::ALL };
    engine.scan(scan, &mut |key, value| {
        touch(key);
        touch(value);
        visited += 1;
    })?;
    if visited > 0 { Ok(()) } else { Err("a scan from a key that exists found nothing".into()) }
}

/// Scans all again and again; entries a second.
fn full_scan(
    context: &Context<'_>,
    engine: &dyn Engine,
    workload: Workload,
    scan: Scan<'_>,
) -> Result<(), Failure> {
    let (started, mut total) = (Instant::now(), 0_u64);
    while started.elapsed() < context.duration() {
        let mut visited = 0;
        engine.scan(scan, &mut |key, value| {
            touch(key);
            touch(value);
            visited += 1;
        })?;
        if visited != context.plan.keys {
            return Err(format!("a scan visited {visited} of {} entries", context.plan.keys).into());
        }
        total += visited;
    }
    context.figure(workload, Measure::Rate, total as f64 / started.elapsed().as_secs_f64())
}
