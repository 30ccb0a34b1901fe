//! Goal: what the fuzzers found stays mended, and every body holds on inputs near those that they know.
//! Method: run each fuzz body on its committed corpus, with checksums and without, and on seeded mutations of it; see
//! `fuzz/corpus_check` for how to repeat one.

#[path = "../fuzz/bodies/mod.rs"]
mod bodies;
#[path = "../../base/fuzz/corpus_check/mod.rs"]
mod corpus_check;
#[path = "../../base/fuzz/shared/mod.rs"]
mod shared;

#[global_allocator]
static ALLOCATOR: shared::CountingAllocator = shared::CountingAllocator;

#[test]
fn bodies_hold_on_the_corpus_and_near_it() {
    let bodies = [&bodies::wal_replay::BODY];
    corpus_check::check(env!("CARGO_MANIFEST_DIR"), &bodies, 4000);
}
