//! In-memory sorted buffer: an append-leaf B+tree over an arena, one writer, wait-free readers
