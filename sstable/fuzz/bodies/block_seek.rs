//! Goal: no raw block harms its reader; a search ends and leads nowhere outside; and a block whose entries are in order
//! says the same when it is built anew.
//! Method: the input is a list of keys to look for, and the bytes of a block. The block module is taken in by path: it is
//! private to the crate.

use base::{InternalKey, Version};

use crate::shared::{Body, InputReader, Memory, Mode};

#[allow(dead_code, clippy::redundant_pub_crate, reason = "the module has more than is used here")]
#[path = "../../src/block/mod.rs"]
mod block;

use block::{BlockBuilder, Layout, Lookup};

pub const BODY: Body = Body { name: "block_seek", run, seeds, memory: Memory::PLAIN };

/// An entry: key, version, payload.
type Row = (Vec<u8>, Version, Vec<u8>);

fn run(input: &[u8], _mode: Mode) {
    let mut reader = InputReader::new(input);
    let targets: Vec<(&[u8], Version)> = (0..reader.u8() % 8)
        .map(|_| {
            let len = usize::from(reader.u8() % 16);
            (reader.bytes(len), Version(u64::from(reader.u8())))
        })
        .collect();
    let raw = reader.rest();
    let Ok(layout) = Layout::parse(raw) else { return };
    assert!(layout.count() >= 1 && layout.prefix(raw).len() <= raw.len());
    for (key, version) in &targets {
        for version in [*version, Version::ZERO, Version::MAX] {
            if let Ok(found) = layout.lower_bound(raw, InternalKey::new(key, version)) {
                assert!(found <= layout.count());
            }
            if let Ok(Lookup::Here(slot)) = layout.find(raw, InternalKey::new(key, version)) {
                assert!(slot.suffix.end <= slot.payload.start && slot.payload.end <= raw.len());
            }
        }
    }
    assert!(layout.slot(raw, layout.count()).is_err() || raw.len() > 16);
    if let Some(rows) = rows(&layout, raw) {
        builds_again(&rows, &targets);
    }
}

/// All entries; `None` unless each can be read, in strictly ascending order, and together they are no longer than a
/// builder would make them.
fn rows(layout: &Layout, raw: &[u8]) -> Option<Vec<Row>> {
    let prefix = layout.prefix(raw);
    if prefix.len().saturating_mul(layout.count()) > 4 * raw.len() {
        return None;
    }
    let mut rows: Vec<Row> = Vec::new();
    let mut payload_bytes = 0;
    for number in 0..layout.count() {
        let slot = layout.slot(raw, number).ok()?;
        let key = [prefix, raw.get(slot.suffix).unwrap()].concat();
        let payload = raw.get(slot.payload).unwrap().to_vec();
        payload_bytes += payload.len();
        let follows = rows.last().is_none_or(|(last, version, _)| {
            InternalKey::new(last, *version) < InternalKey::new(&key, slot.version)
        });
        if !follows || payload_bytes > raw.len() {
            return None;
        }
        rows.push((key, slot.version, payload));
    }
    Some(rows)
}

fn builds_again(rows: &[Row], targets: &[(&[u8], Version)]) {
    let mut builder = BlockBuilder::default();
    for (key, version, payload) in rows {
        builder.add(InternalKey::new(key, *version), |out| out.extend_from_slice(payload));
    }
    let mut again = Vec::new();
    builder.finish_into(&mut again);
    let layout = Layout::parse(&again).unwrap();
    assert_eq!(self::rows(&layout, &again).as_deref().unwrap_or(rows), rows);
    let found = rows.iter().map(|(key, version, _)| (key.as_slice(), *version));
    for (key, version) in targets.iter().copied().chain(found) {
        let target = InternalKey::new(key, version);
        let expected = rows.partition_point(|(key, version, _)| InternalKey::new(key, *version) < target);
        assert_eq!(layout.lower_bound(&again, target), Ok(expected));
        let is_of_key = |row: &Row| row.0 == key;
        match rows.get(expected) {
            Some(row) if is_of_key(row) => {
                assert_eq!(layout.find(&again, target), layout.slot(&again, expected).map(Lookup::Here));
            }
            None if rows.last().is_some_and(is_of_key) => {
                assert_eq!(layout.find(&again, target), Ok(Lookup::InNextBlock));
            }
            Some(_) | None => assert_eq!(layout.find(&again, target), Ok(Lookup::Absent)),
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let seed = |rows: &[(&str, u64, usize)]| {
        let mut builder = BlockBuilder::default();
        for (key, version, payload_len) in rows {
            let key = InternalKey::new(key.as_bytes(), Version(*version));
            builder.add(key, |out| out.resize(out.len() + payload_len, 1));
        }
        let mut raw = Vec::new();
        builder.finish_into(&mut raw);
        [&[3, 4][..], b"prea", &[9, 5], b"prefi", &[2, 1], b"z", &[0], &raw].concat()
    };
    let many: Vec<String> = (0..90).map(|number| format!("key{:02}", number)).collect();
    let many: Vec<(&str, u64, usize)> = many.iter().map(|key| (key.as_str(), 3, 2)).collect();
    vec![
        seed(&[("only", 1, 3)]),
        seed(&[("prefix-a", 9, 4), ("prefix-b", 7, 0), ("prefix-b", 3, 5), ("prefix-ccc", 300, 1)]),
        seed(&[("", 1, 1), ("a", 1, 1), ("aa", 1, 1), ("aaaaa", 70_000, 1), ("ab", 1, 40)]),
        seed(&many),
        seed(&[("wide", 1, 66_000), ("wider", 1, 1)]),
    ]
}
