//! What an input does to the directory: a list of harms, each to one file.

use std::path::{Path, PathBuf};

use super::template::{DIRECTORY, Files};
use crate::shared::InputReader;

/// More harms than this are not applied: a directory without a whole file says little.
const EDITS_MAX: usize = 8;

/// Numbers at which lengths, counts and offsets break.
const NUMBERS: [u64; 8] = [0, 1, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, i64::MAX as u64, u64::MAX];

pub fn apply(reader: &mut InputReader<'_>, files: &mut Files) {
    for _ in 0..EDITS_MAX {
        if reader.is_empty() {
            return;
        }
        let (kind, file) = (reader.u8(), reader.u8());
        let Some(path) = nth(files, file) else { return };
        let at = usize::from(reader.u16());
        match kind % 10 {
            0 => remove(files, &path, reader.u8()),
            1 => {
                let other = nth(files, reader.u8()).unwrap_or_default();
                let from = usize::from(reader.u16());
                let len = usize::from(reader.u8());
                let source = files.get(&other).cloned().unwrap_or_default();
                let from = from % (source.len() + 1);
                overwrite(files, &path, at, &source[from..source.len().min(from + len)]);
            }
            2 => rename(files, &path, reader),
            kind => content(kind, files.get_mut(&path).unwrap(), at, reader),
        }
    }
}

fn nth(files: &Files, number: u8) -> Option<PathBuf> {
    files.keys().nth(usize::from(number) % files.len().max(1)).cloned()
}

/// Missing files are soon told apart: not too often.
fn remove(files: &mut Files, path: &Path, confirmation: u8) {
    if confirmation % 8 == 7 {
        files.remove(path);
    }
}

/// To the name of another file, to a new one, or by one number.
fn rename(files: &mut Files, path: &Path, reader: &mut InputReader<'_>) {
    let extension = ["wal", "vlog", "sst", "tmp"][usize::from(reader.u8() % 4)];
    let number = match reader.u8() {
        0..64 => NUMBERS[usize::from(reader.u8() % 8)],
        number => u64::from(number - 64),
    };
    let data = files.get(path).cloned().unwrap_or_default();
    files.insert(Path::new(DIRECTORY).join(format!("{number:06}.{extension}")), data);
}

fn overwrite(files: &mut Files, path: &Path, at: usize, bytes: &[u8]) {
    let Some(data) = files.get_mut(path).filter(|data| !data.is_empty()) else { return };
    let at = at % data.len();
    for (to, from) in data.iter_mut().skip(at).zip(bytes) {
        *to = *from;
    }
}

fn content(kind: u8, data: &mut Vec<u8>, at: usize, reader: &mut InputReader<'_>) {
    let at = at % data.len().max(1);
    let argument = reader.u8();
    match kind {
        3 => data.truncate(at),
        4 => data.extend(std::iter::repeat_n(reader.u8(), usize::from(argument))),
        5 => {
            let number = NUMBERS[usize::from(argument % 8)].to_le_bytes();
            let width = [1, 2, 4, 8][usize::from(argument / 64)];
            data.iter_mut().skip(at).zip(number).take(width).for_each(|(to, from)| *to = from);
        }
        6 => {
            let bytes = reader.bytes(usize::from(argument % 32));
            data.iter_mut().skip(at).zip(bytes).for_each(|(to, from)| *to = *from);
        }
        7 => drop(data.drain(at..data.len().min(at + usize::from(argument)))),
        8 => data.iter_mut().skip(at).take(1).for_each(|byte| *byte = byte.wrapping_add(argument)),
        _ => data.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (argument % 8)),
    }
}
