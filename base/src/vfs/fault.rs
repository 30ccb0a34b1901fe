//! A file system that fails on purpose.
