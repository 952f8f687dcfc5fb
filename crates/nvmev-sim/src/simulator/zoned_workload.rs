//! Generated workloads on zoned drives: zones are written from their beginnings to their ends, several at a time, and reset when it is their
//! turn again.

use ssd_model::zoned::ZonedModel;
use ssd_model::ZoneState;

use super::error::SimulatorError;
use super::generate::{arrival_ns, done_milli, Random};
use super::source::{Action, Io, Source};

/// Zones that are written at a time unless the workload says otherwise.
const STREAMS_DEFAULT: u32 = 1;

/// What is done to zones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ZoneWrites {
    /// They are written at their write pointers.
    Write,
    /// They are appended to.
    Append,
    /// They are reset, one after another.
    Reset,
}

/// A workload in a zoned drive's terms.
#[derive(Clone, Debug)]
pub(super) struct ZonedWorkload {
    /// Whether blocks to read, and among the zones that are being written the next one, are chosen at random.
    pub is_random: bool,
    pub read_percent: u64,
    pub zone_writes: ZoneWrites,
    /// Zones that are written at a time.
    pub zones: Option<u32>,
    pub block_bytes: u64,
    pub offset_bytes: u64,
    pub span_bytes: u64,
    pub fua: bool,
    pub rate_per_s: Option<u64>,
    pub count: ZonedCount,
}

/// When it ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum ZonedCount {
    Commands(u64),
    /// So many times what can be written of the span's zones, in thousandths; of a reset, so many times each zone.
    SpansMilli(u64),
}

/// A zone that is written, or was and will be again.
#[derive(Clone, Copy, Debug)]
struct Zone {
    start_bytes: u64,
    written_bytes: u64,
    /// Something is in it, which a reset takes away.
    is_used: bool,
    /// It was being written when the phase began.
    is_active: bool,
}

/// The commands of a workload on a zoned drive.
#[derive(Clone, Debug)]
pub(super) struct ZonedGenerator {
    random: Random,
    workload: ZonedWorkload,
    capacity_bytes: u64,
    zones: Vec<Zone>,
    /// For each zone that is written at a time, its place in `zones`, and whether it was begun in this phase.
    streams: Vec<(usize, bool)>,
    /// Zones that an earlier phase was writing, and this one has no use for now: they are reset first, so that they hold nothing that is limited.
    left_over: Vec<usize>,
    /// A write whose zone had to be reset before.
    pending: Option<Io>,
    blocks_per_zone: u64,
    /// Commands so far, resets on the way not among them, and in all.
    index: u64,
    count: u64,
    next_stream: usize,
    next_zone: usize,
    next_block: u64,
}

/// The zones that are written first: those that are being written already go on, then come the first ones of the span.
fn first_streams(zones: &[Zone], streams: usize) -> Vec<(usize, bool)> {
    let of = |is_active| {
        let numbered = zones.iter().enumerate();
        numbered
            .filter(move |(_, zone)| zone.is_active == is_active)
            .map(move |(number, _)| (number, is_active))
    };
    of(true).chain(of(false)).take(streams).collect()
}

/// Zones that are being written beyond those of [`first_streams`].
fn left_over(zones: &[Zone], streams: usize) -> Vec<usize> {
    let active = zones.iter().enumerate().filter(|(_, zone)| zone.is_active);
    active.map(|(number, _)| number).skip(streams).collect()
}

/// Makes sure that the drive has what it takes to write so many zones at a time.
fn check_active(model: &ZonedModel, zones: &[Zone], streams: usize) -> Result<(), String> {
    let (_, active) = model.zones().open_and_active();
    let outside = active as usize - zones.iter().filter(|zone| zone.is_active).count();
    match model.zones().active_limit() {
        Some(limit) if outside + streams > limit as usize => Err(format!(
            "the drive can have {limit} active zones: {streams} are to be written at a time, and {outside} outside of the span are active"
        )),
        _ => Ok(()),
    }
}

impl ZonedGenerator {
    /// # Errors
    /// What does not fit the drive.
    pub fn new(workload: &ZonedWorkload, model: &ZonedModel, seed: u64) -> Result<Self, String> {
        let geometry = model.geometry();
        let zone_bytes = geometry.zone_bytes;
        let unit_bytes = u64::from(model.write_unit_bytes());
        if workload.read_percent < 100
            && workload.zone_writes != ZoneWrites::Reset
            && workload.block_bytes % unit_bytes != 0
        {
            return Err(format!(
                "bs is {} bytes, but this drive is written in multiples of {unit_bytes}: say bs={}k",
                workload.block_bytes,
                unit_bytes.div_ceil(1024)
            ));
        }
        if workload.offset_bytes % zone_bytes != 0 {
            return Err(format!(
                "the span begins at {}, which is not where a zone of {zone_bytes} bytes begins",
                workload.offset_bytes
            ));
        }
        let first = workload.offset_bytes / zone_bytes;
        let zones: Vec<Zone> = (first..first + workload.span_bytes / zone_bytes)
            .filter_map(|number| {
                let zone = model.zones().get(u32::try_from(number).ok()?)?;
                let is_usable = !matches!(zone.state, ZoneState::ReadOnly | ZoneState::Offline);
                is_usable.then_some(Zone {
                    start_bytes: number * zone_bytes,
                    written_bytes: zone.write_pointer,
                    is_used: zone.state != ZoneState::Empty,
                    is_active: zone.state.is_active(),
                })
            })
            .collect();
        let streams = workload.zones.unwrap_or(STREAMS_DEFAULT) as usize;
        let writes = workload.read_percent < 100 && workload.zone_writes != ZoneWrites::Reset;
        if writes {
            check_active(model, &zones, streams)?;
        }
        if zones.len() < streams {
            return Err(format!(
                "the span of {} bytes has {} zones of {zone_bytes} bytes that can be used; {streams} are to be written at a time",
                workload.span_bytes,
                zones.len()
            ));
        }
        let capacity_bytes = geometry.zone_capacity_bytes;
        let blocks_per_zone = capacity_bytes / workload.block_bytes;
        if blocks_per_zone == 0 {
            return Err(format!(
                "bs is {} bytes, but only {capacity_bytes} of a zone can be used",
                workload.block_bytes
            ));
        }
        let per_span = match workload.zone_writes {
            ZoneWrites::Reset => zones.len() as u64,
            // The last command of a zone may be a shorter one.
            _ if workload.read_percent == 0 => {
                zones.len() as u64 * capacity_bytes.div_ceil(workload.block_bytes)
            }
            _ => zones.len() as u64 * blocks_per_zone,
        };
        let first_zones = first_streams(&zones, streams);
        Ok(Self {
            random: Random::new(seed),
            capacity_bytes,
            next_zone: first_zones
                .last()
                .map_or(0, |&(number, _)| (number + 1) % zones.len()),
            streams: first_zones,
            left_over: if writes {
                left_over(&zones, streams)
            } else {
                Vec::new()
            },
            zones,
            pending: None,
            blocks_per_zone,
            index: 0,
            count: match workload.count {
                ZonedCount::Commands(count) => count,
                ZonedCount::SpansMilli(milli) => {
                    u64::try_from(u128::from(per_span) * u128::from(milli) / 1000).unwrap_or(u64::MAX)
                }
            },
            next_stream: 0,
            next_block: 0,
            workload: workload.clone(),
        })
    }

    fn io(&self, action: Action, offset_bytes: u64, len_bytes: u64) -> Io {
        Io {
            at_ns: arrival_ns(self.index, self.workload.rate_per_s),
            wait_ns: 0,
            action,
            offset_bytes,
            len_bytes,
        }
    }

    fn read(&mut self) -> Io {
        let blocks = self.zones.len() as u64 * self.blocks_per_zone;
        let block = if self.workload.is_random {
            self.random.below(blocks)
        } else {
            self.next_block = (self.next_block + 1) % blocks;
            (self.next_block + blocks - 1) % blocks
        };
        let zone = self.zones[(block / self.blocks_per_zone) as usize];
        let in_zone = block % self.blocks_per_zone * self.workload.block_bytes;
        self.io(
            Action::Read,
            zone.start_bytes + in_zone,
            self.workload.block_bytes,
        )
    }

    /// The zone to go on with after `number`: the next one in order that nobody else is writing.
    fn next_zone(&mut self, number: usize) -> usize {
        loop {
            let next = self.next_zone;
            self.next_zone = (next + 1) % self.zones.len();
            if next == number || self.streams.iter().all(|&(other, _)| other != next) {
                return next;
            }
        }
    }

    /// The next write, or the reset that must come before it.
    fn write(&mut self) -> Io {
        let streams = self.streams.len();
        let stream = if self.workload.is_random {
            self.random.below(streams as u64) as usize
        } else {
            self.next_stream = (self.next_stream + 1) % streams;
            (self.next_stream + streams - 1) % streams
        };
        let (mut number, is_begun) = self.streams[stream];
        let is_at_end = self.zones[number].written_bytes >= self.capacity_bytes;
        if is_begun && is_at_end {
            number = self.next_zone(number);
        }
        let begins = !is_begun || is_at_end;
        self.streams[stream] = (number, true);
        let fua = self.workload.fua;
        let capacity_bytes = self.capacity_bytes;
        let zone = &mut self.zones[number];
        let must_reset = begins && zone.is_used;
        if must_reset {
            zone.written_bytes = 0;
        }
        zone.is_used = true;
        let in_zone = zone.written_bytes;
        let len_bytes = self.workload.block_bytes.min(capacity_bytes - in_zone);
        zone.written_bytes += len_bytes;
        let start_bytes = zone.start_bytes;
        let write = match self.workload.zone_writes {
            ZoneWrites::Append => self.io(Action::Append(fua), start_bytes, len_bytes),
            _ => self.io(Action::Write(fua), start_bytes + in_zone, len_bytes),
        };
        if must_reset {
            self.pending = Some(write);
            self.io(Action::Reset, start_bytes, 0)
        } else {
            write
        }
    }
}

impl Source for ZonedGenerator {
    fn next(&mut self) -> Result<Option<Io>, SimulatorError> {
        if let Some(io) = self.pending.take() {
            return Ok(Some(io));
        }
        if let Some(number) = self.left_over.pop() {
            let zone = &mut self.zones[number];
            (zone.written_bytes, zone.is_used) = (0, false);
            let start_bytes = zone.start_bytes;
            return Ok(Some(self.io(Action::Reset, start_bytes, 0)));
        }
        if self.index == self.count {
            return Ok(None);
        }
        let is_read = match self.workload.read_percent {
            100 => true,
            0 => false,
            percent => self.random.below(100) < percent,
        };
        let io = match self.workload.zone_writes {
            ZoneWrites::Reset => {
                let zone = self.zones[(self.index % self.zones.len() as u64) as usize];
                self.io(Action::Reset, zone.start_bytes, 0)
            }
            _ if is_read => self.read(),
            _ => self.write(),
        };
        self.index += 1;
        Ok(Some(io))
    }

    fn progress_milli(&self) -> Option<u64> {
        done_milli(self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use ssd_model::profiles;
    use ssd_profile::Profile;

    use super::super::{Pacing, PhaseReport, Simulator, Workload};

    fn drive(changes: &'static str) -> Simulator {
        let mut profile: Profile<'_> = *profiles::by_name("zn540").unwrap();
        profile
            .set_list("zone.size_kib=1024,zone.capacity_kib=960,zone.dies_per_zone=2,zone.max_open=4,zone.max_active=4")
            .unwrap();
        profile.set_list(changes).unwrap();
        profile.validate().unwrap();
        Simulator::new(&profile.kind, 16 * (960 << 10)).unwrap()
    }

    fn run(drive: &mut Simulator, text: &str) -> PhaseReport {
        let workload = Workload::parse(text).unwrap();
        let mut source = workload
            .generator(drive, 7)
            .map_err(|error| error.to_string())
            .unwrap();
        let pacing: Pacing = workload.pacing();
        drive
            .run(text, &mut *source, pacing, workload.time_limit_ns(), &mut |_| {})
            .unwrap()
    }

    fn commands(report: &PhaseReport, name: &str) -> u64 {
        let mut directions = report.directions.iter();
        directions
            .find(|direction| direction.name == name)
            .map_or(0, |direction| {
                assert_eq!(direction.errors, 0, "{}: {name}", report.name);
                direction.commands
            })
    }

    #[test]
    fn zones_are_written_in_order_and_reset_when_it_is_their_turn_again() {
        let mut drive = drive("");
        // 960 KiB in blocks of 100 KiB: nine, and a shorter one.
        let fill = run(&mut drive, "write:bs=100k,qd=8,zones=4");
        assert_eq!((commands(&fill, "write"), commands(&fill, "reset")), (160, 0));
        let zones = fill.flash.unwrap().zones.unwrap();
        assert_eq!((zones.full, zones.open), (16, 0));
        let again = run(&mut drive, "randwrite:bs=64k,qd=4,zones=2,size=2x");
        assert_eq!(commands(&again, "write"), 480);
        assert!(commands(&again, "reset") >= 16);
        let reads = run(&mut drive, "randread:bs=4k,qd=16,count=5000");
        assert_eq!(commands(&reads, "read"), 5000);
        let mixed = run(&mut drive, "randrw:bs=16k,qd=16,count=5000");
        assert_eq!(commands(&mixed, "read") + commands(&mixed, "write"), 5000);
        let reset = run(&mut drive, "reset");
        assert_eq!(commands(&reset, "reset"), 16);
        assert_eq!(reset.flash.unwrap().zones.unwrap().empty, 16);
    }

    #[test]
    fn a_phase_goes_on_with_what_the_one_before_left_half_written() {
        let mut drive = drive("");
        for text in [
            "randwrite:bs=64k,qd=4,zones=3,count=100",
            "randwrite:bs=64k,qd=4,zones=4,count=200",
            "write:bs=64k,size=1.3x",
            "append:bs=32k,qd=8,zones=4,count=500",
            "write:bs=64k,qd=4,zones=2,span=25%,count=50",
        ] {
            let report = run(&mut drive, text);
            assert!(commands(&report, "write") > 0, "{text}");
        }
    }

    #[test]
    fn appends_need_no_order_and_may_come_from_several_queues() {
        let mut drive = drive("");
        let appends = run(&mut drive, "append:bs=32k,qd=16,queues=4,zones=4,size=3x");
        assert_eq!(commands(&appends, "write"), 16 * 30 * 3);
        assert_eq!(commands(&appends, "reset"), 16 * 2);
        assert_eq!(appends.directions[0].bytes, 16 * 3 * (960 << 10));
    }

    #[test]
    fn what_does_not_fit_the_drive_is_refused_with_the_reason() {
        let drive = drive("zone.write_unit_bytes=98304");
        for (text, reason) in [
            ("write:bs=64k", "written in multiples of 98304: say bs=96k"),
            ("read:offset=4k", "not where a zone of 1048576 bytes begins"),
            (
                "read:bs=96k,zones=17",
                "has 16 zones of 1048576 bytes that can be used; 17 are to be written at a time",
            ),
            (
                "append:bs=96k,zones=5",
                "can have 4 active zones: 5 are to be written at a time",
            ),
            ("read:bs=1m", "only 983040 of a zone can be used"),
            ("trim", "a zoned drive is not trimmed: its zones are reset"),
            ("write:bs=96k,queues=2", "use append, or one queue"),
            ("randread:hot=80/20", "hot= is not for zoned drives"),
        ] {
            let workload = Workload::parse(text).unwrap();
            let refused = workload
                .generator(&drive, 1)
                .map(|_| "was not refused")
                .unwrap_err();
            assert!(refused.to_string().contains(reason), "{text}: {refused}");
        }
    }
}
