//! Races: processes open one directory at the same moment, by its name, a relative one, and symbolic links.
//!
//! Demanded: exactly one gets it, all others are told at once that it is in use, and change nothing; when the holder is killed,
//! the next one gets it without help, and finds what the holder had committed; one process cannot have it twice either; those
//! who only read share it, and keep writers out.

mod runner;

use std::path::{Path, PathBuf};
use std::process::Command;

use kv::{Db, Options};

use self::runner::{Answer, Request};
use crate::campaign::{Campaign, Case, Goal, Size};
use crate::finding::{Checked, Finding, demand};
use crate::process::{Child, Fingerprint, scratch, this_program};

pub use self::runner::Runner;

/// The names by which runners know the directory, from the one that they work in.
const NAMES: [&str; 4] = ["db", "link", "by/way/../../db", "linked/db"];

/// The campaign.
#[derive(Debug, Default)]
pub struct Race;

impl Campaign for Race {
    fn name(&self) -> &'static str {
        "race"
    }

    fn about(&self) -> &'static str {
        "processes that race to open one directory by different paths: one wins, also after its death"
    }

    fn goals(&self, size: Size) -> Vec<Goal> {
        match size {
            Size::Ci => vec![Goal { counter: "races", at_least: 50 }],
            Size::Full => vec![Goal { counter: "races", at_least: 2_000 }],
            Size::Timed => Vec::new(),
        }
    }

    fn run(&self, case: &mut Case<'_>) -> Checked {
        let scratch = scratch()?;
        let place = Place::prepare(scratch.path())?;
        let mut random = fastrand::Rng::with_seed(case.seed);
        // Otherwise the winner of the first race creates it.
        if random.bool() {
            Options::tiny().open(place.name(0))?.close()?;
        }
        for counter in ["races", "winners", "refusals"] {
            case.counters.add(counter, 0);
        }
        let mut runners: Vec<_> =
            (0..random.usize(2..=8)).map(|_| place.start(&mut random)).collect::<Checked<_>>()?;
        let mut commits = 0;
        while runners.len() > 1 {
            let winner = race(case, &mut runners, commits)?;
            commits += 1;
            nobody_else_gets_it(case, &place, &mut runners, winner)?;
            // Its death is all it takes.
            runners.swap_remove(winner).kill()?;
        }
        drop(runners);
        let db = twice_in_one_process(case, &place)?;
        let found = db.iter()?.count() as u64;
        demand(found == commits, || format!("{found} of {commits} holders are in the database"))?;
        db.close()?;
        readers_share(case, &place, &mut random)
    }
}

/// Where the directory is.
struct Place<'a>(&'a Path);

impl Place<'_> {
    fn prepare(root: &Path) -> Checked<Place<'_>> {
        let made = std::fs::create_dir(root.join("by"))
            .and_then(|()| std::fs::create_dir(root.join("by/way")))
            .and_then(|()| std::os::unix::fs::symlink("db", root.join("link")))
            .and_then(|()| std::os::unix::fs::symlink(root, root.join("linked")));
        made.map_err(|error| Finding::new(format!("cannot prepare {}: {error}", root.display())))?;
        Ok(Place(root))
    }

    /// One of its absolute names.
    fn name(&self, which: usize) -> PathBuf {
        self.0.join(NAMES.get(which % NAMES.len()).unwrap_or(&"db"))
    }

    fn start(&self, random: &mut fastrand::Rng) -> Checked<Child> {
        let which = random.usize(..NAMES.len());
        let relative = NAMES.get(which).map(PathBuf::from).unwrap_or_default();
        let path = if random.bool() { relative } else { self.name(which) };
        // A link that leads nowhere is not a directory that can be created.
        let path = if self.name(0).exists() || which != 1 { path } else { self.name(0) };
        let mut command = Command::new(this_program()?);
        command.arg("race-runner").arg("--path").arg(path).current_dir(self.0);
        Child::start(&mut command)
    }
}

/// Sends all of them off; the winner.
fn race(case: &mut Case<'_>, runners: &mut [Child], commits: u64) -> Checked<usize> {
    case.counters.count("races");
    for runner in runners.iter_mut() {
        runner.tell(&Request::Open.to_string())?;
    }
    let mut winner = None;
    for (at, runner) in runners.iter_mut().enumerate() {
        match Answer::from(runner)? {
            Answer::Locked => case.counters.count("refusals"),
            Answer::Open { keys } => {
                demand(winner.is_none(), || "two processes have the database open".into())?;
                demand(keys == commits, || format!("{keys} of {commits} holders are in the database"))?;
                case.counters.count("winners");
                winner = Some(at);
            }
        }
    }
    winner.ok_or_else(|| Finding::new(format!("none of {} processes could open the database", runners.len())))
}

/// While one has it, others are refused, and nothing changes.
fn nobody_else_gets_it(
    case: &mut Case<'_>,
    place: &Place<'_>,
    runners: &mut [Child],
    winner: usize,
) -> Checked {
    let before = Fingerprint::of(&place.name(0))?;
    for (at, runner) in runners.iter_mut().enumerate().filter(|(at, _)| *at != winner) {
        let request = if at % 2 == 0 { Request::Open } else { Request::OpenReadOnly };
        runner.tell(&request.to_string())?;
        let answer = Answer::from(runner)?;
        demand(answer == Answer::Locked, || format!("{answer:?} while another process has the database"))?;
        case.counters.count("refusals");
    }
    let changes = Fingerprint::of(&place.name(0))?.changes_since(&before);
    demand(changes.is_empty(), || {
        format!("those who were refused have changed files: {}", changes.join(", "))
    })
}

/// A second handle in one process is refused, by every name; a closed database is free at once.
fn twice_in_one_process(case: &mut Case<'_>, place: &Place<'_>) -> Checked<Db> {
    let open = |which: usize| Options::tiny().open(place.name(which));
    let db = open(0)?;
    for which in 0..NAMES.len() {
        refused(case, open(which).map(drop), "a second handle in this process")?;
        let reader = Options::tiny().open_read_only(place.name(which));
        refused(case, reader.map(drop), "a reader beside a writer in this process")?;
    }
    db.close()?;
    case.counters.count("races in one process");
    Ok(open(1)?)
}

fn refused(case: &mut Case<'_>, outcome: kv::Result<()>, who: &str) -> Checked {
    case.counters.count("refusals");
    match outcome {
        Err(error) if error.is_locked() => Ok(()),
        Err(error) => Err(Finding::from(error).at(who)),
        Ok(()) => Err(Finding::new(format!("{who} got the database"))),
    }
}

/// Readers do not exclude each other; they exclude writers.
fn readers_share(case: &mut Case<'_>, place: &Place<'_>, random: &mut fastrand::Rng) -> Checked {
    let before = Fingerprint::of(&place.name(0))?;
    let mut readers: Vec<_> = (0..2).map(|_| place.start(random)).collect::<Checked<_>>()?;
    for reader in &mut readers {
        reader.tell(&Request::OpenReadOnly.to_string())?;
    }
    for reader in &mut readers {
        let answer = Answer::from(reader)?;
        demand(answer != Answer::Locked, || "a reader was refused beside another reader".into())?;
        case.counters.count("shared opens");
    }
    let here = Options::tiny().open_read_only(place.name(1))?;
    refused(case, Options::tiny().open(place.name(0)).map(drop), "a writer beside readers")?;
    here.close()?;
    refused(case, Options::tiny().open(place.name(2)).map(drop), "a writer beside readers elsewhere")?;
    let changes = Fingerprint::of(&place.name(0))?.changes_since(&before);
    demand(changes.is_empty(), || format!("readers have changed files: {}", changes.join(", ")))?;
    readers.iter_mut().try_for_each(Child::kill)?;
    Ok(Options::tiny().open(place.name(0))?.close()?)
}
