//! Goal: an edit is accepted exactly when the plain oracle accepts it, and live state, replayed state and oracle agree
//! after every step. Method: random edits, some of them spoilt, with rewrites at tiny thresholds and reopens between.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step fails the test")]

mod generator;
mod mistakes;
mod oracle;

use std::path::Path;
use std::sync::Arc;

use base::header::DatabaseId;
use base::vfs::{MemVfs, Vfs};
use generator::Generator;
use manifest::{CommitError, FILE_NAME, INITIAL_LEASE, Manifest, Tail};
use oracle::Oracle;

const STEPS: usize = 120;
const SEEDS: u64 = 150;

#[test]
fn live_state_and_replay_agree_with_the_oracle() {
    let (mut accepted, mut refused, mut rewrites) = (0, 0, 0);
    for seed in 0..SEEDS {
        let outcome = std::panic::catch_unwind(|| run(seed));
        let (yes, no, rewritten) = outcome.unwrap_or_else(|_| panic!("seed {seed}"));
        accepted += yes;
        refused += no;
        rewrites += rewritten;
    }
    // The generator must keep both sides busy, or the test proves little.
    let all = SEEDS as usize * STEPS;
    assert!(accepted > all / 2 && refused > all / 5 && rewrites > 100, "{accepted} {refused} {rewrites}");
}

fn run(seed: u64) -> (usize, usize, usize) {
    let directory = Path::new("db");
    let path = directory.join(FILE_NAME);
    let mem = MemVfs::new();
    mem.create_dir_all(directory).unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(mem.clone());
    let threshold = [0, 1000, 20_000][seed as usize % 3];
    let id = DatabaseId([seed as u8; 16]);
    let mut manifest =
        Manifest::create(Arc::clone(&vfs), directory, id).unwrap().with_rewrite_bytes_min(threshold);
    let mut oracle = Oracle::new(1 + INITIAL_LEASE);
    let mut generator = Generator::new(seed);
    let (mut accepted, mut refused, mut rewrites) = (0, 0, 0);
    for _ in 0..STEPS {
        let mut edit = generator.edit(manifest.state());
        if generator.rng.u8(..3) == 0 {
            mistakes::spoil(&mut generator.rng, &mut edit, manifest.state());
        }
        let (before, len_before) = (mem.snapshot(), manifest.byte_len());
        let number = manifest.state().edit_number();
        match (oracle.after(&edit), manifest.commit(edit.clone())) {
            (Some(next), Ok(())) => {
                oracle = next;
                accepted += 1;
                rewrites += usize::from(manifest.byte_len() <= len_before);
                assert_eq!(manifest.state().edit_number(), number + 1);
            }
            (None, Err(CommitError::Invalid(_))) => {
                refused += 1;
                assert_eq!(mem.snapshot(), before);
                assert_eq!(manifest.state().edit_number(), number);
            }
            (expected, got) => panic!("oracle accepts: {}, manifest: {got:?}, {edit:#?}", expected.is_some()),
        }
        oracle.compare(manifest.state());
        let (state, tail) = manifest::replay(&mem.snapshot()[&path]).unwrap();
        assert_eq!(&state, manifest.state());
        assert_eq!(tail, Tail::Clean);
        if generator.rng.u8(..10) == 0 {
            let read = manifest::read(&*vfs, directory).unwrap();
            manifest = Manifest::reopen(Arc::clone(&vfs), directory, read)
                .unwrap()
                .with_rewrite_bytes_min(threshold);
            oracle.compare(manifest.state());
            assert_eq!(&manifest::read(&*vfs, directory).unwrap(), manifest.state());
            assert!(manifest.state().edit_number() > state.edit_number() + 1);
        }
        assert_eq!(mem.snapshot().len(), 1, "no temporary file is left");
    }
    (accepted, refused, rewrites)
}
