//! `kv count`: how many keys there are.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::args::Common;
use crate::database::open_to_read;
use crate::failure::Outcome;
use crate::output::{print, print_json};

const EXAMPLES: &str = "\
Examples:
  kv count photos.db
  kv count photos.db --prefix summer/";

/// Counts keys; values are not read
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The database's directory
    database: PathBuf,
    /// Only keys that begin with PREFIX
    #[arg(long)]
    prefix: Option<OsString>,
}

/// Runs it.
pub(crate) fn run(arguments: &Arguments, common: &Common) -> Outcome {
    let prefix = arguments.prefix.as_ref().map(|prefix| common.argument("prefix", prefix)).transpose()?;
    let db = open_to_read(&arguments.database, common)?;
    let mut scan = db.scan()?.keys_only();
    if let Some(prefix) = prefix {
        scan = scan.prefix(prefix);
    }
    let mut count = 0u64;
    for item in scan.iter()? {
        item?;
        count += 1;
    }
    if common.json { print_json(&json!({ "count": count })) } else { print(&count.to_string()) }
}
