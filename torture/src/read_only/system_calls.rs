//! Reads what `strace` has written down, and finds the system call that might have changed a file. What is not known to be
//! harmless is not.

use crate::finding::{Checked, Finding, demand};

/// The classes of system calls that can reach a file, by a name or by a descriptor, and one that needs neither.
pub(super) const TRACED: &str = "trace=%file,%desc,sync";

/// Calls that change no file, whatever their arguments.
const HARMLESS: [&str; 31] = [
    "access",
    "close",
    "close_range",
    "epoll_create1",
    "epoll_ctl",
    "epoll_wait",
    "eventfd2",
    "execve",
    "faccessat",
    "faccessat2",
    "fadvise64",
    "fstat",
    "fstatfs",
    "getcwd",
    "getdents64",
    "lseek",
    "lstat",
    "newfstatat",
    "poll",
    "ppoll",
    "pread64",
    "preadv",
    "preadv2",
    "read",
    "readahead",
    "readlink",
    "readlinkat",
    "readv",
    "stat",
    "statfs",
    "statx",
];

/// Flags with which an open could change something.
const WRITING_FLAGS: [&str; 7] =
    ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND", "O_TMPFILE", "O_EXCL"];

/// Commands of `fcntl` that are about the descriptor only.
const DESCRIPTOR_COMMANDS: [&str; 5] = ["F_GETFD", "F_SETFD", "F_GETFL", "F_DUPFD", "F_DUPFD_CLOEXEC"];

/// Checks one line; true when it tells of a system call.
pub(super) fn check(line: &str) -> Checked<bool> {
    if line.starts_with("--- ") || line.starts_with("+++ exited with 0") {
        return Ok(false);
    }
    let unreadable = || Finding::new(format!("the trace has a line that cannot be read: {line}"));
    let (name, rest) = line.split_once('(').ok_or_else(unreadable)?;
    demand(name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_'), || {
        format!("the trace has a line that cannot be read: {line}")
    })?;
    // What stands in quotes is data: names and contents.
    let unquoted: String = rest.split('"').step_by(2).collect();
    let words: Vec<&str> =
        unquoted.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').collect();
    let has = |word: &&str| words.contains(word);
    let is_harmless = match name {
        "open" | "openat" => has(&"O_RDONLY") && !WRITING_FLAGS.iter().any(has),
        "mmap" => !(has(&"MAP_SHARED") || has(&"MAP_SHARED_VALIDATE")) || !has(&"PROT_WRITE"),
        "flock" => (has(&"LOCK_SH") || has(&"LOCK_UN")) && !has(&"LOCK_EX"),
        "fcntl" => DESCRIPTOR_COMMANDS.iter().any(has),
        "ioctl" => has(&"TCGETS") || has(&"TIOCGWINSZ"),
        // Standard output and standard error.
        "write" | "writev" => ["1", "2"].contains(words.first().unwrap_or(&"")),
        other => HARMLESS.contains(&other),
    };
    demand(is_harmless, || format!("a system call that may change files: {line}"))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_is_harmless() {
        for line in [
            r#"openat(AT_FDCWD, "/db/MANIFEST", O_RDONLY|O_CLOEXEC) = 3"#,
            r#"openat(AT_FDCWD, "/db, O_RDWR/O_CREAT", O_RDONLY|O_CLOEXEC|O_DIRECTORY) = 3"#,
            "mmap(NULL, 4096, PROT_READ, MAP_SHARED, 3, 0) = 0x7f",
            "mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f",
            "flock(3, LOCK_SH|LOCK_NB) = 0",
            r#"write(1, "12 13\n", 6) = 6"#,
            "fcntl(3, F_SETFD, FD_CLOEXEC) = 0",
        ] {
            assert!(check(line).unwrap(), "{line}");
        }
        assert!(!check("+++ exited with 0 +++").unwrap());
    }

    #[test]
    fn everything_else_is_not() {
        for line in [
            r#"openat(AT_FDCWD, "/db/LOCK", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 3"#,
            r#"openat(AT_FDCWD, "/db/LOCK", O_RDONLY|O_CREAT, 0600) = 3"#,
            r#"openat(AT_FDCWD, "/db/O_RDONLY", O_WRONLY) = -1 EACCES (Permission denied)"#,
            r#"write(3, "x", 1) = 1"#,
            r#"write(12, "x", 1) = 1"#,
            r#"pwrite64(1, "x", 1, 0) = 1"#,
            "mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, 3, 0) = 0x7f",
            "flock(3, LOCK_EX|LOCK_NB) = 0",
            r#"unlink("/db/000001.wal") = 0"#,
            r#"rename("/db/MANIFEST.tmp", "/db/MANIFEST") = 0"#,
            "ftruncate(3, 0) = 0",
            "fallocate(3, 0, 0, 4096) = 0",
            "fsync(3) = 0",
            "fdatasync(3) = 0",
            "sync() = 0",
            "ioctl(3, FICLONE, 4) = 0",
            "fcntl(3, F_SETLK, {l_type=F_WRLCK}) = 0",
            "utimensat(AT_FDCWD, \"/db\", NULL, 0) = 0",
            "+++ killed by SIGSEGV +++",
            "nonsense",
        ] {
            check(line).unwrap_err();
        }
    }
}
