//! The engines of other people where they were not built.

use crate::Result;

/// Nobody.
pub(crate) struct Peers;

impl Peers {
    pub(crate) async fn prepare() -> Result<Self> {
        Ok(Self)
    }

    pub(crate) fn casbin(&self, _: &[usize]) -> [Option<u64>; 2] {
        [None; 2]
    }

    pub(crate) fn cedar(&self, _: &[usize]) -> [Option<u64>; 2] {
        [None; 2]
    }
}
