//! Kills: a process works on a database on the real file system and is killed at any moment, while it opens and closes too;
//! the next one goes on with what it has left.
//!
//! The worker tells of every acknowledged transaction over a pipe, and the parent keeps the ledger. Demanded after each kill: it
//! opens without help; everything acknowledged is there, whatever its durability, because the page cache survives; of what
//! was under way, whole transactions or nothing, without a hole in the order of versions; and it is sound inside. The parent
//! mostly looks without writing, so that the next worker is the one who recovers, and may be killed while it does.

mod event;
mod ledger;
mod transaction;
mod worker;

use std::io::BufReader;
use std::path::Path;
use std::process::{ChildStdout, Command};
use std::sync::mpsc;
use std::time::Duration;

use self::event::Event;
use self::ledger::{Ledger, Phase};
use self::transaction::THREADS_MAX;
use crate::campaign::{Campaign, Case, Goal, Size};
use crate::finding::{Checked, Finding, demand};
use crate::process::{Child, Observation, next_line, observe, scratch, this_program};

pub use self::worker::Worker;

/// Kills of one directory.
const ROUNDS: u32 = 25;
/// No worker is left alone for longer, in milliseconds.
const LONGEST_MS: u64 = 60;
/// How long a worker may take to come to what it is to be killed in; then it is killed where it is.
const PATIENCE: Duration = Duration::from_millis(200);

/// The campaign.
#[derive(Debug, Default)]
pub struct Kill;

impl Campaign for Kill {
    fn name(&self) -> &'static str {
        "kill"
    }

    fn about(&self) -> &'static str {
        "processes killed at any moment, one after the other on the same directory"
    }

    fn goals(&self, size: Size) -> Vec<Goal> {
        match size {
            Size::Ci => vec![Goal { counter: "kills", at_least: 200 }],
            Size::Full => vec![Goal { counter: "kills", at_least: 10_000 }],
            Size::Timed => Vec::new(),
        }
    }

    fn run(&self, case: &mut Case<'_>) -> Checked {
        let scratch = scratch()?;
        let directory = scratch.path().join("db");
        let mut random = fastrand::Rng::with_seed(case.seed);
        let mut ledger = Ledger::default();
        case.counters.add("lost", 0);
        for round in 0..ROUNDS {
            let ended = kill_once(case, &directory, &mut ledger, &mut random);
            ended.map_err(|finding| finding.at(format!("kill {round}, {:?}", ledger.phase)))?;
        }
        let counts = ledger.counts;
        case.counters.add("acknowledged", counts.acknowledged);
        case.counters.add("transactions", counts.acknowledged + counts.unacknowledged_kept + counts.refused);
        case.counters.add("kept unacknowledged", counts.unacknowledged_kept);
        case.counters.add("torn in the log", counts.torn);
        case.counters.add("refused at close", counts.refused);
        case.counters.add("opens by workers", counts.reopened);
        Ok(())
    }
}

fn kill_once(
    case: &mut Case<'_>,
    directory: &Path,
    ledger: &mut Ledger,
    random: &mut fastrand::Rng,
) -> Checked {
    let worker = Worker::on(directory, random);
    let events = killed(&worker, random)?;
    ledger.start_process(worker.seed);
    for event in events {
        ledger.note(event)?;
    }
    case.counters.count("kills");
    case.counters.count(match ledger.phase {
        Phase::Starting => "kills before the open",
        Phase::Opening => "kills in open",
        Phase::Working => "kills at work",
        Phase::Closing => "kills in close",
        Phase::Closed => "kills after close",
    });
    check(directory, ledger, random)
}

/// Opens the database and compares it with the ledger.
fn check(directory: &Path, ledger: &mut Ledger, random: &mut fastrand::Rng) -> Checked {
    let read_only = worker::options(random).open_read_only(directory);
    let db = match read_only {
        Ok(db) => db,
        // The first worker was killed before there was a database.
        Err(error) if !ledger.was_opened() && is_absent(&error) => return Ok(()),
        Err(error) => return Err(Finding::from(error).at("opened for reading")),
    };
    let found = observe(db.version(), db.iter()?)?;
    ledger.check(&found).map_err(|finding| finding.at("opened for reading"))?;
    sound(&db.verify()?)?;
    db.close()?;
    // Mostly the next worker is to recover what is there.
    if random.u8(..3) > 0 {
        return Ok(());
    }
    let db = worker::options(random).open(directory)?;
    let found: Observation = observe(db.version(), db.iter()?)?;
    ledger.check(&found).map_err(|finding| finding.at("opened for writing"))?;
    sound(&db.verify()?)?;
    Ok(db.close()?)
}

fn is_absent(error: &kv::Error) -> bool {
    error
        .storage()
        .is_some_and(|cause| matches!(cause, base::Error::NotADatabase { .. }) || cause.is_not_found())
}

fn sound(verified: &kv::Verified) -> Checked {
    demand(verified.findings.is_empty(), || format!("verify: {:?}", verified.findings))
}

impl Worker {
    /// Some worker.
    pub(crate) fn on(directory: &Path, random: &mut fastrand::Rng) -> Self {
        let transactions = match random.u8(..4) {
            0 => random.u64(1..20),
            1 | 2 => random.u64(20..300),
            _ => u64::MAX,
        };
        let (seed, threads) = (random.u64(..), random.usize(1..=THREADS_MAX));
        Self { directory: directory.to_path_buf(), seed, threads, transactions }
    }

    pub(crate) fn command(&self) -> Checked<Command> {
        let mut command = Command::new(this_program()?);
        command.arg("kill-worker").arg("--directory").arg(&self.directory);
        for (name, value) in
            [("--seed", self.seed), ("--threads", self.threads as u64), ("--transactions", self.transactions)]
        {
            command.arg(name).arg(value.to_string());
        }
        Ok(command)
    }
}

/// Runs a worker and kills it: at any moment after its start, or shortly after it has begun to do something. What it had told
/// until then.
fn killed(worker: &Worker, random: &mut fastrand::Rng) -> Checked<Vec<Event>> {
    let (phase, longest_ms) = match random.u8(..8) {
        0 => (Some("opening"), 5),
        1..4 => (Some("opened"), LONGEST_MS),
        4 | 5 => (Some("closing"), 5),
        _ => (None, LONGEST_MS),
    };
    let wait = Duration::from_micros(random.u64(..longest_ms * 1_000));
    let mut child = Child::start(&mut worker.command()?)?;
    let output = child.take_output()?;
    std::thread::scope(|scope| {
        let (seen, phases) = mpsc::channel();
        let reader = scope.spawn(move || read_events(output, phase, &seen));
        if phase.is_some() {
            // It may be over before, or take too long for that.
            let _seen = phases.recv_timeout(PATIENCE);
        }
        std::thread::sleep(wait);
        let has_ended = child.has_ended();
        child.kill()?;
        let events = reader.join().unwrap_or_else(|_| Err(Finding::new("the reader of a pipe panicked")))?;
        demand(!has_ended?, || "a worker ended by itself, without a word".into())?;
        Ok(events)
    })
}

/// All events until the end of the pipe; tells when the first that begins with `phase` came.
fn read_events(
    mut output: BufReader<ChildStdout>,
    phase: Option<&str>,
    seen: &mpsc::Sender<()>,
) -> Checked<Vec<Event>> {
    let mut events = Vec::new();
    while let Some(line) = next_line(&mut output)? {
        if phase.is_some_and(|phase| line.starts_with(phase)) {
            // Nobody waits for the second one.
            let _waiting = seen.send(());
        }
        events.push(line.parse()?);
    }
    Ok(events)
}
