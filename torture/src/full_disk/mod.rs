//! Full disks: a database on a file system of a few megabytes, in a mount namespace of its own, is written to until nothing
//! fits any more; then something else on that disk is removed.
//!
//! Demanded: a commit is there or refused, never unknown; reads go on; nothing acknowledged is lost, reopened or not; when there is
//! space again, writing goes on without a reopen; what is deleted gives its space back. Where the system lets nobody mount, a
//! file system in memory with a limit stands in, and a skip is counted.

mod cycle;
mod disk;

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use self::cycle::{Cycles, Met, Scale};
use self::disk::Disk;
use crate::campaign::{Campaign, Case, Goal, Size};
use crate::finding::{Checked, Finding};
use crate::process::{Child, end_with_parent, say, scratch, this_program};

/// Cycles of one database.
const CYCLES: u64 = 3;
/// What a worker says first: that it has its disk.
const READY: &str = "ready";

/// The campaign.
#[derive(Debug, Default)]
pub struct FullDisk;

impl Campaign for FullDisk {
    fn name(&self) -> &'static str {
        "full-disk"
    }

    fn about(&self) -> &'static str {
        "a small disk filled up, freed, and filled again, without a reopen and with one"
    }

    fn goals(&self, size: Size) -> Vec<Goal> {
        match size {
            Size::Ci => vec![Goal { counter: "cycles", at_least: 10 }],
            Size::Full => vec![Goal { counter: "cycles", at_least: 1_000 }],
            Size::Timed => Vec::new(),
        }
    }

    fn run(&self, case: &mut Case<'_>) -> Checked {
        case.counters.add("skips", 0);
        let scratch = scratch()?;
        let scale = scale(case.seed);
        let mut child = Child::start(&mut command(scratch.path(), case.seed, scale)?)?;
        if child.line()?.as_deref() != Some(READY) {
            case.counters.count("skips");
            let disk = Disk::simulated(scale.disk_bytes(), scale.ballast_bytes());
            return run(&disk, case.seed, |met| count(case, met));
        }
        let mut cycles = 0;
        while let Some(line) = child.line()? {
            count(case, read(&line)?);
            cycles += 1;
        }
        crate::finding::demand(cycles == CYCLES, || "a worker ended by itself, without a word".into())
    }
}

fn count(case: &mut Case<'_>, met: Met) {
    case.counters.count("cycles");
    case.counters.add("refused", met.refused);
    case.counters.add("opens refused after a clean close", met.opens_refused);
    case.counters.add("opens on a full disk", met.reopened);
    case.counters.add("retries", met.retries);
    case.counters.add("cramped", met.cramped);
}

fn scale(seed: u64) -> Scale {
    if seed.is_multiple_of(2) { Scale::Tiny } else { Scale::Small }
}

/// A worker on a disk of its own, which goes away with it.
fn command(mount_point: &Path, seed: u64, scale: Scale) -> Checked<Command> {
    let mut command = Command::new("unshare");
    // Without rights, those of a namespace of users are enough for a file system in memory.
    command.args(["--mount", "--map-root-user", "sh", "-c"]);
    command.arg(r#"mount -t tmpfs -o "size=$1,mode=700" tmpfs "$2" && shift 2 && exec "$@""#);
    command.arg("sh").arg(scale.disk_bytes().to_string()).arg(mount_point);
    command.arg(this_program()?).arg("full-disk-worker");
    command.arg("--directory").arg(mount_point).arg("--seed").arg(seed.to_string());
    Ok(command)
}

fn run(disk: &Disk, seed: u64, mut ended: impl FnMut(Met)) -> Checked {
    let mut cycles = Cycles::new(disk, scale(seed), seed)?;
    for cycle in 0..CYCLES {
        cycles.run().map_err(|finding| finding.at(format!("cycle {cycle}")))?;
        ended(std::mem::take(&mut cycles.met));
    }
    Ok(())
}

/// The command line of a worker.
#[derive(Clone, Debug, Args)]
pub struct Worker {
    /// The disk.
    #[arg(long)]
    directory: PathBuf,
    /// Everything random comes from here.
    #[arg(long)]
    seed: u64,
}

impl Worker {
    pub(crate) fn run(&self) -> Checked {
        end_with_parent()?;
        say(READY);
        let disk = Disk::real(&self.directory, scale(self.seed).ballast_bytes());
        run(&disk, self.seed, |met| {
            let Met { refused, opens_refused, retries, reopened, cramped } = met;
            say(&format!("{refused} {opens_refused} {retries} {reopened} {cramped}"));
        })
    }
}

fn read(line: &str) -> Checked<Met> {
    let numbers: Result<Vec<u64>, _> = line.split(' ').map(str::parse).collect();
    match numbers.as_deref() {
        Ok([refused, opens_refused, retries, reopened, cramped]) => Ok(Met {
            refused: *refused,
            opens_refused: *opens_refused,
            retries: *retries,
            reopened: *reopened,
            cramped: *cramped,
        }),
        _ => Err(Finding::new(format!("a worker said {line:?}"))),
    }
}
