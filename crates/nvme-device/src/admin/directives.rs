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

/// A directive command, taken apart.
struct Directive {
    operation: u8,
    kind: DirectiveType,
    specific: u16,
    cdw12: u32,
    nsid: u32,
    dwords_z: u32,
}

impl Directive {
    fn parse(entry: &SubmissionQueueEntry) -> Self {
        let cdw11 = Cdw11Directive(entry.cdw11.get());
        Self {
            operation: cdw11.operation(),
            kind: cdw11.kind(),
            specific: cdw11.specific(),
            cdw12: entry.cdw12.get(),
            nsid: entry.nsid.get(),
            dwords_z: entry.cdw10.get(),
        }
    }
}

pub(crate) fn directive_receive<H: HostMemory>(
    core: &mut Core,
    entry: &SubmissionQueueEntry,
    host: &H,
) -> Result<Outcome, Status> {
    let directive = Directive::parse(entry);
    if directive.kind == DirectiveType::STREAMS
        && StreamsReceiveOperation(directive.operation) == StreamsReceiveOperation::ALLOCATE_RESOURCES
    {
        let wanted = Cdw12AllocateStreams(directive.cdw12).requested();
        let allocated = with_streams(core, &directive, |streams, namespace| {
            streams.allocate(namespace.nsid, &mut namespace.streams, wanted)
        })?;
        return Ok(Outcome::Done(allocated.into()));
    }
    let len_bytes = core.queue_set.io.limits.dwords_z(directive.dwords_z)?;
    core.with_page(
        |core, page| fill_directive(core, &directive, page),
        |page, ()| DataPointer::of(entry).write(host, page, len_bytes),
    )?;
    Ok(Outcome::Done(0))
}

/// Writes what is asked for into `page`, which is all zeros.
fn fill_directive(core: &Core, directive: &Directive, page: &mut [u8]) -> Result<(), Status> {
    match directive.kind {
        DirectiveType::IDENTIFY => {
            let namespace = directed_namespace(core, directive.nsid)?;
            let operation = IdentifyDirectiveOperation(directive.operation);
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
            Ok(())
        }
        DirectiveType::STREAMS => match StreamsReceiveOperation(directive.operation) {
            StreamsReceiveOperation::RETURN_PARAMETERS => {
                put(page, 0, streams_parameters(core, directive.nsid)?.as_bytes());
                Ok(())
            }
            StreamsReceiveOperation::GET_STATUS => {
                let nsid = streams_namespace(core, directive.nsid)?.nsid;
                let open = core.queue_set.io.streams.open_of(nsid);
                put(page, 0, &(open.count() as u16).to_le_bytes());
                for (index, id) in core.queue_set.io.streams.open_of(nsid).enumerate() {
                    put(page, 2 + 2 * index, &id.to_le_bytes());
                }
                Ok(())
            }
            _ => Err(Status::INVALID_FIELD_IN_COMMAND),
        },
        _ => Err(Status::INVALID_FIELD_IN_COMMAND),
    }
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
    directive: &Directive,
    f: impl FnOnce(&mut Streams, &mut Namespace) -> Result<T, Status>,
) -> Result<T, Status> {
    streams_namespace(core, directive.nsid)?;
    core.queue_set
        .io
        .with_streams(directive.nsid, f)
        .unwrap_or(Err(Status::INVALID_NAMESPACE_OR_FORMAT))
}

pub(crate) fn directive_send(core: &mut Core, entry: &SubmissionQueueEntry) -> Result<Outcome, Status> {
    let directive = Directive::parse(entry);
    match directive.kind {
        DirectiveType::IDENTIFY => enable_directive(core, &directive)?,
        DirectiveType::STREAMS => match StreamsSendOperation(directive.operation) {
            StreamsSendOperation::RELEASE_IDENTIFIER => {
                with_streams(core, &directive, |streams, namespace| {
                    if let Some(id) = NonZeroU16::new(directive.specific) {
                        streams.close(namespace.nsid, id);
                    }
                    Ok(())
                })?;
            }
            StreamsSendOperation::RELEASE_RESOURCES => {
                with_streams(core, &directive, |streams, namespace| {
                    streams.release(namespace.nsid, &mut namespace.streams);
                    Ok(())
                })?;
            }
            _ => return Err(Status::INVALID_FIELD_IN_COMMAND),
        },
        _ => return Err(Status::INVALID_FIELD_IN_COMMAND),
    }
    Ok(Outcome::Done(0))
}

/// Enables or disables the directive of streams for a namespace, or for all that can have it. The Identify Directive is always enabled.
fn enable_directive(core: &mut Core, directive: &Directive) -> Result<(), Status> {
    let operation = IdentifyDirectiveOperation(directive.operation);
    let cdw12 = Cdw12EnableDirective(directive.cdw12);
    if operation != IdentifyDirectiveOperation::PARAMETERS_OR_ENABLE || cdw12.kind() != DirectiveType::STREAMS
    {
        return Err(Status::INVALID_FIELD_IN_COMMAND);
    }
    let is_all = directive.nsid == NSID_BROADCAST;
    let io = &mut core.queue_set.io;
    for namespace in io.namespaces.settable_mut(directive.nsid)? {
        if namespace.has_streams() {
            let streams = &mut io.streams;
            streams.enable(namespace.nsid, &mut namespace.streams, cdw12.is_enabled());
        } else if !is_all {
            return Err(Status::INVALID_FIELD_IN_COMMAND);
        }
    }
    Ok(())
}
