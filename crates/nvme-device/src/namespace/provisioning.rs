//! What namespaces a host can create, and where on the medium there is room for them.
//!
//! A namespace has one stretch of the medium. Room that is there in pieces is not put together: creating a namespace then fails although there is
//! enough of it in all.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::ops::Range;

use nvme_spec::CommandSet;
use ssd_model::{namespace_bytes, profiles};
use ssd_profile::{NvmParameters, ProfileKind};

use crate::namespace::table::NamespaceTable;
use crate::namespace::{DeviceTraits, NamespaceConfig};

/// Namespaces begin at multiples of that.
const ALIGNMENT_BYTES: u64 = 4096;

/// What a namespace of each command set becomes if the device has not begun with one.
const DEFAULT_PROFILES: [(CommandSet, &str); 3] = [
    (CommandSet::NVM, "optane"),
    (CommandSet::ZONED, "zns-prototype"),
    (CommandSet::KEY_VALUE, "kv-prototype"),
];

/// The kind of drive that a namespace of a command set becomes: that of the first such namespace which the device began with, or a built-in one.
#[derive(Debug)]
pub(crate) struct Templates(Vec<NamespaceConfig>);

impl Templates {
    #[inline(never)]
    pub fn new(namespaces: &[NamespaceConfig], has_medium: bool) -> Result<Self, TryReserveError> {
        let mut templates = Vec::new();
        templates.try_reserve_exact(DEFAULT_PROFILES.len())?;
        for (command_set, profile) in DEFAULT_PROFILES {
            let mut namespaces = namespaces.iter();
            let first = namespaces.find(|namespace| namespace.kind.command_set() == command_set);
            let built_in = || {
                profiles::by_name(profile).map(|profile| NamespaceConfig {
                    kind: profile.kind,
                    mdts: profile.mdts as u8,
                    lba_bytes: 0,
                    media_offset: 0,
                    media_len_bytes: 0,
                })
            };
            // Without a medium there is no place for keys.
            if has_medium || command_set != CommandSet::KEY_VALUE {
                templates.extend(first.copied().or_else(built_in));
            }
        }
        Ok(Self(templates))
    }

    pub fn all(&self) -> impl Iterator<Item = &NamespaceConfig> {
        self.0.iter()
    }

    /// Gives drives without flash that will be created other timing parameters.
    pub fn set_nvm_parameters(&mut self, parameters: NvmParameters) {
        for template in &mut self.0 {
            template.set_nvm_parameters(parameters);
        }
    }

    pub fn of(&self, command_set: CommandSet) -> Option<&NamespaceConfig> {
        self.all()
            .find(|template| template.kind.command_set() == command_set)
    }
}

/// What it takes to make a namespace.
pub(crate) struct Provisioning {
    pub templates: Templates,
    pub traits: DeviceTraits,
    pub media_bytes: u64,
    /// Namespaces created so far.
    created: u64,
}

impl Provisioning {
    pub fn new(templates: Templates, traits: DeviceTraits, media_bytes: u64) -> Self {
        Self {
            templates,
            traits,
            media_bytes,
            created: 0,
        }
    }

    /// A number that no namespace had before; those that were there from the beginning have their identifiers for it.
    pub fn unique_number(&mut self, nsid: u32) -> u64 {
        self.created += 1;
        u64::from(nsid) | self.created << 32
    }

    /// Bytes that no namespace has.
    pub fn unallocated_bytes(&self, namespaces: &NamespaceTable) -> u64 {
        let used: u64 = namespaces
            .iter()
            .map(|namespace| namespace.media().end - namespace.media().start)
            .sum();
        self.media_bytes.saturating_sub(used)
    }

    /// Where a namespace of `len_bytes` has room: the first such place.
    pub fn find_room(&self, namespaces: &NamespaceTable, len_bytes: u64) -> Option<u64> {
        // Room begins at 0 or where a namespace ends.
        let ends = namespaces.iter().map(|namespace| namespace.media().end);
        let starts = core::iter::once(0)
            .chain(ends)
            .filter_map(|end| end.checked_next_multiple_of(ALIGNMENT_BYTES));
        let has_room = |&start: &u64| {
            let Some(end) = start.checked_add(len_bytes) else {
                return false;
            };
            let overlaps = |media: Range<u64>| media.start < end && start < media.end;
            end <= self.media_bytes && !namespaces.iter().any(|namespace| overlaps(namespace.media()))
        };
        starts.filter(has_room).min()
    }

    /// The least of the medium that a drive of `kind` makes a namespace of `asked_bytes` of; nothing if the whole medium is not enough.
    pub fn media_len_bytes(&self, kind: &ProfileKind, asked_bytes: u64) -> Option<u64> {
        let is_enough =
            |len_bytes: u64| namespace_bytes(kind, len_bytes).is_ok_and(|bytes| bytes >= asked_bytes);
        // In units: the more of the medium, the more of a namespace, up to a size that is too large for the kind.
        let all = self.media_bytes / ALIGNMENT_BYTES;
        let mut too_few = 0;
        let mut enough = asked_bytes.div_ceil(ALIGNMENT_BYTES).clamp(1, all.max(1));
        while !is_enough(enough * ALIGNMENT_BYTES) {
            if enough >= all {
                return None;
            }
            too_few = enough;
            // An eighth more: what over-provisioning and tables take is within that, or within few of them.
            enough = (enough + enough.div_ceil(8)).min(all);
        }
        while enough - too_few > 1 {
            let middle = too_few + (enough - too_few) / 2;
            if is_enough(middle * ALIGNMENT_BYTES) {
                enough = middle;
            } else {
                too_few = middle;
            }
        }
        Some(enough * ALIGNMENT_BYTES)
    }
}
