//! Completion status (NVMe Base 2.0 §3.3.3.2.1).

use crate::open_enum::open_enum;

open_enum! {
    /// Status code type and status code as one number: `(SCT << 8) | SC`, without the phase, More and Do Not Retry bits.
    Status: u16 {
        /// The command is done.
        SUCCESSFUL_COMPLETION = 0x000,
        /// The opcode is not one that this controller knows.
        INVALID_COMMAND_OPCODE = 0x001,
        /// A field has a reserved or unsupported value.
        INVALID_FIELD_IN_COMMAND = 0x002,
        /// The command identifier is in use. (Not detected: the specification leaves that to the controller.)
        COMMAND_ID_CONFLICT = 0x003,
        /// Data or metadata could not be moved.
        DATA_TRANSFER_ERROR = 0x004,
        /// The device failed.
        INTERNAL_ERROR = 0x006,
        /// Aborted by an Abort command.
        COMMAND_ABORT_REQUESTED = 0x007,
        /// Aborted because its submission queue was deleted.
        COMMAND_ABORTED_SQ_DELETION = 0x008,
        /// Aborted because the first command of the fused operation failed.
        COMMAND_ABORTED_FAILED_FUSED = 0x009,
        /// Aborted because the other command of the fused operation is not next to it.
        COMMAND_ABORTED_MISSING_FUSED = 0x00A,
        /// The namespace identifier is not valid or its format is not.
        INVALID_NAMESPACE_OR_FORMAT = 0x00B,
        /// Commands in the wrong order.
        COMMAND_SEQUENCE_ERROR = 0x00C,
        /// A Segment or Last Segment descriptor is wrong: its address, its length, or where it stands.
        INVALID_SGL_SEGMENT_DESCRIPTOR = 0x00D,
        /// A Segment or Last Segment descriptor is not the last of its segment, or an SGL has more descriptors than can be.
        INVALID_NUMBER_OF_SGL_DESCRIPTORS = 0x00E,
        /// An SGL is shorter than the data.
        DATA_SGL_LENGTH_INVALID = 0x00F,
        /// An SGL has a descriptor whose type, with its sub type, the controller does not have.
        SGL_DESCRIPTOR_TYPE_INVALID = 0x011,
        /// A PRP entry has an offset it must not have.
        PRP_OFFSET_INVALID = 0x013,
        /// A report with host identifiers of the other length is asked for.
        HOST_IDENTIFIER_INCONSISTENT_FORMAT = 0x018,
        /// The NVM subsystem is being sanitized.
        SANITIZE_IN_PROGRESS = 0x01D,
        /// An LBA lies beyond the namespace.
        LBA_OUT_OF_RANGE = 0x080,
        /// There is no room for what is to be stored.
        CAPACITY_EXCEEDED = 0x081,
        /// The namespace cannot be reached now.
        NAMESPACE_NOT_READY = 0x082,
        /// Another host holds a reservation, or has another key.
        RESERVATION_CONFLICT = 0x083,
        /// The namespace is being formatted.
        FORMAT_IN_PROGRESS = 0x084,
        /// The value is longer than the namespace's format allows (KV CS 1.0 figure 4, as those that follow).
        INVALID_VALUE_SIZE = 0x085,
        /// A key has no bytes.
        INVALID_KEY_SIZE = 0x086,
        /// There is no such key.
        KEY_DOES_NOT_EXIST = 0x087,
        /// There is such a key already.
        KEY_EXISTS = 0x089,

        /// The completion queue of a Create I/O Submission Queue does not exist.
        COMPLETION_QUEUE_INVALID = 0x100,
        /// The queue identifier is out of range or in use.
        INVALID_QUEUE_IDENTIFIER = 0x101,
        /// The queue size is 0 or larger than supported.
        INVALID_QUEUE_SIZE = 0x102,
        /// More Abort commands outstanding than the limit.
        ABORT_COMMAND_LIMIT_EXCEEDED = 0x103,
        /// More Asynchronous Event Requests outstanding than the limit.
        ASYNCHRONOUS_EVENT_REQUEST_LIMIT_EXCEEDED = 0x105,
        /// The firmware slot does not exist, or cannot be written.
        INVALID_FIRMWARE_SLOT = 0x106,
        /// There is no firmware image, or it is not a whole one.
        INVALID_FIRMWARE_IMAGE = 0x107,
        /// The interrupt vector is beyond those of the function.
        INVALID_INTERRUPT_VECTOR = 0x108,
        /// There is no such log page.
        INVALID_LOG_PAGE = 0x109,
        /// There is no such format, or the namespace cannot have it.
        INVALID_FORMAT = 0x10A,
        /// The completion queue still has submission queues.
        INVALID_QUEUE_DELETION = 0x10C,
        /// The feature has no saved value.
        FEATURE_IDENTIFIER_NOT_SAVEABLE = 0x10D,
        /// The feature cannot be changed.
        FEATURE_NOT_CHANGEABLE = 0x10E,
        /// The feature is not a namespace's.
        FEATURE_NOT_NAMESPACE_SPECIFIC = 0x10F,
        /// A firmware image waits to be activated by a reset.
        FIRMWARE_ACTIVATION_REQUIRES_CONTROLLER_LEVEL_RESET = 0x111,
        /// A part of the firmware image was downloaded before.
        OVERLAPPING_RANGE = 0x114,
        /// There is not enough room for the namespace.
        NAMESPACE_INSUFFICIENT_CAPACITY = 0x115,
        /// All namespace identifiers are in use.
        NAMESPACE_IDENTIFIER_UNAVAILABLE = 0x116,
        /// The namespace is attached to the controller already.
        NAMESPACE_ALREADY_ATTACHED = 0x118,
        /// The namespace is not attached to the controller.
        NAMESPACE_NOT_ATTACHED = 0x11A,
        /// A namespace has room for all its LBAs here, so capacity and size are the same.
        THIN_PROVISIONING_NOT_SUPPORTED = 0x11B,
        /// The list names no controller, or one that is not there.
        CONTROLLER_LIST_INVALID = 0x11C,
        /// A self-test operation is under way already.
        DEVICE_SELF_TEST_IN_PROGRESS = 0x11D,
        /// There is no such I/O command set here.
        IO_COMMAND_SET_NOT_SUPPORTED = 0x129,
        /// No stream is left for the namespace alone.
        STREAM_RESOURCE_ALLOCATION_FAILED = 0x17F,
        /// The I/O command set profile is not selectable.
        IO_COMMAND_SET_COMBINATION_REJECTED = 0x12B,
        /// The I/O command set is not supported.
        INVALID_IO_COMMAND_SET = 0x12C,

        /// A Dataset Management command has more or longer ranges than the controller takes (NVM CS 1.0 figure 21).
        COMMAND_SIZE_LIMIT_EXCEEDED = 0x183,

        /// The zone cannot do that (ZNS 1.1 figure 11, as all that follow but ZRWA Resources Unavailable, which is from TP 4076).
        INVALID_ZONE_OPERATION_REQUEST = 0x1B6,
        /// No random write area is free, or the zone cannot have one now.
        ZRWA_RESOURCES_UNAVAILABLE = 0x1B7,
        /// The command goes beyond its zone.
        ZONE_BOUNDARY_ERROR = 0x1B8,
        /// The zone is full.
        ZONE_IS_FULL = 0x1B9,
        /// The zone is read only.
        ZONE_IS_READ_ONLY = 0x1BA,
        /// The zone is offline.
        ZONE_IS_OFFLINE = 0x1BB,
        /// The write is not at the write pointer, or not a multiple of the write unit.
        ZONE_INVALID_WRITE = 0x1BC,
        /// No active resource is free.
        TOO_MANY_ACTIVE_ZONES = 0x1BD,
        /// No open resource is free, and no zone can be closed for it.
        TOO_MANY_OPEN_ZONES = 0x1BE,
        /// The zone's state has no such transition.
        INVALID_ZONE_STATE_TRANSITION = 0x1BF,

        /// An LBA cannot be read (NVM CS 1.0 figure 22, as the one that follows).
        UNRECOVERED_READ_ERROR = 0x281,
        /// The data compared is not the same.
        COMPARE_FAILURE = 0x285,

        /// Vendor specific: the value is too long, or the buffer too small for what is to be returned (Samsung's KV SSD, as all that follow).
        VENDOR_INVALID_VALUE_SIZE = 0x301,
        /// Vendor specific: the value does not reach to the offset, or the command takes none.
        VENDOR_INVALID_VALUE_OFFSET = 0x302,
        /// Vendor specific: the key is too long.
        VENDOR_INVALID_KEY_SIZE = 0x303,
        /// Vendor specific: no such option.
        VENDOR_INVALID_OPTION = 0x304,
        /// Vendor specific: there is no such key.
        VENDOR_KEY_DOES_NOT_EXIST = 0x310,
        /// Vendor specific: there is no room for what is to be stored.
        VENDOR_CAPACITY_EXCEEDED = 0x312,
        /// Vendor specific: there is such a key already.
        VENDOR_KEY_EXISTS = 0x380,
        /// Vendor specific: the value would become longer than values can be.
        VENDOR_VALUE_LIMIT_EXCEEDED = 0x381,
        /// Vendor specific: no iterator is open under the handle.
        VENDOR_ITERATOR_DOES_NOT_EXIST = 0x390,
        /// Vendor specific: as many iterators are open as can be.
        VENDOR_NO_ITERATOR_AVAILABLE = 0x391,
        /// Vendor specific: such an iterator is open already.
        VENDOR_ITERATOR_EXISTS = 0x392,
        /// Vendor specific: the iterator has come to its end.
        VENDOR_ITERATOR_END = 0x393,
    }
}

impl Status {
    /// Whether the command succeeded.
    pub const fn is_success(self) -> bool {
        self.0 == 0
    }

    /// Whether sending the same command again, unchanged, is bound to fail (the Do Not Retry bit).
    pub const fn do_not_retry(self) -> bool {
        !matches!(
            self,
            Self::SUCCESSFUL_COMPLETION
                | Self::COMMAND_ABORT_REQUESTED
                | Self::COMMAND_ABORTED_SQ_DELETION
                | Self::COMMAND_ABORTED_FAILED_FUSED
                | Self::DATA_TRANSFER_ERROR
                | Self::INTERNAL_ERROR
                | Self::NAMESPACE_NOT_READY
                | Self::SANITIZE_IN_PROGRESS
                | Self::FORMAT_IN_PROGRESS
                | Self::DEVICE_SELF_TEST_IN_PROGRESS
                | Self::ABORT_COMMAND_LIMIT_EXCEEDED
                | Self::ASYNCHRONOUS_EVENT_REQUEST_LIMIT_EXCEEDED
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;

    #[test]
    fn an_unknown_status_is_still_a_value_with_a_readable_name() {
        assert_eq!(std::format!("{:?}", Status(0x3FF)), "Status(0x3ff)");
        assert_eq!(std::format!("{:?}", Status(0x80)), "LBA_OUT_OF_RANGE");
    }

    #[test]
    fn success_is_never_marked_do_not_retry() {
        assert!(!Status::SUCCESSFUL_COMPLETION.do_not_retry());
        assert!(Status::LBA_OUT_OF_RANGE.do_not_retry());
    }
}
