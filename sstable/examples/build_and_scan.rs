//! Builds two tables of plain keys, reads them, and merges them into a third: the crate as a file format of its own.

use sstable::{BuildOptions, Builder, Table};

fn main() -> base::Result<()> {
    let directory = tempfile::tempdir().map_err(|error| base::Error::io("create", "a directory".as_ref(), error))?;
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
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    loop {
        let key = |item: Option<&base::Result<sstable::Item>>| match item {
            Some(Ok(item)) => Some(item.key().to_vec()),
            Some(Err(_)) | None => None,
        };
        let (left_key, right_key) = (key(left.peek()), key(right.peek()));
        let take_left = match (&left_key, &right_key) {
            (Some(left_key), Some(right_key)) => left_key <= right_key,
            (Some(_), None) => true,
            (None, _) => left.peek().is_some(),
        };
        if left_key.is_some() && left_key == right_key {
            right.next().transpose()?;
        }
        let next = if take_left { left.next() } else { right.next() };
        match next.transpose()? {
            Some(item) => output.insert(item.key(), item.value().map_or(&[][..], |value| value))?,
            None => break,
        }
    }
    output.finish()?;
    Ok(())
}
