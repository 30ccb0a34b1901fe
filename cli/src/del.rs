//! `kv del`: one key less.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::args::Common;
use crate::database::{Missing, open_to_write};
use crate::escape::escape;
use crate::failure::{Failure, Outcome};
use crate::output::print_json;

const EXAMPLES: &str = "\
Examples:
  kv del users.db alice
  kv del users.db 00ff --format hex

When the command returns, the key stays away after a loss of power too. Exit code 1: there was no such key.";

/// Deletes a key
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The database's directory
    database: PathBuf,
    /// The key
    key: OsString,
}

/// Runs it.
pub(crate) fn run(arguments: &Arguments, common: &Common) -> Outcome {
    let key = common.argument("key", &arguments.key)?;
    let db = open_to_write(&arguments.database, Missing::Refuse, 0, common)?;
    let was_there = db.update(|transaction| {
        let was_there = transaction.contains_key(&key)?;
        if was_there {
            transaction.delete(&key)?;
        }
        Ok(was_there)
    })?;
    db.close()?;
    if common.json {
        print_json(&json!({ "deleted": was_there }))?;
    }
    if was_there { Ok(()) } else { Err(Failure::Findings(format!("there was no key {}", escape(&key)))) }
}
