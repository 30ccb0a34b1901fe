//! The tables that a run prints.

use comfy_table::Table;

use crate::report::{cell, latency_cell, latency_name, ratio, row_name};
use crate::summary::Summary;

/// Figures with ratios, latencies, and what failed.
pub(crate) fn text(summary: &Summary) -> String {
    let mut text = String::new();
    if let Some(run) = &summary.run {
        let plan = &run.plan;
        text += &format!("{} keys, values of {} bytes, {} rounds\n", plan.keys, plan.value_bytes, run.rounds);
    }
    let engines = summary.engines.iter().map(String::as_str);
    let mut figures = Table::new();
    let head = std::iter::once("median (of the best)").chain(engines.clone());
    figures.set_header(head.chain(std::iter::once("kv / best peer")));
    for row in summary.rows() {
        let mut cells = vec![row_name(row)];
        cells.extend(engines.clone().map(|engine| cell(summary, row, engine)));
        cells.push(summary.against_peers(row).map_or("–".into(), ratio));
        figures.add_row(cells);
    }
    text += &format!("{figures}\n");
    let mut latencies = Table::new();
    latencies.set_header(std::iter::once("p50 / p99 / p99.9 / max, µs").chain(engines.clone()));
    for row in summary.latency_rows() {
        let mut cells = vec![latency_name(row)];
        cells.extend(engines.clone().map(|engine| latency_cell(summary, row, engine)));
        latencies.add_row(cells);
    }
    text += &format!("{latencies}\n");
    for failure in &summary.failures {
        text += &format!("failed: {failure}\n");
    }
    text
}
