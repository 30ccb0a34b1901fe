//! What a run does: its workloads, their stages, and the sizes. Plain data that travels to the child processes.

use serde::{Deserialize, Serialize};

use crate::engine::{Failure, Settings};

/// What to run, equal for all engines.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) keys: u64,
    pub(crate) value_bytes: usize,
    pub(crate) milliseconds: u64,
    pub(crate) cache_mib: usize,
    pub(crate) memtable_mib: usize,
    pub(crate) workloads: Vec<Workload>,
}

impl Plan {
    pub(crate) fn wants(&self, workload: Workload) -> bool {
        self.workloads.contains(&workload)
    }

    pub(crate) fn settings(&self, durable: bool) -> Settings {
        Settings { cache_bytes: self.cache_mib << 20, memtable_bytes: self.memtable_mib << 20, durable }
    }

    /// True when figures of `other` may stand beside those of this plan: they may have been of other workloads only.
    pub(crate) fn is_comparable(&self, other: &Self) -> bool {
        let sizes =
            |plan: &Self| (plan.keys, plan.value_bytes, plan.milliseconds, plan.cache_mib, plan.memtable_mib);
        sizes(self) == sizes(other)
    }

    /// Keys and values of `entries` entries, in bytes.
    pub(crate) fn logical_bytes(&self, entries: u64) -> f64 {
        (entries * (16 + self.value_bytes as u64)) as f64
    }

    /// The stages that have anything to do.
    pub(crate) fn stages(&self) -> Vec<Stage> {
        let has_work = |stage: &Stage| self.workloads.iter().any(|workload| workload.stage() == *stage);
        [Stage::Sequential, Stage::Random, Stage::Durable, Stage::Recovery]
            .into_iter()
            .filter(has_work)
            .collect()
    }
}

/// What one child process does with one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stage {
    /// Loads in key order.
    Sequential,
    /// Loads in random order; all reads and buffered writes follow on that database.
    Random,
    /// Commits that survive power loss, beside the disk's own rate.
    Durable,
    /// Fills a log, and is killed by its parent.
    Recovery,
    /// Opens what the killed process left.
    Reopening,
}

macro_rules! workloads {
    ($($name:ident $text:literal $stage:ident $about:literal)*) => {
        /// A workload; the order is that of running and of the report.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub(crate) enum Workload {
            $(#[doc = $about] #[serde(rename = $text)] $name,)*
        }

        impl Workload {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name on the command line and in the report.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What is done.
            pub(crate) fn about(self) -> &'static str {
                match self { $(Self::$name => $about,)* }
            }

            /// Where it runs.
            pub(crate) fn stage(self) -> Stage {
                match self { $(Self::$name => Stage::$stage,)* }
            }
        }
    };
}

workloads! {
    LoadSequential "load-sequential" Sequential "Load in key order, 1,000 entries a batch"
    LoadRandom "load-random" Random "Load in random order, 1,000 entries a batch; settled: until the background is idle"
    Get "get" Random "Random point reads, each its own transaction"
    Get2 "get-2-threads" Random "The same from two threads"
    GetZipf "get-zipf" Random "Point reads, Zipf 0.99"
    GetAbsent "get-absent" Random "Point reads of absent keys"
    GetAbsent2 "get-absent-2-threads" Random "The same from two threads"
    Seek100 "seek-100" Random "Seek to a random key, read 100 entries"
    Scan "scan" Random "Full scan"
    ScanReverse "scan-reverse" Random "Full scan backwards"
    ScanKeys "scan-keys" Random "Full scan of the keys alone"
    Overwrite "overwrite" Random "Overwrite every entry in random order, 1,000 a batch; settled as above"
    Put1 "put-1-thread" Random "Single buffered commits over random entries"
    Put2 "put-2-threads" Random "The same from two threads"
    Put8 "put-8-threads" Random "The same from eight threads"
    ReadWhileWriting "read-while-writing" Random "One thread of random point reads beside one of buffered commits"
    YcsbA "ycsb-a" Random "Two threads, Zipf: half reads, half updates"
    YcsbB "ycsb-b" Random "Two threads, Zipf: 95 % reads, 5 % updates"
    YcsbC "ycsb-c" Random "Two threads, Zipf: reads"
    YcsbD "ycsb-d" Random "Two threads: 95 % reads of the latest, 5 % inserts"
    YcsbE "ycsb-e" Random "Two threads, Zipf: 95 % scans of 1 to 100 entries, 5 % inserts"
    YcsbF "ycsb-f" Random "Two threads, Zipf: half reads, half read-modify-writes"
    Reopen "reopen" Random "Open after a clean close, and read one key"
    Durable1 "durable-1-thread" Durable "Single durable commits"
    Durable8 "durable-8-threads" Durable "The same from eight threads"
    Durable32 "durable-32-threads" Durable "The same from 32 threads"
    Recovery "recovery" Recovery "Open after kill -9 with a full log, and read one key"
}

impl Workload {
    /// Those named, or all. A name that ends in `*` stands for all that begin so.
    pub(crate) fn chosen(names: &[String]) -> Result<Vec<Self>, Failure> {
        if names.is_empty() {
            return Ok(Self::ALL.to_vec());
        }
        let mut chosen = Vec::new();
        for name in names {
            let matches = |workload: &&Self| match name.strip_suffix('*') {
                Some(beginning) => workload.name().starts_with(beginning),
                None => workload.name() == name,
            };
            let found: Vec<Self> = Self::ALL.iter().filter(matches).copied().collect();
            if found.is_empty() {
                return Err(format!("unknown workload {name}; `kv-bench list` shows all").into());
            }
            chosen.extend(found);
        }
        Ok(chosen)
    }
}
