//! Large values are kept apart from their keys: scans over keys stay small, a compaction moves pointers, and the space of values
//! that were replaced is given back.

use kv::{Db, Options};

const PICTURES: u32 = 200;
const PICTURE_BYTES: usize = 256 << 10;

fn picture(number: u32, life: u8) -> Vec<u8> {
    // Pictures do not compress.
    let mut state = u64::from(number) << 8 | u64::from(life) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..PICTURE_BYTES).map(|_| next()).collect()
}

fn show(db: &Db, what: &str) {
    let stats = db.stats();
    let tables: u64 = stats.levels.iter().map(|level| level.bytes).sum();
    let values: u64 = stats.segments.iter().map(|segment| segment.bytes).sum();
    println!("{what}: {} KiB in tables, {} MiB in value segments", tables >> 10, values >> 20);
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let db = Options::new().memory_budget(64 << 20).open(directory.path())?;
    for life in 0..2 {
        let mut batch = db.write_batch();
        for number in 0..PICTURES {
            batch.set(format!("picture/{number:05}"), picture(number, life))?;
        }
        batch.commit()?;
    }
    db.flush()?;
    show(&db, "after writing everything twice");

    // Lengths are stored with the keys: no value is loaded.
    let mut bytes = 0;
    for item in db.scan()?.prefix("picture/").keys_only().iter()? {
        bytes += item?.value_len();
    }
    println!("{} MiB of pictures", bytes >> 20);

    let item = db.item("picture/00042")?.ok_or("it is not there")?;
    let value = item.value()?;
    assert!(value == picture(42, 1));
    println!("picture 42 has {} bytes, version {}", value.len(), item.version());

    db.compact()?;
    show(&db, "after a compaction");
    db.close()?;
    Ok(())
}
