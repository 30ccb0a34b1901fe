//! Which operations are to fail, and how: the vocabulary of [`FaultVfs`](super::FaultVfs).

use std::io;
use std::path::{Path, PathBuf};

use crate::Error;

/// One kind of call on a [`Vfs`](crate::vfs::Vfs) or a [`File`](crate::vfs::File).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is named like the method it stands for")]
pub enum Operation {
    Create,
    Open,
    Rename,
    Remove,
    Exists,
    List,
    CreateDir,
    SyncDir,
    Lock,
    Read,
    Write,
    Sync,
    SetLen,
    Allocate,
    Map,
    Len,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Create,
        Self::Open,
        Self::Rename,
        Self::Remove,
        Self::Exists,
        Self::List,
        Self::CreateDir,
        Self::SyncDir,
        Self::Lock,
        Self::Read,
        Self::Write,
        Self::Sync,
        Self::SetLen,
        Self::Allocate,
        Self::Map,
        Self::Len,
    ];

    /// As a verb, for messages.
    pub(super) const fn verb(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Open => "open",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::Exists => "look up",
            Self::List => "list",
            Self::CreateDir => "create directory",
            Self::SyncDir => "sync directory",
            Self::Lock => "lock",
            Self::Read => "read",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::SetLen => "set the length of",
            Self::Allocate => "allocate",
            Self::Map => "map",
            Self::Len => "measure",
        }
    }
}

/// A set of [`Operation`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operations(u32);

impl Operations {
    /// Every operation.
    pub const ALL: Self = Self::of(&Operation::ALL);

    /// Those that change a file or a name, or make a change durable.
    pub const CHANGES: Self = Self::of(&[
        Operation::Create,
        Operation::Rename,
        Operation::Remove,
        Operation::CreateDir,
        Operation::SyncDir,
        Operation::Write,
        Operation::Sync,
        Operation::SetLen,
        Operation::Allocate,
    ]);

    /// Those that read what files hold.
    pub const READS: Self = Self::of(&[Operation::Read, Operation::Map]);

    /// The set of `operations`.
    #[must_use]
    pub const fn of(operations: &[Operation]) -> Self {
        let mut bits = 0;
        let mut rest = operations;
        while let [first, others @ ..] = rest {
            bits |= 1 << *first as u32;
            rest = others;
        }
        Self(bits)
    }

    /// True when `operation` is one of them.
    #[must_use]
    pub const fn contains(self, operation: Operation) -> bool {
        self.0 & (1 << operation as u32) != 0
    }
}

impl From<Operation> for Operations {
    fn from(operation: Operation) -> Self {
        Self::of(&[operation])
    }
}

impl<const N: usize> From<[Operation; N]> for Operations {
    fn from(operations: [Operation; N]) -> Self {
        Self::of(&operations)
    }
}

/// Which calls a fault is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The operations.
    pub operations: Operations,
    /// How the path ends, for instance `.wal`; `None` for any path. A rename goes by its new name.
    pub path_suffix: Option<String>,
}

impl Filter {
    fn matches(&self, operation: Operation, path: &Path) -> bool {
        let path_matches =
            self.path_suffix.as_ref().is_none_or(|suffix| path.to_string_lossy().ends_with(suffix.as_str()));
        path_matches && self.operations.contains(operation)
    }
}

impl Default for Filter {
    fn default() -> Self {
        Self { operations: Operations::ALL, path_suffix: None }
    }
}

/// What goes wrong. A kind that makes sense only for some operations meets only those, whatever the filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The call fails with EIO and does nothing.
    Io,
    /// The call fails with ENOSPC and does nothing.
    NoSpace,
    /// The call fails with EACCES and does nothing.
    NoPermission,
    /// The call fails with EMFILE and does nothing.
    TooManyFiles,
    /// The call fails with EINTR and does nothing.
    Interrupted,
    /// A write puts down half of its bytes, then fails with EIO.
    ShortWrite,
    /// A write puts down half of its bytes, then fails with ENOSPC.
    TornNoSpace,
    /// A read or a map ends half-way, as if the file did.
    ShortRead,
    /// A read or a map returns one bit flipped; the file itself is whole.
    FlippedBit,
    /// A sync fails; what was written stays readable and counts as clean, as on ext4 and XFS: later syncs succeed, and
    /// make durable only what was written after the failure. A power cut may still have kept any of it.
    SyncLost,
    /// A sync fails, and readers see from then on what was durable before, as on btrfs: what was written is gone, and later
    /// syncs succeed. Needs a file system below that knows what is durable: [`SimVfs`](crate::vfs::SimVfs).
    SyncReverted,
    /// A sync succeeds without making anything durable, and the next sync of the same file (or directory) fails in its stead:
    /// then, as before, the content is kept as with [`FaultKind::SyncLost`].
    SyncLate,
    /// The call panics.
    Panic,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Io,
        Self::NoSpace,
        Self::NoPermission,
        Self::TooManyFiles,
        Self::Interrupted,
        Self::ShortWrite,
        Self::TornNoSpace,
        Self::ShortRead,
        Self::FlippedBit,
        Self::SyncLost,
        Self::SyncReverted,
        Self::SyncLate,
        Self::Panic,
    ];

    /// The operations that it can meet.
    #[must_use]
    pub const fn operations(self) -> Operations {
        match self {
            Self::Io
            | Self::NoSpace
            | Self::NoPermission
            | Self::TooManyFiles
            | Self::Interrupted
            | Self::Panic => Operations::ALL,
            Self::ShortWrite | Self::TornNoSpace => Operations::of(&[Operation::Write]),
            Self::ShortRead | Self::FlippedBit => Operations::READS,
            Self::SyncLost | Self::SyncLate => Operations::of(&[Operation::Sync, Operation::SyncDir]),
            Self::SyncReverted => Operations::of(&[Operation::Sync]),
        }
    }

    /// The error with which `operation` ends.
    pub(super) fn error(self, operation: Operation, path: &Path) -> Error {
        let source = match self {
            Self::NoSpace | Self::TornNoSpace => io::Error::from(io::ErrorKind::StorageFull),
            Self::NoPermission => io::Error::from(io::ErrorKind::PermissionDenied),
            Self::TooManyFiles => io::Error::other("injected: too many open files"),
            Self::Interrupted => io::Error::from(io::ErrorKind::Interrupted),
            _ => io::Error::other("injected: input/output error"),
        };
        Error::io(operation.verb(), path, source)
    }
}

/// How often a fault strikes, once it has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// One matching operation.
    Once,
    /// That one and every later one.
    Forever,
    /// So many in a row.
    Window(u64),
}

/// A failure to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// For which calls.
    pub matching: Filter,
    /// The first one to fail among the matching calls from now, counted from 1.
    pub nth: u64,
    /// How often.
    pub times: Times,
}

impl Fault {
    /// `kind` at the next operation, once.
    #[must_use]
    pub fn new(kind: FaultKind) -> Self {
        Self { kind, matching: Filter::default(), nth: 1, times: Times::Once }
    }

    /// The same, but first at the `nth` matching operation from now, counted from 1.
    #[must_use]
    pub fn nth(self, nth: u64) -> Self {
        Self { nth, ..self }
    }

    /// The same, but for `operations` only.
    #[must_use]
    pub fn on(mut self, operations: impl Into<Operations>) -> Self {
        self.matching.operations = operations.into();
        self
    }

    /// The same, but only for paths that end in `suffix`.
    #[must_use]
    pub fn path_ends_with(mut self, suffix: impl Into<String>) -> Self {
        self.matching.path_suffix = Some(suffix.into());
        self
    }

    /// The same, but so often.
    #[must_use]
    pub fn times(self, times: Times) -> Self {
        Self { times, ..self }
    }

    fn strikes(&self, seen: u64) -> bool {
        let first = self.nth.max(1);
        let end = match self.times {
            Times::Once => first.saturating_add(1),
            Times::Window(count) => first.saturating_add(count),
            Times::Forever => u64::MAX,
        };
        (first..end).contains(&seen)
    }
}

/// The faults to come, and a count of what went by.
#[derive(Debug, Default)]
pub(super) struct Plan {
    armed: Vec<Armed>,
    counts: [u64; Operation::ALL.len()],
    fired: u64,
    trace: Option<Vec<(Operation, PathBuf)>>,
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    /// Matching operations since it was armed.
    seen: u64,
}

impl Plan {
    pub(super) fn arm(&mut self, fault: Fault) {
        self.armed.push(Armed { fault, seen: 0 });
    }

    pub(super) fn disarm(&mut self) {
        self.armed.clear();
    }

    /// Counts a call; the fault that meets it, if one does.
    pub(super) fn meet(&mut self, operation: Operation, path: &Path) -> Option<FaultKind> {
        if let Some(count) = self.counts.get_mut(operation as usize) {
            *count += 1;
        }
        if let Some(trace) = &mut self.trace {
            trace.push((operation, path.to_path_buf()));
        }
        let mut struck = None;
        for armed in &mut self.armed {
            if armed.fault.kind.operations().contains(operation)
                && armed.fault.matching.matches(operation, path)
            {
                armed.seen += 1;
                if struck.is_none() && armed.fault.strikes(armed.seen) {
                    struck = Some(armed.fault.kind);
                }
            }
        }
        self.fired += u64::from(struck.is_some());
        struck
    }

    pub(super) fn fired(&self) -> u64 {
        self.fired
    }

    pub(super) fn count(&self, operations: Operations) -> u64 {
        let counted = Operation::ALL.iter().zip(&self.counts);
        counted.filter(|(operation, _)| operations.contains(**operation)).map(|(_, count)| count).sum()
    }

    pub(super) fn start_trace(&mut self) {
        self.trace = Some(Vec::new());
    }

    pub(super) fn take_trace(&mut self) -> Vec<(Operation, PathBuf)> {
        self.trace.take().unwrap_or_default()
    }
}
