//! Snapshots, read sets and conflicts: who may commit and what may be forgotten
