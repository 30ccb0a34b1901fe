//! Goal: numbers, strings and entries have one encoding, and no bytes harm their decoder.
//! Method: read one input in every way; what is accepted must encode to the bytes that were read.

use base::codec::{Decoder, put_prefixed, put_varint, varint_len};
use base::{Entry, Payload, UnixSeconds, ValuePointer};

use crate::shared::{Body, Memory, Mode, Steps};

pub const BODY: Body = Body { name: "codec", run, seeds, memory: Memory::PLAIN };

fn run(input: &[u8], _mode: Mode) {
    varints(input);
    strings(input);
    fixed_widths(input);
    entry(input);
}

fn varints(input: &[u8]) {
    let mut steps = Steps::at_most(input.len() + 1);
    let mut decoder = Decoder::new(input);
    loop {
        steps.take();
        let from = decoder.position();
        let Ok(number) = decoder.varint("number") else { break };
        let mut again = Vec::new();
        put_varint(&mut again, number);
        assert_eq!(again, &input[from..decoder.position()]);
        assert_eq!(again.len(), varint_len(number));
    }
}

fn strings(input: &[u8]) {
    let mut steps = Steps::at_most(input.len() + 1);
    let mut decoder = Decoder::new(input);
    loop {
        steps.take();
        let from = decoder.position();
        let Ok(string) = decoder.prefixed("string") else { break };
        let mut again = Vec::new();
        put_prefixed(&mut again, string);
        assert_eq!(again, &input[from..decoder.position()]);
    }
}

fn fixed_widths(input: &[u8]) {
    let mut steps = Steps::at_most(input.len() + 1);
    let mut decoder = Decoder::new(input);
    while let Ok(width) = decoder.u8("width") {
        steps.take();
        let before = decoder.remaining();
        let taken = match width % 5 {
            0 => decoder.u16("number").map(|_| 2),
            1 => decoder.u32("number").map(|_| 4),
            2 => decoder.u64("number").map(|_| 8),
            3 => decoder.bytes16("bytes").map(|_| 16),
            _ => decoder.bytes(usize::from(width), "bytes").map(<[u8]>::len),
        };
        // What fails takes nothing.
        assert_eq!(before - decoder.remaining(), taken.unwrap_or(0));
    }
    decoder.rest();
    assert!(decoder.is_empty() && decoder.position() == input.len());
}

fn entry(input: &[u8]) {
    let Ok(entry) = Entry::decode(input) else { return };
    let mut again = Vec::new();
    entry.encode(&mut again);
    assert_eq!(again.len(), entry.encoded_len());
    assert_eq!(Entry::decode(&again), Ok(entry));
    // A user meta byte of 0 is read with its flag but written without; all else has one encoding.
    assert!(again == input || (again.len() + 1 == input.len() && input[1] == 0));
}

fn seeds() -> Vec<Vec<u8>> {
    let pointer = ValuePointer { segment: 300, offset: 70_000, record_len: 150, value_len: 100 };
    let mut entries = vec![Entry::tombstone(), Entry::inline(b"value"), Entry::separated(pointer)];
    entries.push(Entry { user_meta: 7, expires_at: Some(UnixSeconds(1_700_000_000)), ..entries[1] });
    entries.push(Entry { payload: Payload::Separated(pointer), hides_older: true, ..entries[3] });
    let mut seeds: Vec<Vec<u8>> = entries
        .iter()
        .map(|entry| {
            let mut out = Vec::new();
            entry.encode(&mut out);
            out
        })
        .collect();
    let mut numbers = Vec::new();
    for number in [0, 1, 127, 128, 16_384, u64::from(u32::MAX), u64::MAX] {
        put_varint(&mut numbers, number);
    }
    put_prefixed(&mut numbers, b"string");
    seeds.push(numbers);
    seeds
}
