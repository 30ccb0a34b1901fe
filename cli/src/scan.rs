//! `kv scan`: keys and values in order.

use std::ffi::OsString;
use std::ops::Bound;
use std::path::PathBuf;

use clap::Args;

use crate::args::Common;
use crate::database::open_to_read;
use crate::escape::Format;
use crate::failure::Outcome;
use crate::output::Output;
use crate::record::Record;

const EXAMPLES: &str = "\
Examples:
  kv scan users.db
  kv scan photos.db --prefix summer/ --keys
  kv scan log.db --from 2024-01 --to 2024-02 --jsonl
  kv scan log.db --reverse --limit 10

One line a key: key, tab, value. Both are escaped unless --format says otherwise.";

/// Prints keys and values in the order of the keys
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The database's directory
    database: PathBuf,
    /// Only keys that begin with PREFIX
    #[arg(long, conflicts_with_all = ["from", "to"])]
    prefix: Option<OsString>,
    /// Start at KEY, or behind where it would be
    #[arg(long, value_name = "KEY")]
    from: Option<OsString>,
    /// Stop before KEY
    #[arg(long, value_name = "KEY")]
    to: Option<OsString>,
    /// Last key first
    #[arg(long)]
    reverse: bool,
    /// Stop after N keys
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Keys alone; large values are not read at all
    #[arg(long)]
    keys: bool,
    /// JSON lines, as `kv export --jsonl` writes them; --json does the same
    #[arg(long)]
    jsonl: bool,
}

/// Runs it.
pub(crate) fn run(arguments: &Arguments, common: &Common) -> Outcome {
    let key = |name, key: &Option<OsString>| key.as_ref().map(|key| common.argument(name, key)).transpose();
    let (prefix, from, to) =
        (key("prefix", &arguments.prefix)?, key("key", &arguments.from)?, key("key", &arguments.to)?);
    let db = open_to_read(&arguments.database, common)?;
    let mut scan = db.scan()?;
    if let Some(prefix) = prefix {
        scan = scan.prefix(prefix);
    } else if from.is_some() || to.is_some() {
        let from = from.map_or(Bound::Unbounded, Bound::Included);
        let to = to.map_or(Bound::Unbounded, Bound::Excluded);
        scan = scan.range::<Vec<u8>>((from, to));
    }
    if arguments.reverse {
        scan = scan.reverse();
    }
    if arguments.keys {
        scan = scan.keys_only();
    }
    if let Some(limit) = arguments.limit {
        scan = scan.limit(limit);
    }
    let with_value = !arguments.keys;
    let as_json = arguments.jsonl || common.json;
    let format = common.format.unwrap_or(Format::Escaped);
    let mut output = Output::new();
    for item in scan.iter()? {
        let record = Record::of_item(&item?, with_value)?;
        if as_json {
            output.line(&record.to_json(common.format, with_value)?)?;
        } else if with_value {
            output.line(&record.to_tsv(format))?;
        } else {
            let mut line = Vec::new();
            format.write(&record.key, &mut line);
            output.line(&line)?;
        }
    }
    output.finish()
}
