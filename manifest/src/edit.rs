//! One atomic change of the set of living files: plain data, persisted as it stands here.
//!
//! The order and the types of the fields are the format; they are changed by adding a variant to the versioned
//! envelope in `codec`, never in place.

use serde::{Deserialize, Serialize};

use crate::TableMeta;

/// One atomic change. What is left at its default does not change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// New tables, each placed in its [`TableMeta::level`].
    pub tables_added: Vec<TableMeta>,
    /// File numbers of tables that are no longer part of the database.
    pub tables_removed: Vec<u64>,
    /// Tables that change their level: file number and new level.
    pub tables_moved: Vec<(u64, u8)>,
    /// New generations, in ascending order of their ids, above every earlier one.
    pub generations_opened: Vec<Generation>,
    /// Ids of generations whose commits are all in tables now; the oldest ones that are open.
    pub generations_retired: Vec<u64>,
    /// Value segments that are sealed from now on.
    pub segments_added: Vec<SegmentMeta>,
    /// File numbers of value segments that no table points into any longer.
    pub segments_removed: Vec<u64>,
    /// The lease: file numbers below this may be used once this edit is durable.
    pub numbers_below: Option<u64>,
    /// The highest version given to a commit.
    pub last_version: Option<u64>,
    /// The number of the last commit that is in tables.
    pub last_commit: Option<u64>,
    /// The highest generation id ever given, where it is not that of an opened one (an ingested table has an age, but
    /// no logs).
    pub last_generation: Option<u64>,
    /// Set by a clean close: the logs of every open generation, all synced. Any later edit takes it back.
    pub closed: Option<Vec<LogLength>>,
}

/// One memtable with its logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Generation {
    /// Its place in time; larger is newer.
    pub id: u64,
    /// File number of its write-ahead log.
    pub wal: u64,
    /// File number of its value log.
    pub vlog: u64,
}

/// What is known of a sealed value segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SegmentMeta {
    /// Its file number.
    pub number: u64,
    /// Its sealed length, in bytes.
    pub bytes: u64,
    /// How many `Value` records it holds.
    pub values: u64,
    /// The length of those records with padding, in bytes.
    pub value_record_bytes: u64,
}

/// How far a log was written at a clean close.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogLength {
    /// The log's file number.
    pub file_number: u64,
    /// Its length up to the end of its last record, in bytes.
    pub bytes: u64,
    /// The number of the last commit in it; 0 when it holds none.
    pub last_commit: u64,
}
