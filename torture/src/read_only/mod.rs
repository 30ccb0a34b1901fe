//! Stub.
use crate::campaign::{Campaign, Case};
use crate::finding::Checked;
/// Stub.
#[derive(Debug)]
pub struct ReadOnly;
impl Campaign for ReadOnly {
    fn name(&self) -> &'static str {
        "read_only"
    }
    fn about(&self) -> &'static str {
        ""
    }
    fn run(&self, _: &mut Case<'_>) -> Checked {
        Ok(())
    }
}
/// Stub.
#[derive(Clone, Debug, clap::Args)]
pub struct Reader {}
impl Reader {
    pub(crate) fn run(&self) -> Checked {
        Ok(())
    }
}
