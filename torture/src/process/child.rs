//! A child process that never outlives its owner.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use crate::finding::{Checked, Finding};

/// The path of the program that runs.
///
/// # Errors
/// When the system does not tell.
pub(crate) fn this_program() -> Checked<PathBuf> {
    std::env::current_exe()
        .map_err(|error| Finding::new(format!("cannot tell which program this is: {error}")))
}

/// A running process, killed when dropped. It also sees its standard input end when this process dies.
#[derive(Debug)]
pub(crate) struct Child {
    process: std::process::Child,
    input: Option<ChildStdin>,
    output: Option<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts `command`, its standard input and output connected to this one.
    pub(crate) fn start(command: &mut Command) -> Checked<Self> {
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut process = started
            .map_err(|error| Finding::new(format!("cannot start {:?}: {error}", command.get_program())))?;
        let (input, output) = (process.stdin.take(), process.stdout.take().map(BufReader::new));
        Ok(Self { process, input, output })
    }

    /// Its standard output, for another thread to read; lines come no more from [`Child::line`] then.
    pub(crate) fn take_output(&mut self) -> Checked<BufReader<ChildStdout>> {
        self.output.take().ok_or_else(|| Finding::new("the output of a child was taken twice"))
    }

    /// Its next line; `None` when it has ended. What it has found is an error here.
    pub(crate) fn line(&mut self) -> Checked<Option<String>> {
        let output = self.output.as_mut().ok_or_else(|| Finding::new("the output of a child was taken"))?;
        next_line(output)
    }

    /// Tells it something.
    pub(crate) fn tell(&mut self, line: &str) -> Checked {
        let told = self.input.as_mut().map(|input| input.write_all(format!("{line}\n").as_bytes()));
        match told {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(Finding::new(format!("a child does not listen: {error}"))),
            None => Err(Finding::new("a child has no input")),
        }
    }

    /// Kills it (SIGKILL) and waits until nothing of it is left.
    pub(crate) fn kill(&mut self) -> Checked {
        let killed = self.process.kill().and_then(|()| self.process.wait());
        killed.map(drop).map_err(|error| Finding::new(format!("cannot kill a child: {error}")))
    }

    /// True when it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> Checked<bool> {
        let ended = self.process.try_wait();
        ended
            .map(|status| status.is_some())
            .map_err(|error| Finding::new(format!("cannot look after a child: {error}")))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}

/// The next whole line; one that death has cut off does not count.
pub(crate) fn next_line(output: &mut impl BufRead) -> Checked<Option<String>> {
    let mut line = String::new();
    match output.read_line(&mut line) {
        Ok(_) if !line.ends_with('\n') => Ok(None),
        Ok(_) => {
            line.truncate(line.len() - 1);
            match super::failure_of(&line) {
                Some(finding) => Err(finding),
                None => Ok(Some(line)),
            }
        }
        Err(error) => Err(Finding::new(format!("cannot read from a child: {error}"))),
    }
}
