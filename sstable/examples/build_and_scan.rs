//! Builds two tables of plain keys, reads them, and merges them into a third: the crate as a file format of its own.

use std::cmp::Ordering;

use sstable::{BuildOptions, Builder, Table};

fn main() -> base::Result<()> {
    let directory =
        tempfile::tempdir().map_err(|error| base::Error::io("create", "a directory".as_ref(), error))?;
    let path = |name: &str| directory.path().join(name);

    let mut builder = Builder::create(path("born.sst"), BuildOptions::default())?;
    for (name, year) in [("ada", "1815"), ("alan", "1912"), ("grace", "1906")] {
        builder.insert(name, year)?;
    }
    let made = builder.finish()?;
    println!("{} entries in {} bytes", made.properties.entries, made.file_bytes);

    let mut builder = Builder::create(path("more.sst"), BuildOptions::default())?;
    for (name, year) in [("barbara", "1939"), ("edsger", "1930")] {
        builder.insert(name, year)?;
    }
    builder.finish()?;

    let (born, more) = (Table::open(path("born.sst"))?, Table::open(path("more.sst"))?);
    println!("grace: {:?}", born.value("grace")?);
    for item in born.range("a".."b").rev() {
        let item = item?;
        println!("  {} {:?}", item.key().escape_ascii(), item.value());
    }

    merge(&born, &more, Builder::create(path("all.sst"), BuildOptions::default())?)?;
    let all = Table::open(path("all.sst"))?;
    all.verify()?;
    let mut description = String::new();
    all.describe(&mut description)?;
    println!("{description}");
    Ok(())
}

/// Writes both tables, in order, to `output`; on equal keys the left one wins.
fn merge(left: &Table, right: &Table, mut output: Builder) -> base::Result<()> {
    let (mut left, mut right) = (left.iter(), right.iter());
    let (mut next_left, mut next_right) = (left.next().transpose()?, right.next().transpose()?);
    loop {
        let order = match (&next_left, &next_right) {
            (Some(left), Some(right)) => left.key().cmp(right.key()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => break,
        };
        let mut taken = None;
        if order.is_ge() {
            taken = std::mem::replace(&mut next_right, right.next().transpose()?);
        }
        if order.is_le() {
            taken = std::mem::replace(&mut next_left, left.next().transpose()?);
        }
        if let Some(item) = taken
            && let Some(value) = item.value()
        {
            output.insert(item.key(), value)?;
        }
    }
    output.finish()?;
    Ok(())
}
