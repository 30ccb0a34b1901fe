//! Pointers of a commit to its own values, which stand before it in the same file.

use base::ValuePointer;
use base::codec::Malformed;
use base::header::CONTENT_START;
use base::record::{RECORD_ALIGNMENT, RECORD_HEADER_BYTES, padded};

use crate::format::RELATIVE_SEGMENT;

/// A pointer to a value record that starts `distance` bytes before its commit record.
#[must_use]
pub fn relative_pointer(distance: u64, record_len: u32, value_len: u32) -> ValuePointer {
    ValuePointer { segment: RELATIVE_SEGMENT, offset: distance, record_len, value_len }
}

/// Makes a relative pointer absolute: its commit record starts at `commit_record_offset` of the file numbered
/// `segment`.
///
/// # Errors
/// [`Malformed`], with an offset of 0, when the pointer is not relative, or does not lead to a place before the commit
/// where such a record could stand.
pub fn resolve(
    pointer: ValuePointer,
    segment: u64,
    commit_record_offset: u64,
) -> Result<ValuePointer, Malformed> {
    let malformed = |what| Malformed { offset: 0, what };
    if pointer.segment != RELATIVE_SEGMENT {
        return Err(malformed("pointer of a commit is not relative"));
    }
    if (pointer.record_len as usize) < RECORD_HEADER_BYTES {
        return Err(malformed("pointer of a commit is to less than a record"));
    }
    if pointer.offset < padded(u64::from(pointer.record_len)) {
        return Err(malformed("pointer of a commit reaches into the commit"));
    }
    let offset = commit_record_offset
        .checked_sub(pointer.offset)
        .filter(|offset| *offset >= CONTENT_START)
        .ok_or_else(|| malformed("pointer of a commit reaches before the first record"))?;
    if offset % RECORD_ALIGNMENT as u64 != 0 {
        return Err(malformed("pointer of a commit is not aligned"));
    }
    Ok(ValuePointer { segment, offset, ..pointer })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a pointer comes back to where it was taken, and nothing else resolves. Method: one good pointer, and one
    /// for each rule that it can break.
    #[test]
    fn only_pointers_to_records_before_the_commit_resolve() {
        let good = relative_pointer(120, 115, 60);
        let absolute = ValuePointer { segment: 9, offset: 880, record_len: 115, value_len: 60 };
        assert_eq!(resolve(good, 9, 1000), Ok(absolute));
        assert_eq!(resolve(relative_pointer(120, 115, 60), 9, 184).map(|pointer| pointer.offset), Ok(64));
        let complaint = |pointer, at| resolve(pointer, 9, at).map_err(|error| error.what);
        assert_eq!(complaint(absolute, 1000), Err("pointer of a commit is not relative"));
        assert_eq!(
            complaint(relative_pointer(120, 47, 0), 1000),
            Err("pointer of a commit is to less than a record")
        );
        assert_eq!(
            complaint(relative_pointer(112, 115, 60), 1000),
            Err("pointer of a commit reaches into the commit")
        );
        let before = Err("pointer of a commit reaches before the first record");
        assert_eq!(complaint(good, 176), before);
        assert_eq!(complaint(relative_pointer(u64::MAX, 115, 60), 1000), before);
        assert_eq!(
            complaint(relative_pointer(121, 115, 60), 1000),
            Err("pointer of a commit is not aligned")
        );
        assert!(resolve(relative_pointer(u64::MAX, u32::MAX, 0), 9, u64::MAX).is_err());
    }
}
