//! Sorted tables: immutable files of ordered, versioned entries
