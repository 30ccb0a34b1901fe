//! An embedded, transactional key-value database
