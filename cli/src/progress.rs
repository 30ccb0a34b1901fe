//! How far a long command is: a bar on a terminal, nothing elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::args::Common;
use crate::failure;

/// A bar, or nothing; cleared when it is dropped.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Counts bytes, up to `total` when that is known.
    pub(crate) fn new(what: &'static str, total: Option<u64>, common: &Common) -> Self {
        if !Self::is_shown(common) {
            return Self(ProgressBar::hidden());
        }
        let (bar, template) = match total {
            Some(total) => (
                ProgressBar::new(total),
                "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta_precise} left",
            ),
            None => (ProgressBar::new_spinner(), "{spinner} {msg} {bytes} {bytes_per_sec} {elapsed_precise}"),
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = bar.with_style(style).with_message(what);
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// Time alone, for work that cannot say how far it is.
    pub(crate) fn waiting(what: &'static str, common: &Common) -> Self {
        let progress = Self::new(what, None, common);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed_precise}") {
            progress.0.set_style(style);
        }
        progress
    }

    /// True when somebody could see a bar.
    pub(crate) fn is_shown(common: &Common) -> bool {
        use std::io::IsTerminal;
        !common.quiet && !common.json && std::io::stderr().is_terminal()
    }

    /// So many bytes more are done.
    pub(crate) fn add(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    /// So many bytes of so many are done.
    pub(crate) fn set(&self, done: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(done);
    }

    /// Says that something needs a look, above the bar.
    pub(crate) fn warn(&self, text: &str) {
        self.0.suspend(|| failure::warn(text));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
