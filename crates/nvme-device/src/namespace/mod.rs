//! Namespaces: where their bytes are, how they are cut into LBAs, which model times them.

pub(crate) mod feature;
pub(crate) mod key_value;
pub(crate) mod provisioning;
pub(crate) mod reservations;
pub(crate) mod shared;
pub(crate) mod streams;
pub(crate) mod table;
pub(crate) mod uncorrectable;
pub(crate) mod zoned;

use alloc::sync::Arc;
use core::ops::Range;

use nvme_spec::CommandSet;
use ssd_model::nvm::SharedUnits;
use ssd_model::zoned::ZonedGeometry;
use ssd_model::{namespace_bytes, table_bytes, AnyModel, Model};
use ssd_profile::{NvmParameters, ProfileKind};

use crate::command::lba::{ByteRange, LbaSpace};
use crate::command::transfer::Extents;
use crate::command::zone_transfer::ZoneTransfers;
use crate::namespace::feature::NamespaceFeature;
use crate::namespace::key_value::KeyValue;
use crate::namespace::reservations::Reservations;
use crate::namespace::shared::SharedNamespace;
use crate::namespace::streams::StreamShare;
use crate::namespace::uncorrectable::UncorrectableLbas;
use crate::namespace::zoned::Zoned;
use crate::setup::SetupError;

/// What a namespace is to be.
#[derive(Clone, Copy, Debug)]
pub struct NamespaceConfig {
    /// The kind of drive and its parameters.
    pub kind: ProfileKind,
    /// Largest data transfer: 2^mdts pages of 4 KiB.
    pub mdts: u8,
    /// Bytes per LBA: 512 or 4096.
    pub lba_bytes: u32,
    /// Where the namespace begins on the medium, bytes.
    pub media_offset: u64,
    /// Bytes of the medium that it has, the drive's capacity. What over-provisioning takes, or does not fill a whole LBA, is left over.
    pub media_len_bytes: u64,
}

impl NamespaceConfig {
    /// Bytes of memory for the tables that grow with the size, without which there is no such namespace. To format or sanitize it, as many again are
    /// needed for a moment.
    ///
    /// # Errors
    /// What [`namespace_bytes`] says of a drive that cannot be.
    pub fn table_bytes(&self) -> Result<u64, ssd_model::SetupError> {
        let size_lbas = match self.kind.has_lbas() {
            true => namespace_bytes(&self.kind, self.media_len_bytes)? / u64::from(self.lba_bytes.max(1)),
            false => 0,
        };
        let zones_bytes = match self.kind.zoned() {
            Some(parameters) => {
                let geometry = ZonedGeometry::new(parameters, self.media_len_bytes)?;
                Zoned::table_bytes(parameters, &geometry)
            }
            None => 0,
        };
        let model_bytes = table_bytes(&self.kind, self.media_len_bytes)?;
        Ok(model_bytes + UncorrectableLbas::table_bytes(size_lbas) + zones_bytes)
    }

    /// Gives a drive without flash other timing parameters.
    pub(crate) fn set_nvm_parameters(&mut self, parameters: NvmParameters) {
        if let Some(timing) = self.kind.nvm_mut() {
            *timing = parameters;
        }
    }
}

/// LBA formats on offer, as log2 of their bytes, in the order of Identify Namespace.
pub(crate) const LBA_FORMATS_LOG2: [u8; 2] = [9, 12];

/// A namespace of the running device.
pub(crate) struct Namespace {
    pub nsid: u32,
    /// What its globally unique identifiers are made of: another one for each namespace that ever was.
    pub unique_number: u64,
    /// What it was made of, to make it anew.
    config: NamespaceConfig,
    /// What the host asked for when it had the namespace created: not more, whatever the model makes of the medium.
    asked_bytes: Option<u64>,
    pub lba_log2: u8,
    pub size_lbas: u64,
    pub media_offset: u64,
    pub model: AnyModel,
    /// LBAs that cannot be read; none of a namespace without LBAs.
    pub uncorrectable: UncorrectableLbas,
    pub reservations: Reservations,
    pub streams: StreamShare,
    /// The feature Error Recovery (NVM CS 1.0 §4.1.3.2).
    pub error_recovery: NamespaceFeature,
    /// Where the model's times are while several dispatchers time commands; none of a drive with flash, nor with one dispatcher.
    units: Option<Arc<SharedUnits>>,
    /// What a zoned namespace has besides.
    pub zoned: Option<Zoned>,
    /// What a key-value namespace has besides.
    pub key_value: Option<KeyValue>,
}

/// What a namespace has to know of its device.
#[derive(Clone, Debug)]
pub(crate) struct DeviceTraits {
    pub zone_transfers: Arc<ZoneTransfers>,
    /// Largest data transfer.
    pub transfer_bytes_max: u32,
    /// See [`crate::device::DeviceConfig::hash_seed`].
    pub hash_seed: u64,
    /// Whether several dispatchers may time commands of a namespace at once.
    pub has_several_dispatchers: bool,
}

impl Namespace {
    /// A namespace of `device`, which has been there from the beginning.
    pub fn new(nsid: u32, config: &NamespaceConfig, device: &DeviceTraits) -> Result<Self, SetupError> {
        Self::build(nsid, nsid.into(), config, None, device)
    }

    /// A namespace of `device` with `asked_bytes`.
    pub fn create(
        nsid: u32,
        unique_number: u64,
        config: &NamespaceConfig,
        asked_bytes: u64,
        device: &DeviceTraits,
    ) -> Result<Self, SetupError> {
        Self::build(nsid, unique_number, config, Some(asked_bytes), device)
    }

    /// The same namespace as it was in the beginning, with LBAs of `lba_bytes`.
    pub fn renewed(&self, lba_bytes: u32, device: &DeviceTraits) -> Result<Self, SetupError> {
        let config = NamespaceConfig {
            lba_bytes,
            ..self.config
        };
        Self::build(self.nsid, self.unique_number, &config, self.asked_bytes, device)
    }

    /// Gives a drive without flash other timing parameters, also for when it is made anew.
    pub fn set_nvm_parameters(&mut self, parameters: NvmParameters) {
        self.config.set_nvm_parameters(parameters);
        if let Some(model) = self.model.nvm_mut() {
            model.set_parameters(parameters);
        }
    }

    /// Takes from the namespace in whose place it comes what outlives a format: who may use it, and its features.
    pub fn take_over(&mut self, before: &mut Self) {
        core::mem::swap(&mut self.reservations, &mut before.reservations);
        self.streams = before.streams;
        self.error_recovery = before.error_recovery;
        if let (Some(key_value), Some(before)) = (&mut self.key_value, &before.key_value) {
            key_value.configuration = before.configuration;
        }
    }

    #[inline(never)]
    fn build(
        nsid: u32,
        unique_number: u64,
        config: &NamespaceConfig,
        asked_bytes: Option<u64>,
        device: &DeviceTraits,
    ) -> Result<Self, SetupError> {
        let lba_log2 = LBA_FORMATS_LOG2
            .into_iter()
            .find(|log2| 1 << log2 == config.lba_bytes)
            .ok_or(SetupError::LbaSize(config.lba_bytes))?;
        let bytes = namespace_bytes(&config.kind, config.media_len_bytes)?;
        let size_lbas = asked_bytes.map_or(bytes, |asked_bytes| asked_bytes.min(bytes)) >> lba_log2;
        if size_lbas == 0 || config.media_offset.checked_add(config.media_len_bytes).is_none() {
            return Err(SetupError::NamespaceSize {
                nsid,
                bytes: config.media_len_bytes,
            });
        }
        let model = AnyModel::new(&config.kind, config.media_len_bytes)?;
        let zoned = match (config.kind.zoned(), model.zoned()) {
            (Some(parameters), Some(model)) => Some(Zoned::new(
                parameters,
                *model.geometry(),
                config.media_offset,
                device.zone_transfers.clone(),
            )?),
            _ => None,
        };
        let key_value = match config.kind.key_value() {
            Some(parameters) => Some(KeyValue::new(
                parameters,
                config.media_len_bytes,
                device.hash_seed,
                device.transfer_bytes_max,
            )?),
            None => None,
        };
        let has_lbas = config.kind.has_lbas();
        // The times of a drive without flash, whose dispatchers need nothing else of it.
        let units = match model.nvm() {
            Some(_) if key_value.is_none() && device.has_several_dispatchers => {
                Some(Arc::new(SharedUnits::new()?))
            }
            _ => None,
        };
        Ok(Self {
            nsid,
            unique_number,
            config: *config,
            asked_bytes,
            lba_log2,
            size_lbas,
            media_offset: config.media_offset,
            model,
            uncorrectable: UncorrectableLbas::new(if has_lbas { size_lbas } else { 0 })?,
            reservations: Reservations::new()?,
            streams: StreamShare::default(),
            error_recovery: NamespaceFeature::default(),
            units,
            zoned,
            key_value,
        })
    }

    /// What all dispatchers can time commands with, until [`Namespace::end_sharing`]; nothing if a command may need more than that.
    pub fn share(&self) -> Option<SharedNamespace> {
        let model = self.model.nvm()?;
        let units = self.units.as_ref()?;
        if self.uncorrectable.count() > 0 || !self.reservations.allow_everything() {
            return None;
        }
        model.share(units);
        Some(SharedNamespace {
            space: self.lba_space(),
            media_offset: self.media_offset,
            parameters: *model.parameters(),
            units: units.clone(),
        })
    }

    /// Goes on where those are who shared it.
    pub fn end_sharing(&mut self, shared: &SharedNamespace) {
        if let Some(model) = self.model.nvm_mut() {
            model.take_back(&shared.units);
        }
    }

    /// A controller level reset. A power cycle is one, too.
    pub fn reset(&mut self, is_power_cycle: bool, now_ns: u64) {
        // All fields are named, so that a new one cannot be forgotten here.
        let Self {
            nsid: _,
            unique_number: _,
            config: _,
            asked_bytes: _,
            lba_log2: _,
            size_lbas: _,
            media_offset: _,
            model,
            uncorrectable: _,
            reservations,
            streams,
            error_recovery,
            units: _,
            zoned,
            key_value,
        } = self;
        error_recovery.reset();
        if let Some(key_value) = key_value {
            key_value.reset();
        }
        reservations.reset(is_power_cycle);
        *streams = StreamShare::default();
        if let (Some(zoned), Some(model)) = (zoned, model.zoned_mut()) {
            if is_power_cycle {
                model.power_cycle(now_ns);
                zoned.changed.clear();
            }
            // Notices that the host was not told of are forgotten with the queues.
            zoned.changed.tell_again();
        }
    }

    /// What it was made of.
    pub fn config(&self) -> &NamespaceConfig {
        &self.config
    }

    /// Its part of the medium.
    pub fn media(&self) -> Range<u64> {
        self.media_offset..self.media_offset + self.config.media_len_bytes
    }

    pub fn lba_space(&self) -> LbaSpace {
        LbaSpace {
            lba_log2: self.lba_log2,
            size_lbas: self.size_lbas,
        }
    }

    /// The I/O command set that the namespace speaks.
    pub fn command_set(&self) -> CommandSet {
        self.config.kind.command_set()
    }

    /// Whether the namespace speaks the Key Value Command Set, and so has no LBAs.
    pub fn has_pairs_only(&self) -> bool {
        self.key_value
            .as_ref()
            .is_some_and(|key_value| !key_value.has_lbas())
    }

    /// Whether the Streams Directive can be enabled. Pairs have no use for it, nor have the pages beside them.
    pub fn has_streams(&self) -> bool {
        self.key_value.is_none()
    }

    /// What writes and deallocations are best multiples of: the unit of mapping, or of writing, where there is one.
    pub fn granularity_bytes(&self) -> Option<u64> {
        match &self.zoned {
            Some(zoned) => Some(zoned.zone.write_unit_bytes.into()),
            None => self.model.mapping_unit_bytes(),
        }
    }

    /// Bytes that can be written: fewer than the addresses, if zones are larger than what can be written of them.
    pub fn capacity_bytes(&self) -> u64 {
        match (&self.zoned, &self.key_value) {
            (Some(zoned), _) => zoned.geometry.capacity_bytes(),
            (_, Some(key_value)) if !key_value.has_lbas() => key_value.store.capacity_bytes(),
            _ => self.size_lbas << self.lba_log2,
        }
    }

    /// A read or a write that begins at `slba` comes soon, see [`Model::anticipate`].
    #[inline]
    pub fn anticipate(&self, slba: u64, is_write: bool) {
        self.model.anticipate(slba << self.lba_log2, is_write);
    }

    /// What a read of `range` gets.
    pub fn readable_extents(&self, range: ByteRange) -> Extents {
        let ByteRange {
            offset_bytes,
            len_bytes,
        } = range;
        match (&self.zoned, self.model.zoned()) {
            (Some(zoned), Some(model)) => zoned.readable_extents(model, offset_bytes, len_bytes),
            _ => Extents::whole(self.media_offset + offset_bytes, len_bytes),
        }
    }

    /// The LBAs of `range`.
    pub fn lbas(&self, range: ByteRange) -> Range<u64> {
        self.lba_space().lbas(range)
    }

    /// Index of the format in use.
    pub fn format_index(&self) -> u8 {
        u8::from(self.lba_log2 != LBA_FORMATS_LOG2[0])
    }
}
