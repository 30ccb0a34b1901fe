//! How long a thread has waited for a processor. On a machine that is busy with other things a case takes longer, and does not hang.

use std::path::PathBuf;
use std::time::Duration;

/// The account that the system keeps of one thread; empty where it keeps none.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    path: Option<PathBuf>,
}

impl Account {
    /// That of the calling thread.
    pub(crate) fn of_this_thread() -> Self {
        let thread = std::fs::read_link("/proc/thread-self").ok();
        Self { path: thread.map(|thread| PathBuf::from("/proc").join(thread).join("schedstat")) }
    }

    /// How long it was ready to run and did not, since it began; zero where that is not known.
    pub(crate) fn waited(&self) -> Duration {
        self.text().as_deref().and_then(parse).unwrap_or_default()
    }

    fn text(&self) -> Option<String> {
        std::fs::read_to_string(self.path.as_ref()?).ok()
    }
}

/// Time on a processor, time waiting for one, both in nanoseconds, and the number of turns.
fn parse(text: &str) -> Option<Duration> {
    text.split_ascii_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_field_counts() {
        assert_eq!(parse("17 98393 1\n"), Some(Duration::from_nanos(98_393)));
        assert_eq!(parse("17"), None);
        assert_eq!(parse("17 x 1"), None);
    }

    /// Method: more busy threads than processors, so that each has to wait for a turn.
    #[test]
    #[cfg(target_os = "linux")]
    fn threads_that_share_a_processor_have_waited() {
        if Account::of_this_thread().text().is_none() {
            // A system that keeps no accounts: every wait counts as zero.
            return;
        }
        let threads = 4 * std::thread::available_parallelism().map_or(1, usize::from);
        let until = std::time::Instant::now() + Duration::from_millis(300);
        let busy = || {
            while std::time::Instant::now() < until {
                std::hint::spin_loop();
            }
            Account::of_this_thread().waited()
        };
        let waited: Duration = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(busy)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or_default()).sum()
        });
        assert!(waited > Duration::ZERO);
    }
}
