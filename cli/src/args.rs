//! The command line as a whole: the commands, and what holds for all of them.

use clap::{Args, ColorChoice, Parser, Subcommand};

use crate::escape::Format;
use crate::failure::Outcome;
use crate::{compact, count, del, export, get, import, info, scan, set, units, verify};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  done, with findings: damage was found, the key is absent, something was skipped for a reason that needs a look
  2  the arguments or the input cannot be understood
  3  the database or a file cannot be opened, read or written: missing, locked, not a database, no space

Examples:
  kv import photos.db --files ~/photos
  kv scan photos.db --prefix 2024/ --keys
  kv get photos.db 2024/summer/01.jpg > 01.jpg
  kv verify photos.db

Commands that only read never change the database. `kv help COMMAND` has examples for each command.";

/// Load, look into, check and compact a kv database.
#[derive(Debug, Parser)]
#[command(name = "kv", version, after_help = EXIT_CODES, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

/// What every command takes.
#[derive(Args, Debug)]
#[command(next_help_heading = "Options for all commands")]
pub(crate) struct Common {
    /// How keys and values are written, in and out [default: text in; escaped out]
    #[arg(long, global = true, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// Machine-readable output on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Memory that the database may use, such as 64M or 1G [default: 256M]
    #[arg(long, global = true, value_name = "SIZE", value_parser = units::parse_size)]
    pub(crate) memory: Option<u64>,
    /// No progress, notes or summaries; only results, findings and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    pub(crate) color: ColorChoice,
}

#[derive(Debug, Subcommand)]
enum Command {
    Import(import::Arguments),
    Export(export::Arguments),
    Get(get::Arguments),
    Set(set::Arguments),
    Del(del::Arguments),
    Scan(scan::Arguments),
    Count(count::Arguments),
    Info(info::Arguments),
    Verify(verify::Arguments),
    Compact(compact::Arguments),
}

impl Arguments {
    /// Runs the command.
    pub(crate) fn run(&self) -> Outcome {
        let common = &self.common;
        match common.color {
            ColorChoice::Auto => anstream::ColorChoice::Auto,
            ColorChoice::Always => anstream::ColorChoice::Always,
            ColorChoice::Never => anstream::ColorChoice::Never,
        }
        .write_global();
        match &self.command {
            Command::Import(arguments) => import::run(arguments, common),
            Command::Export(arguments) => export::run(arguments, common),
            Command::Get(arguments) => get::run(arguments, common),
            Command::Set(arguments) => set::run(arguments, common),
            Command::Del(arguments) => del::run(arguments, common),
            Command::Scan(arguments) => scan::run(arguments, common),
            Command::Count(arguments) => count::run(arguments, common),
            Command::Info(arguments) => info::run(arguments, common),
            Command::Verify(arguments) => verify::run(arguments, common),
            Command::Compact(arguments) => compact::run(arguments, common),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Arguments;

    /// Goal: no two arguments contradict each other. Method: clap's own check of the whole tree.
    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
