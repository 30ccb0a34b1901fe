//! The durable list of living files, as a log of atomic edits
