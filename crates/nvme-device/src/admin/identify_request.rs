//! What an Identify command asks for (NVMe Base 2.0 §5.17).

use nvme_spec::{
    Cdw10Identify, Cdw11Identify, CommandSet, IdentifyCns, Status, SubmissionQueueEntry, NSID_BROADCAST,
};

use crate::data_pointer::DataPointer;
use crate::namespace::LBA_FORMATS_LOG2;

/// An Identify command, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identify {
    pub structure: Structure,
    pub pointer: DataPointer,
}

/// The structure that is asked for.
///
/// Structures come in pairs: one is about attached namespaces, the other about all. `may_be_detached` says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Structure {
    /// Of the NVM command set (CNS 00h, 11h).
    Namespace { nsid: u32, may_be_detached: bool },
    /// What all namespaces of the NVM command set have in common: CNS 00h of all, or of a format (CNS 09h).
    CommonNamespace,
    /// Of a command set (CNS 05h, 1Bh).
    CommandSetNamespace {
        nsid: u32,
        command_set: CommandSet,
        may_be_detached: bool,
    },
    /// What all namespaces of a command set have in common, with one format (CNS 0Ah).
    CommandSetFormat { command_set: CommandSet },
    /// Of no command set (CNS 08h).
    IndependentNamespace { nsid: u32 },
    /// Identifiers beyond `after` (CNS 02h, 10h), or those of one command set (CNS 07h, 1Ah).
    NamespaceList {
        after: u32,
        command_set: Option<CommandSet>,
        may_be_detached: bool,
    },
    /// CNS 03h.
    NamespaceDescriptors { nsid: u32 },
    /// CNS 16h.
    NamespaceGranularityList,
    /// CNS 01h.
    Controller,
    /// CNS 06h.
    CommandSetController { command_set: CommandSet },
    /// Controllers from `first` on (CNS 13h), or those that a namespace is attached to (CNS 12h).
    ControllerList { first: u16, nsid: Option<u32> },
    /// The combinations of command sets (CNS 1Ch).
    CommandSetCombinations,
}

impl Identify {
    /// # Errors
    /// Invalid Field for a structure, a format or a controller that there is not.
    pub fn parse(entry: &SubmissionQueueEntry) -> Result<Self, Status> {
        Ok(Self {
            structure: Structure::parse(entry)?,
            pointer: DataPointer::of(entry),
        })
    }
}

impl Structure {
    fn parse(entry: &SubmissionQueueEntry) -> Result<Self, Status> {
        let cdw10 = Cdw10Identify(entry.cdw10.get());
        let cdw11 = Cdw11Identify(entry.cdw11.get());
        let nsid = entry.nsid.get();
        let command_set = cdw11.command_set();
        let namespace = |may_be_detached| Self::Namespace {
            nsid,
            may_be_detached,
        };
        let command_set_namespace = |may_be_detached| Self::CommandSetNamespace {
            nsid,
            command_set,
            may_be_detached,
        };
        let list = |command_set, may_be_detached| Self::NamespaceList {
            after: nsid,
            command_set,
            may_be_detached,
        };
        let first = cdw10.controller_id();
        let has_format = usize::from(cdw11.specific()) < LBA_FORMATS_LOG2.len();
        Ok(match cdw10.cns() {
            IdentifyCns::NAMESPACE if nsid == NSID_BROADCAST => Self::CommonNamespace,
            IdentifyCns::NAMESPACE => namespace(false),
            IdentifyCns::ALLOCATED_NAMESPACE => namespace(true),
            IdentifyCns::FORMAT_NAMESPACE if has_format => Self::CommonNamespace,
            IdentifyCns::COMMAND_SET_FORMAT_NAMESPACE if has_format => Self::CommandSetFormat { command_set },
            IdentifyCns::COMMAND_SET_NAMESPACE => command_set_namespace(false),
            IdentifyCns::COMMAND_SET_ALLOCATED_NAMESPACE => command_set_namespace(true),
            IdentifyCns::COMMAND_SET_INDEPENDENT_NAMESPACE => Self::IndependentNamespace { nsid },
            IdentifyCns::ACTIVE_NAMESPACE_LIST => list(None, false),
            IdentifyCns::ALLOCATED_NAMESPACE_LIST => list(None, true),
            IdentifyCns::COMMAND_SET_ACTIVE_NAMESPACE_LIST => list(Some(command_set), false),
            IdentifyCns::COMMAND_SET_ALLOCATED_NAMESPACE_LIST => list(Some(command_set), true),
            IdentifyCns::NAMESPACE_DESCRIPTORS => Self::NamespaceDescriptors { nsid },
            IdentifyCns::NAMESPACE_GRANULARITY_LIST => Self::NamespaceGranularityList,
            IdentifyCns::CONTROLLER => Self::Controller,
            IdentifyCns::COMMAND_SET_CONTROLLER => Self::CommandSetController { command_set },
            IdentifyCns::CONTROLLER_LIST => Self::ControllerList { first, nsid: None },
            IdentifyCns::NAMESPACE_CONTROLLER_LIST => Self::ControllerList {
                first,
                nsid: Some(nsid),
            },
            // Of this controller: by its identifier, or without one.
            IdentifyCns::IO_COMMAND_SET if matches!(first, 0 | 0xFFFF) => Self::CommandSetCombinations,
            _ => return Err(Status::INVALID_FIELD_IN_COMMAND),
        })
    }
}
