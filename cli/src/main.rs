//! The `kv` command: reads the arguments, runs one command, turns its outcome into an exit code.

mod args;
mod compact;
mod count;
mod database;
mod del;
mod escape;
mod export;
mod failure;
mod get;
mod import;
mod info;
mod output;
mod progress;
mod record;
mod scan;
mod set;
mod units;
mod user_files;
mod verify;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = args::Arguments::parse();
    match arguments.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
