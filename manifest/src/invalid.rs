//! Why an edit is refused: one variant per rule, the facts as fields.

/// An edit that contradicts the state it is meant for, or itself. Nothing of it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// A file number outside the durable lease.
    #[error("file number {number} is not leased; leased are those from 1 to below {below}")]
    NotLeased {
        /// The number.
        number: u64,
        /// The end of the lease.
        below: u64,
    },
    /// A file number that another living file has.
    #[error("file number {number} is taken")]
    NumberTaken {
        /// The number.
        number: u64,
    },
    /// A table, generation or segment that does not exist.
    #[error("{what} {number} does not exist")]
    Unknown {
        /// What was named: "table", "generation", "segment".
        what: &'static str,
        /// Its number or id.
        number: u64,
    },
    /// A table, generation or segment that the edit changes twice.
    #[error("{what} {number} is changed twice in one edit")]
    ChangedTwice {
        /// What was named: "table", "generation", "segment".
        what: &'static str,
        /// Its number or id.
        number: u64,
    },
    /// A level that does not exist.
    #[error("table {table} is put into level {level}; the deepest is {deepest}")]
    LevelTooDeep {
        /// The table.
        table: u64,
        /// Its level.
        level: u8,
        /// The deepest level there is.
        deepest: u8,
    },
    /// A move to the level where the table is already.
    #[error("table {table} is in level {level} already")]
    NotMoved {
        /// The table.
        table: u64,
        /// Its level.
        level: u8,
    },
    /// Facts of one table that contradict each other.
    #[error("table {table}: {why}")]
    Table {
        /// The table.
        table: u64,
        /// The contradiction.
        why: &'static str,
    },
    /// Two tables whose order of reading would not be defined.
    #[error("tables {table} and {other} of level {level} overlap")]
    Overlap {
        /// A table that the edit brings.
        table: u64,
        /// The other one.
        other: u64,
        /// Their level.
        level: u8,
    },
    /// A table that points into a segment which is not there.
    #[error("table {table} points into segment {segment}, which does not exist")]
    SegmentMissing {
        /// The table.
        table: u64,
        /// The segment.
        segment: u64,
    },
    /// The removal of a segment that tables still point into.
    #[error("segment {segment} is still in use by {tables} tables")]
    SegmentInUse {
        /// The segment.
        segment: u64,
        /// How many tables point into it.
        tables: u64,
    },
    /// Tables that claim more of a segment than it holds.
    #[error("the tables claim {claimed} {what} of segment {segment}, which holds {held}")]
    SegmentOverused {
        /// The segment.
        segment: u64,
        /// What is claimed: "values" or "bytes of values".
        what: &'static str,
        /// How much the tables claim.
        claimed: u64,
        /// How much the segment holds.
        held: u64,
    },
    /// A segment whose values are larger than itself.
    #[error("segment {segment} holds more bytes of values than bytes")]
    SegmentCounts {
        /// The segment.
        segment: u64,
    },
    /// A generation that is not newer than all before it.
    #[error("generation {id} is not above {last}, the last one")]
    GenerationOrder {
        /// The generation.
        id: u64,
        /// The highest id ever given.
        last: u64,
    },
    /// A retired generation with an older one still open.
    #[error("generation {id} is retired before the older {oldest}")]
    RetiredOutOfOrder {
        /// The generation.
        id: u64,
        /// The oldest that stays open.
        oldest: u64,
    },
    /// A counter that would go down.
    #[error("{what} would go down from {from} to {to}")]
    WentDown {
        /// The counter.
        what: &'static str,
        /// Its value.
        from: u64,
        /// The value asked for.
        to: u64,
    },
    /// A clean close that does not list each log of the open generations once.
    #[error(
        "the clean close lists log {file_number}, which is not a log of an open generation or is listed twice"
    )]
    ClosedLog {
        /// The log's file number.
        file_number: u64,
    },
    /// All edit numbers are used up.
    #[error("no edit number is left")]
    NumbersExhausted,
}
