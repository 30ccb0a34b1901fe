//! What is measured, as JSON lines: from a child to its parent, into files, and from there into reports.

use serde::{Deserialize, Serialize};

use crate::plan::{Plan, Stage, Workload};
use crate::process::MEMORY_LIMIT;

/// One line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub(crate) enum Record {
    Run(Run),
    Figure(Figure),
    Latency(Latency),
    Timeline(Timeline),
    /// A child that failed, or took too long; what it had measured before stands.
    Failed {
        engine: String,
        round: usize,
        stage: Stage,
        reason: String,
    },
    /// The child that fills a log has done so, and waits to be killed.
    Ready,
}

/// What and where was measured; the first line of a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) version: String,
    pub(crate) machine: Vec<(String, String)>,
    pub(crate) plan: Plan,
    pub(crate) rounds: usize,
    /// Names and settings.
    pub(crate) engines: Vec<(String, String)>,
}

impl Run {
    /// True when figures of `other` may stand beside those of this run.
    pub(crate) fn is_comparable(&self, other: &Self) -> bool {
        let limit = |run: &Self| run.machine.iter().find(|(name, _)| name == MEMORY_LIMIT).cloned();
        self.plan.is_comparable(&other.plan) && limit(self) == limit(other)
    }

    /// Adds the engines of another run that this one did not have.
    pub(crate) fn take_engines(&mut self, other: Self) {
        for (name, settings) in other.engines {
            if !self.engines.iter().any(|(known, _)| *known == name) {
                self.engines.push((name, settings));
            }
        }
    }
}

/// One number of one round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) engine: String,
    pub(crate) round: usize,
    pub(crate) workload: Workload,
    pub(crate) measure: Measure,
    pub(crate) value: f64,
}

/// How long single operations took in one round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) engine: String,
    pub(crate) round: usize,
    pub(crate) workload: Workload,
    pub(crate) measure: Measure,
    pub(crate) operations: u64,
    /// Quantiles and nanoseconds, ascending, the last is the maximum.
    pub(crate) quantiles: Vec<(f64, u64)>,
}

/// How many entries were written in each interval of a load.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Timeline {
    pub(crate) engine: String,
    pub(crate) round: usize,
    pub(crate) workload: Workload,
    pub(crate) interval_milliseconds: u64,
    pub(crate) entries: Vec<u64>,
}

/// What a number says. The order is that of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Measure {
    /// Operations a second: entries of loads and scans, else calls.
    Rate,
    /// Entries a second, the background's work included.
    SettledRate,
    /// Reads a second beside writes.
    ReadRate,
    /// Writes a second beside reads.
    WriteRate,
    /// Milliseconds.
    Time,
    /// Acknowledged entries that are gone, of a hundred.
    LostPercent,
    /// Bytes on disk over bytes of live keys and values.
    SpaceAmplification,
    /// Bytes that reached the disk over bytes of written keys and values.
    WriteAmplification,
    /// Bytes given to write calls over bytes of written keys and values; does not see maps.
    WriteCallAmplification,
    /// The most private memory, in MiB.
    PeakPrivateMib,
    /// The most resident memory, pages of mapped files included, in MiB.
    PeakResidentMib,
    /// 4 KiB appended and synced, a second: the disk itself, in the same process.
    DiskAppendRate,
    /// 4 KiB written over and synced, a second: the disk itself, in the same process.
    DiskOverwriteRate,
}

/// Which number is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    Higher,
    Lower,
    /// A circumstance, no merit.
    Neither,
}

impl Measure {
    /// What the report calls it, with its unit.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Rate => "k/s",
            Self::SettledRate => "settled, k/s",
            Self::ReadRate => "reads, k/s",
            Self::WriteRate => "writes, k/s",
            Self::Time => "ms",
            Self::LostPercent => "lost, %",
            Self::SpaceAmplification => "space amplification",
            Self::WriteAmplification => "write amplification",
            Self::WriteCallAmplification => "write-call amplification",
            Self::PeakPrivateMib => "peak private memory, MiB",
            Self::PeakResidentMib => "peak resident memory, MiB",
            Self::DiskAppendRate => "the disk's append and fdatasync, k/s",
            Self::DiskOverwriteRate => "the disk's overwrite and fdatasync, k/s",
        }
    }

    /// From the stored number to the one that the report shows.
    pub(crate) fn scale(self) -> f64 {
        match self {
            Self::Rate | Self::SettledRate | Self::ReadRate | Self::WriteRate => 1e-3,
            Self::DiskAppendRate | Self::DiskOverwriteRate => 1e-3,
            _ => 1.0,
        }
    }

    pub(crate) fn better(self) -> Better {
        match self {
            Self::Rate | Self::SettledRate | Self::ReadRate | Self::WriteRate => Better::Higher,
            Self::DiskAppendRate | Self::DiskOverwriteRate => Better::Neither,
            Self::PeakResidentMib | Self::WriteCallAmplification => Better::Neither,
            _ => Better::Lower,
        }
    }
}
