//! Opcodes and the small selector fields of commands.

use crate::open_enum::open_enum;

open_enum! {
    /// Opcodes of the admin queue (NVMe Base 2.0 figure 138).
    AdminOpcode: u8 {
        /// Delete I/O Submission Queue.
        DELETE_IO_SUBMISSION_QUEUE = 0x00,
        /// Create I/O Submission Queue.
        CREATE_IO_SUBMISSION_QUEUE = 0x01,
        /// Get Log Page.
        GET_LOG_PAGE = 0x02,
        /// Delete I/O Completion Queue.
        DELETE_IO_COMPLETION_QUEUE = 0x04,
        /// Create I/O Completion Queue.
        CREATE_IO_COMPLETION_QUEUE = 0x05,
        /// Identify.
        IDENTIFY = 0x06,
        /// Abort.
        ABORT = 0x08,
        /// Set Features.
        SET_FEATURES = 0x09,
        /// Get Features.
        GET_FEATURES = 0x0A,
        /// Asynchronous Event Request.
        ASYNCHRONOUS_EVENT_REQUEST = 0x0C,
        /// Namespace Management.
        NAMESPACE_MANAGEMENT = 0x0D,
        /// Firmware Commit.
        FIRMWARE_COMMIT = 0x10,
        /// Firmware Image Download.
        FIRMWARE_IMAGE_DOWNLOAD = 0x11,
        /// Device Self-test.
        DEVICE_SELF_TEST = 0x14,
        /// Namespace Attachment.
        NAMESPACE_ATTACHMENT = 0x15,
        /// Keep Alive.
        KEEP_ALIVE = 0x18,
        /// Directive Send.
        DIRECTIVE_SEND = 0x19,
        /// Directive Receive.
        DIRECTIVE_RECEIVE = 0x1A,
        /// Doorbell Buffer Config.
        DOORBELL_BUFFER_CONFIG = 0x7C,
        /// Format NVM.
        FORMAT_NVM = 0x80,
        /// Sanitize.
        SANITIZE = 0x84,
        /// Get LBA Status (NVM CS 1.0 §4.2.1).
        GET_LBA_STATUS = 0x86,
    }
}

open_enum! {
    /// Opcodes of the NVM command set (NVM CS 1.0 figure 6 and NVMe Base 2.0 figure 390), and those that the zoned one adds.
    NvmOpcode: u8 {
        /// Flush.
        FLUSH = 0x00,
        /// Write.
        WRITE = 0x01,
        /// Read.
        READ = 0x02,
        /// Write Uncorrectable.
        WRITE_UNCORRECTABLE = 0x04,
        /// Compare.
        COMPARE = 0x05,
        /// Write Zeroes.
        WRITE_ZEROES = 0x08,
        /// Dataset Management.
        DATASET_MANAGEMENT = 0x09,
        /// Verify.
        VERIFY = 0x0C,
        /// Reservation Register.
        RESERVATION_REGISTER = 0x0D,
        /// Reservation Report.
        RESERVATION_REPORT = 0x0E,
        /// Reservation Acquire.
        RESERVATION_ACQUIRE = 0x11,
        /// Reservation Release.
        RESERVATION_RELEASE = 0x15,
        /// Copy.
        COPY = 0x19,
        /// Zone Management Send (ZNS 1.1 figure 12).
        ZONE_MANAGEMENT_SEND = 0x79,
        /// Zone Management Receive.
        ZONE_MANAGEMENT_RECEIVE = 0x7A,
        /// Zone Append.
        ZONE_APPEND = 0x7D,
    }
}

open_enum! {
    /// Controller or Namespace Structure of Identify (NVMe Base 2.0 figure 273).
    IdentifyCns: u8 {
        /// Namespace data structure of the NVM command set.
        NAMESPACE = 0x00,
        /// Controller data structure.
        CONTROLLER = 0x01,
        /// Active namespace ID list.
        ACTIVE_NAMESPACE_LIST = 0x02,
        /// Namespace identification descriptors.
        NAMESPACE_DESCRIPTORS = 0x03,
        /// I/O command set specific namespace data structure.
        COMMAND_SET_NAMESPACE = 0x05,
        /// I/O command set specific controller data structure.
        COMMAND_SET_CONTROLLER = 0x06,
        /// I/O command set specific active namespace ID list.
        COMMAND_SET_ACTIVE_NAMESPACE_LIST = 0x07,
        /// I/O command set independent namespace data structure.
        COMMAND_SET_INDEPENDENT_NAMESPACE = 0x08,
        /// Allocated namespace ID list.
        ALLOCATED_NAMESPACE_LIST = 0x10,
        /// Namespace Granularity List.
        NAMESPACE_GRANULARITY_LIST = 0x16,
        /// What namespaces with a format, by its index, have in common: Identify Namespace of the NVM command set.
        FORMAT_NAMESPACE = 0x09,
        /// As [`Self::FORMAT_NAMESPACE`], of the command set that CSI names.
        COMMAND_SET_FORMAT_NAMESPACE = 0x0A,
        /// Namespace data structure of an allocated namespace.
        ALLOCATED_NAMESPACE = 0x11,
        /// Controllers to which a namespace is attached.
        NAMESPACE_CONTROLLER_LIST = 0x12,
        /// Controllers of the NVM subsystem.
        CONTROLLER_LIST = 0x13,
        /// Allocated namespace ID list of a command set.
        COMMAND_SET_ALLOCATED_NAMESPACE_LIST = 0x1A,
        /// I/O command set specific data structure of an allocated namespace.
        COMMAND_SET_ALLOCATED_NAMESPACE = 0x1B,
        /// I/O command set data structure.
        IO_COMMAND_SET = 0x1C,
    }
}

open_enum! {
    /// Command Set Identifier (NVMe Base 2.0 figure 274).
    CommandSet: u8 {
        /// NVM command set.
        NVM = 0x00,
        /// Key value command set.
        KEY_VALUE = 0x01,
        /// Zoned namespace command set.
        ZONED = 0x02,
    }
}

open_enum! {
    /// Feature Identifier (NVMe Base 2.0 figure 317).
    FeatureId: u8 {
        /// Arbitration.
        ARBITRATION = 0x01,
        /// Power Management.
        POWER_MANAGEMENT = 0x02,
        /// Temperature Threshold.
        TEMPERATURE_THRESHOLD = 0x04,
        /// Error Recovery.
        ERROR_RECOVERY = 0x05,
        /// Volatile Write Cache.
        VOLATILE_WRITE_CACHE = 0x06,
        /// Number of Queues.
        NUMBER_OF_QUEUES = 0x07,
        /// Interrupt Coalescing.
        INTERRUPT_COALESCING = 0x08,
        /// Interrupt Vector Configuration.
        INTERRUPT_VECTOR_CONFIGURATION = 0x09,
        /// Write Atomicity Normal.
        WRITE_ATOMICITY_NORMAL = 0x0A,
        /// Asynchronous Event Configuration.
        ASYNCHRONOUS_EVENT_CONFIGURATION = 0x0B,
        /// Autonomous Power State Transition.
        AUTONOMOUS_POWER_STATE_TRANSITION = 0x0C,
        /// Timestamp.
        TIMESTAMP = 0x0E,
        /// Host Behavior Support.
        HOST_BEHAVIOR_SUPPORT = 0x16,
        /// I/O Command Set Profile.
        IO_COMMAND_SET_PROFILE = 0x19,
        /// Key Value Configuration (KV CS 1.0 figure 33).
        KEY_VALUE_CONFIGURATION = 0x20,
        /// LBA Status Information Attributes (NVM CS 1.0 §4.1.3.5).
        LBA_STATUS_INFORMATION_ATTRIBUTES = 0x15,
        /// Software Progress Marker.
        SOFTWARE_PROGRESS_MARKER = 0x80,
        /// Host Identifier.
        HOST_IDENTIFIER = 0x81,
        /// Reservation Notification Mask.
        RESERVATION_NOTIFICATION_MASK = 0x82,
        /// Reservation Persistence.
        RESERVATION_PERSISTENCE = 0x83,
    }
}

open_enum! {
    /// Select field of Get Features (NVMe Base 2.0 figure 191).
    FeatureSelect: u8 {
        /// The value in force.
        CURRENT = 0,
        /// The value at power on when nothing was saved.
        DEFAULT = 1,
        /// The value that a reset restores.
        SAVED = 2,
        /// What can be done with the feature.
        SUPPORTED_CAPABILITIES = 3,
    }
}

open_enum! {
    /// Log Page Identifier (NVMe Base 2.0 figure 202).
    LogPageId: u8 {
        /// Supported Log Pages.
        SUPPORTED_LOG_PAGES = 0x00,
        /// Error Information.
        ERROR_INFORMATION = 0x01,
        /// SMART / Health Information.
        SMART_HEALTH = 0x02,
        /// Firmware Slot Information.
        FIRMWARE_SLOT = 0x03,
        /// Changed Namespace List.
        CHANGED_NAMESPACE_LIST = 0x04,
        /// Commands Supported and Effects.
        COMMANDS_SUPPORTED_AND_EFFECTS = 0x05,
        /// Device Self-test.
        DEVICE_SELF_TEST = 0x06,
        /// Telemetry Host-Initiated.
        TELEMETRY_HOST_INITIATED = 0x07,
        /// Telemetry Controller-Initiated.
        TELEMETRY_CONTROLLER_INITIATED = 0x08,
        /// Persistent Event.
        PERSISTENT_EVENT = 0x0D,
        /// LBA Status Information.
        LBA_STATUS_INFORMATION = 0x0E,
        /// Feature Identifiers Supported and Effects.
        FEATURE_IDENTIFIERS_EFFECTS = 0x12,
        /// NVMe-MI Commands Supported and Effects.
        MI_COMMANDS_EFFECTS = 0x13,
        /// Reservation Notification.
        RESERVATION_NOTIFICATION = 0x80,
        /// Sanitize Status.
        SANITIZE_STATUS = 0x81,
        /// Changed Zone List (ZNS 1.1 figure 45).
        CHANGED_ZONE_LIST = 0xBF,
    }
}
