//! Single buffered commits, alone and beside a reader.

use crate::data::{random_key, value};
use crate::engine::{Engine, Failure};
use crate::measure::{Operation, Role, run_for};
use crate::plan::Workload;
use crate::record::Measure;
use crate::stages::{Context, reads};

/// Runs all workloads of single buffered commits that are wanted.
pub(super) fn run(context: &Context<'_>, engine: &dyn Engine) -> Result<(), Failure> {
    let put = |thread: u64| commits(context, engine, thread);
    for workload in context.plan.workloads.iter().copied() {
        match workload {
            Workload::Put1 => context.timed(workload, 1, &put)?,
            Workload::Put2 => context.timed(workload, 2, &put)?,
            Workload::Put8 => context.timed(workload, 8, &put)?,
            Workload::ReadWhileWriting => read_while_writing(context, engine)?,
            _ => {}
        }
    }
    Ok(())
}

/// Overwrites entries, all equally likely, each in its own commit.
pub(super) fn commits<'a>(
    context: &Context<'_>,
    engine: &'a dyn Engine,
    thread: u64,
) -> Result<Operation<'a>, Failure> {
    let mut chooser = context.chooser(thread)?;
    let bytes = context.plan.value_bytes;
    let mut written = thread << 40;
    Ok(Box::new(move || {
        written += 1;
        engine.put_batch(&[(random_key(chooser.uniform()), value(written, bytes))])
    }))
}

fn read_while_writing(context: &Context<'_>, engine: &dyn Engine) -> Result<(), Failure> {
    // Its own sequence, so that the reader does not ask for what was written a moment ago.
    let reads = |_| reads::present(context, engine, 1_000);
    let writes = |thread| commits(context, engine, thread);
    let roles = [Role { threads: 1, operation: &reads }, Role { threads: 1, operation: &writes }];
    let outcomes = run_for(context.duration(), &roles)?;
    for (measure, outcome) in [Measure::ReadRate, Measure::WriteRate].into_iter().zip(outcomes) {
        context.figure(Workload::ReadWhileWriting, measure, outcome.rate)?;
        context.latency(Workload::ReadWhileWriting, measure, &outcome.latencies)?;
    }
    Ok(())
}
