//! Something that must not be.

use std::fmt;

/// What a case found to be wrong, in words that lead to the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding(String);

/// The result of a case.
pub type Checked<T = ()> = Result<T, Finding>;

impl Finding {
    /// A finding.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// The same, with where or when it was found in front.
    #[must_use]
    pub fn at(self, place: impl fmt::Display) -> Self {
        Self(format!("{place}: {}", self.0))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An error where nothing may fail.
impl From<base::Error> for Finding {
    fn from(error: base::Error) -> Self {
        Self::new(format!("unexpected error: {error}"))
    }
}

/// An error where nothing may fail.
impl From<kv::Error> for Finding {
    fn from(error: kv::Error) -> Self {
        Self::new(format!("unexpected error: {error}"))
    }
}

/// Fails the case when `is_so` is false.
///
/// # Errors
/// A finding with `otherwise` as its text.
pub fn demand(is_so: bool, otherwise: impl FnOnce() -> String) -> Checked {
    if is_so { Ok(()) } else { Err(Finding::new(otherwise())) }
}
