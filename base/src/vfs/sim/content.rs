//! The bytes of a file, shared between the images that agree about them, with their hash.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_128;

/// What a file holds. Its hash is computed once, and again only after a change.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    data: Vec<u8>,
    hash: OnceLock<u128>,
    /// Something in it was never written, and filled.
    pub(super) is_filled: bool,
}

impl Content {
    pub(super) fn new(data: Vec<u8>) -> Self {
        Self { data, hash: OnceLock::new(), is_filled: false }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.data
    }

    pub(super) fn len(&self) -> usize {
        self.data.len()
    }

    /// To be changed; forgets the hash.
    pub(super) fn data_mut(&mut self) -> &mut Vec<u8> {
        self.hash.take();
        &mut self.data
    }

    pub(super) fn hash(&self) -> u128 {
        *self.hash.get_or_init(|| xxh3_128(&self.data))
    }

    /// The same bytes, not copied.
    pub(super) fn share(self: &Arc<Self>) -> Bytes {
        Bytes::from_owner(Shared(Arc::clone(self)))
    }
}

struct Shared(Arc<Content>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}
