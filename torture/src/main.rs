//! `kv-torture`: campaigns that try to make the database lose data.

#![forbid(unsafe_code)]

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use mimalloc::MiMalloc;

use torture::driver::{self, Plan};
use torture::process::Role;
use torture::{Campaign, Script, Size, report, seeded};

/// Millions of tiny databases are opened and closed: a quarter of the time was the system's allocator.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Tries to make the database lose, invent or garble data, and counts how often it did not succeed.
#[derive(Debug, Parser)]
#[command(name = "kv-torture", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    /// How long, shared evenly by the campaigns; with --full: the full programme, but no longer than that. Without it, and without
    /// --ci or --full: one minute.
    #[arg(long, value_name = "N", conflicts_with = "ci")]
    minutes: Option<f64>,
    /// The slice for every change: until each campaign has reached its goals.
    #[arg(long, conflicts_with = "full")]
    ci: bool,
    /// Everything that is asked for before a release; takes hours.
    #[arg(long)]
    full: bool,
    /// Only these campaigns (see --list).
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// The first seed. The same seed makes the same cases.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Only the case of this number, as a finding names it.
    #[arg(long, value_name = "N")]
    case: Option<u64>,
    /// Only this script, as a finding prints it.
    #[arg(long, value_name = "SCRIPT", requires = "only")]
    script: Option<Script>,
    /// How many cases at once; one per core by default.
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Where campaigns on real files work; by default in memory (/dev/shm) where there is such a place.
    #[arg(long, value_name = "PATH")]
    directory: Option<PathBuf>,
    /// One JSON object for each campaign instead of the table.
    #[arg(long)]
    json: bool,
    /// Leave at the first finding, as it is.
    #[arg(long)]
    first: bool,
    /// Prove that every seeded bug is found by the campaign that is there for it. --minutes is per bug then.
    #[arg(long, conflicts_with_all = ["ci", "full", "only"])]
    seeded_bugs: bool,
    /// Only this seeded bug.
    #[arg(long, value_name = "NAME", requires = "seeded_bugs")]
    only_bug: Option<String>,
    /// Name the campaigns and leave.
    #[arg(long)]
    list: bool,
}

const EXAMPLES: &str = "\
Examples:
  cargo run --release -p kv-torture -- --minutes 10
  cargo run --release -p kv-torture -- --only power,faults --minutes 5 --seed 42
  cargo run --release -p kv-torture -- --only power --script 'put 1 40 sync; flush; kill'

Exit codes: 0 nothing found, 1 something found, 2 wrong arguments.";

fn chosen(only: &[String]) -> Result<Vec<Box<dyn Campaign>>, String> {
    let all = torture::campaigns();
    if let Some(name) = only.iter().find(|name| !all.iter().any(|campaign| campaign.name() == *name)) {
        let known: Vec<_> = all.iter().map(|campaign| campaign.name()).collect();
        return Err(format!("there is no campaign {name:?}; there are {}", known.join(", ")));
    }
    let is_wanted =
        |campaign: &dyn Campaign| only.is_empty() || only.iter().any(|name| name == campaign.name());
    Ok(all.into_iter().filter(|campaign| is_wanted(&**campaign)).collect())
}

fn plan(arguments: &Arguments, campaigns: usize) -> Plan {
    let size = match (arguments.ci, arguments.full) {
        (true, _) => Size::Ci,
        (_, true) => Size::Full,
        _ => Size::Timed,
    };
    let minutes = arguments.minutes.or((size == Size::Timed).then_some(1.0));
    let each =
        |minutes: f64| Duration::from_secs_f64(minutes.clamp(0.0, 1e6) * 60.0 / campaigns.max(1) as f64);
    Plan {
        seed: arguments.seed,
        case: arguments.case,
        size,
        time: minutes.map(each),
        script: arguments.script.clone(),
        workers: workers(arguments),
        only_first: arguments.first,
    }
}

fn workers(arguments: &Arguments) -> usize {
    arguments.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into))
}

/// Runs the proof that bugs are found.
fn prove(arguments: &Arguments) -> ExitCode {
    let proved = seeded::prove(&seeded::Plan {
        only: arguments.only_bug.clone(),
        minutes: arguments.minutes,
        seed: arguments.seed,
        workers: workers(arguments),
    });
    match proved {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("kv-torture: {why}");
            ExitCode::from(2)
        }
    }
}

/// Makes this the place for temporary directories.
fn work_in(directory: Option<&Path>) {
    let in_memory = Path::new("/dev/shm");
    if let Some(directory) = directory.or_else(|| in_memory.is_dir().then_some(in_memory)) {
        // It fails when it was done before, and this is the only place.
        let _first = tempfile::env::override_temp_dir(directory);
    }
}

fn progress_bar(is_hidden: bool) -> ProgressBar {
    if is_hidden || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template("{spinner} {elapsed_precise} {wide_msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(role) = &arguments.role {
        return role.run();
    }
    if arguments.seeded_bugs {
        return prove(&arguments);
    }
    work_in(arguments.directory.as_deref());
    let campaigns = match chosen(&arguments.only) {
        Ok(campaigns) => campaigns,
        Err(why) => {
            eprintln!("kv-torture: {why}");
            return ExitCode::from(2);
        }
    };
    if arguments.list {
        for campaign in &campaigns {
            println!("{:<12} {}", campaign.name(), campaign.about());
        }
        return ExitCode::SUCCESS;
    }
    let plan = plan(&arguments, campaigns.len());
    driver::keep_panics_quiet();
    let mut summaries = Vec::new();
    for campaign in &campaigns {
        let bar = progress_bar(arguments.json);
        let summary = driver::run(&**campaign, &plan, &bar);
        bar.finish_and_clear();
        if arguments.json {
            println!("{}", report::json(&summary, plan.seed));
        } else {
            // The table comes at the end, which can be hours away.
            let (found, seconds) = (summary.findings.len(), summary.elapsed.as_secs_f64());
            eprintln!("{}: {found} findings, {seconds:.1} s", summary.campaign);
        }
        summaries.push(summary);
    }
    if !arguments.json {
        println!("{}", report::table(&summaries, plan.seed));
    }
    let is_clean = summaries.iter().all(driver::Summary::is_clean);
    if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
