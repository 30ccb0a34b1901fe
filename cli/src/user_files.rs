//! The user's own files and standard streams, which are read on import and written on export.

#![expect(
    clippy::disallowed_methods,
    reason = "the database's files go through the library; these are not its files"
)]

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Outcome};

const BUFFER_BYTES: usize = 1 << 18;

/// True for `-`, which stands for standard input or output.
pub(crate) fn is_stream(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// A file, or standard input for `-`, and its length in bytes where that is known.
pub(crate) fn open_input(path: &Path) -> Outcome<(Box<dyn BufRead + Send>, Option<u64>)> {
    if is_stream(path) {
        return Ok((Box::new(BufReader::with_capacity(BUFFER_BYTES, std::io::stdin())), None));
    }
    let file = File::open(path).map_err(|error| Failure::file("open", path, &error))?;
    let metadata = file.metadata().map_err(|error| Failure::file("look up", path, &error))?;
    let bytes = metadata.is_file().then_some(metadata.len());
    Ok((Box::new(BufReader::with_capacity(BUFFER_BYTES, file)), bytes))
}

/// All bytes of a file, or of standard input for `-`.
pub(crate) fn read(path: &Path) -> Outcome<Vec<u8>> {
    let read = if is_stream(path) {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    read.map_err(|error| Failure::file("read", path, &error))
}

/// All bytes of a file, with the system's own error.
pub(crate) fn try_read(path: &Path) -> std::io::Result<Vec<u8>> {
    std::fs::read(path)
}

/// Whether a directory has nothing in it.
pub(crate) fn is_empty_directory(path: &Path) -> std::io::Result<bool> {
    Ok(std::fs::read_dir(path)?.next().is_none())
}

/// Creates a directory with its parents.
pub(crate) fn create_directory(path: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(path)
}

/// Writes a file that must not be there yet.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    File::create_new(path)?.write_all(bytes)
}

/// A file that appears under its name only when it is complete, so that a failed export never replaces a good one; or standard
/// output for `-`; or a pipe or device that is there already, written directly.
pub(crate) struct Sink {
    writer: BufWriter<Box<dyn Write>>,
    destination: PathBuf,
    replacement: Option<(File, PathBuf)>,
}

impl Sink {
    /// Opens it for writing.
    pub(crate) fn create(path: &Path) -> Outcome<Self> {
        let failed = |error: std::io::Error| Failure::file("create", path, &error);
        let is_special = path.metadata().is_ok_and(|metadata| !metadata.is_file());
        let (writer, replacement): (Box<dyn Write>, _) = if is_stream(path) {
            (Box::new(std::io::stdout().lock()), None)
        } else if is_special {
            (Box::new(File::options().write(true).open(path).map_err(failed)?), None)
        } else {
            let mut partial = path.as_os_str().to_owned();
            partial.push(".partial");
            let partial = PathBuf::from(partial);
            let file = File::create(&partial).map_err(failed)?;
            (Box::new(file.try_clone().map_err(failed)?), Some((file, partial)))
        };
        let writer = BufWriter::with_capacity(BUFFER_BYTES, writer);
        Ok(Self { writer, destination: path.to_path_buf(), replacement })
    }

    /// Writes bytes and a line end.
    pub(crate) fn line(&mut self, bytes: &[u8]) -> Outcome {
        let written = self.writer.write_all(bytes).and_then(|()| self.writer.write_all(b"\n"));
        written.map_err(|error| Failure::file("write", &self.destination, &error))
    }

    /// Makes it complete, durable where it is a file, and visible.
    pub(crate) fn finish(mut self) -> Outcome {
        let flushed = self.writer.flush().and_then(|()| match &self.replacement {
            None => Ok(()),
            Some((file, partial)) => {
                file.sync_all()?;
                std::fs::rename(partial, &self.destination)
            }
        });
        flushed.map_err(|error| Failure::file("write", &self.destination, &error))
    }
}

/// Opens a file to append to; creates it when it is missing.
pub(crate) fn open_to_append(path: &Path) -> Outcome<File> {
    File::options().append(true).create(true).open(path).map_err(|error| Failure::file("open", path, &error))
}
