//! The workloads, in the order in which they build on each other.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::data::{fill_value, mix, random_key, sequential_key};
use crate::engine::{Engine, Failure, Opener, Order, Settings};
use crate::report::Report;

const BATCH: u64 = 1_000;

/// What to run.
pub(crate) struct Plan {
    pub(crate) keys: u64,
    pub(crate) value_bytes: usize,
    pub(crate) milliseconds: u64,
    pub(crate) workloads: Vec<Workload>,
}

/// One row of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    LoadSequential,
    LoadRandom,
    LoadSettled,
    Put1,
    Put8,
    Sync1,
    Sync8,
    Sync32,
    Get1,
    Get2,
    GetAbsent,
    Seek100,
    Scan,
    ScanReverse,
    ScanKeys,
    Reopen,
}

impl Workload {
    pub(crate) const ALL: [Self; 16] = [
        Self::LoadSequential,
        Self::LoadRandom,
        Self::LoadSettled,
        Self::Put1,
        Self::Put8,
        Self::Sync1,
        Self::Sync8,
        Self::Sync32,
        Self::Get1,
        Self::Get2,
        Self::GetAbsent,
        Self::Seek100,
        Self::Scan,
        Self::ScanReverse,
        Self::ScanKeys,
        Self::Reopen,
    ];

    /// Its name on the command line and in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::LoadSequential => "load-sequential",
            Self::LoadRandom => "load-random",
            Self::LoadSettled => "load-random-settled",
            Self::Put1 => "put-1-thread",
            Self::Put8 => "put-8-threads",
            Self::Sync1 => "durable-1-thread",
            Self::Sync8 => "durable-8-threads",
            Self::Sync32 => "durable-32-threads",
            Self::Get1 => "get",
            Self::Get2 => "get-2-threads",
            Self::GetAbsent => "get-absent",
            Self::Seek100 => "seek-100",
            Self::Scan => "scan",
            Self::ScanReverse => "scan-reverse",
            Self::ScanKeys => "scan-keys",
            Self::Reopen => "reopen-ms",
        }
    }

    /// Those named, or all.
    pub(crate) fn chosen(names: &[String]) -> Result<Vec<Self>, Failure> {
        if names.is_empty() {
            return Ok(Self::ALL.to_vec());
        }
        let find = |name: &String| {
            let known = || Self::ALL.map(Self::name).join(", ");
            let found = Self::ALL.into_iter().find(|workload| workload.name() == name);
            found.ok_or_else(|| Failure::from(format!("unknown workload {name}; there are {}", known())))
        };
        names.iter().map(find).collect()
    }

    /// Lower is better.
    pub(crate) fn is_time(self) -> bool {
        self == Self::Reopen
    }
}

/// Runs every chosen workload on one engine in a fresh directory.
pub(crate) fn run(
    opener: &Opener,
    directory: &Path,
    settings: Settings,
    plan: &Plan,
    report: &mut Report,
) -> Result<(), Failure> {
    let wants = |workload: Workload| plan.workloads.contains(&workload);
    if wants(Workload::LoadSequential) {
        let engine = (opener.open)(&subdirectory(directory, "sequential")?, settings)?;
        let rate = load(&*engine, plan, sequential_key)?;
        report.add(opener.name, Workload::LoadSequential, rate);
        engine.close()?;
    }
    let main = subdirectory(directory, "main")?;
    let engine = (opener.open)(&main, settings)?;
    let started = Instant::now();
    let rate = load(&*engine, plan, random_key)?;
    engine.settle()?;
    if wants(Workload::LoadRandom) {
        report.add(opener.name, Workload::LoadRandom, rate);
    }
    if wants(Workload::LoadSettled) {
        report.add(opener.name, Workload::LoadSettled, plan.keys as f64 / started.elapsed().as_secs_f64());
    }
    reads(&*engine, opener.name, plan, report)?;
    writes(&*engine, opener.name, plan, report)?;
    engine.close()?;
    if wants(Workload::Reopen) {
        let started = Instant::now();
        let engine = (opener.open)(&main, settings)?;
        engine.get(&random_key(0))?;
        report.add(opener.name, Workload::Reopen, started.elapsed().as_secs_f64() * 1e3);
        engine.close()?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the benchmark makes its own directories")]
fn subdirectory(directory: &Path, name: &str) -> Result<std::path::PathBuf, Failure> {
    let path = directory.join(name);
    std::fs::create_dir_all(&path)?;
    Ok(path)
}

/// Loads all keys in buffered batches; keys a second.
fn load(engine: &dyn Engine, plan: &Plan, key: fn(u64) -> [u8; 16]) -> Result<f64, Failure> {
    let mut pairs = Vec::new();
    let mut spent = Duration::ZERO;
    let mut next = 0;
    while next < plan.keys {
        pairs.clear();
        for index in next..(next + BATCH).min(plan.keys) {
            let mut value = vec![0; plan.value_bytes];
            fill_value(index, &mut value);
            pairs.push((key(index), value));
        }
        let started = Instant::now();
        engine.put_batch(&pairs, false)?;
        spent += started.elapsed();
        next += BATCH;
    }
    Ok(plan.keys as f64 / spent.as_secs_f64())
}

fn reads(engine: &dyn Engine, name: &'static str, plan: &Plan, report: &mut Report) -> Result<(), Failure> {
    let present = |index: u64| random_key(mix(index) % plan.keys);
    let absent = |index: u64| random_key(plan.keys + mix(index) % plan.keys);
    for workload in plan.workloads.iter().copied() {
        let rate = match workload {
            Workload::Get1 => timed(plan, 1, &|index| found(engine.get(&present(index))?, true))?,
            Workload::Get2 => timed(plan, 2, &|index| found(engine.get(&present(index))?, true))?,
            Workload::GetAbsent => timed(plan, 1, &|index| found(engine.get(&absent(index))?, false))?,
            Workload::Seek100 => timed(plan, 1, &|index| {
                engine.scan(Some(&present(index)), 100, Order::Forward, false).map(|_| ())
            })?,
            Workload::Scan => full_scan(engine, plan, Order::Forward, false)?,
            Workload::ScanReverse => full_scan(engine, plan, Order::Reverse, false)?,
            Workload::ScanKeys => full_scan(engine, plan, Order::Forward, true)?,
            _ => continue,
        };
        report.add(name, workload, rate);
    }
    Ok(())
}

/// A benchmark that reads nothing measures nothing.
fn found(got: Option<u64>, expected: bool) -> Result<(), Failure> {
    if got.is_some() == expected { Ok(()) } else { Err("a key is not as it was written".into()) }
}

/// Entries a second.
fn full_scan(engine: &dyn Engine, plan: &Plan, order: Order, keys_only: bool) -> Result<f64, Failure> {
    let started = Instant::now();
    let mut visited = 0;
    while started.elapsed() < Duration::from_millis(plan.milliseconds) {
        let (count, _) = engine.scan(None, u64::MAX, order, keys_only)?;
        if count != plan.keys {
            return Err(format!("a scan visited {count} of {} entries", plan.keys).into());
        }
        visited += count;
    }
    Ok(visited as f64 / started.elapsed().as_secs_f64())
}

fn writes(engine: &dyn Engine, name: &'static str, plan: &Plan, report: &mut Report) -> Result<(), Failure> {
    for workload in plan.workloads.iter().copied() {
        let (threads, durable) = match workload {
            Workload::Put1 => (1, false),
            Workload::Put8 => (8, false),
            Workload::Sync1 => (1, true),
            Workload::Sync8 => (8, true),
            Workload::Sync32 => (32, true),
            _ => continue,
        };
        let rate = timed(plan, threads, &|index| {
            let mut value = vec![0; plan.value_bytes];
            fill_value(index, &mut value);
            engine.put_batch(&[(random_key(mix(index) % plan.keys), value)], durable)
        })?;
        report.add(name, workload, rate);
    }
    Ok(())
}

/// Calls `operation` with ever new numbers from so many threads for the planned time; calls a second.
fn timed(
    plan: &Plan,
    threads: u64,
    operation: &(dyn Fn(u64) -> Result<(), Failure> + Sync),
) -> Result<f64, Failure> {
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let started = Instant::now();
    let worker = |thread: u64| -> Result<(), Failure> {
        let mut count = 0;
        while !stop.load(Ordering::Relaxed) {
            operation(thread << 40 | count)?;
            count += 1;
        }
        done.fetch_add(count, Ordering::Relaxed);
        Ok(())
    };
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|thread| scope.spawn(move || worker(thread))).collect();
        std::thread::sleep(Duration::from_millis(plan.milliseconds));
        stop.store(true, Ordering::Relaxed);
        handles
            .into_iter()
            .try_for_each(|handle| handle.join().map_err(|_| Failure::from("a worker thread panicked"))?)
    })?;
    Ok(done.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64())
}
