//! `kv import`: files or lines into a database, batch by batch, each batch there whole or not at all.

mod batches;
mod files;
mod lines;
mod report;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use indicatif::{DecimalBytes, HumanCount};
use kv::{Db, Durability, SetOptions, UnixSeconds};
use serde_json::json;

use crate::args::Common;
use crate::database::{Missing, open_to_write};
use crate::escape::escape;
use crate::failure::{Failure, Outcome};
use crate::output::print_json;
use crate::progress::Progress;
use crate::{units, user_files};
use batches::{Batch, Source};
use report::BatchReport;

const EXAMPLES: &str = "\
Examples:
  kv import photos.db --files ~/photos
  kv import users.db --jsonl users.jsonl --durability buffered
  zcat users.tsv.gz | kv import users.db --tsv -

A file's key is its path inside DIR, with '/'; its value is its contents. Symbolic links, sockets and devices are skipped, and
said; empty directories leave no trace. A JSON line is {\"key\":…,\"value\":…}, with \"key_hex\" or \"value_hex\" for bytes that are
not text, and perhaps \"meta\" (0 to 255) and \"expires_at\" (seconds since 1970). A tab-separated line is escaped; see --format.
Keys that are there already are overwritten. Each batch is one commit: after a crash it is there whole or not at all, and so
is everything before it. Exit code 1: a file could not be read and was left out.";

/// Loads files or lines into a database, which is created when it is missing
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The database's directory
    database: PathBuf,
    #[command(flatten)]
    source: SourceArguments,
    /// Size of a batch; larger is faster and needs more memory [default: 8M, or a sixty-fourth of --memory if that is less]
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size)]
    batch_bytes: Option<u64>,
    /// What a committed batch survives
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = Survives::Sync)]
    durability: Survives,
    /// Append what each committed batch holds to FILE: a line `batch COUNT FIRST LAST`, then COUNT keys in hexadecimal
    #[arg(long, value_name = "FILE")]
    report_batches: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct SourceArguments {
    /// Every file below DIR
    #[arg(long, value_name = "DIR")]
    files: Option<PathBuf>,
    /// JSON lines from FILE, or from standard input for -
    #[arg(long, value_name = "FILE")]
    jsonl: Option<PathBuf>,
    /// Lines of key, tab, value from FILE, or from standard input for -
    #[arg(long, value_name = "FILE")]
    tsv: Option<PathBuf>,
}

/// What a commit survives, as an argument.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Survives {
    /// The loss of power
    Sync,
    /// The death of the process; after a loss of power the newest batches may be missing
    Buffered,
}

impl From<Survives> for Durability {
    fn from(survives: Survives) -> Self {
        match survives {
            Survives::Sync => Self::Sync,
            Survives::Buffered => Self::Buffered,
        }
    }
}

/// What an import did.
#[derive(Debug, Default)]
struct Summary {
    records: u64,
    bytes: u64,
    batches: u64,
    skipped: u64,
    failed: u64,
}

/// Runs it.
pub(crate) fn run(arguments: &Arguments, common: &Common) -> Outcome {
    let started = Instant::now();
    let Input { source, total_bytes, largest_bytes } = open_source(arguments, common)?;
    let batch_bytes = arguments.batch_bytes.unwrap_or_else(|| default_batch_bytes(common));
    let transaction_bytes = batch_bytes.max(largest_bytes);
    let db = open_to_write(&arguments.database, Missing::Create, transaction_bytes, common)?;
    let mut report = arguments.report_batches.as_deref().map(BatchReport::open).transpose()?;
    let progress = Progress::new("importing", total_bytes, common);
    let mut summary = Summary::default();
    let loaded = batches::read_ahead(source, batch_bytes, |batch| {
        tell_skipped(&batch, &progress, &mut summary);
        commit(&db, &batch, arguments.durability)?;
        if let Some(report) = &mut report {
            report.append(&batch.records)?;
        }
        summary.add(&batch);
        progress.add(batch.source_bytes);
        Ok(())
    });
    drop(progress);
    let closed = db.close();
    if loaded.is_err() && summary.batches > 0 {
        common.note(&format!("{} records were imported before the failure", HumanCount(summary.records)));
    }
    loaded?;
    closed?;
    summary.tell(started.elapsed(), common)?;
    if summary.failed > 0 { Err(Failure::said()) } else { Ok(()) }
}

/// Small enough that the batches under way, each held twice, stay far below what transactions may use.
fn default_batch_bytes(common: &Common) -> u64 {
    const LARGE_ENOUGH_BYTES: u64 = 8 << 20;
    common.memory.map_or(LARGE_ENOUGH_BYTES, |memory| LARGE_ENOUGH_BYTES.min(memory / 64).max(1))
}

/// The records to import, and what is known of them before.
struct Input {
    source: Source,
    total_bytes: Option<u64>,
    /// The largest value, as far as it is known.
    largest_bytes: u64,
}

fn open_source(arguments: &Arguments, common: &Common) -> Outcome<Input> {
    let SourceArguments { files, jsonl, tsv } = &arguments.source;
    match (files, jsonl, tsv) {
        (Some(directory), _, _) => {
            let tree = files::Tree::open(directory, &arguments.database)?;
            // One more walk costs a fraction of the import, and tells how much memory and time it will take.
            let size = tree.clone().measure();
            Ok(Input {
                source: Box::new(tree),
                total_bytes: Some(size.total_bytes),
                largest_bytes: size.largest_bytes,
            })
        }
        (None, Some(path), _) => {
            let (input, total_bytes) = user_files::open_input(path)?;
            Ok(Input { source: Box::new(lines::Lines::json(input, path)), total_bytes, largest_bytes: 0 })
        }
        (None, None, Some(path)) => {
            let format = common.line_format()?;
            let (input, total_bytes) = user_files::open_input(path)?;
            Ok(Input {
                source: Box::new(lines::Lines::tsv(input, path, format)),
                total_bytes,
                largest_bytes: 0,
            })
        }
        (None, None, None) => Err(Failure::Usage("say what to import: --files, --jsonl or --tsv".into())),
    }
}

fn tell_skipped(batch: &Batch, progress: &Progress, summary: &mut Summary) {
    for skipped in &batch.skipped {
        progress.warn(&format!("skipped {}: {}", skipped.name, skipped.why));
        if skipped.is_failure {
            summary.failed += 1;
        } else {
            summary.skipped += 1;
        }
    }
}

fn commit(db: &Db, batch: &Batch, durability: Survives) -> Outcome {
    if batch.records.is_empty() {
        return Ok(());
    }
    let mut transaction = db.begin_write()?;
    for record in &batch.records {
        let mut how = SetOptions::new().user_meta(record.user_meta);
        if let Some(moment) = record.expires_at {
            how = how.expires_at(UnixSeconds(moment));
        }
        let set = transaction.set_with(&record.key, &record.value, &how);
        set.map_err(|error| Failure::from(error).about(&escape(&record.key)))?;
    }
    transaction.commit_with(durability.into())?;
    Ok(())
}

impl Summary {
    fn add(&mut self, batch: &Batch) {
        self.records += batch.records.len() as u64;
        self.bytes += batch.payload_bytes;
        self.batches += u64::from(!batch.records.is_empty());
    }

    fn tell(&self, elapsed: Duration, common: &Common) -> Outcome {
        if common.json {
            return print_json(&json!({
                "records": self.records,
                "bytes": self.bytes,
                "batches": self.batches,
                "skipped": self.skipped,
                "failed": self.failed,
                "seconds": elapsed.as_secs_f64(),
            }));
        }
        let rate = self.bytes as f64 / elapsed.as_secs_f64().max(0.001);
        common.note(&format!(
            "imported {} records, {}, in {:.1} s ({}/s, {} batches); {} skipped, {} failed",
            HumanCount(self.records),
            DecimalBytes(self.bytes),
            elapsed.as_secs_f64(),
            DecimalBytes(rate as u64),
            HumanCount(self.batches),
            HumanCount(self.skipped),
            HumanCount(self.failed),
        ));
        Ok(())
    }
}
