//! The namespaces of a queue set, and what executing I/O commands needs beside them.

use alloc::vec::Vec;
use core::num::NonZeroU16;

use nvme_spec::{NvmOpcode, Status, SubmissionQueueEntry, NSID_BROADCAST};
use ssd_model::{Command, Model, Refusal};

use crate::command::fetched::{check_flags, Fetched};
use crate::command::id::CommandRef;
use crate::command::job::{Dispatched, Job, Placed, Zeroing};
use crate::command::lba::ByteRange;
use crate::command::request::{Limits, Request};
use crate::command::transfer::{Direction, Extents, Transfer};
use crate::command::wait::Wait;
use crate::host::Host;
use crate::io::dataset::RangeList;
use crate::io::place;
use crate::io::plan::{Access, Plan};
use crate::io::zone::receive::ReceiveRequest;
use crate::io::zone::send::SendRequest;
use crate::io::zone::target::Target;
use crate::limits::{COPY_RANGES_MAX, NAMESPACES_MAX, ZEROINGS_MAX};
use crate::namespace::shared::SharedNamespace;
use crate::namespace::streams::Streams;
use crate::namespace::table::NamespaceTable;
use crate::namespace::Namespace;
use crate::setup::{table, SetupError};
use crate::stats::io::IoCounters;

/// The namespaces and what I/O needs to know besides.
pub(crate) struct IoContext {
    pub namespaces: NamespaceTable,
    pub limits: Limits,
    /// Whether the host has enabled all I/O command sets (CC.CSS): only then there are the commands of the zoned one.
    pub has_all_command_sets: bool,
    pub counters: IoCounters,
    /// The same of each namespace, from identifier 1 on, but for the time.
    of_namespaces: Vec<IoCounters>,
    /// What the Copy just taken on reads, with lengths: not on the stack, and with room for [`COPY_RANGES_MAX`].
    pub gathering: Vec<(Extents, u32)>,
    /// What the part of a command just done has filled with zeros, with room for [`ZEROINGS_MAX`].
    pub zeroings: Vec<Zeroing>,
    /// Those of the Dataset Management command that is being looked at.
    pub ranges: RangeList,
    /// Whether there is anything to fill with zeros.
    pub has_medium: bool,
    pub streams: Streams,
    /// What all dispatchers share while each works on its own, from identifier 1 on; empty otherwise.
    pub shared: Vec<Option<SharedNamespace>>,
}

impl IoContext {
    /// With these namespaces, which are on a medium or keep no data.
    pub fn new(namespaces: Vec<Namespace>, limits: Limits, has_medium: bool) -> Result<Self, SetupError> {
        let mut gathering = Vec::new();
        gathering.try_reserve_exact(COPY_RANGES_MAX)?;
        let mut zeroings = Vec::new();
        zeroings.try_reserve_exact(ZEROINGS_MAX)?;
        let mut shared = Vec::new();
        shared.try_reserve_exact(NAMESPACES_MAX as usize)?;
        Ok(Self {
            shared,
            namespaces: NamespaceTable::new(namespaces)?,
            limits,
            has_all_command_sets: false,
            counters: IoCounters::default(),
            of_namespaces: table(NAMESPACES_MAX as usize, IoCounters::default)?,
            gathering,
            zeroings,
            ranges: RangeList::new()?,
            has_medium,
            streams: Streams::new()?,
        })
    }

    /// A controller level reset. A power cycle is one, too.
    pub fn reset(&mut self, is_power_cycle: bool, now_ns: u64) {
        // All fields are named, so that a new one cannot be forgotten here.
        let Self {
            namespaces,
            limits: _,
            // Set when the controller is enabled.
            has_all_command_sets: _,
            // The SMART log outlives resets.
            counters: _,
            of_namespaces: _,
            gathering: _,
            zeroings: _,
            ranges: _,
            has_medium: _,
            streams,
            shared: _,
        } = self;
        for namespace in namespaces.iter_mut() {
            namespace.reset(is_power_cycle, now_ns);
        }
        streams.reset();
    }

    /// Shares namespace `nsid` with other dispatchers.
    pub fn set_shared(&mut self, nsid: u32, namespace: SharedNamespace) {
        // There is room for all.
        let len = self.shared.len().max(nsid.min(NAMESPACES_MAX) as usize);
        self.shared.resize_with(len, || None);
        if let Some(slot) = self.shared.get_mut(nsid.wrapping_sub(1) as usize) {
            *slot = Some(namespace);
        }
    }

    /// A command of namespace `nsid` was taken on.
    #[inline]
    pub fn count(&mut self, nsid: u32, now_ns: u64, done_at_ns: u64, direction: Direction, len_bytes: u32) {
        self.counters.count(now_ns, done_at_ns, direction, len_bytes);
        if let Some(counters) = self.of_namespaces.get_mut(nsid.wrapping_sub(1) as usize) {
            counters.count(now_ns, done_at_ns, direction, len_bytes);
        }
    }

    /// What I/O did with namespace `nsid`.
    pub fn counters_of(&self, nsid: u32) -> IoCounters {
        let counters = self.of_namespaces.get(nsid.wrapping_sub(1) as usize);
        counters.copied().unwrap_or_default()
    }

    /// There is another namespace `nsid` now.
    pub fn forget_counters_of(&mut self, nsid: u32) {
        if let Some(counters) = self.of_namespaces.get_mut(nsid.wrapping_sub(1) as usize) {
            *counters = IoCounters::default();
        }
    }

    /// Counts from 0 on, while `other` has what was counted before.
    pub fn begin_counting(&mut self, other: &Self) {
        self.counters.begin_at(&other.counters);
        self.of_namespaces.fill(IoCounters::default());
    }

    /// Adds what `other` has counted; the result is how long that was busy, ns.
    pub fn add_counts(&mut self, other: &Self) -> u64 {
        for (counters, others) in self.of_namespaces.iter_mut().zip(&other.of_namespaces) {
            counters.add(others);
        }
        self.counters.add(&other.counters)
    }

    /// Nothing is shared any more: namespaces go on from where they are now.
    pub fn end_sharing(&mut self) {
        for (nsid, shared) in (1..).zip(self.shared.drain(..)) {
            if let (Some(shared), Ok(namespace)) = (shared, self.namespaces.allocated_mut(nsid)) {
                namespace.end_sharing(&shared);
            }
        }
    }

    /// Whether `nsid` is that of a key-value namespace.
    pub fn is_key_value(&self, nsid: u32) -> bool {
        self.namespaces
            .attached(nsid)
            .is_ok_and(|namespace| namespace.key_value.is_some())
    }

    /// Does something with the streams of namespace `nsid`, if there is one.
    pub fn with_streams<T>(
        &mut self,
        nsid: u32,
        f: impl FnOnce(&mut Streams, &mut Namespace) -> T,
    ) -> Option<T> {
        let namespace = self.namespaces.allocated_mut(nsid).ok()?;
        Some(f(&mut self.streams, namespace))
    }

    /// A command has written to a stream.
    pub fn write_stream(&mut self, nsid: u32, id: NonZeroU16) {
        self.with_streams(nsid, |streams, namespace| {
            streams.write(nsid, namespace.streams, id);
        });
    }

    /// The namespace of a command that reads or writes it.
    ///
    /// # Errors
    /// If there is none, or another host holds a reservation.
    pub fn namespace_mut(&mut self, entry: &SubmissionQueueEntry) -> Result<&mut Namespace, Status> {
        let namespace = self.namespaces.serving_mut(entry.nsid.get())?;
        namespace.reservations.check(entry.opcode)?;
        Ok(namespace)
    }

    /// These commands were fetched together: what the models look up for them may be on its way before the first is taken on.
    #[inline]
    pub fn anticipate<'a>(&self, entries: impl Iterator<Item = &'a SubmissionQueueEntry>) {
        for entry in entries {
            let is_write = match NvmOpcode(entry.opcode) {
                NvmOpcode::READ => false,
                NvmOpcode::WRITE => true,
                _ => continue,
            };
            if let Ok(namespace) = self.namespaces.attached(entry.nsid.get()) {
                namespace.anticipate(entry.slba(), is_write);
            }
        }
    }

    /// Times a command and says what the worker has to do; a wrong command becomes a job that carries its status.
    ///
    /// # Errors
    /// When to try again, if the command cannot be taken on now.
    pub fn dispatch(&mut self, now_ns: u64, fetched: &Fetched<'_>) -> Result<Dispatched, Wait> {
        let request = Request::parse(fetched.entry);
        let result = self.submit(now_ns, fetched, request);
        fetched.settle(now_ns, request.slba(), result)
    }

    fn submit(
        &mut self,
        now_ns: u64,
        fetched: &Fetched<'_>,
        request: Request,
    ) -> Result<Dispatched, Refusal> {
        let Fetched { entry, command, .. } = *fetched;
        check_flags(entry).map_err(Refusal::Failed)?;
        let nsid = entry.nsid.get();
        if nsid == NSID_BROADCAST && request == Request::Flush {
            return self.flush_all(now_ns, command).map(Dispatched::from);
        }
        let (limits, has_all_command_sets) = (self.limits, self.has_all_command_sets);
        if !self.shared.is_empty() {
            if let Some(dispatched) = self.submit_shared(now_ns, fetched, request) {
                return dispatched;
            }
        }
        let namespace = self.namespace_mut(entry).map_err(Refusal::Failed)?;
        if matches!(request, Request::Append { .. }) && !has_all_command_sets {
            return Err(Refusal::Failed(Status::INVALID_COMMAND_OPCODE));
        }
        let plan = Plan::new(request, namespace.lba_space(), namespace.zoned.as_ref(), limits)
            .map_err(Refusal::Failed)?;
        let stream = match plan.access {
            Access::Write | Access::Spoil => namespace.streams.written(entry).map_err(Refusal::Failed)?,
            Access::Neither | Access::Read => None,
        };
        let spoiled = namespace.lbas(plan.range);
        if plan.access == Access::Spoil && !namespace.uncorrectable.has_room_for(spoiled) {
            return Err(Refusal::Failed(Status::INTERNAL_ERROR));
        }
        let placed = place::place(namespace, now_ns, fetched.ring, &plan.command, plan.range)?;
        let lba = plan.range.offset_bytes >> namespace.lba_log2;
        let lbas = namespace.lbas(match plan.command {
            Command::Append { .. } => ByteRange {
                offset_bytes: placed.result << namespace.lba_log2,
                ..plan.range
            },
            _ => plan.range,
        });
        match plan.access {
            Access::Read if namespace.uncorrectable.has_any(lbas.clone()) => {
                return Err(Refusal::FailedLate {
                    status: Status::UNRECOVERED_READ_ERROR,
                    done_at_ns: placed.done_at_ns,
                });
            }
            Access::Neither | Access::Read => {}
            Access::Write => namespace.uncorrectable.clear(lbas),
            Access::Spoil => namespace.uncorrectable.mark(lbas),
        }
        if let Some(stream) = stream {
            self.write_stream(nsid, stream);
        }
        Ok(self.dispatched(now_ns, fetched, &plan, placed, lba))
    }

    /// As [`IoContext::submit`], if the namespace is one that all dispatchers share.
    #[inline(never)]
    fn submit_shared(
        &mut self,
        now_ns: u64,
        fetched: &Fetched<'_>,
        request: Request,
    ) -> Option<Result<Dispatched, Refusal>> {
        let index = fetched.entry.nsid.get().wrapping_sub(1) as usize;
        let shared = self.shared.get(index)?.as_ref()?;
        let planned = Plan::new(request, shared.space, None, self.limits).map_err(Refusal::Failed);
        let placed = planned.and_then(|plan| {
            let placed = shared.place(now_ns, &plan.command, plan.range)?;
            Ok((plan, placed))
        });
        let space = shared.space;
        Some(placed.map(|(plan, placed)| {
            let lba = space.lbas(plan.range).start;
            self.dispatched(now_ns, fetched, &plan, placed, lba)
        }))
    }

    /// The job of a command that was taken on at `now_ns`; it is counted.
    // Inlined where it is called: what goes in and out is long.
    #[inline(always)]
    fn dispatched(
        &mut self,
        now_ns: u64,
        fetched: &Fetched<'_>,
        plan: &Plan,
        placed: Placed,
        lba: u64,
    ) -> Dispatched {
        // A completion time in the past (MODELS.md Q10) means: at once.
        let done_at_ns = placed.done_at_ns.max(now_ns);
        let (nsid, len_bytes) = (fetched.entry.nsid.get(), plan.range.len_bytes);
        self.count(nsid, now_ns, done_at_ns, plan.direction, len_bytes);
        let transfer = Transfer {
            direction: plan.direction,
            pointer: fetched.data_pointer(),
            extents: placed.extents,
            len_bytes: plan.range.len_bytes,
            zone: placed.zone,
            clears_on_failure: placed.clears_on_failure,
        };
        let job = Job {
            done_at_ns,
            transfer,
            nsid: fetched.entry.nsid.get(),
            lba,
            ..Job::immediate(
                fetched.command,
                now_ns,
                Status::SUCCESSFUL_COMPLETION,
                placed.result,
            )
        };
        Dispatched {
            zeroing: placed.zeroing,
            job,
        }
    }

    /// Carries a Zone Management Send out. As [`IoContext::dispatch`].
    pub fn zone_send<H: Host>(
        &mut self,
        now_ns: u64,
        fetched: &Fetched<'_>,
        host: &H,
    ) -> Result<Dispatched, Wait> {
        let request = SendRequest::parse(fetched.entry);
        let result = self.submit_zone_send(now_ns, fetched, request, host);
        fetched.settle(now_ns, request.slba(), result)
    }

    fn submit_zone_send<H: Host>(
        &mut self,
        now_ns: u64,
        fetched: &Fetched<'_>,
        request: SendRequest,
        host: &H,
    ) -> Result<Dispatched, Refusal> {
        let namespace = self.zoned_namespace(fetched.entry).map_err(Refusal::Failed)?;
        let mut target =
            Target::of(namespace, fetched.ring).ok_or(Refusal::Failed(Status::INVALID_COMMAND_OPCODE))?;
        let sent = request.execute(now_ns, &mut target, fetched.data_pointer(), host)?;
        if let Some(reset) = sent.reset {
            // What is empty has no LBAs that could be unreadable.
            let lba_log2 = namespace.lba_log2;
            namespace
                .uncorrectable
                .clear(reset.start >> lba_log2..reset.end >> lba_log2);
        }
        let done_at_ns = sent.done_at_ns.max(now_ns);
        Ok(Dispatched {
            zeroing: sent.zeroing,
            job: Job::immediate(fetched.command, done_at_ns, Status::SUCCESSFUL_COMPLETION, 0),
        })
    }

    /// Carries a Zone Management Receive out: the report is in the host's memory then.
    pub fn zone_receive<H: Host>(
        &mut self,
        now_ns: u64,
        fetched: &Fetched<'_>,
        host: &H,
    ) -> Result<Dispatched, Wait> {
        let request = ReceiveRequest::parse(fetched.entry);
        let limits = self.limits;
        let result = self
            .zoned_namespace(fetched.entry)
            .and_then(|namespace| request.execute(namespace, limits, fetched.data_pointer(), host))
            .map(|()| Job::immediate(fetched.command, now_ns, Status::SUCCESSFUL_COMPLETION, 0).into())
            .map_err(Refusal::Failed);
        fetched.settle(now_ns, request.slba(), result)
    }

    /// The namespace of a command that only zoned ones have.
    fn zoned_namespace(&mut self, entry: &SubmissionQueueEntry) -> Result<&mut Namespace, Status> {
        check_flags(entry)?;
        let has_all_command_sets = self.has_all_command_sets;
        let namespace = self.namespace_mut(entry)?;
        if has_all_command_sets && namespace.zoned.is_some() {
            Ok(namespace)
        } else {
            Err(Status::INVALID_COMMAND_OPCODE)
        }
    }

    /// Flush of all namespaces (NVMe Base 2.0 §7.1, with VWC.FB = 11b).
    fn flush_all(&mut self, now_ns: u64, command: CommandRef) -> Result<Job, Refusal> {
        self.namespaces.check_all_serving().map_err(Refusal::Failed)?;
        for namespace in self.namespaces.iter_attached() {
            let allowed = namespace.reservations.check(NvmOpcode::FLUSH.0);
            allowed.map_err(Refusal::Failed)?;
        }
        let mut done_at_ns = now_ns;
        for namespace in self.namespaces.iter_mut() {
            done_at_ns = done_at_ns.max(namespace.model.submit(now_ns, &Command::Flush)?.done_at_ns);
        }
        Ok(Job::immediate(
            command,
            done_at_ns,
            Status::SUCCESSFUL_COMPLETION,
            0,
        ))
    }
}
