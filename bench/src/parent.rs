//! Runs every stage of every engine in a process of its own: allocators and memory do not mix, and an engine that crashes or hangs
//! loses only its own figures.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::engine::{Failure, Opener};
use crate::plan::{Plan, Stage};
use crate::record::Record;

/// One child's task.
pub(crate) struct Task<'a> {
    pub(crate) opener: Opener,
    pub(crate) stage: Stage,
    pub(crate) round: usize,
    pub(crate) plan: &'a Plan,
    /// Where the databases of this engine and round are.
    pub(crate) directory: &'a Path,
    /// Longer is a failure.
    pub(crate) timeout: Duration,
}

impl Task<'_> {
    /// Runs the stage; what the child measured goes to `collect`, its failure too.
    pub(crate) fn run(&self, collect: &mut dyn FnMut(Record) -> Result<(), Failure>) -> Result<(), Failure> {
        let mut outcome = self.run_child(self.stage, collect)?;
        if self.stage == Stage::Recovery && outcome.is_none() {
            outcome = self.run_child(Stage::Reopening, collect)?;
        }
        let Some(reason) = outcome else { return Ok(()) };
        let (engine, round, stage) = (self.opener.name.to_string(), self.round, self.stage);
        collect(Record::Failed { engine, round, stage, reason })
    }

    /// `None`, or why it failed.
    fn run_child(
        &self,
        stage: Stage,
        collect: &mut dyn FnMut(Record) -> Result<(), Failure>,
    ) -> Result<Option<String>, Failure> {
        let mut child = self.spawn(stage)?;
        // Held until the end: a child that waits to be killed ends when its parent does.
        let stdin = child.stdin.take();
        let lines = lines_of(&mut child)?;
        let started = Instant::now();
        let reason = loop {
            match lines.recv_timeout(self.timeout.saturating_sub(started.elapsed())) {
                Ok(line) => match serde_json::from_str(&line) {
                    Ok(Record::Ready) => {
                        child.kill()?;
                        child.wait()?;
                        break None;
                    }
                    Ok(record) => collect(record)?,
                    Err(_) => eprintln!("{}: {line}", self.opener.name),
                },
                Err(RecvTimeoutError::Timeout) => {
                    child.kill()?;
                    child.wait()?;
                    break Some(format!("took longer than {} s", self.timeout.as_secs()));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = child.wait()?;
                    break (!status.success()).then(|| format!("failed: {status}"));
                }
            }
        };
        drop(stdin);
        Ok(reason)
    }

    fn spawn(&self, stage: Stage) -> Result<Child, Failure> {
        let stage = clap::ValueEnum::to_possible_value(&stage).ok_or("no such stage")?;
        let child = Command::new(std::env::current_exe()?)
            .args(["child", "--engine", self.opener.name, "--stage", stage.get_name()])
            .args(["--round", &self.round.to_string(), "--plan", &serde_json::to_string(self.plan)?])
            .arg("--directory")
            .arg(self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(child)
    }
}

/// The child's lines as they come; disconnected when it has ended.
#[expect(clippy::disallowed_methods, reason = "a pipe cannot be read with a timeout otherwise")]
fn lines_of(child: &mut Child) -> Result<Receiver<String>, Failure> {
    let stdout = child.stdout.take().ok_or("the child has no output")?;
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    Ok(receiver)
}
