//! `kv export`: a whole database, as of one moment, into files or lines.

mod files;

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use indicatif::{DecimalBytes, HumanCount};
use kv::ReadOnlyDb;
use serde_json::json;

use crate::args::Common;
use crate::database::open_to_read;
use crate::failure::{Failure, Outcome};
use crate::output::print_json;
use crate::progress::Progress;
use crate::record::Record;
use crate::user_files::{Sink, is_stream};

const EXAMPLES: &str = "\
Examples:
  kv export photos.db --files ~/restored
  kv export users.db --jsonl users.jsonl
  kv export users.db --tsv - | sort | head

With --files, DIR must be empty or missing. A key that would leave DIR, or that is no file name (an absolute path, an empty or
dotted component, a NUL), and a key that is both a file and a directory of others, are refused and said; the rest is written.
JSON lines keep everything that `kv import` can read: bytes, \"meta\", \"expires_at\". Files and tab-separated lines keep keys and
values. Exit code 1: a key was refused.";

/// Writes a whole database into files or lines
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The database's directory
    database: PathBuf,
    #[command(flatten)]
    destination: DestinationArguments,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct DestinationArguments {
    /// One file below DIR for every key
    #[arg(long, value_name = "DIR")]
    files: Option<PathBuf>,
    /// JSON lines into FILE, or to standard output for -
    #[arg(long, value_name = "FILE")]
    jsonl: Option<PathBuf>,
    /// Lines of key, tab, value into FILE, or to standard output for -
    #[arg(long, value_name = "FILE")]
    tsv: Option<PathBuf>,
}

/// What an export did.
#[derive(Debug, Default)]
struct Summary {
    records: u64,
    bytes: u64,
    refused: u64,
}

impl Summary {
    fn add(&mut self, record: &Record, progress: &Progress) {
        let bytes = (record.key.len() + record.value.len()) as u64;
        self.records += 1;
        self.bytes += bytes;
        progress.add(bytes);
    }
}

/// Runs it.
pub(crate) fn run(arguments: &Arguments, common: &Common) -> Outcome {
    let started = Instant::now();
    let db = open_to_read(&arguments.database, common)?;
    let progress = Progress::new("exporting", None, common);
    let DestinationArguments { files, jsonl, tsv } = &arguments.destination;
    let summary = match (files, jsonl, tsv) {
        (Some(directory), _, _) => into_files(&db, directory, &progress)?,
        (None, Some(path), _) => {
            into_lines(&db, path, &progress, |record| record.to_json(common.format, true))?
        }
        (None, None, Some(path)) => {
            let format = common.line_format()?;
            into_lines(&db, path, &progress, |record| Ok(record.to_tsv(format)))?
        }
        (None, None, None) => return Err(Failure::Usage("say where to: --files, --jsonl or --tsv".into())),
    };
    drop(progress);
    let to_standard_output = [jsonl, tsv].into_iter().flatten().any(|path| is_stream(path));
    tell(&summary, started.elapsed().as_secs_f64(), to_standard_output, common)?;
    if summary.refused > 0 { Err(Failure::said()) } else { Ok(()) }
}

fn into_files(db: &ReadOnlyDb, directory: &Path, progress: &Progress) -> Outcome<Summary> {
    let mut target = files::Target::open(directory)?;
    let mut summary = Summary::default();
    for item in db.iter()? {
        let record = Record::of_item(&item?, true)?;
        match target.write(&record)? {
            None => summary.add(&record, progress),
            Some(why) => {
                summary.refused += 1;
                progress.warn(&format!("refused {}: {why}", crate::escape::escape(&record.key)));
            }
        }
    }
    Ok(summary)
}

fn into_lines(
    db: &ReadOnlyDb,
    path: &Path,
    progress: &Progress,
    line: impl Fn(&Record) -> Outcome<Vec<u8>>,
) -> Outcome<Summary> {
    let mut sink = Sink::create(path)?;
    let mut summary = Summary::default();
    for item in db.iter()? {
        let record = Record::of_item(&item?, true)?;
        sink.line(&line(&record)?)?;
        summary.add(&record, progress);
    }
    sink.finish()?;
    Ok(summary)
}

fn tell(summary: &Summary, seconds: f64, to_standard_output: bool, common: &Common) -> Outcome {
    if common.json && !to_standard_output {
        return print_json(&json!({
            "records": summary.records,
            "bytes": summary.bytes,
            "refused": summary.refused,
            "seconds": seconds,
        }));
    }
    common.note(&format!(
        "exported {} records, {}, in {seconds:.1} s ({}/s); {} refused",
        HumanCount(summary.records),
        DecimalBytes(summary.bytes),
        DecimalBytes((summary.bytes as f64 / seconds.max(0.001)) as u64),
        HumanCount(summary.refused),
    ));
    Ok(())
}
