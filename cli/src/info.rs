//! `kv info`: what a database consists of.

use std::path::PathBuf;

use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use indicatif::{DecimalBytes, HumanCount};
use kv::{RecoveryReport, Stats};
use serde_json::{Value, json};

use crate::args::Common;
use crate::database::open_to_read;
use crate::failure::Outcome;
use crate::output::{print, print_json};

const EXAMPLES: &str = "\
Examples:
  kv info photos.db
  kv info photos.db --json";

/// The segments that a person wants to see; --json has them all.
const SHOWN_SEGMENTS: usize = 10;

/// Shows levels, tables, value segments and logs with their sizes
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The database's directory
    database: PathBuf,
}

/// Runs it.
pub(crate) fn run(arguments: &Arguments, common: &Common) -> Outcome {
    let db = open_to_read(&arguments.database, common)?;
    let (stats, report) = (db.stats(), db.recovery_report());
    if common.json {
        return print_json(&as_json(&stats, report));
    }
    print(&as_text(&stats, report))
}

fn as_json(stats: &Stats, report: &RecoveryReport) -> Value {
    let levels = stats.levels.iter().enumerate().map(|(level, of)| {
        json!({ "level": level, "tables": of.tables, "bytes": of.bytes, "entries": of.entries, "tombstones": of.tombstones })
    });
    let segments = stats.segments.iter().map(|segment| {
        json!({
            "number": segment.number,
            "bytes": segment.bytes,
            "live_bytes": segment.live_bytes,
            "live_values": segment.live_values,
        })
    });
    json!({
        "version": stats.last_version,
        "levels": levels.collect::<Vec<_>>(),
        "segments": segments.collect::<Vec<_>>(),
        "logs": {
            "clean": report.clean,
            "generations": report.generations,
            "commits": report.commits_replayed,
            "torn_bytes": report.torn_bytes,
            "entries": stats.memtable_entries,
        },
    })
}

fn as_text(stats: &Stats, report: &RecoveryReport) -> String {
    let mut text =
        vec![format!("newest version  {}", HumanCount(stats.last_version)), levels(stats).to_string()];
    text.push(if stats.segments.is_empty() {
        "no value segments: every value is in a table or a log".into()
    } else {
        segments(stats).to_string()
    });
    if stats.segments.len() > SHOWN_SEGMENTS {
        let hidden = stats.segments.len() - SHOWN_SEGMENTS;
        text.push(format!("… and {hidden} more segments with less garbage; --json lists them all"));
    }
    text.push(if report.commits_replayed == 0 {
        "logs            nothing that is not in tables".into()
    } else {
        format!(
            "logs            {} commits, {} entries that are not in tables yet",
            HumanCount(report.commits_replayed),
            HumanCount(stats.memtable_entries),
        )
    });
    if report.torn_bytes > 0 {
        text.push(format!(
            "                {} of an unfinished write behind them; the next open for writing drops it",
            DecimalBytes(report.torn_bytes),
        ));
    }
    text.join("\n")
}

fn table(header: [&str; 5]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn levels(stats: &Stats) -> Table {
    let mut rows = table(["level", "tables", "size", "entries", "tombstones"]);
    let mut add = |name: String, tables: usize, bytes: u64, entries: u64, tombstones: u64| {
        rows.add_row([
            name,
            HumanCount(tables as u64).to_string(),
            DecimalBytes(bytes).to_string(),
            HumanCount(entries).to_string(),
            HumanCount(tombstones).to_string(),
        ]);
    };
    for (level, of) in stats.levels.iter().enumerate().filter(|(_, of)| of.tables > 0) {
        add(format!("L{level}"), of.tables, of.bytes, of.entries, of.tombstones);
    }
    let all = &stats.levels;
    add(
        "total".into(),
        all.iter().map(|of| of.tables).sum(),
        all.iter().map(|of| of.bytes).sum(),
        all.iter().map(|of| of.entries).sum(),
        all.iter().map(|of| of.tombstones).sum(),
    );
    rows
}

fn segments(stats: &Stats) -> Table {
    let mut rows = table(["value segment", "size", "live", "garbage", "live values"]);
    let mut add = |name: String, bytes: u64, live_bytes: u64, live_values: u64| {
        let garbage = bytes.saturating_sub(live_bytes);
        rows.add_row([
            name,
            DecimalBytes(bytes).to_string(),
            DecimalBytes(live_bytes).to_string(),
            format!("{}%", (garbage * 100).checked_div(bytes).unwrap_or(0)),
            HumanCount(live_values).to_string(),
        ]);
    };
    let mut worst: Vec<_> = stats.segments.iter().collect();
    worst.sort_by_key(|segment| std::cmp::Reverse(segment.bytes.saturating_sub(segment.live_bytes)));
    for segment in worst.iter().take(SHOWN_SEGMENTS) {
        add(format!("{:06}", segment.number), segment.bytes, segment.live_bytes, segment.live_values);
    }
    add(
        "total".into(),
        worst.iter().map(|segment| segment.bytes).sum(),
        worst.iter().map(|segment| segment.live_bytes).sum(),
        worst.iter().map(|segment| segment.live_values).sum(),
    );
    rows
}
