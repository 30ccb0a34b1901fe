//! Keys and values: the same for every engine, from a counter.

/// The key of the `index`th entry in random order: 8 mixed bytes, 8 constant ones.
pub(crate) fn random_key(index: u64) -> [u8; 16] {
    let mut key = *b"........keybytes";
    key[..8].copy_from_slice(&mix(index).to_be_bytes());
    key
}

/// The key of the `index`th entry in ascending order.
pub(crate) fn sequential_key(index: u64) -> [u8; 16] {
    let mut key = *b"........keybytes";
    key[..8].copy_from_slice(&index.to_be_bytes());
    key
}

/// Splitmix64: a bijection that spreads counters evenly.
pub(crate) fn mix(index: u64) -> u64 {
    let mut mixed = index.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A value whose second half is constant.
pub(crate) fn fill_value(index: u64, value: &mut [u8]) {
    let half = value.len() / 2;
    let (noise, constant) = value.split_at_mut(half);
    for (at, chunk) in noise.chunks_mut(8).enumerate() {
        let word = mix(index.wrapping_mul(31).wrapping_add(at as u64)).to_le_bytes();
        let len = chunk.len();
        chunk.copy_from_slice(&word[..len]);
    }
    constant.fill(b'v');
}

/// Touches every cache line of a value, as a consumer would.
pub(crate) fn touch(value: &[u8]) -> u64 {
    value.iter().step_by(64).map(|byte| u64::from(*byte)).sum::<u64>() + value.len() as u64
}
