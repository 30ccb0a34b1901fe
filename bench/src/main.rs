//! `kv-bench`: the same workloads on `kv` and, where built in, on its peers, side by side in one run.
//!
//! Rounds are interleaved over the engines, figures are medians, and durability and settings are stated.

mod data;
mod engine;
mod engines;
mod report;
mod workload;

use std::path::PathBuf;

use clap::Parser;

use engine::{Failure, Settings};
use report::Report;
use workload::{Plan, Workload};

/// Measures loads, commits, reads and scans on each engine that is built in.
#[derive(Debug, Parser)]
#[command(name = "kv-bench", after_help = EXAMPLES)]
struct Arguments {
    /// How many keys to load.
    #[arg(long, default_value_t = 1_000_000)]
    keys: u64,
    /// Length of each value, in bytes; half of it is compressible.
    #[arg(long, default_value_t = 100)]
    value_bytes: usize,
    /// How often everything is repeated; figures are medians.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long each timed workload runs, in milliseconds.
    #[arg(long, default_value_t = 1_500)]
    milliseconds: u64,
    /// Block or page cache of each engine that has one, in MiB.
    #[arg(long, default_value_t = 256)]
    cache_mib: usize,
    /// Memtable of each engine that has one, in MiB.
    #[arg(long, default_value_t = 64)]
    memtable_mib: usize,
    /// Only these engines.
    #[arg(long, value_delimiter = ',')]
    engines: Vec<String>,
    /// Only these workloads (see the first column of the table).
    #[arg(long, value_delimiter = ',')]
    workloads: Vec<String>,
    /// Where the databases are made; a temporary directory by default.
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Print one JSON line per figure instead of a table.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  cargo run --release -p kv-bench
  cargo run --release -p kv-bench --features peers -- --keys 2500000
  cargo run --release -p kv-bench -- --workloads get,scan --json";

fn main() -> std::process::ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("kv-bench: {failure}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let settings =
        Settings { cache_bytes: arguments.cache_mib << 20, memtable_bytes: arguments.memtable_mib << 20 };
    let plan = Plan {
        keys: arguments.keys,
        value_bytes: arguments.value_bytes,
        milliseconds: arguments.milliseconds,
        workloads: Workload::chosen(&arguments.workloads)?,
    };
    let mut report = Report::default();
    for round in 0..arguments.rounds {
        for opener in engines::all() {
            let wanted =
                arguments.engines.is_empty() || arguments.engines.iter().any(|name| name == opener.name);
            if !wanted {
                continue;
            }
            let directory = match &arguments.directory {
                Some(parent) => tempfile::tempdir_in(parent)?,
                None => tempfile::tempdir()?,
            };
            eprintln!("round {} of {}: {} ({})", round + 1, arguments.rounds, opener.name, opener.settings);
            workload::run(&opener, directory.path(), settings, &plan, &mut report)?;
        }
    }
    report.print(&plan, arguments.json);
    Ok(())
}
