//! Medians, spreads and ratios of what many rounds have measured.

use std::collections::BTreeMap;

use crate::engine::Failure;
use crate::plan::Workload;
use crate::record::{Better, Measure, Record, Run, Timeline};

/// The engine that is compared with the best of the others.
pub(crate) const OURS: &str = "kv";

/// One row of a table.
pub(crate) type Row = (Workload, Measure);

/// Quantiles and nanoseconds.
pub(crate) type Quantiles = Vec<(f64, u64)>;

/// All records of one or more runs of the same plan.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) run: Option<Run>,
    /// In the order of their first figures.
    pub(crate) engines: Vec<String>,
    figures: BTreeMap<(Row, String), Vec<f64>>,
    latencies: BTreeMap<(Row, String), Vec<Quantiles>>,
    /// Of the last round.
    pub(crate) timelines: BTreeMap<(Workload, String), Timeline>,
    pub(crate) failures: Vec<String>,
}

/// The middle, and how far apart the outermost are of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Median {
    pub(crate) value: f64,
    /// (max − min) / median.
    pub(crate) spread: f64,
}

impl Summary {
    /// Takes a record in. Refuses a run of other sizes: medians over both would say nothing.
    pub(crate) fn add(&mut self, record: Record) -> Result<(), Failure> {
        match record {
            Record::Run(run) => match &mut self.run {
                Some(first) if first.is_comparable(&run) => first.take_engines(run),
                Some(_) => {
                    return Err(
                        "these runs differ in keys, value length, times or memory; make a report of each"
                            .into(),
                    );
                }
                None => self.run = Some(run),
            },
            Record::Figure(figure) => {
                if !self.engines.contains(&figure.engine) {
                    self.engines.push(figure.engine.clone());
                }
                let row = (figure.workload, figure.measure);
                self.figures.entry((row, figure.engine)).or_default().push(figure.value);
            }
            Record::Latency(latency) => {
                let row = (latency.workload, latency.measure);
                self.latencies.entry((row, latency.engine)).or_default().push(latency.quantiles);
            }
            Record::Timeline(timeline) => {
                self.timelines.insert((timeline.workload, timeline.engine.clone()), timeline);
            }
            Record::Failed { engine, round, stage, reason } => {
                self.failures.push(format!("{engine}, round {}, {stage:?}: {reason}", round + 1));
            }
            Record::Ready => {}
        }
        Ok(())
    }

    /// Everything that has a figure, in the order of the report.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = self.figures.keys().map(|(row, _)| *row).collect();
        rows.dedup();
        rows
    }

    pub(crate) fn latency_rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = self.latencies.keys().map(|(row, _)| *row).collect();
        rows.dedup();
        rows
    }

    pub(crate) fn median(&self, row: Row, engine: &str) -> Option<Median> {
        let mut values = self.figures.get(&(row, engine.to_string()))?.clone();
        values.sort_by(f64::total_cmp);
        let value = *values.get(values.len() / 2)?;
        let spread = (values.last()? - values.first()?) / value;
        Some(Median { value, spread: if spread.is_finite() { spread } else { 0.0 } })
    }

    /// The medians over rounds of each kept quantile, in nanoseconds; the last is the largest of all maxima.
    pub(crate) fn quantiles(&self, row: Row, engine: &str) -> Option<Quantiles> {
        let rounds = self.latencies.get(&(row, engine.to_string()))?;
        let first = rounds.first()?;
        let median = |at: usize, quantile: f64| {
            let mut values: Vec<u64> = rounds.iter().filter_map(|round| Some(round.get(at)?.1)).collect();
            values.sort_unstable();
            let middle = if quantile < 1.0 { values.get(values.len() / 2) } else { values.last() };
            middle.copied().unwrap_or(0)
        };
        Some(first.iter().enumerate().map(|(at, (quantile, _))| (*quantile, median(at, *quantile))).collect())
    }

    /// The best median of those engines that `wanted` accepts; none where the row is a circumstance.
    fn best(&self, row: Row, wanted: impl Fn(&str) -> bool) -> Option<f64> {
        let medians = self.engines.iter().filter(|engine| wanted(engine));
        let values = medians.filter_map(|engine| Some(self.median(row, engine)?.value));
        match row.1.better() {
            Better::Higher => values.max_by(f64::total_cmp),
            Better::Lower => values.min_by(f64::total_cmp),
            Better::Neither => None,
        }
    }

    /// An engine's merit against the best of all, at most 1.
    pub(crate) fn merit(&self, row: Row, engine: &str) -> Option<f64> {
        merit(row.1, self.median(row, engine)?.value, self.best(row, |_| true)?)
    }

    /// Ours against the best of the others, variants of ours aside; above 1 ours is ahead.
    pub(crate) fn against_peers(&self, row: Row) -> Option<f64> {
        let is_peer = |name: &str| !name.starts_with(OURS);
        merit(row.1, self.median(row, OURS)?.value, self.best(row, is_peer)?)
    }
}

fn merit(measure: Measure, value: f64, best: f64) -> Option<f64> {
    let merit = match measure.better() {
        Better::Higher => value / best,
        Better::Lower if value == best => 1.0,
        Better::Lower => best / value,
        Better::Neither => return None,
    };
    merit.is_finite().then_some(merit)
}

#[cfg(test)]
mod tests {
    use super::Summary;
    use crate::plan::{Plan, Workload};
    use crate::process::MEMORY_LIMIT;
    use crate::record::{Figure, Measure, Record, Run};

    #[test]
    fn medians_and_ratios_are_right() {
        let mut summary = Summary::default();
        let figures = [("kv", 3.0), ("kv", 1.0), ("kv", 2.0), ("kv-lz4", 9.0), ("peer", 4.0), ("other", 1.0)];
        for measure in [Measure::Rate, Measure::Time] {
            for (engine, value) in figures {
                let (engine, round, workload) = (engine.to_string(), 0, Workload::Get);
                summary.add(Record::Figure(Figure { engine, round, workload, measure, value })).unwrap();
            }
        }
        let (rate, time) = ((Workload::Get, Measure::Rate), (Workload::Get, Measure::Time));
        let median = summary.median(rate, "kv").unwrap();
        assert_eq!((median.value, median.spread), (2.0, 1.0));
        assert_eq!(summary.against_peers(rate), Some(0.5));
        assert_eq!(summary.against_peers(time), Some(0.5));
        assert_eq!(summary.merit(rate, "kv-lz4"), Some(1.0));
        assert_eq!(summary.merit(time, "peer"), Some(0.25));
        assert_eq!(summary.rows(), [rate, time]);
    }
    fn run(keys: u64, workload: Workload, memory_limit: Option<&str>, engine: &str) -> Record {
        let plan = Plan {
            keys,
            value_bytes: 100,
            milliseconds: 10,
            cache_mib: 1,
            memtable_mib: 1,
            workloads: vec![workload],
        };
        let machine = memory_limit.map(|limit| (MEMORY_LIMIT.into(), limit.into())).into_iter().collect();
        let engines = vec![(engine.into(), "settings".into())];
        Record::Run(Run { version: "1".into(), machine, plan, rounds: 1, engines })
    }

    #[test]
    fn runs_stand_together_only_when_they_are_of_the_same_sizes() {
        let mut summary = Summary::default();
        summary.add(run(1_000, Workload::Get, None, "kv")).unwrap();
        summary.add(run(1_000, Workload::Scan, None, "peer")).unwrap();
        summary.add(run(2_000, Workload::Get, None, "kv")).unwrap_err();
        summary.add(run(1_000, Workload::Get, Some("512 MiB"), "kv")).unwrap_err();
        let engines = summary.run.unwrap().engines;
        assert_eq!(engines.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["kv", "peer"]);
    }
}
