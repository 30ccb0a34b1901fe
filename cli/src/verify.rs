//! `kv verify`: is every byte what was written?

use std::path::PathBuf;

use clap::Args;
use indicatif::{DecimalBytes, HumanCount};
use serde_json::json;

use crate::args::Common;
use crate::database::open_to_read;
use crate::failure::{Failure, Outcome};
use crate::output::{print, print_json};
use crate::progress::Progress;

const EXAMPLES: &str = "\
Examples:
  kv verify photos.db
  kv verify photos.db --json --quiet

Reads everything and changes nothing: every checksum, the order of every table, every value, and that the files that belong
together are there. Each finding is a line on standard output. Exit code 1: damage was found.";

/// Checks every byte of a database
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The database's directory
    database: PathBuf,
}

/// Runs it.
pub(crate) fn run(arguments: &Arguments, common: &Common) -> Outcome {
    let db = match open_to_read(&arguments.database, common) {
        // What keeps it from opening is a finding like others, and the only one that can be had.
        Err(Failure::Findings(finding)) => return tell(&[finding], &kv::Verified::default(), common),
        opened => opened?,
    };
    let progress = Progress::new("verifying", Some(0), common);
    let verified = db.verify_with(&mut |done, total| progress.set(done, total))?;
    drop(progress);
    let findings: Vec<String> = verified.findings.iter().map(ToString::to_string).collect();
    tell(&findings, &verified, common)
}

fn tell(findings: &[String], verified: &kv::Verified, common: &Common) -> Outcome {
    if common.json {
        print_json(&json!({
            "clean": findings.is_empty(),
            "tables": verified.tables,
            "entries": verified.entries,
            "values": verified.values,
            "bytes": verified.bytes,
            "findings": findings,
        }))?;
    } else {
        for finding in findings {
            print(&format!("damage: {finding}"))?;
        }
        common.note(&format!(
            "read {} in {} tables: {} entries, {} separate values; {} findings",
            DecimalBytes(verified.bytes),
            HumanCount(verified.tables as u64),
            HumanCount(verified.entries),
            HumanCount(verified.values),
            HumanCount(findings.len() as u64),
        ));
    }
    if findings.is_empty() { Ok(()) } else { Err(Failure::said()) }
}
