//! Goal: whatever happens to the bytes, replay gives an error or the state after some prefix of the edits, and misses
//! no edit but the last. Method: every truncation and every flipped bit of a small manifest, foreign and stale tails,
//! well-formed records that no writer wrote, arbitrary bytes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]

mod generator;

use std::path::Path;
use std::sync::Arc;

use base::Compression;
use base::header::{DatabaseId, FileHeader, FileKind, HEADER_BYTES};
use base::record::{RECORD_HEADER_BYTES, RecordBuffer, Scanner, Stamp, padded};
use base::vfs::{BytesFile, MemVfs, Vfs};
use generator::Generator;
use manifest::{FILE_NAME, FORMAT_VERSION, Manifest, State, Tail, replay};
use proptest::prelude::*;

/// A manifest with the states that it went through.
struct Sample {
    bytes: Vec<u8>,
    /// Of each record of the file: where it starts, where its payload ends.
    records: Vec<(usize, usize)>,
    /// After the snapshot, and after each edit behind it.
    states: Vec<State>,
}

impl Sample {
    fn new(seed: u64, edits: usize) -> Self {
        let directory = Path::new("db");
        let mem = MemVfs::new();
        mem.create_dir_all(directory).unwrap();
        let vfs: Arc<dyn Vfs> = Arc::new(mem.clone());
        let mut generator = Generator::new(seed);
        let mut manifest =
            Manifest::create(Arc::clone(&vfs), directory, DatabaseId([seed as u8; 16])).unwrap();
        let mut commit = |manifest: &mut Manifest| {
            let edit = generator.edit(manifest.state());
            let _refused = manifest.commit(edit);
        };
        while manifest.state().tables().len() < 4 {
            commit(&mut manifest);
        }
        let state = manifest::read(&*vfs, directory).unwrap();
        let mut manifest = Manifest::reopen(vfs, directory, state).unwrap();
        let mut states = vec![manifest.state().clone()];
        while states.len() <= edits {
            commit(&mut manifest);
            if manifest.state() != &states[states.len() - 1] {
                states.push(manifest.state().clone());
            }
        }
        let bytes = mem.snapshot()[&directory.join(FILE_NAME)].clone();
        let records = records(&bytes);
        Self { bytes, records, states }
    }

    /// The records of the snapshot.
    fn snapshot_len(&self) -> usize {
        self.records.len() + 1 - self.states.len()
    }

    fn last(&self) -> &State {
        &self.states[self.states.len() - 1]
    }

    fn seed(&self) -> u64 {
        seed_of(&self.bytes)
    }

    /// The file with one more record behind it.
    fn extended(&self, kind: u8, compression: Compression, stamp: Stamp, payload: &[u8]) -> Vec<u8> {
        let mut record = RecordBuffer::new();
        record.push(kind, compression, |out| out.extend_from_slice(payload)).unwrap();
        record.stamp(self.seed(), self.bytes.len() as u64, stamp);
        [self.bytes.as_slice(), record.as_bytes()].concat()
    }

    /// Number and mark of the edit that would come next.
    fn next(&self) -> Stamp {
        let mark = self.last().edit_number();
        Stamp { number: mark + 1, version: 0, mark }
    }
}

fn seed_of(bytes: &[u8]) -> u64 {
    FileHeader::decode(bytes, Path::new(FILE_NAME), FileKind::Manifest, FORMAT_VERSION).unwrap().seed()
}

fn records(bytes: &[u8]) -> Vec<(usize, usize)> {
    let file = BytesFile::shared(FILE_NAME, bytes.to_vec());
    let mut scanner = Scanner::new(file, seed_of(bytes), HEADER_BYTES as u64).unwrap();
    let mut records = Vec::new();
    while let Some(located) = scanner.next_header().unwrap() {
        let start = located.offset as usize;
        records.push((start, start + RECORD_HEADER_BYTES + located.header.payload_len as usize));
    }
    records
}

fn assert_corrupt(bytes: &[u8], what: &str) {
    let error = replay(bytes).expect_err(what);
    assert!(error.is_corruption(), "{what}: {error}");
}

#[test]
fn every_truncation_gives_a_prefix_or_an_error() {
    for seed in 0..6 {
        let sample = Sample::new(seed, 8);
        let snapshot_len = sample.snapshot_len();
        for len in 0..=sample.bytes.len() {
            let whole = sample.records.iter().filter(|(_, end)| *end <= len).count();
            if whole < snapshot_len {
                assert_corrupt(&sample.bytes[..len], &format!("{len} bytes of seed {seed}"));
                continue;
            }
            let (state, tail) = replay(&sample.bytes[..len]).unwrap();
            assert_eq!(state, sample.states[whole - snapshot_len], "{len} bytes of seed {seed}");
            let expected = match sample.records.get(whole) {
                Some(&(start, _)) if len > start => Tail::Torn { valid_len: start as u64 },
                _ => Tail::Clean,
            };
            assert_eq!(tail, expected, "{len} bytes of seed {seed}");
        }
    }
}

#[test]
fn every_flipped_bit_is_an_error_or_takes_the_last_edit_only() {
    for seed in 0..3 {
        let sample = Sample::new(seed, 5);
        let &(last_start, last_end) = sample.records.last().unwrap();
        for bit in 0..sample.bytes.len() * 8 {
            let mut bytes = sample.bytes.clone();
            let at = bit / 8;
            bytes[at] ^= 1 << (bit % 8);
            let in_padding =
                sample.records.iter().any(|&(_, end)| (end..padded(end as u64) as usize).contains(&at));
            if in_padding {
                assert_eq!(&replay(&bytes).unwrap().0, sample.last(), "bit {bit} of seed {seed}");
            } else if (last_start..last_end).contains(&at) {
                let (state, tail) = replay(&bytes).unwrap();
                assert_eq!(state, sample.states[sample.states.len() - 2], "bit {bit} of seed {seed}");
                assert_eq!(tail, Tail::Torn { valid_len: last_start as u64 });
            } else {
                assert_corrupt(&bytes, &format!("bit {bit} of seed {seed}"));
            }
        }
    }
}

/// A lost sector reads as zeros: at the end it is a torn write, before a good record it is damage.
#[test]
fn zeroed_sectors_are_noticed() {
    let sample = Sample::new(3, 9);
    let &(last_start, _) = sample.records.last().unwrap();
    for at in (HEADER_BYTES..sample.bytes.len()).step_by(8) {
        for len in [8, 64, 512] {
            let mut bytes = sample.bytes.clone();
            let end = (at + len).min(bytes.len());
            bytes[at..end].fill(0);
            if bytes == sample.bytes {
                continue;
            }
            // Zeros over what was zero before change nothing.
            let differs = |from: usize, to: usize| bytes[from..to] != sample.bytes[from..to];
            let first = sample.records.iter().position(|&(start, end)| differs(start, end)).unwrap();
            match replay(&bytes) {
                Ok((state, _)) => {
                    // Nothing good is left behind the first harmed record.
                    let is_gone = |&(start, _): &(usize, usize)| differs(start, start + RECORD_HEADER_BYTES);
                    assert!(sample.records[first + 1..].iter().all(is_gone), "{len} zeros at {at}");
                    assert_eq!(state, sample.states[first - sample.snapshot_len()], "{len} zeros at {at}");
                }
                Err(error) => {
                    assert!(error.is_corruption() && at < last_start, "{len} zeros at {at}: {error}")
                }
            }
        }
    }
}

#[test]
fn foreign_tails_are_cut_off_and_never_believed() {
    let sample = Sample::new(4, 5);
    let other = Sample::new(5, 5);
    let torn = Tail::Torn { valid_len: sample.bytes.len() as u64 };
    let &(start, _) = other.records.last().unwrap();
    let mut rng = fastrand::Rng::with_seed(1);
    let random: Vec<u8> = (0..1000).map(|_| rng.u8(..)).collect();
    // Another file's record, this file's own record at another place, noise, preallocated zeros.
    let &(own, _) = sample.records.last().unwrap();
    for tail in [&other.bytes[start..], &sample.bytes[own..], &random, &[0; 4096], &[0; 7], &[1; 1]] {
        let bytes = [sample.bytes.as_slice(), tail].concat();
        assert_eq!(replay(&bytes).unwrap(), (sample.last().clone(), torn));
    }
    assert_ne!(sample.seed(), other.seed());
}

/// Records with good checksums that the writer would not have written there.
#[test]
fn good_records_out_of_order_are_corruption() {
    let sample = Sample::new(6, 4);
    let next = sample.next();
    let (start, end) = sample.records[sample.records.len() - 1];
    let edit = sample.bytes[start + RECORD_HEADER_BYTES..end].to_vec();
    // A payload that is surely valid: the envelope and an edit of nothing.
    let nothing = vec![0; 4 + 7 * 8 + 5];
    let (state, tail) = replay(&sample.extended(4, Compression::None, next, &nothing)).unwrap();
    assert_eq!((state.edit_number(), tail), (next.number, Tail::Clean));
    let mut cases = vec![
        ("number again", 4, Stamp { number: next.number - 1, ..next }, nothing.clone()),
        ("number left out", 4, Stamp { number: next.number + 1, ..next }, nothing.clone()),
        ("mark too low", 4, Stamp { mark: next.mark - 1, ..next }, nothing.clone()),
        ("mark too high", 4, Stamp { mark: next.number, ..next }, nothing.clone()),
        ("snapshot begins", 1, next, nothing.clone()),
        ("snapshot goes on", 2, next, nothing.clone()),
        ("snapshot ends", 3, next, nothing.clone()),
        ("unknown kind", 5, next, nothing.clone()),
        ("no edit", 4, next, b"xyz".to_vec()),
        ("empty", 4, next, Vec::new()),
        ("left over", 4, next, [nothing.as_slice(), &[0]].concat()),
        ("unknown envelope", 4, next, [&[1], &nothing[1..]].concat()),
    ];
    let removes = sample.last().tables().len() > 0;
    assert!(removes && edit != nothing);
    let mut unknown_table = nothing.clone();
    unknown_table.splice(12..20, [1u64.to_le_bytes(), 999u64.to_le_bytes()].concat());
    cases.push(("invalid edit", 4, next, unknown_table));
    for (what, kind, stamp, payload) in cases {
        assert_corrupt(&sample.extended(kind, Compression::None, stamp, &payload), what);
    }
    let compressed = sample.extended(4, Compression::Lz4, next, &[0; 4096]);
    assert_corrupt(&compressed, "compressed");
    // A torn record whose own header contradicts the log is not a torn write.
    let mut torn = sample.extended(4, Compression::None, Stamp { number: next.number + 1, ..next }, &nothing);
    torn.truncate(torn.len() - 16);
    assert_corrupt(&torn, "torn, with another number");
}

#[test]
fn a_header_alone_an_empty_file_and_a_newer_format_are_told_apart() {
    let sample = Sample::new(7, 1);
    assert_corrupt(&[], "empty");
    assert_corrupt(&sample.bytes[..HEADER_BYTES], "header alone");
    assert_corrupt(&[0; 4096], "zeros");
    let vfs = MemVfs::new();
    let mut header =
        FileHeader::decode(&sample.bytes, Path::new(FILE_NAME), FileKind::Manifest, FORMAT_VERSION).unwrap();
    header.format_version = FORMAT_VERSION + 1;
    let newer = [&header.encode()[..], &sample.bytes[HEADER_BYTES..]].concat();
    assert!(matches!(replay(&newer), Err(base::Error::Unsupported { .. })));
    let other = FileHeader::new(&vfs, FileKind::Keyring, FORMAT_VERSION, header.identity).unwrap();
    assert_corrupt(&[&other.encode()[..], &sample.bytes[HEADER_BYTES..]].concat(), "another kind");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        let _error = replay(&bytes).unwrap_err();
    }

    /// Arbitrary payloads under good checksums: the decoder and the rules meet what no writer wrote.
    #[test]
    fn arbitrary_payloads_never_panic(payloads: Vec<Vec<u8>>, flips: Vec<(u16, u8)>) {
        let sample = Sample::new(8, 2);
        let (start, end) = sample.records[sample.records.len() - 1];
        let mut mutated = sample.bytes[start + RECORD_HEADER_BYTES..end].to_vec();
        for (at, with) in flips {
            let at = usize::from(at) % mutated.len();
            mutated[at] ^= with;
        }
        for payload in payloads.iter().chain([&mutated]) {
            let bytes = sample.extended(4, Compression::None, sample.next(), payload);
            match replay(&bytes) {
                Ok((state, tail)) => {
                    prop_assert_eq!(state.edit_number(), sample.next().number);
                    prop_assert_eq!(tail, Tail::Clean);
                }
                Err(error) => prop_assert!(error.is_corruption()),
            }
        }
    }
}

/// Damage in the middle of many edits must never shorten the log silently, however many records it hits.
#[test]
fn damage_before_the_last_record_is_never_a_torn_tail() {
    let sample = Sample::new(9, 30);
    let first_edit = sample.snapshot_len();
    let mut rng = fastrand::Rng::with_seed(9);
    for _ in 0..500 {
        let from = sample.records[rng.usize(first_edit..sample.records.len() - 1)].0;
        let to = sample.records[sample.records.len() - 1].0;
        let len = rng.usize(1..=(to - from).min(700));
        let mut bytes = sample.bytes.clone();
        bytes[from..from + len].iter_mut().for_each(|byte| *byte = rng.u8(..));
        assert_corrupt(&bytes, &format!("{len} bytes at {from}"));
    }
}
