//! Who does parts of a task at the same time: the engine starts no threads, so it is given those who do.

/// A part of a task.
pub type Work<'a> = Box<dyn FnOnce() + Send + 'a>;

/// Those who help with a task, for the time of a call.
pub trait Helpers {
    /// Into how many parts a task is best divided.
    fn count(&self) -> usize;

    /// Does all parts, in any order or at the same time, and returns when all have ended. A panic of one is the caller's.
    fn run(&self, parts: Vec<Work<'_>>);
}

/// Nobody: whoever has the task does it alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Helpers for Alone {
    fn count(&self) -> usize {
        1
    }

    fn run(&self, parts: Vec<Work<'_>>) {
        parts.into_iter().for_each(|part| part());
    }
}
