//! Write-ahead log: batches of writes, one record a commit
