//! Back-pressure: how much commits are held back while background work catches up; pure.

use std::time::Duration;

use crate::Options;

/// The longest delay of one commit that is slowed down, not stopped.
const DELAY_MAX: Duration = Duration::from_millis(5);

/// What a commit should do before it is numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pressure {
    /// Go on.
    None,
    /// Wait this long, once; background work is behind.
    Slow(Duration),
    /// Wait until a background step is done, then ask again.
    Stop,
}

/// What the decision depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Memory of all memtables, in bytes.
    pub(crate) memtable_bytes: usize,
    /// A memtable waits for its flush. Without one there is no memory to wait for: a single huge commit has filled the active
    /// memtable, and the next one rotates it.
    pub(crate) has_frozen: bool,
    /// The active memtable is full and nothing is ready to replace it.
    pub(crate) lacks_spare: bool,
    pub(crate) l0_tables: usize,
}

/// Decides. The delay grows evenly from the point where work falls behind to the point where commits stop.
pub(crate) fn pressure(load: Load, options: &Options) -> Pressure {
    let stop = (load.memtable_bytes >= options.write_buffer_bytes && load.has_frozen)
        || load.l0_tables >= options.l0_stop_trigger
        || load.lacks_spare;
    if stop {
        return Pressure::Stop;
    }
    let l0_span = options.l0_stop_trigger.saturating_sub(options.l0_slowdown_trigger).max(1) as u32;
    let l0_over = load.l0_tables.saturating_sub(options.l0_slowdown_trigger).min(l0_span as usize) as u32;
    // The last memtable before the limit is the one that slows commits down.
    let full = options.write_buffer_bytes;
    let slow_from = full.saturating_sub(options.memtable_bytes / 2);
    let memory_over = load.memtable_bytes.saturating_sub(slow_from);
    // Nearly always, and before each commit: no need to divide.
    if l0_over == 0 && memory_over == 0 {
        return Pressure::None;
    }
    let memory_span = full.saturating_sub(slow_from).max(1);
    let by_l0 = DELAY_MAX * l0_over / l0_span;
    let by_memory = DELAY_MAX.mul_f64((memory_over as f64 / memory_span as f64).min(1.0));
    match by_l0.max(by_memory) {
        Duration::ZERO => Pressure::None,
        delay => Pressure::Slow(delay),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(memtable_bytes: usize, l0_tables: usize) -> Pressure {
        let options = Options {
            memtable_bytes: 100,
            write_buffer_bytes: 300,
            l0_slowdown_trigger: 8,
            l0_stop_trigger: 12,
            ..Options::default()
        };
        pressure(Load { memtable_bytes, has_frozen: true, lacks_spare: false, l0_tables }, &options)
    }

    #[test]
    fn it_grows_gradually_and_stops_at_the_limits() {
        assert_eq!(at(0, 0), Pressure::None);
        assert_eq!(at(250, 8), Pressure::None);
        let (Pressure::Slow(some), Pressure::Slow(more)) = (at(0, 9), at(0, 11)) else {
            panic!("not slowed")
        };
        assert!(some < more && more <= DELAY_MAX);
        assert!(matches!(at(275, 0), Pressure::Slow(_)));
        assert_eq!(at(300, 0), Pressure::Stop);
        assert_eq!(at(0, 12), Pressure::Stop);
    }
}
