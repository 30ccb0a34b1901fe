//! Reports: tables for the terminal, Markdown for a file, pictures.

pub(crate) mod markdown;
pub(crate) mod pictures;
mod svg;
pub(crate) mod tables;

use crate::record::Measure;
use crate::summary::{Row, Summary};

/// Spreads above this are marked: the figure is not to be trusted far.
const SPREAD_MAX: f64 = 0.25;

/// How a row is called.
fn row_name(row: Row) -> String {
    format!("{}, {}", row.0.name(), row.1.label())
}

/// Three digits, or all before the point.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        large if large >= 100.0 => grouped(value),
        large if large >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Thousands apart.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && digit.is_ascii_digit() && (digits.len() - at).is_multiple_of(3) && text != "-" {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Two digits behind the point, more where they would be zeros.
fn ratio(ratio: f64) -> String {
    if ratio >= 0.095 { format!("{ratio:.2}") } else { format!("{ratio:.4}") }
}

/// An engine's median and, where there is a best, its merit against that.
fn cell(summary: &Summary, row: Row, engine: &str) -> String {
    let Some(median) = summary.median(row, engine) else { return "–".into() };
    let mark = if median.spread > SPREAD_MAX { "~" } else { "" };
    let value = number(median.value * row.1.scale());
    match summary.merit(row, engine) {
        Some(merit) => format!("{mark}{value} ({})", ratio(merit)),
        None => format!("{mark}{value}"),
    }
}

/// p50, p99, p99.9 and maximum in microseconds.
fn latency_cell(summary: &Summary, row: Row, engine: &str) -> String {
    let Some(quantiles) = summary.quantiles(row, engine) else { return "–".into() };
    let at = |wanted: f64| {
        let found = quantiles.iter().find(|(quantile, _)| *quantile == wanted);
        found.map_or("–".into(), |(_, nanoseconds)| number(*nanoseconds as f64 * 1e-3))
    };
    [0.5, 0.99, 0.999, 1.0].map(at).join(" / ")
}

/// How the latencies of a row are called.
fn latency_name(row: Row) -> String {
    match row.1 {
        Measure::ReadRate => format!("{}: reads", row.0.name()),
        Measure::WriteRate => format!("{}: writes", row.0.name()),
        _ => row.0.name().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 0.123, 9.876, 45.67, 345.6, 12_345.0, 1_234_567.0].map(number);
        assert_eq!(shown, ["0", "0.12", "9.88", "45.7", "346", "12,345", "1,234,567"]);
    }
}
