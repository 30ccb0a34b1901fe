//! Runs operations from several threads for a time: rates, and how long each took.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::engine::Failure;

/// One operation, called again and again by one thread; it owns that thread's state.
pub(crate) type Operation<'a> = Box<dyn FnMut() -> Result<(), Failure> + 'a>;

/// Threads that do the same.
pub(crate) struct Role<'a> {
    pub(crate) threads: u64,
    /// Makes the operation of the thread with this number.
    pub(crate) operation: &'a (dyn Fn(u64) -> Result<Operation<'a>, Failure> + Sync),
}

/// What came of a role.
pub(crate) struct Outcome {
    /// Calls a second.
    pub(crate) rate: f64,
    /// Nanoseconds of each call.
    pub(crate) latencies: Histogram<u64>,
}

/// Nanoseconds with three digits, up to a minute.
pub(crate) fn histogram() -> Result<Histogram<u64>, Failure> {
    Ok(Histogram::new_with_max(60_000_000_000, 3)?)
}

/// Runs all roles side by side. The first error of any thread ends all.
pub(crate) fn run_for(duration: Duration, roles: &[Role<'_>]) -> Result<Vec<Outcome>, Failure> {
    let threads: u64 = roles.iter().map(|role| role.threads).sum();
    let (stop, barrier) = (AtomicBool::new(false), Barrier::new(usize::try_from(threads)? + 1));
    std::thread::scope(|scope| {
        let (stop, barrier) = (&stop, &barrier);
        let mut handles = Vec::new();
        for role in roles {
            let start = |thread| {
                scope.spawn(move || {
                    let made = (role.operation)(thread);
                    barrier.wait();
                    repeat(made?, stop)
                })
            };
            handles.push((0..role.threads).map(start).collect::<Vec<_>>());
        }
        barrier.wait();
        let started = Instant::now();
        while started.elapsed() < duration && !stop.load(Ordering::Relaxed) {
            std::thread::sleep(duration.saturating_sub(started.elapsed()).min(Duration::from_millis(10)));
        }
        stop.store(true, Ordering::Relaxed);
        let mut outcomes = Vec::new();
        for role in handles {
            let mut outcome = Outcome { rate: 0.0, latencies: histogram()? };
            for handle in role {
                let (latencies, spent) =
                    handle.join().map_err(|_| Failure::from("a worker thread panicked"))??;
                outcome.rate += latencies.len() as f64 / spent.as_secs_f64();
                outcome.latencies.add(latencies)?;
            }
            outcomes.push(outcome);
        }
        Ok(outcomes)
    })
}

/// One thread's work, at least one call. The clock is read once a call: the end of one is the start of the next.
fn repeat(mut operation: Operation<'_>, stop: &AtomicBool) -> Result<(Histogram<u64>, Duration), Failure> {
    let mut latencies = histogram()?;
    let started = Instant::now();
    let mut last = started;
    loop {
        if let Err(failure) = operation() {
            stop.store(true, Ordering::Relaxed);
            return Err(failure);
        }
        let now = Instant::now();
        latencies.saturating_record(nanoseconds(now - last));
        last = now;
        if stop.load(Ordering::Relaxed) {
            return Ok((latencies, last - started));
        }
    }
}

/// Saturating.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
