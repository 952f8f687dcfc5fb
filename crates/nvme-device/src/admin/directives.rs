//! Directive Send and Directive Receive (NVMe Base 2.0 §5.10, §5.11, §8.7): the Identify Directive, and that of streams.

use core::num::NonZeroU16;

use nvme_spec::{
    Cdw11Directive, Cdw12AllocateStreams, Cdw12EnableDirective, DirectiveType, IdentifyDirectiveOperation,
    Status, StreamsParameters, StreamsReceiveOperation, StreamsSendOperation, SubmissionQueueEntry,
    DIRECTIVES_ENABLED_OFFSET, NSID_BROADCAST,
};
use zerocopy::IntoBytes;

use crate::admin::outcome::Outcome;
use crate::admin::page::put;
use crate::core::Core;
use crate::data_pointer::DataPointer;
use crate::host::HostMemory;
use crate::namespace::streams::{Streams, STREAMS_MAX};
use crate::namespace::Namespace;

/// What a Directive Send does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DirectiveSend {
    /// Enable or disable the directive of streams.
    EnableStreams(bool),
    /// Close a stream; none if there can be no such stream.
    ReleaseStream(Option<NonZeroU16>),
    /// Give all that was allocated to the namespace back.
    ReleaseStreamResources,
}

impl DirectiveSend {
    /// # Errors
    /// Invalid Field for a directive or an operation that there is not. The Identify Directive is always
    /// enabled.
    pub fn parse(entry: &SubmissionQueueEntry) -> Result<Self, Status> {
        let cdw11 = Cdw11Directive(entry.cdw11.get());
        let cdw12 = Cdw12EnableDirective(entry.cdw12.get());
        match cdw11.kind() {
            DirectiveType::IDENTIFY
                if IdentifyDirectiveOperation(cdw11.operation())
                    == IdentifyDirectiveOperation::PARAMETERS_OR_ENABLE
                    && cdw12.kind() == DirectiveType::STREAMS =>
            {
                Ok(Self::EnableStreams(cdw12.is_enabled()))
            }
            DirectiveType::STREAMS => match StreamsSendOperation(cdw11.operation()) {
                StreamsSendOperation::RELEASE_IDENTIFIER => {
                    Ok(Self::ReleaseStream(NonZeroU16::new(cdw11.specific())))
                }
                StreamsSendOperation::RELEASE_RESOURCES => Ok(Self::ReleaseStreamResources),
                _ => Err(Status::INVALID_FIELD_IN_COMMAND),
            },
            _ => Err(Status::INVALID_FIELD_IN_COMMAND),
        }
    }
}

/// What a Directive Receive asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DirectiveReceive {
    /// Streams for a namespace, as many of these as there are.
    AllocateStreams(u16),
    /// Something for the host's buffer.
    Page {
        page: DirectivePage,
        /// Length of the buffer, 0's based.
        dwords_z: u32,
        pointer: DataPointer,
    },
}

/// What a Directive Receive can put into the host's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DirectivePage {
    /// Of the Identify Directive: which directives there are. Another operation is refused after the namespace.
    Directives(IdentifyDirectiveOperation),
    StreamsParameters,
    /// The identifiers of the open streams.
    StreamsStatus,
}

impl DirectiveReceive {
    /// # Errors
    /// Invalid Field for a directive, or an operation of the directive of streams, that there is not.
    pub fn parse(entry: &SubmissionQueueEntry) -> Result<Self, Status> {
        let cdw11 = Cdw11Directive(entry.cdw11.get());
        let page = match cdw11.kind() {
            DirectiveType::IDENTIFY => {
                DirectivePage::Directives(IdentifyDirectiveOperation(cdw11.operation()))
            }
            DirectiveType::STREAMS => match StreamsReceiveOperation(cdw11.operation()) {
                StreamsReceiveOperation::ALLOCATE_RESOURCES => {
                    let cdw12 = Cdw12AllocateStreams(entry.cdw12.get());
                    return Ok(Self::AllocateStreams(cdw12.requested()));
                }
                StreamsReceiveOperation::RETURN_PARAMETERS => DirectivePage::StreamsParameters,
                StreamsReceiveOperation::GET_STATUS => DirectivePage::StreamsStatus,
                _ => return Err(Status::INVALID_FIELD_IN_COMMAND),
            },
            _ => return Err(Status::INVALID_FIELD_IN_COMMAND),
        };
        Ok(Self::Page {
            page,
            dwords_z: entry.cdw10.get(),
            pointer: DataPointer::of(entry),
        })
    }
}

pub(crate) fn directive_receive<H: HostMemory>(
    core: &mut Core,
    nsid: u32,
    asked: DirectiveReceive,
    host: &H,
) -> Result<Outcome, Status> {
    match asked {
        DirectiveReceive::AllocateStreams(wanted) => {
            let allocated = with_streams(core, nsid, |streams, namespace| {
                streams.allocate(namespace.nsid, &mut namespace.streams, wanted)
            })?;
            Ok(Outcome::Done(allocated.into()))
        }
        DirectiveReceive::Page {
            page: asked,
            dwords_z,
            pointer,
        } => {
            let len_bytes = core.queue_set.io.limits.dwords_z(dwords_z)?;
            core.with_page(
                |core, page| fill_directive(core, nsid, asked, page),
                |page, ()| pointer.write(host, page, len_bytes),
            )?;
            Ok(Outcome::Done(0))
        }
    }
}

/// Writes what is asked for into `page`, which is all zeros.
fn fill_directive(core: &Core, nsid: u32, asked: DirectivePage, page: &mut [u8]) -> Result<(), Status> {
    match asked {
        DirectivePage::Directives(operation) => {
            let namespace = directed_namespace(core, nsid)?;
            if operation != IdentifyDirectiveOperation::PARAMETERS_OR_ENABLE {
                return Err(Status::INVALID_FIELD_IN_COMMAND);
            }
            let bits = |has_streams| {
                1 << DirectiveType::IDENTIFY.0 | u8::from(has_streams) << DirectiveType::STREAMS.0
            };
            put(page, 0, &[bits(namespace.has_streams())]);
            put(
                page,
                DIRECTIVES_ENABLED_OFFSET,
                &[bits(namespace.streams.is_enabled)],
            );
        }
        DirectivePage::StreamsParameters => put(page, 0, streams_parameters(core, nsid)?.as_bytes()),
        DirectivePage::StreamsStatus => {
            let nsid = streams_namespace(core, nsid)?.nsid;
            let open = core.queue_set.io.streams.open_of(nsid);
            put(page, 0, &(open.count() as u16).to_le_bytes());
            for (index, id) in core.queue_set.io.streams.open_of(nsid).enumerate() {
                put(page, 2 + 2 * index, &id.to_le_bytes());
            }
        }
    }
    Ok(())
}

/// Of a namespace; for all of them, what belongs to none.
fn streams_parameters(core: &Core, nsid: u32) -> Result<StreamsParameters, Status> {
    let streams = &core.queue_set.io.streams;
    let parameters = StreamsParameters {
        streams_max: STREAMS_MAX.into(),
        available: streams.available().into(),
        open: streams.open().into(),
        ..StreamsParameters::zeroed()
    };
    if nsid == NSID_BROADCAST {
        let mut namespaces = core.queue_set.io.namespaces.iter();
        return match namespaces.any(|namespace| namespace.streams.is_enabled) {
            true => Ok(parameters),
            false => Err(Status::INVALID_FIELD_IN_COMMAND),
        };
    }
    let namespace = streams_namespace(core, nsid)?;
    let lba_bytes = 1u64 << namespace.lba_log2;
    let write_bytes = namespace.granularity_bytes().unwrap_or(lba_bytes).max(lba_bytes);
    Ok(StreamsParameters {
        write_size_lbas: ((write_bytes >> namespace.lba_log2) as u32).into(),
        granularity: 1.into(),
        namespace_allocated: namespace.streams.allocated().into(),
        namespace_open: (streams.open_of(nsid).count() as u16).into(),
        ..parameters
    })
}

fn directed_namespace(core: &Core, nsid: u32) -> Result<&Namespace, Status> {
    if nsid == NSID_BROADCAST {
        return Err(Status::INVALID_FIELD_IN_COMMAND);
    }
    core.queue_set.io.namespaces.attached(nsid)
}

/// A namespace that has the directive enabled.
fn streams_namespace(core: &Core, nsid: u32) -> Result<&Namespace, Status> {
    let namespace = directed_namespace(core, nsid)?;
    if !namespace.streams.is_enabled {
        return Err(Status::INVALID_FIELD_IN_COMMAND);
    }
    Ok(namespace)
}

/// Does something with the streams of a namespace that has the directive enabled.
fn with_streams<T>(
    core: &mut Core,
    nsid: u32,
    f: impl FnOnce(&mut Streams, &mut Namespace) -> Result<T, Status>,
) -> Result<T, Status> {
    streams_namespace(core, nsid)?;
    core.queue_set
        .io
        .with_streams(nsid, f)
        .unwrap_or(Err(Status::INVALID_NAMESPACE_OR_FORMAT))
}

pub(crate) fn directive_send(core: &mut Core, nsid: u32, asked: DirectiveSend) -> Result<Outcome, Status> {
    match asked {
        DirectiveSend::EnableStreams(is_enabled) => enable_streams(core, nsid, is_enabled)?,
        DirectiveSend::ReleaseStream(id) => with_streams(core, nsid, |streams, namespace| {
            if let Some(id) = id {
                streams.close(namespace.nsid, id);
            }
            Ok(())
        })?,
        DirectiveSend::ReleaseStreamResources => with_streams(core, nsid, |streams, namespace| {
            streams.release(namespace.nsid, &mut namespace.streams);
            Ok(())
        })?,
    }
    Ok(Outcome::Done(0))
}

/// Enables or disables the directive of streams for a namespace, or for all that can have it.
fn enable_streams(core: &mut Core, nsid: u32, is_enabled: bool) -> Result<(), Status> {
    let is_all = nsid == NSID_BROADCAST;
    let io = &mut core.queue_set.io;
    for namespace in io.namespaces.settable_mut(nsid)? {
        if namespace.has_streams() {
            let streams = &mut io.streams;
            streams.enable(namespace.nsid, &mut namespace.streams, is_enabled);
        } else if !is_all {
            return Err(Status::INVALID_FIELD_IN_COMMAND);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use zerocopy::FromBytes;

    use super::*;
    use crate::admin::test_drive::{done, to_buffer, TestDrive, FAST, FLASH, INVALID, PAIRS, UNALLOCATED};

    fn send(drive: &mut TestDrive, nsid: u32, asked: DirectiveSend) -> Result<u64, Status> {
        done(directive_send(drive.core(), nsid, asked))
    }

    fn receive(drive: &mut TestDrive, nsid: u32, page: DirectivePage) -> Result<Vec<u8>, Status> {
        let asked = DirectiveReceive::Page {
            page,
            dwords_z: 15,
            pointer: to_buffer(),
        };
        let (core, memory) = drive.parts();
        done(directive_receive(core, nsid, asked, memory))?;
        Ok(memory.buffer(64))
    }

    fn allocate(drive: &mut TestDrive, nsid: u32, wanted: u16) -> Result<u64, Status> {
        let (core, memory) = drive.parts();
        done(directive_receive(
            core,
            nsid,
            DirectiveReceive::AllocateStreams(wanted),
            memory,
        ))
    }

    fn parameters(drive: &mut TestDrive, nsid: u32) -> Result<StreamsParameters, Status> {
        let page = receive(drive, nsid, DirectivePage::StreamsParameters)?;
        Ok(StreamsParameters::read_from_prefix(&page).unwrap().0)
    }

    const REFUSED: Status = Status::INVALID_FIELD_IN_COMMAND;

    #[test]
    fn streams_are_there_once_they_are_enabled() {
        let mut drive = TestDrive::new();
        assert_eq!(parameters(&mut drive, FLASH).err(), Some(REFUSED));
        assert_eq!(parameters(&mut drive, NSID_BROADCAST).err(), Some(REFUSED));
        assert_eq!(allocate(&mut drive, FLASH, 1), Err(REFUSED));
        assert_eq!(send(&mut drive, FLASH, DirectiveSend::EnableStreams(true)), Ok(0));
        let before = parameters(&mut drive, FLASH).unwrap();
        assert_eq!(
            (before.streams_max.get(), before.available.get()),
            (STREAMS_MAX, STREAMS_MAX)
        );
        assert_eq!(allocate(&mut drive, FLASH, 2), Ok(2));
        let after = parameters(&mut drive, FLASH).unwrap();
        assert_eq!(
            (after.available.get(), after.namespace_allocated.get()),
            (STREAMS_MAX - 2, 2)
        );
        assert_eq!(
            send(&mut drive, FLASH, DirectiveSend::ReleaseStreamResources),
            Ok(0)
        );
        assert_eq!(
            parameters(&mut drive, FLASH).unwrap().available.get(),
            STREAMS_MAX
        );
        assert!(
            parameters(&mut drive, NSID_BROADCAST).is_ok(),
            "a namespace has them"
        );
        assert_eq!(
            send(&mut drive, FLASH, DirectiveSend::EnableStreams(false)),
            Ok(0)
        );
        assert_eq!(parameters(&mut drive, FLASH).err(), Some(REFUSED));
    }

    #[test]
    fn open_streams_are_listed_until_they_are_released() {
        let mut drive = TestDrive::new();
        send(&mut drive, FLASH, DirectiveSend::EnableStreams(true)).unwrap();
        let id = NonZeroU16::new(3).unwrap();
        drive
            .core()
            .queue_set
            .io
            .with_streams(FLASH, |streams, namespace| {
                streams.write(FLASH, namespace.streams, id);
            });
        let page = receive(&mut drive, FLASH, DirectivePage::StreamsStatus).unwrap();
        assert_eq!(page[..4], [1, 0, 3, 0], "one, the third");
        assert_eq!(
            send(&mut drive, FLASH, DirectiveSend::ReleaseStream(Some(id))),
            Ok(0)
        );
        assert_eq!(
            receive(&mut drive, FLASH, DirectivePage::StreamsStatus).unwrap()[..4],
            [0; 4]
        );
        assert_eq!(
            send(&mut drive, FLASH, DirectiveSend::ReleaseStream(None)),
            Ok(0),
            "there is no stream 0"
        );
    }

    #[test]
    fn the_identify_directive_tells_which_namespaces_can_have_streams_and_which_do() {
        let mut drive = TestDrive::new();
        let directives = DirectivePage::Directives(IdentifyDirectiveOperation::PARAMETERS_OR_ENABLE);
        for (nsid, supported) in [(FAST, 0b11), (FLASH, 0b11), (PAIRS, 0b01)] {
            let page = receive(&mut drive, nsid, directives).unwrap();
            let found = (page[0], page[DIRECTIVES_ENABLED_OFFSET]);
            assert_eq!(found, (supported, 0b01), "namespace {nsid}");
        }
        send(&mut drive, FLASH, DirectiveSend::EnableStreams(true)).unwrap();
        for (nsid, enabled) in [(FAST, 0b01), (FLASH, 0b11), (PAIRS, 0b01)] {
            let page = receive(&mut drive, nsid, directives).unwrap();
            assert_eq!(page[DIRECTIVES_ENABLED_OFFSET], enabled, "namespace {nsid}");
        }
    }

    #[test]
    fn namespaces_that_cannot_have_them_are_refused_alone_and_left_out_of_all() {
        let mut drive = TestDrive::new();
        let enable = DirectiveSend::EnableStreams(true);
        assert_eq!(send(&mut drive, PAIRS, enable), Err(REFUSED));
        assert_eq!(send(&mut drive, UNALLOCATED, enable), Err(REFUSED));
        assert_eq!(
            send(&mut drive, INVALID, enable),
            Err(Status::INVALID_NAMESPACE_OR_FORMAT)
        );
        assert_eq!(send(&mut drive, NSID_BROADCAST, enable), Ok(0));
        assert!(parameters(&mut drive, FLASH).is_ok());
        assert_eq!(parameters(&mut drive, PAIRS).err(), Some(REFUSED));
        let directives = DirectivePage::Directives(IdentifyDirectiveOperation::PARAMETERS_OR_ENABLE);
        assert_eq!(receive(&mut drive, NSID_BROADCAST, directives), Err(REFUSED));
        let unknown = DirectivePage::Directives(IdentifyDirectiveOperation(9));
        assert_eq!(receive(&mut drive, FLASH, unknown), Err(REFUSED));
    }
}
