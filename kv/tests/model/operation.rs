//! What a history consists of, and how one is drawn from a seed.

use std::ops::Bound;

use fastrand::Rng;

/// How many transactions, snapshots and iterators may be open at a time.
pub(crate) const SLOTS: usize = 3;
const KEYS: usize = 40;

/// A write as it is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) key: usize,
    /// `None` deletes.
    pub(crate) value: Option<Value>,
    pub(crate) ttl: Option<u64>,
    pub(crate) user_meta: u8,
    pub(crate) hide_older: bool,
}

/// A value in few words: these four bytes again and again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value {
    pub(crate) fill: u32,
    pub(crate) len: usize,
}

impl Value {
    pub(crate) fn bytes(self) -> Vec<u8> {
        self.fill.to_le_bytes().into_iter().cycle().take(self.len).collect()
    }
}

/// Where a scan goes, and how it is read: `pulls` says for each item from which end it is taken.
#[derive(Clone, Debug)]
pub(crate) struct ScanPlan {
    pub(crate) bounds: (Bound<usize>, Bound<usize>),
    /// All keys that share the first `len` bytes of this one, in place of the bounds.
    pub(crate) prefix: Option<(usize, usize)>,
    pub(crate) reverse: bool,
    pub(crate) all_versions: bool,
    pub(crate) since: Option<u64>,
    /// True takes from the back; after the last one everything is taken from the front when `to_the_end`.
    pub(crate) pulls: Vec<bool>,
    pub(crate) to_the_end: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Write(Write),
    Batch(Vec<Write>),
    Get(usize),
    Scan(ScanPlan),
    Begin(usize),
    TxnGet(usize, usize),
    TxnWrite(usize, Write),
    TxnScan(usize, ScanPlan),
    /// Opens an iterator of a transaction, to be read by and by.
    TxnIterate(usize, usize, ScanPlan),
    Commit(usize),
    Rollback(usize),
    Snapshot(usize),
    SnapshotGet(usize, usize),
    SnapshotScan(usize, ScanPlan),
    SnapshotIterate(usize, usize, ScanPlan),
    EndSnapshot(usize),
    /// Takes items of an open iterator.
    Pull(usize, bool),
    EndIteration(usize),
    Step(usize),
    Flush,
    Compact,
    /// The clock moves on by so many seconds.
    Wait(u64),
    Reopen {
        kill: bool,
    },
    ReadOnly,
    Verify,
}

/// One run: its settings and its operations.
#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) keep_versions: u32,
    pub(crate) positional: bool,
    pub(crate) operations: Vec<Operation>,
}

/// The keys: short and long, with shared beginnings, with the bytes that a prefix ends badly at.
pub(crate) fn key(index: usize) -> Vec<u8> {
    let number = index / 4;
    match index % 4 {
        0 => vec![b'a' + number as u8],
        1 => format!("user/{number:02}").into_bytes(),
        2 => [&[0xff, 0xff][..], &[number as u8]].concat(),
        _ => format!("a rather long beginning that all of these share {}", "x".repeat(number)).into_bytes(),
    }
}

impl History {
    pub(crate) fn random(seed: u64, operations: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let keep_versions = *rng.choice(&[1, 1, 2, 3]).unwrap();
        let positional = rng.u8(..4) == 0;
        // Histories differ in what they are mostly about.
        let background = rng.u32(1..12);
        let transactions = rng.u32(1..40);
        let operations = (0..operations).map(|_| operation(&mut rng, background, transactions)).collect();
        Self { keep_versions, positional, operations }
    }
}

type Draw = fn(&mut Rng) -> Operation;

fn operation(rng: &mut Rng, background: u32, transactions: u32) -> Operation {
    let kinds: [(u32, Draw); 21] = [
        (20, |rng| Operation::Write(write(rng))),
        (2, |rng| Operation::Batch((0..rng.usize(1..40)).map(|_| write(rng)).collect())),
        (20, |rng| Operation::Get(rng.usize(..KEYS))),
        (4, |rng| Operation::Scan(scan_plan(rng))),
        (transactions, |rng| Operation::Begin(slot(rng))),
        (2 * transactions, |rng| Operation::TxnGet(slot(rng), rng.usize(..KEYS))),
        (2 * transactions, |rng| Operation::TxnWrite(slot(rng), write(rng))),
        (transactions / 2, |rng| Operation::TxnScan(slot(rng), scan_plan(rng))),
        (transactions / 4, |rng| Operation::TxnIterate(slot(rng), slot(rng), scan_plan(rng))),
        (transactions, |rng| Operation::Commit(slot(rng))),
        (1, |rng| Operation::Rollback(slot(rng))),
        (2, |rng| Operation::Snapshot(slot(rng))),
        (8, |rng| Operation::SnapshotGet(slot(rng), rng.usize(..KEYS))),
        (3, |rng| Operation::SnapshotScan(slot(rng), scan_plan(rng))),
        (1, |rng| Operation::SnapshotIterate(slot(rng), slot(rng), scan_plan(rng))),
        (1, |rng| Operation::EndSnapshot(slot(rng))),
        (20, |rng| Operation::Pull(slot(rng), rng.bool())),
        (1, |rng| Operation::EndIteration(slot(rng))),
        (background, |rng| Operation::Step(rng.usize(1..6))),
        (4, |rng| Operation::Wait(rng.u64(1..4))),
        (1, rare),
    ];
    let all: u32 = kinds.iter().map(|(weight, _)| weight).sum();
    let mut drawn = rng.u32(..all);
    for (weight, draw) in kinds {
        if drawn < weight {
            return draw(rng);
        }
        drawn -= weight;
    }
    Operation::Verify
}

/// What costs as much as hundreds of the others.
fn rare(rng: &mut Rng) -> Operation {
    match rng.u8(..40) {
        0..16 => Operation::Flush,
        16..24 => Operation::Compact,
        24..30 => Operation::Reopen { kill: false },
        30..36 => Operation::Reopen { kill: true },
        36..39 => Operation::ReadOnly,
        _ => Operation::Verify,
    }
}

fn slot(rng: &mut Rng) -> usize {
    rng.usize(..SLOTS)
}

fn write(rng: &mut Rng) -> Write {
    let len = match rng.u8(..12) {
        0 => 0,
        1..6 => rng.usize(1..24),
        6..9 => rng.usize(60..68),
        9..11 => rng.usize(68..300),
        _ => rng.usize(300..3_000),
    };
    let fill = rng.u32(..);
    Write {
        key: rng.usize(..KEYS),
        value: (rng.u8(..4) > 0).then_some(Value { fill, len }),
        ttl: (rng.u8(..6) == 0).then(|| rng.u64(..8)),
        user_meta: if rng.u8(..4) == 0 { rng.u8(..) } else { 0 },
        hide_older: rng.u8(..12) == 0,
    }
}

fn bound(rng: &mut Rng) -> Bound<usize> {
    match rng.u8(..5) {
        0 => Bound::Unbounded,
        1 | 2 => Bound::Excluded(rng.usize(..KEYS)),
        _ => Bound::Included(rng.usize(..KEYS)),
    }
}

fn scan_plan(rng: &mut Rng) -> ScanPlan {
    let pulls = rng.usize(..8);
    let one_way = rng.bool();
    ScanPlan {
        bounds: (bound(rng), bound(rng)),
        prefix: (rng.u8(..4) == 0).then(|| (rng.usize(..KEYS), rng.usize(..6))),
        reverse: rng.bool(),
        all_versions: rng.u8(..6) == 0,
        since: (rng.u8(..8) == 0).then(|| rng.u64(..100)),
        pulls: (0..pulls).map(|_| !one_way && rng.bool()).collect(),
        to_the_end: rng.bool(),
    }
}
