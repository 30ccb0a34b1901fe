//! `kv-bench`: the same workloads on `kv` and, where built in, on its peers, side by side in one run.
//!
//! Rounds are interleaved over the engines, every stage of every engine has a process of its own, figures are medians, and
//! durability and settings are stated. README.md of this crate says how to run and read it.

mod data;
mod disk;
mod engine;
mod engines;
mod measure;
mod parent;
mod plan;
mod process;
mod record;
mod report;
mod stages;
mod summary;

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use engine::{Failure, Opener};
use parent::Task;
use plan::{Plan, Stage, Workload};
use record::{Record, Run};
use summary::Summary;

/// Measures loads, commits, reads, scans, recovery, space and memory of each engine that is built in.
#[derive(Debug, Parser)]
#[command(name = "kv-bench", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Action>,
    #[command(flatten)]
    run: RunArguments,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Shows the workloads, and the engines that are built in.
    List,
    /// Makes a report in Markdown from files of JSON lines.
    Report(ReportArguments),
    #[command(hide = true)]
    Child(ChildArguments),
}

#[derive(Debug, Args)]
struct RunArguments {
    /// How many keys to load.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(100..))]
    keys: u64,
    /// Length of each value, in bytes; half of it is compressible.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    value_bytes: u32,
    /// How often everything is repeated; figures are medians.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long each timed workload runs, in milliseconds.
    #[arg(long, default_value_t = 1_500, value_parser = clap::value_parser!(u64).range(1..))]
    milliseconds: u64,
    /// Block or page cache of each engine that has one, in MiB.
    #[arg(long, default_value_t = 256)]
    cache_mib: usize,
    /// Memtable of each engine that has one, in MiB.
    #[arg(long, default_value_t = 64)]
    memtable_mib: usize,
    /// Only these engines (`kv-bench list` shows them).
    #[arg(long, value_delimiter = ',')]
    engines: Vec<String>,
    /// Only these workloads; `ycsb*` stands for all that begin with `ycsb`.
    #[arg(long, value_delimiter = ',')]
    workloads: Vec<String>,
    /// Where the databases are made; a temporary directory by default. It should be on the disk that is meant.
    #[arg(long)]
    directory: Option<PathBuf>,
    /// How long one stage of one engine may take, in seconds.
    #[arg(long, default_value_t = 900)]
    timeout_seconds: u64,
    /// Print the JSON lines instead of tables.
    #[arg(long)]
    json: bool,
    /// Append the JSON lines to this file, for `kv-bench report`.
    #[arg(long)]
    output: Option<PathBuf>,
    /// Draw pictures into this directory.
    #[arg(long)]
    svg: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ReportArguments {
    /// Files that `--output` wrote. Runs of the same plan are taken together.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Draw pictures into this directory, and show them in the report.
    #[arg(long)]
    svg: Option<PathBuf>,
    /// Markdown that explains the rows where kv is behind; put below their list.
    #[arg(long)]
    notes: Option<PathBuf>,
    /// Write the report to this file, with links to the pictures from there.
    #[arg(long)]
    output: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ChildArguments {
    #[arg(long)]
    engine: String,
    #[arg(long)]
    stage: Stage,
    #[arg(long)]
    round: usize,
    #[arg(long)]
    plan: String,
    #[arg(long)]
    directory: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  cargo run --release -p kv-bench
  cargo run --release -p kv-bench --features peers -- --output run.jsonl --svg pictures
  cargo run --release -p kv-bench --features peers -- --engines kv,lmdb --workloads get,scan,ycsb*
  cargo run --release -p kv-bench -- report run.jsonl --svg bench/pictures --output bench/RESULTS.md";

fn main() -> std::process::ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.command {
        None => run(&arguments.run),
        Some(Action::List) => list(),
        Some(Action::Report(report)) => report_from_files(report),
        Some(Action::Child(child)) => run_child(child),
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("kv-bench: {failure}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn list() -> Result<(), Failure> {
    let mut text = String::from("Workloads:\n");
    for workload in Workload::ALL {
        text += &format!("  {:<22} {}\n", workload.name(), workload.about());
    }
    text += "\nEngines:\n";
    for opener in engines::ALL {
        text += &format!("  {:<22} {}\n", opener.name, opener.settings);
    }
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

fn run_child(arguments: &ChildArguments) -> Result<(), Failure> {
    let opener = *find(&arguments.engine)?;
    let plan: Plan = serde_json::from_str(&arguments.plan)?;
    let (round, directory) = (arguments.round, arguments.directory.as_path());
    let context = stages::Context { opener, plan: &plan, round, directory, emit: &stages::print_line };
    stages::run(&context, arguments.stage)
}

fn find(name: &str) -> Result<&'static Opener, Failure> {
    let found = engines::ALL.iter().find(|opener| opener.name == name);
    found.ok_or_else(|| format!("{name} is not built in; `kv-bench list` shows what is").into())
}

fn run(arguments: &RunArguments) -> Result<(), Failure> {
    let chosen: Vec<&Opener> = match arguments.engines.as_slice() {
        [] => engines::ALL.iter().collect(),
        names => names.iter().map(|name| find(name)).collect::<Result<_, _>>()?,
    };
    let plan = Plan {
        keys: arguments.keys,
        value_bytes: usize::try_from(arguments.value_bytes)?,
        milliseconds: arguments.milliseconds,
        cache_mib: arguments.cache_mib,
        memtable_mib: arguments.memtable_mib,
        workloads: Workload::chosen(&arguments.workloads)?,
    };
    let mut output = match &arguments.output {
        Some(path) => Some(OpenOptions::new().create(true).append(true).open(path)?),
        None => None,
    };
    let mut summary = Summary::default();
    let mut collect = |record: Record| -> Result<(), Failure> {
        let line = serde_json::to_string(&record)? + "\n";
        if let Some(output) = &mut output {
            output.write_all(line.as_bytes())?;
        }
        if arguments.json {
            std::io::stdout().write_all(line.as_bytes())?;
        }
        summary.add(record)
    };
    collect(Record::Run(Run {
        version: env!("CARGO_PKG_VERSION").into(),
        machine: process::machine(),
        plan: plan.clone(),
        rounds: usize::try_from(arguments.rounds)?,
        engines: chosen.iter().map(|opener| (opener.name.into(), opener.settings.into())).collect(),
    }))?;
    run_rounds(arguments, &plan, &chosen, &mut collect)?;
    if let Some(directory) = &arguments.svg {
        report::pictures::draw(&summary, directory)?;
    }
    if !arguments.json {
        std::io::stdout().write_all(report::tables::text(&summary).as_bytes())?;
    }
    Ok(())
}

/// Rounds outermost, then stages, then engines: what changes on the machine meanwhile hits all alike.
fn run_rounds(
    arguments: &RunArguments,
    plan: &Plan,
    chosen: &[&Opener],
    collect: &mut dyn FnMut(Record) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let stages = plan.stages();
    let steps = u64::from(arguments.rounds) * (stages.len() * chosen.len()) as u64;
    // Hidden where stderr is no terminal.
    let bar = ProgressBar::new(steps);
    bar.set_style(ProgressStyle::with_template("[{pos}/{len}] {msg} {elapsed}")?);
    bar.enable_steady_tick(Duration::from_secs(1));
    for round in 0..usize::try_from(arguments.rounds)? {
        for stage in &stages {
            for opener in chosen {
                bar.set_message(format!("round {}: {} {stage:?}", round + 1, opener.name));
                let directory = temporary(arguments.directory.as_deref())?;
                let timeout = Duration::from_secs(arguments.timeout_seconds);
                let (opener, stage, directory) = (**opener, *stage, directory.path());
                Task { opener, stage, round, plan, directory, timeout }.run(collect)?;
                bar.inc(1);
            }
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// Removed when dropped; an interrupted run leaves it behind, so its name says whose it is.
fn temporary(parent: Option<&Path>) -> Result<tempfile::TempDir, Failure> {
    let parent = parent.map_or_else(std::env::temp_dir, Path::to_path_buf);
    Ok(tempfile::Builder::new().prefix("kv-bench-").tempdir_in(parent)?)
}

fn report_from_files(arguments: &ReportArguments) -> Result<(), Failure> {
    let mut summary = Summary::default();
    for path in &arguments.files {
        for line in std::fs::read_to_string(path)?.lines() {
            summary.add(serde_json::from_str(line)?)?;
        }
    }
    let notes = match &arguments.notes {
        Some(path) => std::fs::read_to_string(path)?,
        None => String::new(),
    };
    let pictures = match &arguments.svg {
        Some(directory) => report::pictures::draw(&summary, directory)?,
        None => Vec::new(),
    };
    let home = arguments.output.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
    let link = |picture: &PathBuf| picture.strip_prefix(home).unwrap_or(picture).display().to_string();
    let links: Vec<String> = pictures.iter().map(link).collect();
    let text = report::markdown::text(&summary, &links, &notes);
    match &arguments.output {
        Some(path) => Ok(OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .open(path)?
            .write_all(text.as_bytes())?),
        None => Ok(std::io::stdout().write_all(text.as_bytes())?),
    }
}
