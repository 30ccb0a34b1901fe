//! Bytes of many small things in few allocations, none of which is ever moved.

use std::sync::Arc;

/// The first chunk has room for so much at least, in bytes.
const FIRST_CHUNK_BYTES: usize = 256;
/// Chunks grow with what there is, up to this; what is larger has a chunk of its own.
const CHUNK_BYTES_MAX: usize = 256 << 10;

/// An append-only store of bytes. A clone shares the full chunks and copies the one that is being filled.
#[derive(Clone, Debug, Default)]
pub(crate) struct ByteArena {
    full: Vec<Arc<Vec<u8>>>,
    open: Vec<u8>,
    len: usize,
}

/// Where bytes stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    chunk: usize,
    at: usize,
}

impl ByteArena {
    /// How many bytes it holds.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Appends `first` and, right behind it, `second`.
    pub(crate) fn push(&mut self, first: &[u8], second: &[u8]) -> Span {
        let len = first.len() + second.len();
        if self.open.capacity() - self.open.len() < len {
            let bytes = self.len.clamp(FIRST_CHUNK_BYTES, CHUNK_BYTES_MAX).max(len);
            let full = std::mem::replace(&mut self.open, Vec::with_capacity(bytes));
            if !full.is_empty() {
                self.full.push(Arc::new(full));
            }
        }
        let span = Span { chunk: self.full.len(), at: self.open.len() };
        self.open.extend_from_slice(first);
        self.open.extend_from_slice(second);
        self.len += len;
        span
    }

    /// `len` bytes, from `skip` bytes behind the start of `span` on.
    #[inline]
    pub(crate) fn get(&self, span: Span, skip: usize, len: usize) -> &[u8] {
        let chunk = self.full.get(span.chunk).map_or(self.open.as_slice(), |chunk| chunk.as_slice());
        let start = span.at + skip;
        chunk.get(start..start + len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: everything stays where it was put, in a clone too, which goes its own way. Method: pieces around every limit.
    #[test]
    fn pieces_stay_where_they_are() {
        let piece = |number: usize| vec![number as u8; [0, 1, 100, 255, 256, 5_000, 300_000][number % 7]];
        let mut arena = ByteArena::default();
        let mut spans: Vec<Span> = (0..40).map(|number| arena.push(&piece(number), b"end")).collect();
        let kept = arena.clone();
        let kept_spans = spans.len();
        spans.extend((40..60).map(|number| arena.push(&piece(number), b"end")));
        for (number, span) in spans.iter().enumerate() {
            let expected = piece(number);
            for arena in [&arena, &kept].into_iter().take(if number < kept_spans { 2 } else { 1 }) {
                assert_eq!(arena.get(*span, 0, expected.len()), expected);
                assert_eq!(arena.get(*span, expected.len(), 3), b"end");
            }
        }
        assert_eq!(arena.len(), (0..60).map(|number| piece(number).len() + 3).sum::<usize>());
        assert!(ByteArena::default().push(b"", b"").chunk == 0);
    }
}
