//! Opening for reading: a process under `strace` opens a database that was closed, or whose process was killed with commits in
//! its logs only; also when the directory, or the whole medium, cannot be written.
//!
//! Demanded: it shows the same as to any other reader; it makes no system call that could change a file, successful or not;
//! and no file has changed. Where there is no `strace`, or nobody may mount, what they are for is skipped and counted.

mod system_calls;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Args;
use kv::Options;

use crate::campaign::{Campaign, Case, Goal, Size};
use crate::finding::{Checked, Finding, demand};
use crate::kill;
use crate::process::{
    Child, Fingerprint, Observation, digest_of, end_with_parent, observe, say, scratch, this_program,
};

/// What a reader says first.
const READY: &str = "ready";

/// The campaign.
#[derive(Debug, Default)]
pub struct ReadOnly;

/// What keeps the directory from being written, besides the promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Medium {
    Writable,
    /// Nobody may write to the directory and its files.
    Permissions,
    /// It is mounted for reading.
    Mounted,
}

impl Campaign for ReadOnly {
    fn name(&self) -> &'static str {
        "read-only"
    }

    fn about(&self) -> &'static str {
        "system calls of a process that opens a database for reading: none may change anything"
    }

    fn goals(&self, size: Size) -> Vec<Goal> {
        match size {
            Size::Ci => vec![Goal { counter: "opens", at_least: 20 }],
            Size::Full => vec![Goal { counter: "opens", at_least: 1_000 }],
            Size::Timed => Vec::new(),
        }
    }

    fn run(&self, case: &mut Case<'_>) -> Checked {
        for counter in ["skips", "opens", "opens with commits in logs only"] {
            case.counters.add(counter, 0);
        }
        let mut random = fastrand::Rng::with_seed(case.seed);
        let scratch = scratch()?;
        let directory = scratch.path().join("db");
        prepare(&directory, &mut random)?;
        for medium in [Medium::Writable, Medium::Permissions, Medium::Mounted] {
            let checked = open(case, medium, &directory, scratch.path());
            set_permissions(&directory, 0o700, 0o600)?;
            checked.map_err(|finding| finding.at(format!("{medium:?}")))?;
        }
        Ok(())
    }
}

/// A worker that is killed; sometimes what it has left is then closed in good order.
fn prepare(directory: &Path, random: &mut fastrand::Rng) -> Checked {
    let worker = kill::Worker::on(directory, random);
    let mut child = Child::start(&mut worker.command()?)?;
    let acknowledged = random.u32(1..60);
    for _ in 0..acknowledged {
        let line = child.line()?;
        demand(line.is_some(), || "a worker ended by itself, without a word".into())?;
    }
    std::thread::sleep(Duration::from_micros(random.u64(..2_000)));
    child.kill()?;
    // There must be a database in any case.
    if random.u8(..3) == 0 || !directory.join("MANIFEST").exists() {
        Options::tiny().open(directory)?.close()?;
    }
    Ok(())
}

fn open(case: &mut Case<'_>, medium: Medium, directory: &Path, root: &Path) -> Checked {
    // Before this process, too, opens it for reading.
    let before = Fingerprint::of(directory)?;
    let expected = {
        let db = Options::tiny().open_read_only(directory)?;
        let in_logs = db.recovery_report().commits_replayed > 0;
        case.counters.add("opens with commits in logs only", u64::from(in_logs));
        observe(db.version(), db.iter()?)?
    };
    if medium == Medium::Permissions {
        set_permissions(directory, 0o500, 0o400)?;
    }
    let trace = root.join(format!("trace {medium:?}"));
    std::fs::create_dir(&trace).map_err(|error| Finding::new(format!("cannot make a directory: {error}")))?;
    let is_traced = works(&mut traced(&trace));
    case.counters.add("skips", u64::from(!is_traced));
    let mut reader = command(is_traced.then_some(&*trace), medium, directory)?;
    let mut child = Child::start(&mut reader)?;
    if child.line()?.as_deref() != Some(READY) {
        // The program itself always gets so far.
        demand(medium == Medium::Mounted, || "a reader did not start".into())?;
        case.counters.count("skips");
        return Ok(());
    }
    let shown = child.line()?;
    demand(shown == Some(told(&expected)), || format!("a reader saw {shown:?}, not {:?}", told(&expected)))?;
    demand(child.line()?.is_none(), || "a reader went on".into())?;
    let changes = Fingerprint::of(directory)?.changes_since(&before);
    demand(changes.is_empty(), || format!("a reader has changed files: {}", changes.join(", ")))?;
    case.counters.count("opens");
    if is_traced {
        drop(child);
        case.counters.add("system calls", check_trace(&trace, directory)?);
    }
    Ok(())
}

fn set_permissions(directory: &Path, of_directory: u32, of_files: u32) -> Checked {
    use std::os::unix::fs::PermissionsExt;
    let set = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode));
    let all = || {
        set(directory, 0o700)?;
        for entry in std::fs::read_dir(directory)? {
            set(&entry?.path(), of_files)?;
        }
        set(directory, of_directory)
    };
    all().map_err(|error| Finding::new(format!("cannot change permissions: {error}")))
}

/// One file for each thread, so that lines are whole.
fn traced(trace: &Path) -> Command {
    let mut command = Command::new("strace");
    command.args(["-ff", "-qq", "-s", "0", "-e", system_calls::TRACED, "-o"]).arg(trace.join("thread"));
    command
}

/// True when tracing works here at all.
fn works(command: &mut Command) -> bool {
    let status = command.arg("true").stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn command(trace: Option<&Path>, medium: Medium, directory: &Path) -> Checked<Command> {
    let mut command = Command::new("unshare");
    if medium == Medium::Mounted {
        command.args(["--mount", "--map-root-user", "sh", "-c"]);
        command.arg(r#"mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@""#);
        command.arg("sh").arg(directory);
    } else {
        command = Command::new("env");
    }
    if let Some(trace) = trace {
        let traced = traced(trace);
        command.arg(traced.get_program()).args(traced.get_args());
    }
    command.arg(this_program()?).arg("read-only-reader").arg("--directory").arg(directory);
    Ok(command)
}

/// How many harmless system calls there were.
fn check_trace(trace: &Path, directory: &Path) -> Checked<u64> {
    let unreadable = |error: std::io::Error| Finding::new(format!("cannot read the trace: {error}"));
    let manifest = directory.join("MANIFEST").display().to_string();
    let (mut calls, mut has_opened) = (0, false);
    for entry in std::fs::read_dir(trace).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let file = std::fs::OpenOptions::new().read(true).open(path).map_err(unreadable)?;
        for line in BufReader::new(file).lines() {
            let line = line.map_err(unreadable)?;
            calls += u64::from(system_calls::check(&line)?);
            has_opened |= line.starts_with("open") && line.contains(&manifest);
        }
    }
    demand(has_opened, || "the trace does not show how the database was opened".into())?;
    Ok(calls)
}

/// The command line of a reader.
#[derive(Clone, Debug, Args)]
pub struct Reader {
    /// The database.
    #[arg(long)]
    directory: PathBuf,
}

impl Reader {
    pub(crate) fn run(&self) -> Checked {
        end_with_parent()?;
        say(READY);
        let db = Options::tiny().open_read_only(&self.directory)?;
        let found = observe(db.version(), db.iter()?)?;
        let verified = db.verify()?;
        demand(verified.findings.is_empty(), || format!("verify: {:?}", verified.findings))?;
        db.close()?;
        say(&told(&found));
        Ok(())
    }
}

fn told(found: &Observation) -> String {
    format!("{} {}", found.version, digest_of(&found.state))
}
