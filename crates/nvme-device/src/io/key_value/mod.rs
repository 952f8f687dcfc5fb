//! Key-value namespaces: the Key Value Command Set (KV CS 1.0), and the vendor specific commands that the reference's drive has (MODELS.md §7).
//!
//! What is here besides the commands is which iterators are open, and a buffer. Where pairs are is `ssd_model::key_value`'s business.
//!
//! The controller moves the values itself, at once: a pair is visible when all of it has arrived, and not before, and a command sees what was
//! stored by the commands before it, whichever worker completes them.

pub(crate) mod batch;
pub(crate) mod command;
pub(crate) mod execution;
pub(crate) mod iterators;
pub(crate) mod lbas;
pub(crate) mod list;
pub(crate) mod pairs;
pub(crate) mod transfer;

use nvme_spec::Status;
use ssd_model::{Model, Refusal};

use crate::command::fetched::{check_flags, Fetched};
use crate::command::job::{Dispatched, Job};
use crate::command::request::Request;
use crate::command::transfer::Transfer;
use crate::command::wait::Wait;
use crate::host::Host;
use crate::io::context::IoContext;
use crate::io::dataset::RangeList;
use crate::io::key_value::execution::{Execution, HostMedium, Unfinished};

impl IoContext {
    /// Carries a command of a key-value namespace out. As [`IoContext::dispatch`].
    pub fn key_value<H: Host>(
        &mut self,
        now_ns: u64,
        fetched: &Fetched<'_>,
        host: &H,
    ) -> Result<Dispatched, Wait> {
        let mut ranges = core::mem::take(&mut self.ranges);
        let executed = self.execute_key_value(now_ns, fetched, &mut ranges, host);
        self.ranges = ranges;
        match executed {
            Ok(job) => Ok(job.into()),
            Err(Unfinished::Failed(status)) => {
                let lba = match self.namespaces.attached(fetched.entry.nsid.get()) {
                    Ok(namespace) if !namespace.has_pairs_only() => Request::parse(fetched.entry).slba(),
                    _ => 0,
                };
                fetched.settle(now_ns, lba, Err(Refusal::Failed(status)))
            }
            Err(Unfinished::Paused(progress)) => Err(Wait {
                retry_at_ns: now_ns.saturating_add(1),
                progress,
            }),
        }
    }

    fn execute_key_value<H: Host>(
        &mut self,
        now_ns: u64,
        fetched: &Fetched<'_>,
        ranges: &mut RangeList,
        host: &H,
    ) -> Result<Job, Unfinished> {
        check_flags(fetched.entry)?;
        let (limits, has_all_command_sets) = (self.limits, self.has_all_command_sets);
        let namespace = self.namespace_mut(fetched.entry)?;
        let space = namespace.lba_space();
        let key_value = namespace
            .key_value
            .as_mut()
            .ok_or(Status::INVALID_COMMAND_OPCODE)?;
        let mut execution = Execution {
            key_value,
            uncorrectable: &mut namespace.uncorrectable,
            medium: HostMedium {
                host,
                media_offset: namespace.media_offset,
            },
            fetched,
            ranges,
            space,
            limits,
        };
        let done = execution.execute(has_all_command_sets)?;
        let done_at_ns = match &done.timed_as {
            Some(command) => match namespace.model.submit(now_ns, command) {
                Ok(accepted) => accepted.done_at_ns.max(now_ns),
                // The model of a drive without flash takes everything on.
                Err(_) => return Err(Status::INTERNAL_ERROR.into()),
            },
            None => now_ns,
        };
        let nsid = fetched.entry.nsid.get();
        self.count(nsid, now_ns, done_at_ns, done.direction, done.len_bytes);
        Ok(Job {
            done_at_ns,
            transfer: Transfer {
                len_bytes: done.len_bytes,
                ..Transfer::NONE
            },
            nsid: fetched.entry.nsid.get(),
            ..Job::immediate(
                fetched.command,
                now_ns,
                Status::SUCCESSFUL_COMPLETION,
                done.result,
            )
        })
    }
}
