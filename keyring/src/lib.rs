//! The registry of data keys
