//! Temporary.
use std::time::Instant;
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let db = kv::Options::new().durability(kv::Durability::Buffered).open(dir.path())?;
    let n: u64 = 1_000_000;
    let mut state = 1u64;
    let mut key = || { state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407); (state >> 20).to_be_bytes() };
    let value = [7u8; 100];
    let t = Instant::now();
    for _ in 0..n { let k = key(); db.set(k, value)?; }
    println!("set buffered: {:?}/op", t.elapsed() / n as u32);
    let mut batch = db.write_batch();
    let t = Instant::now();
    for _ in 0..n { let k = key(); batch.set(k, value)?; }
    batch.commit()?;
    println!("batch: {:?}/op", t.elapsed() / n as u32);
    db.flush()?; db.compact()?;
    println!("{:?}", db.stats().levels);
    let mut keys = Vec::new();
    for item in db.scan()?.keys_only().limit(200_000).iter()? { keys.push(item?.key().to_vec()); }
    let t = Instant::now();
    let c = db.iter()?.count();
    println!("scan: {:?}/item of {c}", t.elapsed() / c as u32);
    let t = Instant::now();
    for i in 0..n as usize { let k = &keys[i * 7919 % keys.len()]; assert!(db.get(k)?.is_some()); }
    println!("get tables: {:?}/op", t.elapsed() / n as u32);
    let txn = db.begin_read()?;
    let t = Instant::now();
    for i in 0..n as usize { let k = &keys[i * 7919 % keys.len()]; assert!(txn.get(k)?.is_some()); }
    println!("get tables in txn: {:?}/op", t.elapsed() / n as u32);
    let t = Instant::now();
    for _ in 0..n { db.begin_read()?; }
    println!("begin_read: {:?}/op", t.elapsed() / n as u32);
    let t = Instant::now();
    for i in 0..200_000usize { db.update(|txn| { let k=&keys[i]; let v = txn.get(k)?.unwrap_or_default(); txn.set(k, &v) })?; }
    println!("update: {:?}/op", t.elapsed() / 200_000);
    let sdb = kv::Options::new().open(dir.path().join("s"))?;
    let t = Instant::now();
    for i in 0..200u32 { sdb.set(i.to_be_bytes(), value)?; }
    println!("set sync: {:?}/op", t.elapsed() / 200);
    Ok(())
}
