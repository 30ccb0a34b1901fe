//! What all fuzz bodies of the workspace share; included by path into fuzz targets and into `tests/fuzz_corpus.rs`, so
//! that bodies know nothing of libFuzzer.
//!
//! The first byte of an input chooses the mode: an odd one switches the comparison of checksums off, so that content
//! which nobody wrote reaches the parsers behind them. The rest is what the body reads.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "a fuzz target uses one body, a test all of them"
)]
#![allow(clippy::expect_used, reason = "a failed step is a find")]

mod allocation;
mod reader;

pub use allocation::CountingAllocator;
pub use reader::InputReader;

/// One fuzz target.
pub struct Body {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// Reads an input without its first byte; panics when something does not hold that should.
    pub run: fn(&[u8], Mode),
    /// Inputs without their first byte, made from what the crate itself writes.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// What it may allocate.
    pub memory: Memory,
}

/// Whether checksums are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As always.
    Checked,
    /// All of them agree.
    Unchecked,
}

/// How many bytes may be allocated at a time while an input is read.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// In any case.
    pub fixed_bytes: usize,
    /// For each byte of input.
    pub bytes_per_byte: usize,
    /// For each byte of input, where input may be compressed; together at most [`EXPANDED_BYTES_MAX`].
    pub expansion: usize,
}

/// The largest block in a table, and more than the largest value that a short input can hold.
const EXPANDED_BYTES_MAX: usize = 64 << 20;

impl Memory {
    /// For formats that are never compressed.
    pub const PLAIN: Self = Self { fixed_bytes: 1 << 20, bytes_per_byte: 8, expansion: 0 };
    /// For those that may be: zstd makes up to 128 KiB out of 4 bytes.
    pub const COMPRESSED: Self = Self { expansion: 32 << 10, ..Self::PLAIN };

    fn limit(self, input_len: usize) -> usize {
        let expanded = input_len.saturating_mul(self.expansion).min(EXPANDED_BYTES_MAX);
        self.fixed_bytes + input_len * self.bytes_per_byte + expanded
    }
}

/// Runs `body` on `input` and checks what it allocated.
pub fn run(body: &Body, input: &[u8]) {
    let Some((first, rest)) = input.split_first() else { return };
    let peak = allocation::peak_of(|| match first & 1 {
        0 => (body.run)(rest, Mode::Checked),
        _ => base::integrity::without_checks(|| (body.run)(rest, Mode::Unchecked)),
    });
    let limit = body.memory.limit(input.len());
    assert!(
        peak <= limit,
        "{}: {peak} bytes allocated for {} bytes, {limit} allowed",
        body.name,
        input.len()
    );
}

/// Counts the steps of a loop that has to end by itself.
pub struct Steps {
    left: usize,
}

impl Steps {
    pub fn at_most(left: usize) -> Self {
        Self { left }
    }

    pub fn take(&mut self) {
        self.left = self.left.checked_sub(1).expect("the loop ends in proportion to its input");
    }
}
