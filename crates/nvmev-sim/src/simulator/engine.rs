//! The clock, the model, and who waits for whom.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use ssd_model::{namespace_bytes, AnyModel, Command, Model, Refusal, ZoneAction};
use ssd_profile::ProfileKind;

use super::error::SimulatorError;
use super::measure::Measure;
use super::report::PhaseReport;
use super::source::{Action, Io, Source};

/// Time begins here: no command arrives at 0.
const START_NS: u64 = 1_000_000_000;

/// Commands between two looks at how far things are.
const PROGRESS_COMMANDS: u64 = 1 << 16;

/// So many commands without the clock moving, and it never will.
const STANDSTILL_COMMANDS: u64 = 10_000_000;

/// When commands arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pacing {
    /// The next one as soon as one is done: `depth` at a time in each of `queues` queues. A command that waits for room in the drive's buffer holds up those
    /// behind it in its queue, and no others.
    QueueDepth {
        /// Commands at a time.
        depth: u32,
        /// Queues.
        queues: u32,
    },
    /// At their own times, in one queue, whether or not earlier ones are done.
    OpenLoop,
}

/// How far a phase is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Thousandths, where that is known.
    pub done_milli: Option<u64>,
    /// Commands so far.
    pub commands: u64,
    /// Virtual time since the phase began, ns.
    pub time_ns: u64,
}

/// A drive in virtual time.
#[derive(Clone, Debug)]
pub struct Simulator {
    model: AnyModel,
    namespace_bytes: u64,
    now_ns: u64,
}

/// A command that waits for room in the drive's buffer, or behind one that does.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    io: Io,
    arrival_ns: u64,
}

/// Something that will happen; ties in the order of the second value.
type Event = Reverse<(u64, u32)>;

impl Simulator {
    /// A new drive.
    ///
    /// # Errors
    /// If the profile and the capacity do not make one, or it is a key-value drive.
    pub fn new(kind: &ProfileKind, capacity_bytes: u64) -> Result<Self, SimulatorError> {
        if kind.key_value().is_some() {
            return Err(SimulatorError::KeyValue);
        }
        Ok(Self {
            namespace_bytes: namespace_bytes(kind, capacity_bytes).map_err(SimulatorError::Setup)?,
            model: AnyModel::new(kind, capacity_bytes).map_err(SimulatorError::Setup)?,
            now_ns: START_NS,
        })
    }

    /// Bytes of the drive's namespace.
    pub fn namespace_bytes(&self) -> u64 {
        self.namespace_bytes
    }

    /// The model, for a look inside.
    pub fn model(&self) -> &AnyModel {
        &self.model
    }

    /// Runs a phase to its end: until `source` is, or until `time_limit_ns` have passed. The drive stays as it is then for the next phase; what it counts begins anew
    /// with each.
    ///
    /// # Errors
    /// If the source cannot be read, or time does not pass.
    pub fn run(
        &mut self,
        name: &str,
        source: &mut dyn Source,
        pacing: Pacing,
        time_limit_ns: Option<u64>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<PhaseReport, SimulatorError> {
        self.model.reset_statistics();
        let start_ns = self.now_ns;
        let mut phase = Phase {
            model: &mut self.model,
            measure: Measure::new(),
            start_ns,
            last_done_ns: start_ns,
            time_limit_ns,
            commands: 0,
            standstill: (start_ns, 0),
        };
        match pacing {
            Pacing::QueueDepth { depth, queues } => phase.queue_depth(source, depth, queues, progress)?,
            Pacing::OpenLoop => phase.open_loop(source, progress)?,
        }
        let Phase {
            mut measure,
            last_done_ns,
            ..
        } = phase;
        self.now_ns = last_done_ns;
        let duration_ns = last_done_ns - start_ns;
        if let Some(report) = self.model.flash_report() {
            measure.flash(duration_ns.max(1), report.statistics);
        }
        Ok(PhaseReport::new(
            name,
            start_ns - START_NS,
            duration_ns,
            measure,
            &self.model,
        ))
    }
}

/// A phase under way.
struct Phase<'a> {
    model: &'a mut AnyModel,
    measure: Measure,
    start_ns: u64,
    last_done_ns: u64,
    time_limit_ns: Option<u64>,
    commands: u64,
    /// A time, and how many commands there were at it.
    standstill: (u64, u64),
}

impl Phase<'_> {
    fn is_over(&self, now_ns: u64) -> bool {
        self.time_limit_ns
            .is_some_and(|limit_ns| now_ns - self.start_ns >= limit_ns)
    }

    /// Puts a command to the model at `now_ns`; the result is when it is done, or when to try again.
    #[inline]
    fn submit(&mut self, now_ns: u64, io: Io, arrival_ns: u64) -> Result<u64, u64> {
        let (offset_bytes, len_bytes) = (io.offset_bytes, io.len_bytes as u32);
        let command = match io.action {
            Action::Read => Command::Read {
                offset_bytes,
                len_bytes,
            },
            Action::Write(fua) => Command::Write {
                offset_bytes,
                len_bytes,
                fua,
            },
            Action::Trim => Command::Deallocate {
                offset_bytes,
                len_bytes: io.len_bytes,
            },
            Action::Flush => Command::Flush,
            Action::Append(fua) => Command::Append {
                offset_bytes,
                len_bytes,
                fua,
            },
            Action::Reset => Command::ZoneSend {
                offset_bytes,
                action: ZoneAction::Reset,
            },
        };
        let done_ns = match self.model.submit(now_ns, &command) {
            // A time in the past (MODELS.md Q10) means: at once.
            Ok(accepted) => {
                let done_ns = accepted.done_at_ns.max(now_ns);
                let latency_ns = done_ns - arrival_ns;
                self.measure
                    .done(io.action, io.len_bytes, latency_ns, done_ns - self.start_ns);
                done_ns
            }
            Err(Refusal::Busy { retry_at_ns }) => return Err(retry_at_ns.max(now_ns + 1)),
            Err(Refusal::Failed(_) | Refusal::FailedLate { .. }) => {
                self.measure.failed(io.action);
                now_ns
            }
        };
        self.commands += 1;
        self.last_done_ns = self.last_done_ns.max(done_ns);
        if now_ns - self.start_ns >= self.measure.flash_due_ns {
            if let Some(report) = self.model.flash_report() {
                self.measure.flash(now_ns - self.start_ns, report.statistics);
            } else {
                self.measure.flash_due_ns = u64::MAX;
            }
        }
        Ok(done_ns)
    }

    /// Tells how far things are, now and then.
    #[inline]
    fn tell(
        &mut self,
        now_ns: u64,
        source: &dyn Source,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), SimulatorError> {
        if self.commands % PROGRESS_COMMANDS != 0 {
            return Ok(());
        }
        if self.standstill.0 != now_ns {
            self.standstill = (now_ns, self.commands);
        } else if self.time_limit_ns.is_some() && self.commands - self.standstill.1 >= STANDSTILL_COMMANDS {
            return Err(SimulatorError::Standstill);
        }
        let time_ns = now_ns - self.start_ns;
        let of_time = self
            .time_limit_ns
            .map(|limit_ns| (u128::from(time_ns) * 1000 / u128::from(limit_ns)) as u64);
        progress(Progress {
            done_milli: of_time.into_iter().chain(source.progress_milli()).max(),
            commands: self.commands,
            time_ns,
        });
        Ok(())
    }

    /// Each slot of each queue sends its next command when the one before is done.
    fn queue_depth(
        &mut self,
        source: &mut dyn Source,
        depth: u32,
        queues: u32,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), SimulatorError> {
        let slots = depth * queues;
        // Events below `slots` are of slots, the others are of queues whose waiting commands are to be tried again.
        let mut events: BinaryHeap<Event> = (0..slots).map(|slot| Reverse((self.start_ns, slot))).collect();
        let mut waiting: Vec<VecDeque<(u32, Waiting)>> = (0..queues).map(|_| VecDeque::new()).collect();
        let mut has_ended = false;
        // A command before which nothing is sent for a while, and until when.
        let (mut held, mut held_until_ns) = (None, self.start_ns);
        while let Some(Reverse((now_ns, event))) = events.pop() {
            if event >= slots {
                let queue = event - slots;
                let line = &mut waiting[queue as usize];
                while let Some(&(slot, Waiting { io, arrival_ns })) = line.front() {
                    match self.submit(now_ns, io, arrival_ns) {
                        Ok(done_ns) => {
                            line.pop_front();
                            events.push(Reverse((done_ns, slot)));
                        }
                        Err(retry_at_ns) => {
                            events.push(Reverse((retry_at_ns, event)));
                            break;
                        }
                    }
                }
                continue;
            }
            has_ended |= self.is_over(now_ns);
            if has_ended {
                continue;
            }
            if now_ns < held_until_ns {
                events.push(Reverse((held_until_ns, event)));
                continue;
            }
            let next = match held.take() {
                Some(io) => Some(io),
                None => source.next()?,
            };
            let Some(io) = next else {
                has_ended = true;
                continue;
            };
            if io.wait_ns > 0 {
                held_until_ns = now_ns.saturating_add(io.wait_ns);
                held = Some(Io { wait_ns: 0, ..io });
                events.push(Reverse((held_until_ns, event)));
                continue;
            }
            let queue = event / depth;
            let line = &mut waiting[queue as usize];
            if line.is_empty() {
                match self.submit(now_ns, io, now_ns) {
                    Ok(done_ns) => {
                        events.push(Reverse((done_ns, event)));
                        self.tell(now_ns, source, progress)?;
                        continue;
                    }
                    Err(retry_at_ns) => events.push(Reverse((retry_at_ns, slots + queue))),
                }
            }
            let arrival_ns = now_ns;
            line.push_back((event, Waiting { io, arrival_ns }));
        }
        Ok(())
    }

    /// One queue, served in order: a command starts when it has arrived and the one before was taken on.
    fn open_loop(
        &mut self,
        source: &mut dyn Source,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), SimulatorError> {
        let mut now_ns = self.start_ns;
        while let Some(io) = source.next()? {
            // Without a time of its own it comes with the one before.
            let arrival_ns = io
                .at_ns
                .map_or(now_ns, |at_ns| self.start_ns.saturating_add(at_ns));
            if self.is_over(arrival_ns) {
                break;
            }
            now_ns = now_ns.max(arrival_ns);
            while let Err(retry_at_ns) = self.submit(now_ns, io, arrival_ns) {
                now_ns = retry_at_ns;
            }
            self.tell(now_ns, source, progress)?;
        }
        Ok(())
    }
}
