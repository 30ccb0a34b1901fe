//! Goal: any sequence of cursor moves and point reads on any table ends where it should, or in an error.
//! Method: the input is a list of operations and a table. Where `verify` accepts the table, a sorted list of its entries
//! foretells every step.

use base::{Cursor, InternalKey, InternalKeyBuf, Result, Version};
use sstable::{Item, Table, key_hash};

use super::table_scan::{open, tables};
use crate::shared::{Body, InputReader, Memory, Mode};

pub const BODY: Body = Body { name: "table_seek", run, seeds, memory: Memory::COMPRESSED };

#[derive(Clone, Copy, Debug)]
enum Operation<'a> {
    First,
    Last,
    Next,
    Prev,
    Seek(InternalKey<'a>),
    SeekBack(InternalKey<'a>),
    Get(InternalKey<'a>),
}

fn read_operations<'a>(reader: &mut InputReader<'a>) -> Vec<Operation<'a>> {
    let count = reader.u8() % 32;
    let mut operations = Vec::new();
    for _ in 0..count {
        let kind = reader.u8();
        let mut key = || {
            let len = usize::from(reader.u8() % 12);
            let user_key = reader.bytes(len);
            InternalKey::new(user_key, Version(u64::from(reader.u16())))
        };
        operations.push(match kind % 8 {
            0 => Operation::First,
            1 => Operation::Last,
            2 | 3 => Operation::Next,
            4 => Operation::Prev,
            5 => Operation::Seek(key()),
            6 => Operation::SeekBack(key()),
            _ => Operation::Get(key()),
        });
    }
    operations
}

fn run(input: &[u8], _mode: Mode) {
    let mut reader = InputReader::new(input);
    let how = reader.u8();
    let operations = read_operations(&mut reader);
    let Ok(table) = open(how, reader.rest()) else { return };
    let mut cursor = table.cursor();
    for operation in &operations {
        if apply(&table, &mut cursor, *operation).is_err() {
            assert!(cursor.key().is_none() && cursor.entry().is_none());
        }
        assert_eq!(cursor.key().is_some(), cursor.entry().is_some());
    }
    if table.verify().is_ok() {
        foretold(&table, &operations);
    }
}

fn apply(table: &Table, cursor: &mut impl Cursor, operation: Operation<'_>) -> Result<()> {
    match operation {
        Operation::First => cursor.first(),
        Operation::Last => cursor.last(),
        Operation::Next => cursor.next(),
        Operation::Prev => cursor.prev(),
        Operation::Seek(target) => cursor.seek(target),
        Operation::SeekBack(target) => cursor.seek_back(target),
        Operation::Get(target) => {
            let _found =
                (table.get(target.user_key, target.version), table.may_contain(key_hash(target.user_key)));
            Ok(())
        }
    }
}

fn foretold(table: &Table, operations: &[Operation<'_>]) {
    let items: Vec<Item> = table.iter().map(Result::unwrap).collect();
    let keys: Vec<InternalKeyBuf> =
        items.iter().map(|item| InternalKey::new(item.key(), item.version()).to_buf()).collect();
    let below = |target: InternalKey<'_>| keys.partition_point(|key| key.as_ref() < target);
    let mut cursor = table.cursor();
    let mut at: Option<usize> = None;
    for operation in operations {
        apply(table, &mut cursor, *operation).unwrap();
        at = match *operation {
            Operation::First => Some(0),
            Operation::Last => keys.len().checked_sub(1),
            Operation::Next => at.map(|at| at + 1),
            Operation::Prev => at.and_then(|at| at.checked_sub(1)),
            Operation::Seek(target) => Some(below(target)),
            Operation::SeekBack(target) => {
                let upper = keys.partition_point(|key| key.as_ref() <= target);
                upper.checked_sub(1)
            }
            Operation::Get(target) => {
                let newest = items.get(below(target)).filter(|item| item.key() == target.user_key);
                let found = table.get(target.user_key, target.version).unwrap();
                assert_eq!(found.as_ref(), newest.map(Item::entry));
                at
            }
        };
        at = at.filter(|at| *at < keys.len());
        assert_eq!(cursor.key(), at.map(|at| keys[at].as_ref()), "{operation:?}");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut operations = vec![14u8, 0, 2, 2, 4];
    for (kind, key, version) in
        [(5, "key/001", 998u16), (6, "key/003", 0), (7, "key/002", 2000), (5, "key", 1), (7, "zzz", 5)]
    {
        operations.extend_from_slice(&[kind, key.len() as u8]);
        operations.extend_from_slice(key.as_bytes());
        operations.extend_from_slice(&version.to_le_bytes());
    }
    operations.extend_from_slice(&[1, 4, 4, 2, 3]);
    let seed = |(how, table): (u8, Vec<u8>)| [&[how], &operations[..], &table].concat();
    (0u8..).zip(tables()).map(seed).collect()
}
