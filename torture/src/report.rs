//! What campaigns have done, as a table for people and as lines of JSON for machines.

use comfy_table::{CellAlignment, Table};
use serde_json::{Value, json};

use crate::driver::{Found, Summary};

/// The command that runs a finding again.
fn replay(summary: &Summary, found: &Found, seed: u64) -> String {
    let script = found.script.as_ref().map(|script| format!(" --script '{script}'")).unwrap_or_default();
    format!("kv-torture --only {} --seed {seed} --case {}{script}", summary.campaign, found.case)
}

/// One row for each counter, then the findings.
#[must_use]
pub fn table(summaries: &[Summary], seed: u64) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["campaign", "counter", "count", "goal", "findings", "seconds"]);
    for summary in summaries {
        for (at, (counter, count)) in summary.counters.iter().enumerate() {
            let goal = summary.goals.iter().find(|goal| goal.counter == counter);
            let goal = goal.map(|goal| goal.at_least.to_string()).unwrap_or_default();
            let first = |text: String| if at == 0 { text } else { String::new() };
            table.add_row([
                first(summary.campaign.to_owned()),
                counter.to_owned(),
                count.to_string(),
                goal,
                first(summary.findings.len().to_string()),
                first(format!("{:.1}", summary.elapsed.as_secs_f64())),
            ]);
        }
    }
    for column in 2..6 {
        table
            .column_mut(column)
            .into_iter()
            .for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    }
    let mut text = table.to_string();
    for summary in summaries {
        for found in &summary.findings {
            let replay = replay(summary, found, seed);
            text.push_str(&format!("\n\nFINDING in {}: {}\n  again: {replay}", summary.campaign, found.what));
        }
    }
    text
}

/// One object for each campaign.
#[must_use]
pub fn json(summary: &Summary, seed: u64) -> Value {
    let finding = |found: &Found| {
        json!({
            "case": found.case,
            "what": found.what,
            "script": found.script.as_ref().map(ToString::to_string),
            "again": replay(summary, found, seed),
        })
    };
    json!({
        "campaign": summary.campaign,
        "seed": seed,
        "seconds": summary.elapsed.as_secs_f64(),
        "counters": summary.counters.iter().collect::<std::collections::BTreeMap<_, _>>(),
        "goals": summary.goals.iter().map(|goal| (goal.counter, goal.at_least)).collect::<std::collections::BTreeMap<_, _>>(),
        "findings": summary.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}
