//! `kv get`: one value.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use crate::args::Common;
use crate::database::open_to_read;
use crate::escape::{Format, escape};
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::record::Record;

const EXAMPLES: &str = "\
Examples:
  kv get photos.db summer/01.jpg > 01.jpg
  kv get users.db alice --json
  kv get users.db 00ff --format hex

A file or pipe gets the value's exact bytes; a terminal gets them escaped, with a line end. --format asks for one form
everywhere. Exit code 1: there is no such key.";

/// Prints the value of a key
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
    let db = open_to_read(&arguments.database, common)?;
    let Some(item) = db.item(&key)? else {
        return Err(Failure::Findings(format!("there is no key {}", escape(&key))));
    };
    let record = Record::of_item(&item, true)?;
    let mut output = Output::new();
    if common.json {
        output.line(&record.to_json(common.format, true)?)?;
        return output.finish();
    }
    let is_terminal = Output::is_terminal();
    let format = common.format.unwrap_or(if is_terminal { Format::Escaped } else { Format::Text });
    let mut text = Vec::new();
    format.write(&record.value, &mut text);
    if is_terminal || format != Format::Text {
        text.push(b'\n');
    }
    output.bytes(&text)?;
    output.finish()
}
