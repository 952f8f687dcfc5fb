//! What a trace is replayed against, and which model a trace asks for.

use std::collections::BTreeMap;
use std::fmt;

use nvme_spec::Status;
use ssd_model::conventional::ConventionalModel;
use ssd_model::key_value;
use ssd_model::nvm::NvmModel;
use ssd_model::zoned::ZonedModel;
use ssd_model::{Command, Model, Refusal, ZoneAction};
use ssd_profile::{
    AllocationOrder, ConventionalParameters, FirmwareTimes, FtlParameters, GeometryRule, LinkParameters,
    Mapping, NandParameters, NvmParameters, PageTimes, Timing, VictimPolicy, WriteBufferParameters,
    WriteBufferPolicy, WriteBufferScope, ZoneParameters, ZonedParameters, ZonedWriteBufferParameters,
    ZrwaParameters,
};

use super::request::Request;

/// Size of a logical block in every trace, bytes.
const LBA_BYTES: u64 = 512;

/// Traces that show defects of the reference (Q2 to Q5), which no model of ours repeats (MODELS.md): how many requests they have, and the checksum over
/// all inputs.
const DEFECTS: [(u64, u64); 4] = [
    // zn540_x_mgmt_leak
    (5282, 0x9f9c_6087_8b5e_1edf),
    // znsp_x_append_retry
    (2381, 0x8589_d4e3_f011_4eb0),
    // zn540_x_leak_stall, which has no #end
    (3, 0x802a_225e_50d0_84ba),
    // zn540_x_sub4k
    (4601, 0x3fa3_49c3_9b8b_fec2),
];

/// Whether a trace shows a defect of the reference: one with so many `requests` and the checksum `input` over them.
pub(super) fn shows_a_defect(requests: u64, input: u64) -> bool {
    DEFECTS.contains(&(requests, input))
}

/// What a subject says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done at `done_at_ns`, with success or not.
    Done {
        /// Completion time, ns.
        done_at_ns: u64,
        /// Status code type and status code.
        status: u16,
        /// Command-specific result.
        result: u64,
    },
    /// There is no room now; the request may be put again at `retry_at_ns`. Nothing changed.
    Busy {
        /// Time of the earliest release, ns: later than the time of the call.
        retry_at_ns: u64,
    },
}

/// Something that a trace can be replayed against. It keeps its own list of pending releases, and applies those that
/// are due before it looks at a request.
pub trait Subject {
    /// Takes `request` on at `now_ns`.
    ///
    /// # Errors
    /// The reason why a trace for this subject cannot hold such a request.
    fn submit(&mut self, now_ns: u64, request: &Request) -> Result<Answer, String>;
}

/// A timing model as a [`Subject`]: opcodes become commands, logical blocks become bytes.
#[derive(Clone, Debug)]
pub struct ModelSubject<M>(pub M);

impl<M: Model> ModelSubject<M> {
    fn time(&mut self, now_ns: u64, command: &Command) -> Answer {
        match self.0.submit(now_ns, command) {
            Ok(accepted) => Answer::Done {
                done_at_ns: accepted.done_at_ns,
                status: Status::SUCCESSFUL_COMPLETION.0,
                result: accepted.result,
            },
            Err(Refusal::Busy { retry_at_ns }) => Answer::Busy { retry_at_ns },
            Err(Refusal::Failed(status)) => Answer::Done {
                done_at_ns: now_ns,
                status: status.0,
                result: 0,
            },
            Err(Refusal::FailedLate { status, done_at_ns }) => Answer::Done {
                done_at_ns,
                status: status.0,
                result: 0,
            },
        }
    }
}

impl<M: Model> Subject for ModelSubject<M> {
    fn submit(&mut self, now_ns: u64, request: &Request) -> Result<Answer, String> {
        Ok(self.time(now_ns, &command(request)?))
    }
}

/// A zoned drive as a [`Subject`]: what the reference's dispatcher did around its model is done here.
#[derive(Clone, Debug)]
pub struct ZonedSubject(pub ZonedModel);

impl ZonedSubject {
    /// Zone Management Receive takes no time. The reference lists all zones, and refuses everything else.
    fn receive(&self, request: &Request) -> Status {
        let is_inside = request
            .slba
            .checked_mul(LBA_BYTES)
            .is_some_and(|offset_bytes| offset_bytes < self.0.geometry().namespace_bytes());
        if request.zsa == 0 && is_inside {
            Status::SUCCESSFUL_COMPLETION
        } else {
            Status::INVALID_FIELD_IN_COMMAND
        }
    }

    /// The LBA that an append is given, or would be if it did not fail.
    fn append_lba(&self, offset_bytes: u64) -> u64 {
        let geometry = self.0.geometry();
        geometry.locate(offset_bytes).map_or(0, |(zone, _)| {
            let write_pointer = self.0.zones().get(zone).map_or(0, |zone| zone.write_pointer);
            (geometry.zone_start(zone) + write_pointer) / LBA_BYTES
        })
    }
}

impl Subject for ZonedSubject {
    fn submit(&mut self, now_ns: u64, request: &Request) -> Result<Answer, String> {
        let done = |status: Status| Answer::Done {
            done_at_ns: now_ns,
            status: status.0,
            result: 0,
        };
        let command = match request.opcode {
            121 => match zone_send(request)? {
                Some(command) => command,
                // With "select all" the reference takes actions that it does not know for no zone at all.
                None => return Ok(done(Status::SUCCESSFUL_COMPLETION)),
            },
            122 => return Ok(done(self.receive(request))),
            125 => {
                let (offset_bytes, len_bytes) = in_bytes(request)?;
                let fua = request.fua;
                Command::Append {
                    offset_bytes,
                    len_bytes,
                    fua,
                }
            }
            _ => command(request)?,
        };
        let append_lba = match command {
            Command::Append { offset_bytes, .. } => self.append_lba(offset_bytes),
            _ => 0,
        };
        Ok(match self.0.submit(now_ns, &command) {
            Ok(accepted) => Answer::Done {
                done_at_ns: accepted.done_at_ns,
                status: Status::SUCCESSFUL_COMPLETION.0,
                result: append_lba,
            },
            Err(Refusal::Busy { retry_at_ns }) => Answer::Busy { retry_at_ns },
            Err(Refusal::Failed(status)) => Answer::Done {
                done_at_ns: now_ns,
                status: status.0,
                result: append_lba,
            },
            Err(Refusal::FailedLate { status, done_at_ns }) => Answer::Done {
                done_at_ns,
                status: status.0,
                result: append_lba,
            },
        })
    }
}

/// Whether only traces of key-value drives have requests with `opcode`: store, retrieve, delete, exist.
pub(super) const fn is_of_key_value(opcode: u8) -> bool {
    matches!(opcode, 129 | 144 | 161 | 179)
}

/// A drive without flash. A key-value drive is one with vendor specific commands, timed by the length of their values: its parameters are the same, and
/// only its requests tell that it is one.
struct WithoutFlash(ModelSubject<NvmModel>);

impl Subject for WithoutFlash {
    fn submit(&mut self, now_ns: u64, request: &Request) -> Result<Answer, String> {
        // The column has the value's length in bytes here.
        let value_bytes = request.nlb;
        match request.opcode {
            129 => Ok(self.0.time(now_ns, &key_value::store_command(value_bytes))),
            144 => Ok(self.0.time(now_ns, &key_value::retrieve_command(value_bytes))),
            161 | 179 => Ok(Answer::Done {
                done_at_ns: now_ns,
                status: Status::SUCCESSFUL_COMPLETION.0,
                result: 0,
            }),
            _ => self.0.submit(now_ns, request),
        }
    }
}

/// The command of a Zone Management Send; nothing for one that does nothing.
fn zone_send(request: &Request) -> Result<Option<Command>, String> {
    let (offset_bytes, _) = in_bytes(request)?;
    let action = match request.zsa {
        1 => ZoneAction::Close,
        2 => ZoneAction::Finish,
        3 => ZoneAction::Open { with_zrwa: false },
        4 => ZoneAction::Reset,
        5 => ZoneAction::Offline,
        17 if request.all => return Ok(None),
        17 => ZoneAction::FlushZrwa { len_bytes: LBA_BYTES },
        other => return Err(format!("zsa {other} is no action that traces have")),
    };
    Ok(Some(if request.all {
        Command::ZoneSendAll { action }
    } else {
        Command::ZoneSend { offset_bytes, action }
    }))
}

fn in_bytes(request: &Request) -> Result<(u64, u32), String> {
    let (slba, nlb) = (request.slba, request.nlb);
    let offset_bytes = slba
        .checked_mul(LBA_BYTES)
        .ok_or_else(|| format!("slba is {slba}, which is past 2^64 bytes"))?;
    let len_bytes = u32::try_from(u64::from(nlb) * LBA_BYTES)
        .map_err(|_| format!("nlb is {nlb}, which is 4 GiB or more"))?;
    Ok((offset_bytes, len_bytes))
}

fn command(request: &Request) -> Result<Command, String> {
    let Request { opcode, fua, .. } = *request;
    let in_bytes = || in_bytes(request);
    match opcode {
        0 => Ok(Command::Flush),
        1 => in_bytes().map(|(offset_bytes, len_bytes)| Command::Write {
            offset_bytes,
            len_bytes,
            fua,
        }),
        2 => in_bytes().map(|(offset_bytes, len_bytes)| Command::Read {
            offset_bytes,
            len_bytes,
        }),
        _ => Err(format!(
            "opcode {opcode} is none that this kind of drive knows (0 flush, 1 write, 2 read)"
        )),
    }
}

/// The `#param` lines of a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters(BTreeMap<String, u64>);

impl Parameters {
    /// Adds a parameter; false if it was there already.
    pub(super) fn insert(&mut self, key: String, value: u64) -> bool {
        self.0.insert(key, value).is_none()
    }

    /// The parameter `key`.
    pub fn get(&self, key: &str) -> Option<u64> {
        self.0.get(key).copied()
    }

    /// The parameter `key` as 32 bits.
    ///
    /// # Errors
    /// A reason that names the parameter if it is missing or too large.
    pub fn get_u32(&self, key: &str) -> Result<u32, String> {
        let value = self
            .get(key)
            .ok_or_else(|| format!("the model needs #param,{key}, which is missing"))?;
        u32::try_from(value).map_err(|_| format!("#param,{key} is {value}: at most {} is possible", u32::MAX))
    }
}

/// A kind of drive that traces exist of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No flash behind it (MODELS.md §4).
    Nvm,
    /// Flash behind a page-mapping translation layer (MODELS.md §5).
    Conventional,
    /// Zoned namespaces (MODELS.md §6).
    Zoned,
    /// Key-value (MODELS.md §7).
    KeyValue,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Nvm => "nvm",
            Self::Conventional => "conventional",
            Self::Zoned => "zoned",
            Self::KeyValue => "key-value",
        })
    }
}

/// What stands at the head of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceHeader {
    /// The trace's own name.
    pub name: String,
    /// Kind of drive.
    pub kind: Kind,
    /// The drive's parameters.
    pub parameters: Parameters,
}

impl TraceHeader {
    /// Finds out the kind. The parameters tell it but for one pair: a key-value drive has those of an NVM drive, and is
    /// taken for one until its first command of keys and values.
    pub(super) fn new(name: String, parameters: Parameters) -> Result<Self, String> {
        let has = |key| parameters.get(key).is_some();
        let kind = if has("zones") {
            Kind::Zoned
        } else if has("ftl_instances") {
            Kind::Conventional
        } else if has("io_units") {
            Kind::Nvm
        } else {
            return Err(
                "no kind of drive has these parameters: none of #param,zones, ftl_instances, io_units"
                    .to_owned(),
            );
        };
        Ok(Self {
            name,
            kind,
            parameters,
        })
    }
}

/// The model that a trace asks for, made from the trace's own parameters.
///
/// # Errors
/// A reason that names the parameter which is missing or out of range.
pub fn subject_for(header: &TraceHeader) -> Result<Box<dyn Subject>, String> {
    let parameters = &header.parameters;
    Ok(match header.kind {
        Kind::Nvm | Kind::KeyValue => {
            let model = NvmModel::new(nvm_parameters(parameters)?).map_err(|error| error.to_string())?;
            Box::new(WithoutFlash(ModelSubject(model)))
        }
        Kind::Conventional => {
            let capacity_bytes = physical_bytes(parameters)?;
            let model = ConventionalModel::new(&conventional_parameters(parameters)?, capacity_bytes)
                .map_err(|error| error.to_string())?;
            Box::new(ModelSubject(model))
        }
        Kind::Zoned => {
            let capacity_bytes = physical_bytes(parameters)?;
            let model = ZonedModel::new(&zoned_parameters(parameters)?, capacity_bytes)
                .map_err(|error| error.to_string())?;
            Box::new(ZonedSubject(model))
        }
    })
}

fn nvm_parameters(parameters: &Parameters) -> Result<NvmParameters, String> {
    let timing = |direction: &str| {
        Ok::<_, String>(Timing {
            delay_ns: parameters.get_u32(&format!("{direction}_delay_ns"))?,
            time_ns: parameters.get_u32(&format!("{direction}_time_ns"))?,
            trailing_ns: parameters.get_u32(&format!("{direction}_trailing_ns"))?,
        })
    };
    Ok(NvmParameters {
        io_units: parameters.get_u32("io_units")?,
        io_unit_shift: parameters.get_u32("io_unit_shift")?,
        read: timing("read")?,
        write: timing("write")?,
        // The traces were made by the reference.
        reference_quirks: true,
    })
}

fn physical_bytes(parameters: &Parameters) -> Result<u64, String> {
    parameters
        .get("physical_bytes")
        .ok_or_else(|| "the model needs #param,physical_bytes, which is missing".to_owned())
}

/// A parameter that counts mapping pages, in bytes; multiplied so that a wrong trace is refused by the model and does not overflow here.
fn pages(parameters: &Parameters, key: &str) -> Result<u32, String> {
    Ok(parameters.get_u32(key)?.saturating_mul(4096))
}

/// The flash of a drive with `channels`.
fn nand_parameters(parameters: &Parameters, channels: u32) -> Result<NandParameters, String> {
    let get = |key| parameters.get_u32(key);
    let cell_bits = get("cell_mode")?;
    let page_times = |prefix: &str| {
        let mut times = PageTimes::default();
        for (slot, page) in times
            .ns
            .iter_mut()
            .zip(["lsb", "msb", "csb"])
            .take(cell_bits as usize)
        {
            *slot = parameters.get_u32(&format!("{prefix}_{page}"))?;
            times.count += 1;
        }
        Ok::<_, String>(times)
    };
    Ok(NandParameters {
        channels,
        luns_per_channel: get("luns_per_channel")?,
        flash_page_bytes: pages(parameters, "pages_per_flash_page")?,
        oneshot_page_bytes: pages(parameters, "pages_per_oneshot_page")?,
        cell_bits,
        read_4k_ns: page_times("read_4k_ns")?,
        read_ns: page_times("read_ns")?,
        program_ns: get("program_ns")?,
        erase_ns: get("erase_ns")?,
        channel_mib_per_s: get("channel_mb_per_s")?,
        channel_transfer_bytes_max: get("max_channel_xfer_bytes")?,
        channel_firmware_ns_per_4k: get("fw_channel_xfer_ns_per_4k")?,
    })
}

/// Firmware times of a drive whose small reads have up to `small_read_bytes_max`.
fn firmware_times(parameters: &Parameters, small_read_bytes_max: u32) -> Result<FirmwareTimes, String> {
    let get = |key| parameters.get_u32(key);
    Ok(FirmwareTimes {
        small_read_bytes_max,
        small_read_ns: get("fw_4k_read_ns")?,
        read_ns: get("fw_read_ns")?,
        write_ns: get("fw_wbuf_ns0")?,
        write_ns_per_4k: get("fw_wbuf_ns1_per_4k")?,
    })
}

/// What a trace does not say is what the reference has for every drive of this kind.
fn conventional_parameters(parameters: &Parameters) -> Result<ConventionalParameters, String> {
    let get = |key| parameters.get_u32(key);
    let ftl_instances = get("ftl_instances")?;
    let channels = get("channels_per_instance")?.saturating_mul(ftl_instances);
    Ok(ConventionalParameters {
        nand: nand_parameters(parameters, channels)?,
        link: LinkParameters {
            mib_per_s: get("pcie_mb_per_s")?,
        },
        firmware: firmware_times(parameters, 4 * 4096)?,
        write_buffer: WriteBufferParameters {
            size_bytes: get("global_write_buffer_bytes")?,
            policy: WriteBufferPolicy::Bytes,
            early_completion: get("write_early_completion")? != 0,
        },
        ftl: FtlParameters {
            partitions: ftl_instances,
            over_provisioning_percent: get("op_percent")?,
            geometry: GeometryRule::Reference,
            blocks_per_lun: get("blocks_per_plane")?,
            gc_free_lines_min: get("gc_threshold_lines_high")?,
            mapping: Mapping::Page,
            allocation: AllocationOrder::ChannelFirst,
            victim: VictimPolicy::Greedy,
        },
        // The traces were made by the reference.
        reference_quirks: true,
    })
}

/// See [`conventional_parameters`].
fn zoned_parameters(parameters: &Parameters) -> Result<ZonedParameters, String> {
    let get = |key| parameters.get_u32(key);
    let zone_bytes = parameters
        .get("zone_bytes")
        .ok_or("the model needs #param,zone_bytes, which is missing")?;
    let (size_bytes, scope) = match get("zone_write_buffer_bytes")? {
        0 => (get("global_write_buffer_bytes")?, WriteBufferScope::Shared),
        per_zone => (per_zone, WriteBufferScope::PerZone),
    };
    Ok(ZonedParameters {
        nand: nand_parameters(parameters, get("channels_per_instance")?)?,
        link: LinkParameters {
            mib_per_s: get("pcie_mb_per_s")?,
        },
        firmware: firmware_times(parameters, 4096)?,
        write_buffer: ZonedWriteBufferParameters {
            size_bytes,
            scope,
            early_completion: get("write_early_completion")? != 0,
        },
        zone: ZoneParameters {
            size_kib: u32::try_from(zone_bytes / 1024).map_err(|error| error.to_string())?,
            dies_per_zone: get("dies_per_zone")?,
            write_unit_bytes: get("write_unit_bytes")?,
            max_open: get("max_open_zones")?,
            max_active: get("max_active_zones")?,
            ..ZoneParameters::default()
        },
        zrwa: ZrwaParameters::default(),
        reference_quirks: true,
    })
}
