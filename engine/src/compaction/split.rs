//! Cuts the key range of a compaction into disjoint parts that can run side by side; pure.

use std::ops::Bound;
use std::sync::Arc;

use base::KeyBounds;

use crate::table_set::TableHandle;

/// At most `parts` ranges that together cover every key, cut at the first keys of inputs so that the parts hold about
/// equally many bytes. All versions of a key fall into one part.
pub(crate) fn split(inputs: &[Arc<TableHandle>], parts: usize) -> Vec<KeyBounds> {
    let mut starts: Vec<(&[u8], u64)> =
        inputs.iter().map(|table| (table.meta.smallest.as_slice(), table.meta.file_bytes)).collect();
    starts.sort_unstable();
    let total: u64 = starts.iter().map(|(_, bytes)| bytes).sum();
    let share = total / parts.max(1) as u64 + 1;
    let mut cuts: Vec<Vec<u8>> = Vec::new();
    let mut bytes = 0;
    for (index, (smallest, table_bytes)) in starts.iter().enumerate() {
        let is_new = cuts.last().is_none_or(|cut| cut.as_slice() < *smallest);
        let first = starts.first().map_or(&[][..], |(first, _)| first);
        if index > 0 && bytes >= share * (cuts.len() as u64 + 1) && is_new && *smallest > first {
            cuts.push(smallest.to_vec());
        }
        bytes += table_bytes;
    }
    let mut ranges = Vec::with_capacity(cuts.len() + 1);
    let mut start = Bound::Unbounded;
    for cut in cuts {
        ranges.push(KeyBounds { start, end: Bound::Excluded(cut.clone()) });
        start = Bound::Included(cut);
    }
    ranges.push(KeyBounds { start, end: Bound::Unbounded });
    ranges
}
