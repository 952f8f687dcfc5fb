//! What Format NVM, Sanitize and Namespace Management check and prepare before they erase.

use alloc::vec::Vec;

use nvme_spec::{NvmOpcode, Status};

use crate::admin::outcome::status_of;
use crate::core::Core;
use crate::erase::ErasePurpose;
use crate::namespace::Namespace;

/// Builds replacements of the namespaces, empty and with LBAs of 1 << `lba_log2` bytes.
///
/// # Errors
/// Reservation Conflict; Invalid Format for one that cannot have such LBAs; what keeps one from being made.
pub(crate) fn renew<'a>(
    core: &Core,
    namespaces: impl Iterator<Item = &'a Namespace>,
    lba_log2: impl Fn(&Namespace) -> Option<u8>,
) -> Result<Vec<Namespace>, Status> {
    let mut renewed = Vec::new();
    for namespace in namespaces {
        namespace.reservations.check(NvmOpcode::WRITE.0)?;
        let lba_log2 = lba_log2(namespace).ok_or(Status::INVALID_FORMAT)?;
        renewed.try_reserve(1).map_err(|_| Status::INTERNAL_ERROR)?;
        renewed.push(
            namespace
                .renewed(1 << lba_log2, &core.provisioning.traits)
                .map_err(|error| status_of(&error))?,
        );
    }
    Ok(renewed)
}

/// Refuses what would change namespaces while they are being erased.
pub(crate) fn check_not_erasing(core: &Core) -> Result<(), Status> {
    match core.eraser.purpose() {
        None => Ok(()),
        Some(ErasePurpose::Sanitize) => Err(Status::SANITIZE_IN_PROGRESS),
        Some(ErasePurpose::Format { .. } | ErasePurpose::Create | ErasePurpose::Delete) => {
            Err(Status::FORMAT_IN_PROGRESS)
        }
    }
}
