//! Medians over rounds, as a table with ratios, or as JSON lines.

use comfy_table::Table;
use serde_json::json;

use crate::workload::{Plan, Workload};

/// Collected figures.
#[derive(Debug, Default)]
pub(crate) struct Report {
    figures: Vec<(&'static str, Workload, f64)>,
}

impl Report {
    /// One figure of one round: operations a second, or milliseconds.
    pub(crate) fn add(&mut self, engine: &'static str, workload: Workload, figure: f64) {
        self.figures.push((engine, workload, figure));
    }

    fn median(&self, engine: &str, workload: Workload) -> Option<f64> {
        let of_row = |figure: &&(&'static str, Workload, f64)| figure.0 == engine && figure.1 == workload;
        let mut figures: Vec<f64> = self.figures.iter().filter(of_row).map(|figure| figure.2).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied()
    }

    fn engines(&self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = Vec::new();
        for (engine, ..) in &self.figures {
            if !names.contains(engine) {
                names.push(engine);
            }
        }
        names
    }

    /// Prints everything.
    pub(crate) fn print(&self, plan: &Plan, as_json: bool) {
        let engines = self.engines();
        let mut table = Table::new();
        let mut head = vec!["thousand a second".to_string()];
        head.extend(engines.iter().map(ToString::to_string));
        head.push("kv / best peer".into());
        table.set_header(head);
        for workload in plan.workloads.iter().copied() {
            let medians: Vec<Option<f64>> =
                engines.iter().map(|engine| self.median(engine, workload)).collect();
            if as_json {
                for (engine, median) in engines.iter().zip(&medians) {
                    let (keys, value_bytes) = (plan.keys, plan.value_bytes);
                    println!(
                        "{}",
                        json!({"workload": workload.name(), "engine": engine, "median": median,
                               "keys": keys, "value_bytes": value_bytes})
                    );
                }
                continue;
            }
            let scale = if workload.is_time() { 1.0 } else { 1e-3 };
            let mut row = vec![workload.name().to_string()];
            row.extend(medians.iter().map(|median| median.map_or("–".into(), |value| number(value * scale))));
            row.push(ratio(&medians, workload).map_or("–".into(), |ratio| format!("{ratio:.2}")));
            table.add_row(row);
        }
        if !as_json {
            println!("{} keys, values of {} bytes\n{table}", plan.keys, plan.value_bytes);
        }
    }
}

/// The first engine against the best of the others; above 1 the first is ahead.
fn ratio(medians: &[Option<f64>], workload: Workload) -> Option<f64> {
    let (ours, peers) = medians.split_first()?;
    let peers = peers.iter().flatten().copied();
    if workload.is_time() {
        Some(peers.min_by(f64::total_cmp)? / (*ours)?)
    } else {
        Some((*ours)? / peers.max_by(f64::total_cmp)?)
    }
}

fn number(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}
