//! A feed that is replaced as a whole, again and again, while others read it: one transaction per edition, so that a reader sees
//! the old edition or the new one, whole, and never a mix.

use std::sync::atomic::{AtomicBool, Ordering};

use kv::{Db, Result};

const EDITIONS: u32 = 20;
const PREFIX: &str = "feed/";

/// What a download of this edition brings: several thousand items, not the same ones every time.
fn download(edition: u32) -> impl Iterator<Item = (String, String)> {
    let items = 3_000 + edition * 37 % 500;
    (0..items).map(move |number| {
        let item = number * (edition % 3 + 1);
        (format!("{PREFIX}{item:06}"), format!("edition {edition} of {items} items"))
    })
}

/// Removes what the last edition had and writes the new one, in one transaction.
fn publish(db: &Db, edition: u32) -> Result<()> {
    db.update(|txn| {
        for item in txn.scan().prefix(PREFIX).keys_only().iter()? {
            txn.delete(item?.key())?;
        }
        for (key, value) in download(edition) {
            txn.set(key, value)?;
        }
        Ok(())
    })
}

/// Lists the feed and checks that it is one edition, whole. Returns how many items it has.
fn list(db: &Db) -> Result<usize> {
    let mut first = None;
    let mut count = 0;
    for item in db.prefix(PREFIX)? {
        let value = item?.value()?;
        let edition = first.get_or_insert_with(|| value.clone());
        assert_eq!(*edition, value, "two editions in one list");
        count += 1;
    }
    let edition = first.unwrap_or_default();
    assert!(edition.ends_with(format!(" of {count} items").as_bytes()), "{count} items of {edition:?}");
    Ok(count)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let db = Db::open(directory.path())?;
    publish(&db, 0)?;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut lists = 0;
                    while !done.load(Ordering::Relaxed) {
                        list(&db)?;
                        lists += 1;
                    }
                    Ok::<u32, kv::Error>(lists)
                })
            })
            .collect();
        let published = (1..=EDITIONS).try_for_each(|edition| publish(&db, edition));
        done.store(true, Ordering::Relaxed);
        for reader in readers {
            match reader.join() {
                Ok(lists) => {
                    println!("a reader listed the feed {} times, one whole edition each time", lists?)
                }
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        published
    })?;
    println!("{EDITIONS} editions, {} items in the last one", list(&db)?);
    db.close()?;
    Ok(())
}
