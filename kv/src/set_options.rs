//! What can be said about a write beside its key and value.

use std::time::Duration;

use base::UnixSeconds;
use txn::Pending;

/// How a value is written: when it expires, a byte of the user's own, whether it hides what was there before.
///
/// ```
/// # fn main() -> kv::Result<()> {
/// use std::time::Duration;
/// let db = kv::Options::new().open_in_memory()?;
/// let session = kv::SetOptions::new().ttl(Duration::from_secs(3600)).user_meta(7);
/// db.set_with("session/1", "ann", &session)?;
/// assert_eq!(db.item("session/1")?.map(|item| item.user_meta()), Some(7));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct SetOptions {
    expiry: Option<Expiry>,
    user_meta: u8,
    hides_older: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expiry {
    After(Duration),
    At(UnixSeconds),
}

impl SetOptions {
    /// Never expires, user meta 0, hides nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value expires so long after it is set, rounded up to whole seconds.
    pub fn ttl(mut self, span: Duration) -> Self {
        self.expiry = Some(Expiry::After(span));
        self
    }

    /// The value expires at this moment.
    pub fn expires_at(mut self, at: UnixSeconds) -> Self {
        self.expiry = Some(Expiry::At(at));
        self
    }

    /// A byte that is stored with the key, and read without loading the value.
    pub fn user_meta(mut self, byte: u8) -> Self {
        self.user_meta = byte;
        self
    }

    /// Older versions of the key need not be kept, whatever `keep_versions` says.
    pub fn hide_older(mut self) -> Self {
        self.hides_older = true;
        self
    }

    /// The write of `value`. The clock is read only when that matters.
    pub(crate) fn pending<'a>(&self, value: &'a [u8], now: impl FnOnce() -> UnixSeconds) -> Pending<'a> {
        let expires_at = self.expiry.map(|expiry| match expiry {
            Expiry::After(span) => now().after(span),
            Expiry::At(at) => at,
        });
        Pending { value: Some(value), user_meta: self.user_meta, expires_at, hides_older: self.hides_older }
    }
}
