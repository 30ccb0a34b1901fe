//! `kv compact`: rewrites everything into the last level, so that what was deleted or replaced gives its space back.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use indicatif::DecimalBytes;
use kv::Stats;
use serde_json::json;

use crate::args::Common;
use crate::database::{Missing, open_to_write};
use crate::failure::Outcome;
use crate::output::print_json;
use crate::progress::Progress;

const EXAMPLES: &str = "\
Examples:
  kv compact photos.db

Databases compact themselves while they are in use; this is for before an archive or a copy.";

/// Rewrites a database into its most compact form
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The database's directory
    database: PathBuf,
}

fn stored_bytes(stats: &Stats) -> u64 {
    let tables: u64 = stats.levels.iter().map(|level| level.bytes).sum();
    let values: u64 = stats.segments.iter().map(|segment| segment.bytes).sum();
    tables + values
}

/// Runs it.
pub(crate) fn run(arguments: &Arguments, common: &Common) -> Outcome {
    let started = Instant::now();
    let db = open_to_write(&arguments.database, Missing::Refuse, 0, common)?;
    let progress = Progress::waiting("compacting", common);
    db.flush()?;
    let before = stored_bytes(&db.stats());
    db.compact()?;
    let after = stored_bytes(&db.stats());
    db.close()?;
    drop(progress);
    let seconds = started.elapsed().as_secs_f64();
    if common.json {
        return print_json(&json!({ "bytes_before": before, "bytes_after": after, "seconds": seconds }));
    }
    common.note(&format!(
        "{} before, {} after, in {seconds:.1} s",
        DecimalBytes(before),
        DecimalBytes(after)
    ));
    Ok(())
}
