//! The report as a page.

use crate::record::Better;
use crate::report::{cell, latency_cell, latency_name, ratio, row_name};
use crate::summary::{OURS, Row, Summary};

/// Behind by more than this is a loss; less is noise.
const BEHIND: f64 = 0.95;

/// The page; `pictures` are paths of files, `notes` explains where ours is behind.
pub(crate) fn text(summary: &Summary, pictures: &[String], notes: &str) -> String {
    let mut page = String::from("# Results of kv-bench\n\n");
    page += &circumstances(summary);
    page += "\n## Figures\n\nMedians over the rounds; in brackets the share of the best in the row, which is bold. `~` marks a spread \
             (maximum − minimum) of more than a quarter of the median. The last column is kv's default against the best of its peers: \
             above 1 kv is ahead.\n\n";
    page += &table(summary, "", &summary.rows(), true, cell);
    page += "\n## Latencies\n\nMicroseconds: p50 / p99 / p99.9 / maximum, of batches of 1,000 for loads and of single calls else. \
             Quantiles are medians over the rounds, the maximum is that of all.\n\n";
    page += &latencies(summary);
    if !pictures.is_empty() {
        page += "\n## Pictures\n\n";
        for picture in pictures {
            page += &format!("![{picture}]({picture})\n\n");
        }
    }
    page += &behind(summary, notes);
    if !summary.failures.is_empty() {
        page += "\n## What failed\n\n";
        for failure in &summary.failures {
            page += &format!("- {failure}\n");
        }
    }
    page
}

/// Machine, plan and engines.
fn circumstances(summary: &Summary) -> String {
    let Some(run) = &summary.run else { return String::new() };
    let plan = &run.plan;
    let mut text = format!(
        "{} keys of 16 bytes, values of {} bytes (half of each compressible), {} rounds, {} ms per timed workload. Cache {} MiB, \
         memtable {} MiB for every engine that has them; all else is each engine's default. `bench/README.md` says how it is \
         measured.\n\n",
        plan.keys, plan.value_bytes, run.rounds, plan.milliseconds, plan.cache_mib, plan.memtable_mib
    );
    for (name, fact) in &run.machine {
        text += &format!("- {name}: {fact}\n");
    }
    text += "\n| engine | settings |\n|---|---|\n";
    for (name, settings) in &run.engines {
        text += &format!("| {name} | {settings} |\n");
    }
    text
}

/// A table of rows by engines.
fn table(
    summary: &Summary,
    corner: &str,
    rows: &[Row],
    compared: bool,
    cell: impl Fn(&Summary, Row, &str) -> String,
) -> String {
    let last = if compared { " kv / best peer |" } else { "" };
    let mut text = format!("| {corner} | {} |{last}\n", summary.engines.join(" | "));
    text += &format!("|---|{}\n", "---|".repeat(summary.engines.len() + usize::from(compared)));
    for row in rows {
        let name = if compared { row_name(*row) } else { latency_name(*row) };
        let cells = summary.engines.iter().map(|engine| {
            let is_best =
                compared && row.1.better() != Better::Neither && summary.merit(*row, engine) == Some(1.0);
            let shown = cell(summary, *row, engine);
            if is_best { format!("**{}**", shown.trim_end_matches(" (1.00)")) } else { shown }
        });
        let mut line = format!("| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
        if compared {
            let ratio = summary.against_peers(*row).map_or("–".into(), ratio);
            line += &format!(" {ratio} |");
        }
        text += &(line + "\n");
    }
    text
}

fn latencies(summary: &Summary) -> String {
    table(summary, "µs", &summary.latency_rows(), false, latency_cell)
}

/// The rows where ours loses, the worst first.
fn behind(summary: &Summary, notes: &str) -> String {
    let ratios = summary.rows().into_iter().filter_map(|row| Some((row, summary.against_peers(row)?)));
    let mut lost: Vec<(Row, f64)> = ratios.filter(|(_, share)| *share < BEHIND).collect();
    lost.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut text = format!("\n## Where {OURS} is behind\n\n");
    if lost.is_empty() {
        text += "Nowhere by more than 5 %.\n";
    }
    for (row, share) in lost {
        text += &format!("- {}: {} of the best peer\n", row_name(row), ratio(share));
    }
    if !notes.is_empty() {
        text += &format!("\n{}\n", notes.trim_end());
    }
    text
}
