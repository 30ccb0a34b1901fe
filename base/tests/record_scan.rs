//! Goal: a scan yields the records that were written or a prefix of them, never anything else, whatever happened to
//! the file; and every good header behind damage is found when it is asked for.
//! Method: small logs that are harmed in every single way (each length, each bit), logs that are reused, and random
//! bytes. The oracle is the list of records that was written.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::Path;
use std::sync::Arc;

use base::Compression;
use base::checksum::content_hash;
use base::record::{
    Located, RECORD_ALIGNMENT, RECORD_HEADER_BYTES, RecordBuffer, RecordHeader, Scanner, Stamp, Tail, padded,
    read_payload,
};
use base::vfs::{BytesFile, MemVfs, Vfs};
use proptest::prelude::*;

const SEED: u64 = 0x5eed;
/// Records start behind something that is not theirs.
const START: u64 = 64;

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Written {
    offset: u64,
    kind: u8,
    stamp: Stamp,
    payload: Vec<u8>,
}

impl Written {
    fn stored_end(&self, log: &[u8]) -> u64 {
        let header = RecordHeader::decode(&log[self.offset as usize..], SEED, self.offset).unwrap();
        self.offset + RECORD_HEADER_BYTES as u64 + u64::from(header.payload_len)
    }
}

fn write_log(payloads: &[(Vec<u8>, Compression)]) -> (Vec<u8>, Vec<Written>) {
    let mut log = vec![0xee; START as usize];
    let mut written = Vec::new();
    for (at, (payload, compression)) in payloads.iter().enumerate() {
        let (at, kind) = (at as u64, at as u8 % 15 + 1);
        let stamp = Stamp { number: at + 1, version: 100 + at, mark: at };
        let mut record = RecordBuffer::new();
        record.push(kind, *compression, |out| out.extend_from_slice(payload)).unwrap();
        record.stamp(SEED, log.len() as u64, stamp);
        written.push(Written { offset: log.len() as u64, kind, stamp, payload: payload.clone() });
        log.extend_from_slice(record.as_bytes());
    }
    (log, written)
}

/// Lengths on both sides of the alignment, and payloads that do and do not compress.
fn small_log() -> (Vec<u8>, Vec<Written>) {
    write_log(&[
        (b"first".to_vec(), Compression::None),
        (Vec::new(), Compression::None),
        (b"words and words and words and words and words".to_vec(), Compression::Lz4),
        (vec![7; 16], Compression::None),
        (b"again and again and again and again and again".to_vec(), Compression::Zstd(3)),
        (b"the end".to_vec(), Compression::Lz4),
    ])
}

/// A scan of a file that is read piece by piece.
fn scan(log: &[u8]) -> Scanner {
    let file = MemVfs::new().create(Path::new("log")).unwrap();
    file.write_all_at(0, log).unwrap();
    Scanner::new(file, SEED, START).unwrap()
}

/// A scan of the same bytes where they are.
fn scan_in_memory(log: &[u8]) -> Scanner {
    Scanner::new(BytesFile::shared("log", log.to_vec()), SEED, START).unwrap()
}

fn stamp_of(header: &RecordHeader) -> Stamp {
    Stamp { number: header.number, version: header.version, mark: header.mark }
}

fn read_all(scanner: &mut Scanner) -> Vec<Written> {
    let mut read = Vec::new();
    while let Some((Located { offset, header }, payload)) = scanner.next_record().unwrap() {
        read.push(Written { offset, kind: header.kind, stamp: stamp_of(&header), payload });
    }
    read
}

fn resync_all(scanner: &mut Scanner) -> Vec<u64> {
    let mut found = Vec::new();
    while let Some(located) = scanner.resync().unwrap() {
        found.push(located.offset);
    }
    found
}

fn any_payload() -> impl Strategy<Value = (Vec<u8>, Compression)> {
    let how = prop_oneof![Just(Compression::None), Just(Compression::Lz4), Just(Compression::Zstd(1))];
    let bytes = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        (any::<u8>(), 0usize..3000).prop_map(|(byte, len)| vec![byte; len]),
    ];
    (bytes, how)
}

proptest! {
    /// Method: any records, followed by any number of zeros, as in a preallocated file.
    #[test]
    fn records_come_back(
        payloads in proptest::collection::vec(any_payload(), 0..12),
        zeros in 0usize..300,
    ) {
        let (mut log, written) = write_log(&payloads);
        let end = log.len() as u64;
        log.resize(log.len() + zeros, 0);
        let mut scanner = scan(&log);
        prop_assert_eq!(read_all(&mut scanner), written.clone());
        prop_assert_eq!(scanner.tail(), Some(Tail::Clean));
        prop_assert_eq!(scanner.offset(), end);
        prop_assert_eq!(scanner.resync().unwrap(), None);

        // From header to header, payloads on demand, is the same.
        let mut hopping = scan(&log);
        for expected in &written {
            let located = hopping.next_header().unwrap().unwrap();
            prop_assert_eq!(located.offset, expected.offset);
            prop_assert_eq!(&hopping.payload(&located).unwrap(), &expected.payload);
        }
        prop_assert!(hopping.next_header().unwrap().is_none());
    }

    /// Goal: a record behind damage is found whatever stands between, however long. Method: a first record of which one bit is
    /// flipped in the header, zeros with a few other bytes, and a second record; in memory and not.
    #[test]
    fn records_behind_zeros_are_found(
        zeros in prop_oneof![0usize..200, 4000usize..4200, 65_000usize..70_000],
        noise in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        zeros_behind in 0usize..5000,
    ) {
        let (mut log, written) = write_log(&[(b"damaged".to_vec(), Compression::None)]);
        log[written[0].offset as usize + 9] ^= 1;
        let from = log.len();
        log.resize((from + zeros).next_multiple_of(8), 0);
        for (place, byte) in noise {
            if log.len() > from {
                let at = from + place.index(log.len() - from);
                log[at] = byte;
            }
        }
        let at = log.len() as u64;
        let mut record = RecordBuffer::new();
        record.push(3, Compression::None, |out| out.extend_from_slice(b"behind")).unwrap();
        record.stamp(SEED, at, Stamp { number: 7, version: 8, mark: 6 });
        log.extend_from_slice(record.as_bytes());
        log.resize(log.len() + zeros_behind, 0);
        for mut scanner in [scan(&log), scan_in_memory(&log)] {
            prop_assert!(scanner.next_header().unwrap().is_none());
            prop_assert_eq!(resync_all(&mut scanner), vec![at]);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_are_no_records(bytes: Vec<u8>, start in 0u64..100) {
        let mut scanner = Scanner::new(BytesFile::shared("noise", bytes), SEED, start).unwrap();
        prop_assert_eq!(read_all(&mut scanner), vec![]);
        prop_assert_eq!(resync_all(&mut scanner), Vec::<u64>::new());
    }
}

/// Method: one value record of every length around the read-ahead window, with a neighbour on both sides.
#[test]
fn payloads_around_the_window_come_back() {
    let window = 64 << 10;
    for len in [window - 49, window - 48, window - 47, window - 1, window, window + 1, 3 * window + 5] {
        let noise: Vec<u8> = (0..len).map(|_| fastrand::u8(..)).collect();
        let (log, written) = write_log(&[
            (b"before".to_vec(), Compression::None),
            (noise, Compression::None),
            (b"after".to_vec(), Compression::None),
        ]);
        assert_eq!(read_all(&mut scan(&log)), written);
    }
}

/// Method: cut the log at each length; what is left must be exactly the records that are whole.
#[test]
fn every_truncation_leaves_the_whole_records() {
    let (log, written) = small_log();
    for len in START as usize..=log.len() {
        let mut scanner = scan(&log[..len]);
        let whole: Vec<Written> =
            written.iter().filter(|record| record.stored_end(&log) <= len as u64).cloned().collect();
        assert_eq!(read_all(&mut scanner), whole, "cut to {len} bytes");
        let valid_len = written.get(whole.len()).map_or(len as u64, |next| next.offset.min(len as u64));
        let rest_is_zero = log[valid_len as usize..len].iter().all(|&byte| byte == 0);
        let expected = if rest_is_zero { Tail::Clean } else { Tail::Torn { valid_len } };
        assert_eq!(scanner.tail(), Some(expected), "cut to {len} bytes");
        // A header that is whole is found, though its payload is not: it bears a mark.
        let header_is_left = valid_len + RECORD_HEADER_BYTES as u64 <= len as u64;
        assert_eq!(resync_all(&mut scanner).len(), usize::from(header_is_left), "cut to {len} bytes");
    }
}

/// Method: flip each bit. Padding does not matter; in all else the scan stops before the harmed record, and the search
/// behind it finds every header that is unharmed, that of the harmed record too when its payload is to blame.
#[test]
fn every_flipped_bit_ends_the_scan_and_no_later_header_is_lost() {
    let (log, written) = small_log();
    let ends: Vec<u64> = written.iter().map(|record| record.stored_end(&log)).collect();
    for bit in START as usize * 8..log.len() * 8 {
        let byte = (bit / 8) as u64;
        let mut harmed = log.clone();
        harmed[bit / 8] ^= 1 << (bit % 8);
        let at = written.iter().rposition(|record| record.offset <= byte).unwrap();
        let mut scanner = scan(&harmed);
        let read = read_all(&mut scanner);
        if byte >= ends[at] {
            assert_eq!(read, written, "bit {bit} is padding");
            continue;
        }
        assert_eq!(read, written[..at], "bit {bit}");
        assert_eq!(scanner.tail(), Some(Tail::Torn { valid_len: written[at].offset }), "bit {bit}");
        let in_header = byte < written[at].offset + RECORD_HEADER_BYTES as u64;
        let later: Vec<u64> =
            written[at + usize::from(in_header)..].iter().map(|record| record.offset).collect();
        assert_eq!(resync_all(&mut scanner), later, "bit {bit}");
    }
}

/// Goal: the mark of a record with a damaged payload counts, since its header is good.
#[test]
fn resync_meets_the_record_with_the_damaged_payload_again() {
    let (mut log, written) = small_log();
    let harmed = &written[2];
    log[harmed.offset as usize + RECORD_HEADER_BYTES] ^= 1;
    let mut scanner = scan(&log);
    assert_eq!(read_all(&mut scanner), written[..2]);
    assert_eq!(scanner.offset(), harmed.offset);
    let again = scanner.resync().unwrap().unwrap();
    assert_eq!(stamp_of(&again.header), harmed.stamp);
    assert!(scanner.payload(&again).unwrap_err().is_corruption());
}

/// Method: a sector in the middle of the log never reached the disk and reads as zeros, at every place.
#[test]
fn zeros_in_the_middle_end_the_scan_and_what_follows_is_found() {
    let payloads: Vec<_> = (0u8..40).map(|byte| (vec![byte; 100], Compression::None)).collect();
    let (log, written) = write_log(&payloads);
    for sector in 0..log.len() / 512 {
        let lost = (sector * 512).max(START as usize)..(sector + 1) * 512;
        let mut harmed = log.clone();
        harmed[lost.clone()].fill(0);
        let mut scanner = scan(&harmed);
        let read = read_all(&mut scanner);
        assert!(read.len() < written.len());
        assert_eq!(read, written[..read.len()]);
        let found = resync_all(&mut scanner);
        let intact = |record: &&Written| record.offset >= lost.end as u64;
        let after: Vec<u64> = written.iter().filter(intact).map(|record| record.offset).collect();
        assert!(found.ends_with(&after), "sector {sector}");
    }
}

/// Method: good records, moved to another place of the same file, or read with another file's seed.
#[test]
fn records_in_another_place_or_file_are_none() {
    let (log, written) = write_log(&vec![(vec![1; 24], Compression::None); 4]);
    let len = (written[1].offset - written[0].offset) as usize;
    let (first, second) = (START as usize, START as usize + len);
    let mut moved = log.clone();
    moved.copy_within(first..second, second);
    assert_eq!(read_all(&mut scan(&moved)), written[..1]);
    // Equal in length and payload, so only the place tells them apart.
    moved.copy_from_slice(&log);
    moved.copy_within(second..second + len, first);
    assert_eq!(read_all(&mut scan(&moved)), []);

    let mut elsewhere = Scanner::new(BytesFile::shared("log", log), SEED + 1, START).unwrap();
    assert_eq!(read_all(&mut elsewhere), []);
    assert_eq!(resync_all(&mut elsewhere), Vec::<u64>::new());
}

#[test]
fn a_file_that_ends_before_the_first_record_is_an_empty_log() {
    for len in 0..START {
        let mut scanner = scan(&vec![1; len as usize]);
        assert_eq!(scanner.next_header().unwrap(), None);
        assert_eq!(scanner.tail(), Some(Tail::Clean));
        assert_eq!(scanner.resync().unwrap(), None);
    }
}

/// Method: stop the scan at every length although the file goes on; as if it were cut there.
#[test]
fn a_bounded_scan_sees_nothing_behind_its_end() {
    let (log, written) = small_log();
    let file = BytesFile::shared("log", log.clone());
    for end in START..=log.len() as u64 {
        let mut bounded = Scanner::up_to(Arc::clone(&file), SEED, START, end);
        let mut cut = scan(&log[..end as usize]);
        assert_eq!(read_all(&mut bounded), read_all(&mut cut));
        assert_eq!(bounded.tail(), cut.tail());
        assert_eq!(resync_all(&mut bounded), resync_all(&mut cut));
    }
    assert_eq!(read_all(&mut Scanner::up_to(file, SEED, START, log.len() as u64)), written);
}

/// Method: take the header of one file to the bytes of another that is too short, or different.
#[test]
fn a_payload_is_read_only_where_its_header_belongs() {
    let (log, written) = small_log();
    let located = scan(&log).next_header().unwrap().unwrap();
    let read = |bytes: Vec<u8>, located: &Located| read_payload(&*BytesFile::shared("other", bytes), located);
    assert_eq!(read(log.clone(), &located).unwrap(), written[0].payload);
    assert!(read(vec![0; log.len()], &located).unwrap_err().is_corruption());
    assert!(read(log[..70].to_vec(), &located).unwrap_err().is_corruption());
    let nowhere = Located { offset: u64::MAX - 3, ..located };
    assert!(read(log, &nowhere).unwrap_err().is_corruption());
}

/// Method: compress payloads of every small length; what is stored must never be longer than what was given.
#[test]
fn compression_never_makes_a_record_longer() {
    for len in 0..200usize {
        for how in [Compression::Lz4, Compression::Zstd(3)] {
            let mut buffer = RecordBuffer::new();
            let pushed = buffer.push(1, how, |out| out.resize(out.len() + len, b'x')).unwrap();
            assert!(pushed.record_len <= RECORD_HEADER_BYTES + len);
            assert_eq!(buffer.len() % RECORD_ALIGNMENT, 0);
        }
    }
}

/// Method: copy stored payloads, compressed and not, into a new log under new stamps.
#[test]
fn a_stored_payload_can_move_to_another_log() {
    let (log, written) = small_log();
    let from = BytesFile::shared("log", log.clone());
    let mut buffer = RecordBuffer::new();
    let mut scanner = scan(&log);
    while let Some(Located { offset, header }) = scanner.next_header().unwrap() {
        let mut stored = vec![0; header.payload_len as usize];
        from.read_exact_at(offset + RECORD_HEADER_BYTES as u64, &mut stored).unwrap();
        let pushed = buffer.push_stored(&header, &stored);
        assert_eq!(padded(pushed.record_len as u64), header.record_bytes());
    }
    let stamp = Stamp { number: 5, version: 6, mark: 4 };
    buffer.stamp(99, 8, stamp);
    let mut moved = vec![0; 8];
    moved.extend_from_slice(buffer.as_bytes());
    let mut scanner = Scanner::new(BytesFile::shared("new", moved), 99, 8).unwrap();
    let read = read_all(&mut scanner);
    assert_eq!(read.len(), written.len());
    for (read, written) in read.iter().zip(&written) {
        assert_eq!((read.stamp, &read.payload, read.kind), (stamp, &written.payload, written.kind));
    }
}

/// Goal: the layout of a record cannot change unnoticed. Method: build one by hand from the drawing.
#[test]
fn a_record_is_laid_out_as_drawn() {
    let mut buffer = RecordBuffer::new();
    buffer.push(3, Compression::None, |out| out.extend_from_slice(b"payload")).unwrap();
    buffer.stamp(SEED, 64, Stamp { number: 0x0102, version: 0x0304, mark: 0x0506 });
    let mut expected = vec![7, 0, 0, 0, 3, 0, 0, 0];
    for word in [0x0102, 0x0304, 0x0506, content_hash(b"payload")] {
        expected.extend_from_slice(&u64::to_le_bytes(word));
    }
    let seed = base::checksum::place_seed(SEED, 64);
    expected.extend_from_slice(&base::checksum::seeded_hash(&expected, seed).to_le_bytes());
    expected.extend_from_slice(b"payload\0");
    assert_eq!(buffer.as_bytes(), expected);
    assert_eq!(Path::new("log"), BytesFile::shared("log", expected).path());
}
