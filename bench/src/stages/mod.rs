//! What a child process does: one stage of one engine, with its measurements printed as JSON lines.

mod durable;
mod load;
mod reads;
mod recovery;
mod writes;
mod ycsb;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::data::{Chooser, random_key, sequential_key, touch};
use crate::engine::{Engine, Failure, Opener};
use crate::measure::{Operation, Role, run_for};
use crate::plan::{Plan, Stage, Workload};
use crate::record::{Figure, Latency, Measure, Record, Timeline};

/// The quantiles that are kept of a latency distribution.
const QUANTILES: [f64; 13] =
    [0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99999, 1.0];

/// One stage at work.
pub(crate) struct Context<'a> {
    pub(crate) opener: Opener,
    pub(crate) plan: &'a Plan,
    pub(crate) round: usize,
    /// Of this engine and round alone.
    pub(crate) directory: &'a Path,
    /// Takes the records, in the order in which they arise.
    pub(crate) emit: &'a (dyn Fn(&Record) -> Result<(), Failure> + Sync),
}

/// Prints a record to where the parent reads it.
pub(crate) fn print_line(record: &Record) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{}", serde_json::to_string(record)?)?;
    stdout.flush()?;
    Ok(())
}

/// Runs the stage.
pub(crate) fn run(context: &Context<'_>, stage: Stage) -> Result<(), Failure> {
    match stage {
        Stage::Sequential => sequential(context),
        Stage::Random => random(context),
        Stage::Durable => durable::run(context),
        Stage::Recovery => recovery::fill(context),
        Stage::Reopening => recovery::reopen(context),
    }
}

fn sequential(context: &Context<'_>) -> Result<(), Failure> {
    let engine = context.open("sequential", false)?;
    let loaded = load::load(context, &*engine, sequential_key)?;
    context.figure(Workload::LoadSequential, Measure::Rate, loaded.rate)?;
    context.latency(Workload::LoadSequential, Measure::Rate, &loaded.latencies)?;
    engine.close()
}

fn random(context: &Context<'_>) -> Result<(), Failure> {
    let engine = context.open("random", false)?;
    load::measured(context, &*engine, Workload::LoadRandom)?;
    reads::run(context, &*engine)?;
    if context.plan.wants(Workload::Overwrite) {
        load::measured(context, &*engine, Workload::Overwrite)?;
    }
    writes::run(context, &*engine)?;
    ycsb::run(context, &*engine)?;
    engine.close()?;
    if context.plan.wants(Workload::Reopen) {
        let started = Instant::now();
        let engine = context.open("random", false)?;
        engine.get(&random_key(0), &mut touch)?;
        context.figure(Workload::Reopen, Measure::Time, started.elapsed().as_secs_f64() * 1e3)?;
        engine.close()?;
    }
    Ok(())
}

impl Context<'_> {
    /// Where a database of this stage lives.
    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    #[expect(clippy::disallowed_methods, reason = "the benchmark makes its own directories")]
    fn open(&self, name: &str, durable: bool) -> Result<Box<dyn Engine>, Failure> {
        std::fs::create_dir_all(self.path(name))?;
        (self.opener.open)(&self.path(name), self.plan.settings(durable))
    }

    fn duration(&self) -> Duration {
        Duration::from_millis(self.plan.milliseconds)
    }

    /// How long the background must be idle before it counts as settled.
    fn quiet(&self) -> Duration {
        self.duration().clamp(Duration::from_millis(100), Duration::from_secs(1))
    }

    fn chooser(&self, thread: u64) -> Result<Chooser, Failure> {
        Chooser::new(self.plan.keys, thread)
    }

    fn figure(&self, workload: Workload, measure: Measure, value: f64) -> Result<(), Failure> {
        let (engine, round) = (self.opener.name.to_string(), self.round);
        (self.emit)(&Record::Figure(Figure { engine, round, workload, measure, value }))
    }

    fn latency(&self, workload: Workload, measure: Measure, of: &Histogram<u64>) -> Result<(), Failure> {
        let (engine, round, operations) = (self.opener.name.to_string(), self.round, of.len());
        let quantiles = QUANTILES.map(|quantile| (quantile, of.value_at_quantile(quantile))).to_vec();
        (self.emit)(&Record::Latency(Latency { engine, round, workload, measure, operations, quantiles }))
    }

    fn timeline(&self, workload: Workload, interval: Duration, entries: Vec<u64>) -> Result<(), Failure> {
        let interval_milliseconds = u64::try_from(interval.as_millis())?;
        let (engine, round) = (self.opener.name.to_string(), self.round);
        (self.emit)(&Record::Timeline(Timeline { engine, round, workload, interval_milliseconds, entries }))
    }

    /// Runs one operation from so many threads, and reports rate and latencies.
    fn timed<'a>(
        &self,
        workload: Workload,
        threads: u64,
        operation: &'a (dyn Fn(u64) -> Result<Operation<'a>, Failure> + Sync),
    ) -> Result<(), Failure> {
        let outcomes = run_for(self.duration(), &[Role { threads, operation }])?;
        for outcome in outcomes {
            self.figure(workload, Measure::Rate, outcome.rate)?;
            self.latency(workload, Measure::Rate, &outcome.latencies)?;
        }
        Ok(())
    }
}
