//! `kv set`: one key.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use kv::SetOptions;
use serde_json::json;

use crate::args::Common;
use crate::database::{Missing, open_to_write};
use crate::failure::{Failure, Outcome};
use crate::output::print_json;
use crate::{units, user_files};

const EXAMPLES: &str = "\
Examples:
  kv set users.db alice '{\"age\":7}'
  date | kv set users.db updated -
  kv set photos.db summer/01.jpg --value-file 01.jpg
  kv set sessions.db 4711 token --ttl 30m

What comes from a file or from standard input is stored as it is; --format is for KEY and VALUE. When the command returns, the
value survives the loss of power.";

/// Sets a key to a value
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The database's directory
    database: PathBuf,
    /// The key
    key: OsString,
    /// The value, or - for standard input
    #[arg(required_unless_present = "value_file", conflicts_with = "value_file")]
    value: Option<OsString>,
    /// Takes the value from FILE
    #[arg(long, value_name = "FILE")]
    value_file: Option<PathBuf>,
    /// Forget the key after this time, such as 10s, 5m, 2h or 30d
    #[arg(long, value_name = "TIME", value_parser = units::parse_span)]
    ttl: Option<Duration>,
    /// A byte of your own to keep with the value, 0 to 255
    #[arg(long, value_name = "N", default_value_t = 0)]
    meta: u8,
    /// Make the database when it is missing
    #[arg(long)]
    create: bool,
}

/// Runs it.
pub(crate) fn run(arguments: &Arguments, common: &Common) -> Outcome {
    let key = common.argument("key", &arguments.key)?;
    let value = value(arguments, common)?;
    let mut how = SetOptions::new().user_meta(arguments.meta);
    if let Some(span) = arguments.ttl {
        how = how.ttl(span);
    }
    let missing = if arguments.create { Missing::Create } else { Missing::Refuse };
    let db = open_to_write(&arguments.database, missing, value.len() as u64, common)?;
    let version = db.set_with(&key, &value, &how)?;
    db.close()?;
    if common.json { print_json(&json!({ "version": version.0 })) } else { Ok(()) }
}

fn value(arguments: &Arguments, common: &Common) -> Outcome<Vec<u8>> {
    match (&arguments.value, &arguments.value_file) {
        (_, Some(path)) => user_files::read(path),
        (Some(value), None) if value == "-" => user_files::read(Path::new("-")),
        (Some(value), None) => common.argument("value", value),
        (None, None) => Err(Failure::Usage("say which value: VALUE, - or --value-file".into())),
    }
}
