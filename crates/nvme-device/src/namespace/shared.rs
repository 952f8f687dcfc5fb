//! A namespace that all dispatchers time commands of at once.

use alloc::sync::Arc;

use ssd_model::nvm::SharedUnits;
use ssd_model::{Command, Refusal};
use ssd_profile::NvmParameters;

use crate::command::job::Placed;
use crate::command::lba::{ByteRange, LbaSpace};
use crate::command::transfer::Extents;

/// What reading and writing a namespace without flash takes, while nothing about it changes: no command that would need more is given to it
/// ([`IoCommand::is_shareable`](crate::command::table::IoCommand::is_shareable)).
#[derive(Clone, Debug)]
pub(crate) struct SharedNamespace {
    pub space: LbaSpace,
    pub media_offset: u64,
    pub parameters: NvmParameters,
    pub units: Arc<SharedUnits>,
}

impl SharedNamespace {
    /// Takes a command on that reads, writes or flushes `range`, and says where its data is.
    ///
    /// # Errors
    /// As [`ssd_model::Model::submit`].
    pub fn place(&self, now_ns: u64, command: &Command, range: ByteRange) -> Result<Placed, Refusal> {
        let accepted = self.units.submit(&self.parameters, now_ns, command)?;
        Ok(Placed {
            done_at_ns: accepted.done_at_ns,
            result: accepted.result,
            extents: Extents::whole(self.media_offset + range.offset_bytes, range.len_bytes),
            zone: None,
            clears_on_failure: false,
            zeroing: None,
        })
    }
}
