//! The pictures: ratios as bars, latencies as curves over percentiles, loads over time.

use std::path::{Path, PathBuf};

use crate::engine::Failure;
use crate::plan::Workload;
use crate::record::Measure;
use crate::report::svg::{Anchor, Canvas, colour};
use crate::report::{latency_name, number, row_name};
use crate::summary::Summary;

/// Latencies that are drawn; the tables have them all.
const DRAWN: [Workload; 6] = [
    Workload::LoadRandom,
    Workload::Get,
    Workload::Put1,
    Workload::ReadWhileWriting,
    Workload::YcsbA,
    Workload::Durable8,
];

/// Draws everything that there are figures for; the paths of the files.
#[expect(clippy::disallowed_methods, reason = "the benchmark writes its own pictures")]
pub(crate) fn draw(summary: &Summary, directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    std::fs::create_dir_all(directory)?;
    let mut pictures = vec![("ratios.svg".to_string(), ratios(summary))];
    for row in summary.latency_rows().into_iter().filter(|row| DRAWN.contains(&row.0)) {
        let measure = if row.1 == Measure::WriteRate { "-writes" } else { "" };
        pictures.push((format!("latency-{}{measure}.svg", row.0.name()), latencies(summary, row)));
    }
    for workload in [Workload::LoadRandom, Workload::Overwrite] {
        pictures.push((format!("timeline-{}.svg", workload.name()), timelines(summary, workload)));
    }
    let mut paths = Vec::new();
    for (name, picture) in pictures {
        if let Some(picture) = picture {
            let path = directory.join(name);
            std::fs::write(&path, picture)?;
            paths.push(path);
        }
    }
    Ok(paths)
}

/// A rectangle with logarithmic or linear axes, into which points are placed.
struct Frame {
    x: (f64, f64),
    y: (f64, f64),
    logarithmic: bool,
}

impl Frame {
    const LEFT: f64 = 64.0;
    const RIGHT: f64 = 560.0;
    const TOP: f64 = 40.0;
    const BOTTOM: f64 = 330.0;
    const SIZE: (f64, f64) = (720.0, 370.0);

    fn place(&self, x: f64, y: f64) -> (f64, f64) {
        let share = |value: f64, (low, high): (f64, f64)| (value - low) / (high - low);
        let up = if self.logarithmic {
            share(y.max(self.y.0).log10(), (self.y.0.log10(), self.y.1.log10()))
        } else {
            share(y, self.y)
        };
        let x = Self::LEFT + share(x, self.x) * (Self::RIGHT - Self::LEFT);
        (x, Self::BOTTOM - up * (Self::BOTTOM - Self::TOP))
    }

    fn horizontal(&self, canvas: &mut Canvas, y: f64, label: &str) {
        let at = self.place(self.x.0, y).1;
        canvas.grid((Self::LEFT, at), (Self::RIGHT, at));
        canvas.text(Self::LEFT - 6.0, at + 4.0, Anchor::End, label);
    }

    fn vertical(&self, canvas: &mut Canvas, x: f64, label: &str) {
        let at = self.place(x, self.y.0).0;
        canvas.grid((at, Self::TOP), (at, Self::BOTTOM));
        canvas.text(at, Self::BOTTOM + 18.0, Anchor::Middle, label);
    }

    fn legend(canvas: &mut Canvas, position: usize, engine: &str, colour: &str) {
        let y = Self::TOP + 10.0 + 20.0 * position as f64;
        canvas.bar(Self::RIGHT + 16.0, y - 8.0, 18.0, 4.0, colour);
        canvas.text(Self::RIGHT + 40.0, y, Anchor::Start, engine);
    }
}

/// One bar a row: kv's default against the best peer, left of the line behind, right of it ahead, on a logarithmic scale.
fn ratios(summary: &Summary) -> Option<String> {
    const ROW: f64 = 18.0;
    const MIDDLE: f64 = 560.0;
    const DECADE: f64 = 200.0;
    let rows: Vec<_> =
        summary.rows().into_iter().filter_map(|row| Some((row, summary.against_peers(row)?))).collect();
    let bottom = 50.0 + ROW * rows.len() as f64;
    let mut canvas =
        Canvas::new(800.0, bottom + 30.0, "kv against the best peer, per row (1 = equal, right is better)");
    for ratio in [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0_f64] {
        let x = MIDDLE + ratio.log10() * DECADE;
        canvas.grid((x, 40.0), (x, bottom));
        canvas.text(x, bottom + 18.0, Anchor::Middle, &format!("{ratio}"));
    }
    for (position, (row, ratio)) in rows.iter().enumerate() {
        let y = 50.0 + ROW * position as f64;
        let length = ratio.log10().clamp(-1.0, 1.0) * DECADE;
        let fill = if *ratio >= 1.0 { colour(2) } else { colour(0) };
        canvas.text(330.0, y + 10.0, Anchor::End, &row_name(*row));
        canvas.bar(MIDDLE + length.min(0.0), y, length.abs().max(1.0), ROW - 5.0, fill);
    }
    (!rows.is_empty()).then(|| canvas.finish())
}

/// Latency over percentile, both logarithmic: the tails take most of the width.
fn latencies(summary: &Summary, row: (Workload, Measure)) -> Option<String> {
    const PERCENTILES: [(f64, &str); 6] = [
        (0.0, "0"),
        (0.9, "90 %"),
        (0.99, "99 %"),
        (0.999, "99.9 %"),
        (0.9999, "99.99 %"),
        (0.99999, "99.999 %"),
    ];
    let width = |quantile: f64| -(1.0 - quantile.min(0.999_995)).log10();
    let engines: Vec<_> = summary.engines.iter().enumerate().collect();
    let curves: Vec<_> = engines
        .iter()
        .filter_map(|(at, engine)| Some((*at, engine.as_str(), summary.quantiles(row, engine)?)))
        .collect();
    let all =
        || curves.iter().flat_map(|curve| &curve.2).map(|(_, nanoseconds)| (*nanoseconds).max(1) as f64);
    let low = 10_f64.powf(all().min_by(f64::total_cmp)?.log10().floor());
    let high = 10_f64.powf(all().max_by(f64::total_cmp)?.log10().ceil()).max(low * 10.0);
    let frame = Frame { x: (0.0, width(1.0)), y: (low, high), logarithmic: true };
    let title = format!("{}: latency by percentile (lower is better)", latency_name(row));
    let mut canvas = Canvas::new(Frame::SIZE.0, Frame::SIZE.1, &title);
    let mut decade = low;
    while decade <= high * 1.01 {
        frame.horizontal(&mut canvas, decade, &duration(decade));
        decade *= 10.0;
    }
    for (quantile, label) in PERCENTILES {
        frame.vertical(&mut canvas, width(quantile), label);
    }
    for (position, (at, engine, quantiles)) in curves.iter().enumerate() {
        let points: Vec<_> =
            quantiles.iter().map(|(quantile, took)| frame.place(width(*quantile), *took as f64)).collect();
        canvas.curve(&points, colour(*at));
        Frame::legend(&mut canvas, position, engine, colour(*at));
    }
    Some(canvas.finish())
}

fn duration(nanoseconds: f64) -> String {
    match nanoseconds {
        small if small < 1e3 => format!("{small} ns"),
        small if small < 1e6 => format!("{} µs", small / 1e3),
        small if small < 1e9 => format!("{} ms", small / 1e6),
        _ => format!("{} s", nanoseconds / 1e9),
    }
}

/// Entries a second over the time that the engine has taken so far.
fn timelines(summary: &Summary, workload: Workload) -> Option<String> {
    let curves: Vec<_> = (summary.engines.iter().enumerate())
        .filter_map(|(at, engine)| Some((at, engine, summary.timelines.get(&(workload, engine.clone()))?)))
        .collect();
    let rate = |entries: u64, interval: u64| entries as f64 / interval.max(1) as f64;
    // The last interval is not full.
    let points = |timeline: &crate::record::Timeline| -> Vec<(f64, f64)> {
        let full = timeline.entries.len().saturating_sub(1).max(1);
        let interval = timeline.interval_milliseconds;
        let seconds = |at: usize| at as f64 * interval as f64 / 1e3;
        timeline
            .entries
            .iter()
            .take(full)
            .enumerate()
            .map(|(at, count)| (seconds(at), rate(*count, interval)))
            .collect()
    };
    let all: Vec<(f64, f64)> = curves.iter().flat_map(|curve| points(curve.2)).collect();
    let end = all.iter().map(|point| point.0).max_by(f64::total_cmp)?.max(0.1);
    let top = all.iter().map(|point| point.1).max_by(f64::total_cmp)?.max(1.0);
    let frame = Frame { x: (0.0, end), y: (0.0, top), logarithmic: false };
    let title = format!("{}: thousand entries a second over time", workload.name());
    let mut canvas = Canvas::new(Frame::SIZE.0, Frame::SIZE.1, &title);
    for fifth in 0..=5 {
        let share = f64::from(fifth) / 5.0;
        frame.horizontal(&mut canvas, top * share, &number(top * share));
        frame.vertical(&mut canvas, end * share, &format!("{} s", number(end * share)));
    }
    for (position, (at, engine, timeline)) in curves.iter().enumerate() {
        let placed: Vec<_> = points(timeline).into_iter().map(|(x, y)| frame.place(x, y)).collect();
        canvas.curve(&placed, colour(*at));
        Frame::legend(&mut canvas, position, engine, colour(*at));
    }
    Some(canvas.finish())
}
