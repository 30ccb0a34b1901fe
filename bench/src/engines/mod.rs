//! One adapter a file; peers only where their feature is on.

#[cfg(feature = "canopydb")]
mod canopydb;
#[cfg(feature = "fjall")]
mod fjall;
#[cfg(feature = "lmdb")]
mod lmdb;
mod ours;
#[cfg(feature = "redb")]
mod redb;
#[cfg(feature = "rocksdb")]
mod rocksdb;
#[cfg(feature = "sled")]
mod sled;
#[cfg(feature = "surrealkv")]
mod surrealkv;

use crate::engine::Opener;

/// Every engine that is built in, ours first.
pub(crate) const ALL: &[Opener] = &[
    ours::DEFAULT,
    ours::COMPRESSED,
    #[cfg(feature = "rocksdb")]
    rocksdb::DEFAULT,
    #[cfg(feature = "rocksdb")]
    rocksdb::BLOB,
    #[cfg(feature = "fjall")]
    fjall::DEFAULT,
    #[cfg(feature = "fjall")]
    fjall::BLOB,
    #[cfg(feature = "lmdb")]
    lmdb::OPENER,
    #[cfg(feature = "redb")]
    redb::OPENER,
    #[cfg(feature = "surrealkv")]
    surrealkv::DEFAULT,
    #[cfg(feature = "surrealkv")]
    surrealkv::VALUE_LOG,
    #[cfg(feature = "canopydb")]
    canopydb::OPENER,
    #[cfg(feature = "sled")]
    sled::OPENER,
];

#[cfg(test)]
mod tests {
    use crate::data::{random_key, value};
    use crate::engine::{Order, Scan, Settings};

    const COUNT: u64 = 2_500;

    /// Goal: every engine that is built in gives back what it was given, in both directions, after reopening too.
    #[test]
    fn engines_give_back_what_they_were_given() {
        for opener in super::ALL {
            for durable in [false, true] {
                let directory = tempfile::tempdir().unwrap();
                let settings = Settings { cache_bytes: 8 << 20, memtable_bytes: 8 << 20, durable };
                let engine = (opener.open)(directory.path(), settings).unwrap();
                // Lengths on both sides of the thresholds at which values are kept apart.
                let length = |index: u64| [1, 100, 1_500][usize::try_from(index % 3).unwrap()];
                let mut pairs: Vec<_> =
                    (0..COUNT).map(|index| (random_key(index), value(index, length(index)))).collect();
                for batch in pairs.chunks(700) {
                    engine.put_batch(batch).unwrap();
                }
                engine.flush().unwrap();
                check(opener.name, &*engine, &mut pairs);
                engine.close().unwrap();
                let engine = (opener.open)(directory.path(), settings).unwrap();
                check(opener.name, &*engine, &mut pairs);
                engine.close().unwrap();
            }
        }
    }

    fn check(name: &str, engine: &dyn crate::engine::Engine, pairs: &mut [(crate::data::Key, Vec<u8>)]) {
        pairs.sort();
        let collect = |scan: Scan<'_>| {
            let mut found = Vec::new();
            let visit: crate::engine::Visit<'_> =
                &mut |key, value| found.push((key.to_vec(), value.to_vec()));
            engine.scan(scan, visit).unwrap();
            found
        };
        let expected: Vec<_> = pairs.iter().map(|(key, value)| (key.to_vec(), value.clone())).collect();
        assert!(collect(Scan::ALL) == expected, "{name}: forward");
        let mut backward = collect(Scan { order: Order::Reverse, ..Scan::ALL });
        backward.reverse();
        assert!(backward == expected, "{name}: reverse");
        let keys = collect(Scan { keys_only: true, ..Scan::ALL });
        assert!(keys.iter().map(|pair| &pair.0).eq(expected.iter().map(|pair| &pair.0)), "{name}: keys");
        let some = collect(Scan { from: Some(&expected[40].0), limit: 100, ..Scan::ALL });
        assert!(some == expected[40..140], "{name}: from a key");
        for (key, value) in &expected {
            let mut got = Vec::new();
            assert!(
                engine.get(key, &mut |found| got = found.to_vec()).unwrap() && got == *value,
                "{name}: get"
            );
        }
        assert!(!engine.get(&random_key(COUNT), &mut |_| {}).unwrap(), "{name}: absent");
    }
}
