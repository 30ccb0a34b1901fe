//! One run of one campaign in a process of its own, with one bug alive or none.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base::seeded::{Bug, VARIABLE};
use serde_json::Value;

/// A process that takes so much longer than its time is ended. The campaign itself gives up cases that hang before that.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often it is asked whether it has ended.
const POLL: Duration = Duration::from_millis(20);

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outcome {
    /// What was found first.
    pub(super) finding: Option<String>,
    /// Why it says nothing: it did not run, or did not end.
    pub(super) failure: Option<String>,
    pub(super) cases: u64,
    pub(super) elapsed: Duration,
}

/// What to run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) harness: &'static str,
    pub(super) bug: Option<Bug>,
    pub(super) minutes: f64,
    pub(super) seed: u64,
    pub(super) workers: usize,
}

impl Run {
    /// Runs this very program.
    pub(super) fn run(self) -> Outcome {
        let started = Instant::now();
        let ended = self.start().and_then(|child| wait(child, self.limit()));
        let (ended, elapsed) = (ended.map_err(|error| error.to_string()), started.elapsed());
        let silent = |failure| Outcome { finding: None, failure: Some(failure), cases: 0, elapsed };
        match ended {
            Ok(ended) => outcome(&ended, elapsed).unwrap_or_else(|| silent(ended.first_words())),
            Err(error) => silent(error),
        }
    }

    fn limit(self) -> Duration {
        Duration::from_secs_f64(self.minutes * 60.0) + PATIENCE
    }

    fn start(self) -> std::io::Result<Child> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--only", self.harness, "--first", "--json"]);
        command.args(["--minutes", &self.minutes.to_string(), "--seed", &self.seed.to_string()]);
        command.args(["--workers", &self.workers.to_string()]);
        command.env_remove(VARIABLE);
        if let Some(bug) = self.bug {
            command.env(VARIABLE, bug.name());
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    }
}

/// What a process has said, and whether it was content.
struct Ended {
    is_success: bool,
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn first_words(&self) -> String {
        let words = self.stderr.lines().next().unwrap_or_default();
        format!("exit {:?}: {words}", self.code)
    }
}

/// What it says is short enough for the pipes, so that it can be read in the end.
fn wait(mut child: Child, limit: Duration) -> std::io::Result<Ended> {
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if started.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "it did not end"));
        }
        std::thread::sleep(POLL);
    };
    let (mut stdout, mut stderr) = (String::new(), String::new());
    if let Some(mut pipe) = child.stdout.take() {
        pipe.read_to_string(&mut stdout)?;
    }
    if let Some(mut pipe) = child.stderr.take() {
        pipe.read_to_string(&mut stderr)?;
    }
    Ok(Ended { is_success: status.success(), code: status.code(), stdout, stderr })
}

/// `None` when it did not report.
fn outcome(ended: &Ended, elapsed: Duration) -> Option<Outcome> {
    if ended.code == Some(1) && ended.stderr.contains(" hangs (") {
        let finding = ended.stderr.lines().find(|line| line.contains(" hangs (")).map(str::to_owned);
        return Some(Outcome { finding, failure: None, cases: 0, elapsed });
    }
    let report: Value = serde_json::from_str(ended.stdout.lines().last()?).ok()?;
    let first = report.get("findings")?.get(0).and_then(|finding| finding.get("what")?.as_str());
    let cases = report.get("counters")?.get("cases").and_then(Value::as_u64).unwrap_or(0);
    let is_right = ended.is_success == first.is_none() && cases > 0;
    let failure = (!is_right).then(|| ended.first_words());
    Some(Outcome { finding: first.map(str::to_owned), failure, cases, elapsed })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(code: i32, stdout: &str, stderr: &str) -> Ended {
        Ended { is_success: code == 0, code: Some(code), stdout: stdout.into(), stderr: stderr.into() }
    }

    /// Goal: nothing but a finding of the campaign counts as one. Method: every way in which a process can end.
    #[test]
    fn only_a_finding_is_a_finding() {
        let of =
            |ended: Ended| outcome(&ended, Duration::ZERO).map(|outcome| (outcome.finding, outcome.failure));
        let report = r#"{"counters":{"cases":3},"findings":[{"what":"lost"}]}"#;
        assert_eq!(of(ended(1, report, "")), Some((Some("lost".into()), None)));
        let clean = r#"{"counters":{"cases":3},"findings":[]}"#;
        assert_eq!(of(ended(0, clean, "")), Some((None, None)));
        assert!(of(ended(1, clean, "")).is_some_and(|(_, failure)| failure.is_some()));
        let idle = r#"{"counters":{},"findings":[]}"#;
        assert!(of(ended(0, idle, "")).is_some_and(|(_, failure)| failure.is_some()));
        assert!(of(ended(1, "", "case 7 hangs (seed 1)")).is_some_and(|(finding, _)| finding.is_some()));
        assert_eq!(of(ended(2, "", "there is no campaign")), None);
        assert_eq!(of(ended(101, "half of a rep", "")), None);
    }
}
