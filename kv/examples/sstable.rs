//! Tables alone, without a database: the file format of crate `sstable`. Builds sorted files, scans one, and merges all of them
//! into one, newest first, as a compaction does.

use std::collections::BTreeMap;
use std::path::Path;

use sstable::{BuildOptions, Builder, Table};

fn build(path: &Path, rows: &BTreeMap<String, String>) -> base::Result<Table> {
    let mut builder = Builder::create(path, BuildOptions::default())?;
    for (key, value) in rows {
        builder.insert(key, value)?;
    }
    let summary = builder.finish()?;
    println!("{}: {} entries in {} bytes", path.display(), summary.properties.entries, summary.file_bytes);
    Table::open(path)
}

/// Writes what the tables hold together; of equal keys the one in the earlier table wins.
fn merge(tables: &[Table], path: &Path) -> base::Result<Table> {
    let mut runs: Vec<_> = tables.iter().map(Table::iter).collect();
    let mut heads = runs.iter_mut().map(|run| run.next().transpose()).collect::<base::Result<Vec<_>>>()?;
    let mut builder = Builder::create(path, BuildOptions::default())?;
    while let Some(key) = heads.iter().flatten().map(|head| head.key().to_vec()).min() {
        let mut is_written = false;
        for (head, run) in heads.iter_mut().zip(&mut runs) {
            let Some(item) = head.take_if(|head| head.key() == key) else { continue };
            if let Some(value) = item.value()
                && !is_written
            {
                builder.insert(&key, value)?;
                is_written = true;
            }
            *head = run.next().transpose()?;
        }
    }
    builder.finish()?;
    Table::open(path)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let path = |name: &str| directory.path().join(name);
    let rows = |step: usize, what: &str| {
        (0..1_000)
            .step_by(step)
            .map(|number| (format!("key{number:04}"), format!("{what} {number}")))
            .collect()
    };
    let newest = build(&path("newest.sst"), &rows(7, "newest"))?;
    let oldest = build(&path("oldest.sst"), &rows(2, "oldest"))?;

    for item in newest.range("key0010".."key0030").rev() {
        let item = item?;
        println!("  {} = {:?}", item.key().escape_ascii(), item.value());
    }

    let merged = merge(&[newest, oldest], &path("merged.sst"))?;
    merged.verify()?;
    assert_eq!(merged.value("key0014")?.as_deref(), Some(&b"newest 14"[..]));
    assert_eq!(merged.value("key0016")?.as_deref(), Some(&b"oldest 16"[..]));
    println!("merged: {} entries", merged.iter().count());
    Ok(())
}
