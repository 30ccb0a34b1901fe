//! How a command ends when it does not simply succeed: one line that says what to do, and an exit code.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};

/// What a command gives back.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Why a command did not simply succeed. Each kind is an exit code; see `kv --help`.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command ran and found something that needs a look; the text is empty when it has been said already.
    Findings(String),
    /// The arguments or the input cannot be understood.
    Usage(String),
    /// The database or a file cannot be opened, read or written.
    Storage(String),
    /// Whoever read our output has stopped reading: nothing is left to say, and nobody to say it to.
    BrokenPipe,
}

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// Says on standard error that something needs a look.
pub(crate) fn warn(text: &str) {
    anstream::eprintln!("{WARNING}warning:{WARNING:#} {text}");
}

impl Failure {
    /// Findings that have been said already.
    pub(crate) fn said() -> Self {
        Self::Findings(String::new())
    }

    /// The same, with what it is about in front.
    pub(crate) fn about(self, what: &str) -> Self {
        let place = |text| format!("{what}: {text}");
        match self {
            Self::Findings(text) => Self::Findings(place(text)),
            Self::Usage(text) => Self::Usage(place(text)),
            Self::Storage(text) => Self::Storage(place(text)),
            Self::BrokenPipe => Self::BrokenPipe,
        }
    }

    /// An operation on one of the user's own files that the system refused; `doing` is a verb ("read").
    pub(crate) fn file(doing: &str, path: &Path, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::Storage(format!("cannot {doing} {}: {error}", path.display())),
        }
    }

    /// Standard input or output refused an operation.
    pub(crate) fn stream(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::Storage(format!("cannot use standard input or output: {error}")),
        }
    }

    /// Says it on standard error and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        let (code, text) = match self {
            Self::BrokenPipe => return ExitCode::SUCCESS,
            Self::Findings(text) => (1, text),
            Self::Usage(text) => (2, text),
            Self::Storage(text) => (3, text),
        };
        if !text.is_empty() {
            anstream::eprintln!("{ERROR}error:{ERROR:#} {text}");
        }
        ExitCode::from(code)
    }
}

impl From<kv::Error> for Failure {
    fn from(error: kv::Error) -> Self {
        let text = error.to_string();
        match &error {
            kv::Error::LimitExceeded { .. } if error.is_retryable() => {
                Self::Usage(format!("{text}; give it more with --memory"))
            }
            kv::Error::LimitExceeded { .. }
            | kv::Error::InvalidKey { .. }
            | kv::Error::InvalidOption { .. } => Self::Usage(text),
            _ if error.is_corruption() => Self::Findings(format!(
                "{text}; `kv verify` lists all damage, a backup or `kv export` saves the rest"
            )),
            _ if error.is_locked() => {
                Self::Storage(format!("{text}; close the program that has it open, then try again"))
            }
            _ => Self::Storage(text),
        }
    }
}
