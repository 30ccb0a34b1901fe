//! The storage engine: a durable, versioned, ordered map with separated values
