//! Stub.
use crate::campaign::{Campaign, Case};
use crate::finding::Checked;
/// Stub.
#[derive(Debug)]
pub struct FullDisk;
impl Campaign for FullDisk {
    fn name(&self) -> &'static str {
        "full_disk"
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
pub struct Worker {}
impl Worker {
    pub(crate) fn run(&self) -> Checked {
        Ok(())
    }
}
