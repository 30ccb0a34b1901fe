//! Runs fuzz bodies on their committed corpus and on mutations of it, in `cargo test`; included by path into
//! `tests/fuzz_corpus.rs`.
//!
//! `FUZZ_MUTATIONS` is how many mutations are tried for each body, `FUZZ_SEED` runs a single one again, and `FUZZ_SEEDS=write`
//! writes the seeds of the corpus anew.

#![allow(unreachable_pub, clippy::disallowed_methods, reason = "a corpus is a directory of the source tree")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step fails the test")]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use crate::shared::{Body, run};

/// What a corpus may hold: it is committed.
const FILES_MAX: usize = 40;
const BYTES_MAX: usize = 200 << 10;
/// Mutations do not let an input grow beyond this.
const INPUT_BYTES_MAX: usize = 16 << 10;

/// Numbers at which lengths, counts and offsets break.
const NUMBERS: [u64; 12] =
    [0, 1, 7, 64, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, i64::MAX as u64, u64::MAX];

/// Runs every body on its corpus, in both modes, and on `mutations` mutations of it. `crate_directory` is that of the
/// crate under test.
pub fn check(crate_directory: &str, bodies: &[&Body], mutations: u64) {
    for body in bodies {
        let directory = Path::new(crate_directory).join("fuzz/corpus").join(body.name);
        if std::env::var("FUZZ_SEEDS").is_ok_and(|value| value == "write") {
            write_seeds(body, &directory);
        }
        let corpus = read_corpus(&directory);
        let single = number("FUZZ_SEED");
        for input in corpus.iter().filter(|_| single.is_none()) {
            for first in [0, 1] {
                let input: Vec<u8> = std::iter::once(first).chain(input.iter().skip(1).copied()).collect();
                attempt(body, &input, "the corpus");
            }
        }
        let mutations = number("FUZZ_MUTATIONS").unwrap_or(mutations);
        let seeds = single.map_or(0..mutations, |seed| seed..seed + 1);
        for seed in seeds {
            attempt(body, &mutate(&corpus, seed), &format!("FUZZ_SEED={seed}"));
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn attempt(body: &Body, input: &[u8], origin: &str) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(body, input))) {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-crash", body.name));
        std::fs::write(&path, input).unwrap();
        eprintln!("{}, input of {origin}, {} bytes, now in {}", body.name, input.len(), path.display());
        resume_unwind(panic);
    }
}

fn write_seeds(body: &Body, directory: &Path) {
    std::fs::create_dir_all(directory).unwrap();
    for (at, seed) in (body.seeds)().into_iter().enumerate() {
        std::fs::write(directory.join(format!("seed-{at:02}")), [&[1], seed.as_slice()].concat()).unwrap();
    }
}

fn read_corpus(directory: &Path) -> Vec<Vec<u8>> {
    let listed = directory.read_dir().unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut paths: Vec<PathBuf> = listed.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let corpus: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let bytes: usize = corpus.iter().map(Vec::len).sum();
    assert!(!corpus.is_empty(), "{} is empty", directory.display());
    assert!(corpus.len() <= FILES_MAX, "{} holds {} files", directory.display(), corpus.len());
    assert!(bytes <= BYTES_MAX, "{} holds {bytes} bytes", directory.display());
    corpus
}

/// One to four changes of one input; `seed` decides which.
fn mutate(corpus: &[Vec<u8>], seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut input = random.choice(corpus).cloned().unwrap_or_default();
    for _ in 0..random.u32(1..5) {
        change(&mut input, corpus, &mut random);
    }
    input.truncate(INPUT_BYTES_MAX);
    if let Some(first) = input.first_mut() {
        *first = random.u8(0..2);
    }
    input
}

fn change(input: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut fastrand::Rng) {
    if input.is_empty() {
        input.push(random.u8(..));
    }
    let at = random.usize(..input.len());
    let piece = at..input.len().min(at + random.usize(1..40));
    match random.u32(..10) {
        0 | 1 => input[at] ^= 1 << random.u32(..8),
        2 => input[at] = random.u8(..),
        3 => input[at] = input[at].wrapping_add(random.u8(0..3)).wrapping_sub(1),
        4 | 5 => overwrite(input, at, random),
        6 => input.truncate(at),
        7 => drop(input.drain(piece)),
        8 => {
            let copied = input[piece].to_vec();
            let to = random.usize(..input.len());
            input.splice(to..to, copied);
        }
        _ => {
            let other = random.choice(corpus).map(Vec::as_slice).unwrap_or_default();
            let from = random.usize(..=other.len());
            let len = other.len().min(from + random.usize(1..64)) - from;
            let end = input.len().min(at + len);
            input.splice(at..end, other[from..from + len].iter().copied());
        }
    }
}

fn overwrite(input: &mut [u8], at: usize, random: &mut fastrand::Rng) {
    let near = random.u64(..input.len() as u64 + 2);
    let number = random.choice(NUMBERS).filter(|_| random.bool()).unwrap_or(near).to_le_bytes();
    let width = [2, 4, 8][random.usize(..3)];
    for (to, from) in input.iter_mut().skip(at).zip(number).take(width) {
        *to = from;
    }
}
