//! The long form of xxh3-64 with AVX2.
//!
//! ```text
//!  secret   192 bytes, of the algorithm; with a seed, its words have the seed added and taken away by turns
//!  stripe   64 bytes of input, taken in with the 64 bytes of the secret that begin 8 later for each stripe
//!  block    16 stripes, after which the accumulators are scrambled with the last 64 bytes of the secret
//!  end      the last 64 bytes once more, whether or not they were in a stripe; then all accumulators are merged
//! ```

use std::arch::x86_64::{
    __m256i, _mm256_add_epi64, _mm256_extract_epi64, _mm256_loadu_si256, _mm256_mul_epu32, _mm256_set1_epi32,
    _mm256_setr_epi64x, _mm256_shuffle_epi32, _mm256_slli_epi64, _mm256_srli_epi64, _mm256_xor_si256,
};

use xxhash_rust::const_xxh3::const_custom_default_secret;

const SECRET_BYTES: usize = 192;
const STRIPE_BYTES: usize = 64;
const BLOCK_STRIPES: usize = 16;
/// How much farther the secret of the next stripe begins, in bytes.
const SECRET_STEP_BYTES: usize = 8;
/// Where parts of the secret begin, in bytes: those for scrambling, for the last stripe, and for merging.
const SCRAMBLE_AT: usize = SECRET_BYTES - STRIPE_BYTES;
const LAST_STRIPE_AT: usize = SECRET_BYTES - STRIPE_BYTES - 7;
const MERGE_AT: usize = 11;

const PRIME32_1: u32 = 0x9e37_79b1;
const PRIME32_2: u32 = 0x85eb_ca77;
const PRIME32_3: u32 = 0xc2b2_ae3d;
const PRIME64_1: u64 = 0x9e37_79b1_85eb_ca87;
const PRIME64_2: u64 = 0xc2b2_ae3d_27d4_eb4f;
const PRIME64_3: u64 = 0x1656_67b1_9e37_79f9;
const PRIME64_4: u64 = 0x85eb_ca77_c2b2_ae63;
const PRIME64_5: u64 = 0x27d4_eb2f_1656_67c5;
const PRIME_MX1: u64 = 0x1656_6791_9e37_79f9;

const FIRST: [u64; 8] = [
    PRIME32_3 as u64,
    PRIME64_1,
    PRIME64_2,
    PRIME64_3,
    PRIME64_4,
    PRIME32_2 as u64,
    PRIME64_5,
    PRIME32_1 as u64,
];

/// The algorithm's own secret.
static SECRET: [u8; SECRET_BYTES] = const_custom_default_secret(0);

type Stripe = [u8; STRIPE_BYTES];
type Lanes = [__m256i; 2];

/// The hash of `data`, which is longer than the short forms take; `None` when the processor has no AVX2.
#[inline]
pub(super) fn hash(data: &[u8], seed: u64) -> Option<u64> {
    if !std::is_x86_feature_detected!("avx2") {
        return None;
    }
    let secret = if seed == 0 { &SECRET } else { &seeded_secret(seed) };
    // SAFETY: the processor has AVX2, which is all that the function asks for. Exercised by `the_wide_hash_is_the_hash`.
    Some(unsafe { hash_long(data, secret) })
}

fn seeded_secret(seed: u64) -> [u8; SECRET_BYTES] {
    let mut secret = SECRET;
    for (at, word) in secret.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let change = if at % 2 == 0 { seed } else { seed.wrapping_neg() };
        *word = u64::from_le_bytes(*word).wrapping_add(change).to_le_bytes();
    }
    secret
}

#[target_feature(enable = "avx2")]
fn hash_long(data: &[u8], secret: &[u8; SECRET_BYTES]) -> u64 {
    let [a, b, c, d, e, f, g, h] = FIRST.map(u64::cast_signed);
    let mut sums = [_mm256_setr_epi64x(a, b, c, d), _mm256_setr_epi64x(e, f, g, h)];
    // A stripe that ends with the input is left to the end.
    let (_, all_but_last) = data.split_last().unwrap_or((&0, &[]));
    let (blocks, rest) = all_but_last.as_chunks::<STRIPE_BYTES>().0.as_chunks::<BLOCK_STRIPES>();
    for block in blocks {
        for (at, stripe) in block.iter().enumerate() {
            take_in(&mut sums, stripe, part(secret, at * SECRET_STEP_BYTES));
        }
        scramble(&mut sums, part(secret, SCRAMBLE_AT));
    }
    for (at, stripe) in rest.iter().enumerate() {
        take_in(&mut sums, stripe, part(secret, at * SECRET_STEP_BYTES));
    }
    if let Some(last) = data.last_chunk() {
        take_in(&mut sums, last, part(secret, LAST_STRIPE_AT));
    }
    merge(sums, data.len() as u64, part(secret, MERGE_AT))
}

/// The 64 bytes of the secret from `at` on, of which there are as many.
#[inline(always)] // Then the places are constants and there are no checks.
fn part(secret: &[u8; SECRET_BYTES], at: usize) -> &Stripe {
    secret.get(at..).and_then(<[u8]>::first_chunk).unwrap_or(&[0; STRIPE_BYTES])
}

#[target_feature(enable = "avx2")]
#[inline]
fn lanes(bytes: &Stripe) -> Lanes {
    let (low, high) = bytes.split_at(STRIPE_BYTES / 2);
    [low, high].map(|half| {
        // SAFETY: 32 bytes are read, which is how long a half is, and nothing is asked of their alignment. Exercised by
        // `the_wide_hash_is_the_hash`.
        unsafe { _mm256_loadu_si256(half.as_ptr().cast()) }
    })
}

#[target_feature(enable = "avx2")]
#[inline]
fn take_in(sums: &mut Lanes, stripe: &Stripe, secret: &Stripe) {
    let (data, keys) = (lanes(stripe), lanes(secret));
    for ((sum, data), key) in sums.iter_mut().zip(data).zip(keys) {
        let mixed = _mm256_xor_si256(data, key);
        let product = _mm256_mul_epu32(mixed, _mm256_srli_epi64::<32>(mixed));
        let swapped = _mm256_shuffle_epi32::<0b01_00_11_10>(data);
        *sum = _mm256_add_epi64(product, _mm256_add_epi64(*sum, swapped));
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn scramble(sums: &mut Lanes, secret: &Stripe) {
    let prime = _mm256_set1_epi32(PRIME32_1.cast_signed());
    for (sum, key) in sums.iter_mut().zip(lanes(secret)) {
        let mixed = _mm256_xor_si256(_mm256_xor_si256(*sum, _mm256_srli_epi64::<47>(*sum)), key);
        let low = _mm256_mul_epu32(mixed, prime);
        let high = _mm256_mul_epu32(_mm256_srli_epi64::<32>(mixed), prime);
        *sum = _mm256_add_epi64(low, _mm256_slli_epi64::<32>(high));
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn merge(sums: Lanes, len: u64, secret: &Stripe) -> u64 {
    let mut merged = len.wrapping_mul(PRIME64_1);
    for (sum, key) in sums.into_iter().zip(lanes(secret)) {
        let mixed = _mm256_xor_si256(sum, key);
        let low = (_mm256_extract_epi64::<0>(mixed), _mm256_extract_epi64::<1>(mixed));
        let high = (_mm256_extract_epi64::<2>(mixed), _mm256_extract_epi64::<3>(mixed));
        for (left, right) in [low, high] {
            let product = u128::from(left.cast_unsigned()) * u128::from(right.cast_unsigned());
            merged = merged.wrapping_add(product as u64 ^ (product >> 64) as u64);
        }
    }
    merged = (merged ^ (merged >> 37)).wrapping_mul(PRIME_MX1);
    merged ^ (merged >> 32)
}
