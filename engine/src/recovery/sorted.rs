//! The writes of replayed commits as one sorted run, for the tables that recovery writes: nobody reads them before, so that
//! a memtable would be built for nothing.
//!
//! Keys and values stay where they are, in the mapped logs; only their places are sorted.

use base::{Cursor, Entry, InternalKey, Payload, Result};
use bytes::Bytes;

use super::replay::{Values, for_each_write};
use super::sequence::Sequence;
use super::survey::LogSurvey;

/// So many writes are brought into the processor's cache at once: they stand all over the logs, and one after the other each
/// would be waited for alone.
const FETCHED_TOGETHER: usize = 16;

/// All writes of a sequence by key, newer versions first.
#[derive(Debug)]
pub(crate) struct SortedWrites<'a> {
    writes: Vec<(InternalKey<'a>, Entry<'a>)>,
    /// Indices into `writes` in the order of the keys, each with the first eight bytes of its key.
    order: Vec<(u64, usize)>,
}

/// A part of them, with whole user keys.
#[derive(Clone, Debug)]
pub(crate) struct SortedPart<'a> {
    writes: &'a [(InternalKey<'a>, Entry<'a>)],
    order: &'a [(u64, usize)],
    position: Option<usize>,
}

impl<'a> SortedWrites<'a> {
    /// Collects and sorts the writes of `sequence`.
    ///
    /// # Errors
    /// [`base::Error::Corruption`] when a verified commit does not decode, or what `values` fails with.
    pub(crate) fn collect(
        logs: &[LogSurvey],
        sequence: &'a Sequence,
        values: &mut dyn Values,
    ) -> Result<Self> {
        let mut writes = Vec::with_capacity(sequence.commits.len());
        let mut order = Vec::with_capacity(sequence.commits.len());
        for_each_write(logs, sequence, values, |key, entry| {
            order.push((head(key.user_key), writes.len()));
            writes.push((key, entry));
            Ok(())
        })?;
        let mut run = Self { writes, order };
        run.sort();
        Ok(run)
    }

    fn sort(&mut self) {
        let Self { writes, order, .. } = self;
        let key = |index: usize| writes.get(index).map(|(key, _)| *key);
        order.sort_unstable_by(|(left_head, left), (right_head, right)| {
            left_head.cmp(right_head).then_with(|| key(*left).cmp(&key(*right)))
        });
    }

    /// How many writes there are.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// All of them in up to `count` parts, about as long as each other, in the order of the keys; none is empty.
    pub(crate) fn parts(&self, count: usize) -> Vec<SortedPart<'_>> {
        let mut parts = Vec::with_capacity(count);
        let mut rest = self.order.as_slice();
        for left in (1..=count).rev() {
            let (part, behind) = rest.split_at(self.end_of_part(rest, rest.len().div_ceil(left)));
            rest = behind;
            if !part.is_empty() {
                parts.push(SortedPart { writes: &self.writes, order: part, position: None });
            }
        }
        parts
    }

    /// Where a part of at least `len` of `order` ends without a user key in two parts.
    fn end_of_part(&self, order: &[(u64, usize)], len: usize) -> usize {
        let user_key = |position: usize| {
            let (_, index) = order.get(position)?;
            self.writes.get(*index).map(|(key, _)| key.user_key)
        };
        let Some(last) = len.checked_sub(1).and_then(user_key) else { return len };
        (len..order.len()).find(|position| user_key(*position) != Some(last)).unwrap_or(order.len())
    }
}

impl<'a> SortedPart<'a> {
    fn at(&self, position: usize) -> Option<&(InternalKey<'a>, Entry<'a>)> {
        let (_, index) = self.order.get(position)?;
        self.writes.get(*index)
    }

    fn here(&self) -> Option<&(InternalKey<'a>, Entry<'a>)> {
        self.at(self.position?)
    }

    /// How many keys are below `target`, or at it too.
    fn count_below(&self, target: InternalKey<'_>, with_equal: bool) -> usize {
        self.order.partition_point(|(_, index)| {
            self.writes.get(*index).is_some_and(|(key, _)| *key < target || (with_equal && *key == target))
        })
    }

    fn go_to(&mut self, position: Option<usize>) -> Result<()> {
        self.position = position.filter(|position| *position < self.order.len());
        Ok(())
    }

    /// Touches the writes from `position` on.
    fn fetch(&self, position: usize) {
        let upcoming = self.order.iter().skip(position).take(FETCHED_TOGETHER);
        let first_and_last = |(key, entry): &(InternalKey<'_>, Entry<'_>)| {
            let value = if let Payload::Inline(value) = entry.payload { value } else { key.user_key };
            key.user_key.first().unwrap_or(&0) ^ value.last().unwrap_or(&0)
        };
        let touched = upcoming.filter_map(|(_, index)| self.writes.get(*index)).map(first_and_last);
        std::hint::black_box(touched.fold(0, |all, byte| all ^ byte));
    }
}

/// The first eight bytes of a key as a number that sorts as they do; zeros stand in for what a shorter one lacks.
fn head(user_key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    for (place, byte) in bytes.iter_mut().zip(user_key) {
        *place = *byte;
    }
    u64::from_be_bytes(bytes)
}

impl Cursor for SortedPart<'_> {
    fn key(&self) -> Option<InternalKey<'_>> {
        self.here().map(|(key, _)| *key)
    }

    fn entry(&self) -> Option<Entry<'_>> {
        self.here().map(|(_, entry)| *entry)
    }

    fn inline_value(&self) -> Option<Bytes> {
        match self.here()?.1.payload {
            Payload::Inline(value) => Some(Bytes::copy_from_slice(value)),
            Payload::Tombstone | Payload::Separated(_) => None,
        }
    }

    fn first(&mut self) -> Result<()> {
        self.go_to(Some(0))
    }

    fn last(&mut self) -> Result<()> {
        self.go_to(self.order.len().checked_sub(1))
    }

    fn seek(&mut self, target: InternalKey<'_>) -> Result<()> {
        self.go_to(Some(self.count_below(target, false)))
    }

    fn seek_back(&mut self, target: InternalKey<'_>) -> Result<()> {
        self.go_to(self.count_below(target, true).checked_sub(1))
    }

    fn next(&mut self) -> Result<()> {
        let next = self.position.map(|position| position + 1);
        if let Some(position) = next.filter(|position| position % FETCHED_TOGETHER == 0) {
            self.fetch(position);
        }
        self.go_to(next)
    }

    fn prev(&mut self) -> Result<()> {
        self.go_to(self.position.and_then(|position| position.checked_sub(1)))
    }
}

#[cfg(test)]
mod tests {
    use base::Version;

    use super::*;

    /// Goal: keys that share their first eight bytes, or are shorter, come in the order of keys and versions, both ways.
    #[test]
    fn the_run_is_in_the_order_of_keys_whatever_their_heads() {
        let keys: [&[u8]; 6] = [b"", b"a", b"a\0", b"abcdefgh", b"abcdefgha", b"b"];
        let versions =
            |version| keys.map(|key| (InternalKey::new(key, Version(version)), Entry::inline(key)));
        let writes: Vec<_> = [1, 2, 3].into_iter().flat_map(versions).collect();
        let order = writes.iter().enumerate().map(|(at, (key, _))| (head(key.user_key), at)).collect();
        let mut sorted = SortedWrites { writes, order };
        sorted.sort();
        let mut run = sorted.parts(1).remove(0);
        let mut found = Vec::new();
        run.first().unwrap();
        while let Some(key) = run.key() {
            found.push((key.user_key.to_vec(), key.version.0));
            run.next().unwrap();
        }
        let by_hand: Vec<_> =
            keys.iter().flat_map(|key| [3, 2, 1].map(|version| (key.to_vec(), version))).collect();
        assert_eq!(found, by_hand);
        for (at, (key, version)) in by_hand.iter().enumerate() {
            let target = InternalKey::new(key, Version(*version));
            run.seek(target).unwrap();
            assert_eq!(run.position, Some(at));
            run.seek_back(target).unwrap();
            assert_eq!(run.position, Some(at));
            run.prev().unwrap();
            assert_eq!(run.position, at.checked_sub(1));
        }
    }

    /// Goal: parts are all writes in their order, and no user key is in two. Method: keys of 1 to 9 versions, and every number of
    /// parts up to more than there are keys.
    #[test]
    fn parts_keep_user_keys_whole() {
        let mut writes = Vec::new();
        for (key, versions) in [(&b"a"[..], 9), (b"b", 1), (b"c", 5), (b"d", 2)] {
            writes.extend(
                (1..=versions).map(|version| (InternalKey::new(key, Version(version)), Entry::inline(key))),
            );
        }
        let order = writes.iter().enumerate().map(|(at, (key, _))| (head(key.user_key), at)).collect();
        let mut sorted = SortedWrites { writes, order };
        sorted.sort();
        for count in 1..20 {
            let parts = sorted.parts(count);
            assert!((1..=count.min(4)).contains(&parts.len()));
            let joined: Vec<_> = parts.iter().flat_map(|part| part.order).copied().collect();
            assert_eq!(joined, sorted.order, "{count} parts");
            for pair in parts.windows(2) {
                let (before, after) = (&mut pair[0].clone(), &mut pair[1].clone());
                before.last().unwrap();
                after.first().unwrap();
                assert!(before.key().unwrap().user_key < after.key().unwrap().user_key);
            }
        }
        assert_eq!(sorted.parts(2).len(), 2);
    }
}
