//! libFuzzer's door to the body of the same name.
#![no_main]

#[path = "../bodies/mod.rs"]
mod bodies;
#[path = "../../../base/fuzz/shared/mod.rs"]
mod shared;

#[global_allocator]
static ALLOCATOR: shared::CountingAllocator = shared::CountingAllocator;

libfuzzer_sys::fuzz_target!(|input: &[u8]| shared::run(&bodies::decompress::BODY, input));
