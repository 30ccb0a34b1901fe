//! Everything that most programs need: open, write, read, scan, transactions, expiry.

use std::time::Duration;

use kv::{Db, SetOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let db = Db::open(directory.path().join("data"))?;

    // Single operations; each write is durable when it returns.
    db.set("user/1", "ann")?;
    db.set("user/2", "bob")?;
    db.set_with("session/9", "ann", &SetOptions::new().ttl(Duration::from_secs(3600)).user_meta(1))?;
    println!("user/1 is {:?}", db.get("user/1")?);

    // A transaction: all of it or nothing. It is run again when another one changed what it has read.
    let moved = db.update(|txn| {
        let Some(name) = txn.get("user/2")? else { return Ok(false) };
        txn.delete("user/2")?;
        txn.set("user/3", name)?;
        Ok(true)
    })?;
    println!("moved: {moved}");

    // A snapshot: what is written meanwhile is not seen.
    db.view(|txn| {
        db.set("user/4", "carl")?;
        for item in txn.prefix("user/")? {
            let item = item?;
            println!("{} = {:?}, version {}", item.key().escape_ascii(), item.value()?, item.version());
        }
        Ok(())
    })?;

    // Backwards, a few, without values.
    for item in db.scan()?.prefix("user/").reverse().keys_only().limit(2).iter()? {
        println!("one of the last two: {}", item?.key().escape_ascii());
    }

    // Closing reports what dropping the last handle cannot.
    db.close()?;
    Ok(())
}
