//! The order of things that arrive in any order: their numbers, in short sorted runs.
//!
//! A run that is full is cut in half, as a leaf of a B-tree is; the runs themselves stand in one vector, so there are
//! two levels whatever the size. Numbers are small and move cheaply; what they stand for is the caller's, who compares.

/// A run that is longer is cut in half.
const RUN_MAX: usize = 128;

/// Numbers in the order of their keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyOrder {
    /// None of them is empty.
    runs: Vec<Vec<u32>>,
}

/// A place in the order: before the number that stands there, or at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    run: usize,
    offset: usize,
}

impl Place {
    /// A place in things that are all in one run, which needs no [`KeyOrder`].
    pub(crate) fn in_one_run(offset: usize) -> Self {
        Self { run: 0, offset }
    }

    /// The offset of such a place.
    pub(crate) fn offset_in_one_run(self) -> usize {
        self.offset
    }
}

impl KeyOrder {
    /// The order of `count` things that came in order.
    pub(crate) fn ascending(count: u32) -> Self {
        let starts = (0..count).step_by(RUN_MAX);
        let run = |start: u32| (start..count.min(start.saturating_add(RUN_MAX as u32))).collect();
        Self { runs: starts.map(run).collect() }
    }

    /// The place of the first number for which `is_before` is false; it must be true for a front part of the order.
    pub(crate) fn partition_point(&self, mut is_before: impl FnMut(u32) -> bool) -> Place {
        let begins_before = |run: &Vec<u32>| run.first().is_some_and(|first| is_before(*first));
        let after = self.runs.partition_point(begins_before);
        let Some(run) = after.checked_sub(1) else { return Place::default() };
        let numbers = self.runs.get(run).map(Vec::as_slice).unwrap_or_default();
        let offset = numbers.partition_point(|number| is_before(*number));
        if offset < numbers.len() { Place { run, offset } } else { Place { run: after, offset: 0 } }
    }

    /// The place behind all numbers.
    pub(crate) fn end(&self) -> Place {
        Place { run: self.runs.len(), offset: 0 }
    }

    /// The number that stands at `place`; none does at the end.
    pub(crate) fn get(&self, place: Place) -> Option<u32> {
        self.runs.get(place.run)?.get(place.offset).copied()
    }

    /// The place after `place`, which is not the end.
    pub(crate) fn after(&self, place: Place) -> Place {
        let len = self.runs.get(place.run).map_or(0, Vec::len);
        if place.offset + 1 < len {
            Place { offset: place.offset + 1, ..place }
        } else {
            Place { run: place.run + 1, offset: 0 }
        }
    }

    /// The place before `place`; the first one has none.
    pub(crate) fn before(&self, place: Place) -> Option<Place> {
        if let Some(offset) = place.offset.checked_sub(1) {
            return Some(Place { offset, ..place });
        }
        let run = place.run.checked_sub(1)?;
        let offset = self.runs.get(run)?.len().checked_sub(1)?;
        Some(Place { run, offset })
    }

    /// Puts `number` before what stands at `place`.
    pub(crate) fn insert(&mut self, place: Place, number: u32) {
        // The end of a run is the same place as the start of the next, and has more room behind it.
        let Place { run, offset } = match place.run.checked_sub(1) {
            Some(run) if place.offset == 0 => Place { run, offset: self.runs.get(run).map_or(0, Vec::len) },
            _ => place,
        };
        let Some(numbers) = self.runs.get_mut(run) else { return self.runs.push(vec![number]) };
        numbers.insert(offset, number);
        if numbers.len() > RUN_MAX {
            // Keys that arrive in order leave full runs behind.
            let is_behind_all = offset + 1 == numbers.len() && run + 1 == self.runs.len();
            let Some(numbers) = self.runs.get_mut(run) else { return };
            let right = numbers.split_off(if is_behind_all { RUN_MAX } else { RUN_MAX / 2 });
            self.runs.insert(run + 1, right);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn walk(order: &KeyOrder) -> Vec<u32> {
        let mut place = Place::default();
        let mut numbers = Vec::new();
        while let Some(number) = order.get(place) {
            numbers.push(number);
            place = order.after(place);
        }
        assert_eq!(place, order.end());
        numbers
    }

    proptest! {
        /// Goal: it is a sorted list. Method: keys in any order, each number standing for the key that came with it.
        #[test]
        fn it_is_a_sorted_list(ascending in 0u32..300, keys in proptest::collection::vec(0u32..2_000, 0..600)) {
            let mut all: Vec<u32> = (0..ascending).map(|key| key * 5).collect();
            let mut order = KeyOrder::ascending(ascending);
            for key in keys {
                let place = order.partition_point(|number| all[number as usize] < key);
                prop_assert!(order.before(place).is_none_or(|place| all[order.get(place).unwrap() as usize] < key));
                if order.get(place).is_none_or(|number| all[number as usize] != key) {
                    order.insert(place, all.len() as u32);
                    all.push(key);
                }
            }
            let walked: Vec<u32> = walk(&order).iter().map(|number| all[*number as usize]).collect();
            all.sort_unstable();
            prop_assert_eq!(&walked, &all);
            let mut backwards = Vec::new();
            let mut place = order.end();
            while let Some(before) = order.before(place) {
                backwards.extend(order.get(before));
                place = before;
            }
            backwards.reverse();
            prop_assert_eq!(backwards, walk(&order));
        }
    }
}
