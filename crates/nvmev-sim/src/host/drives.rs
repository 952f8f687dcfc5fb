//! A small drive of each kind of namespace, for tests that are about all of them.

use nvme_device::NamespaceConfig;
use ssd_model::profiles;
use ssd_profile::ProfileKind;

use super::TestHost;

const MEDIA_BYTES: u64 = 4 << 20;
/// Below that there is no room for what the flash translation layer keeps back.
const CONVENTIONAL_MEDIA_BYTES: u64 = 64 << 20;

/// A drive: a built-in profile, and what is changed in it.
#[derive(Clone, Copy, Debug)]
pub struct Drive {
    /// What tests call it.
    pub name: &'static str,
    profile: &'static str,
    changes: &'static str,
}

/// One of each kind.
pub const DRIVES: [Drive; 5] = [
    Drive {
        name: "nvm",
        profile: "optane",
        changes: "mdts=5",
    },
    Drive {
        name: "conventional",
        profile: "970pro",
        changes: "mdts=4",
    },
    // With a few small zones, of every state that a zone can have, and few resources.
    Drive {
        name: "zoned",
        profile: "zn540",
        changes: "mdts=4,zone.size_kib=128,zone.capacity_kib=96,zone.dies_per_zone=2,zone.zasl=3,\
            zone.max_open=3,zone.max_active=4,zone.read_only=1,zone.offline=1,reference_quirks=false",
    },
    Drive {
        name: "key-value",
        profile: "kv-prototype",
        changes: "key_value.value_bytes_max=131072",
    },
    Drive {
        name: "key-value-with-lbas",
        profile: "kv-prototype",
        changes: "key_value.command_set=nvm,key_value.value_bytes_max=131072",
    },
];

impl Drive {
    /// The drive as a namespace at `media_offset`, with LBAs of `lba_bytes`.
    ///
    /// # Panics
    /// If the drive cannot be: never.
    pub fn namespace(&self, lba_bytes: u32, media_offset: u64) -> NamespaceConfig {
        let mut profile = *profiles::by_name(self.profile).expect("a built-in profile");
        profile.set_list(self.changes).expect("parameters that there are");
        profile.validate().expect("a sound profile");
        let media_len_bytes = match profile.kind {
            ProfileKind::Conventional(_) => CONVENTIONAL_MEDIA_BYTES,
            _ => MEDIA_BYTES,
        };
        NamespaceConfig {
            kind: profile.kind,
            mdts: profile.mdts as u8,
            lba_bytes,
            media_offset,
            media_len_bytes,
        }
    }

    /// A host with such a drive alone, not yet enabled.
    pub fn host(&self, lba_bytes: u32, workers: usize) -> TestHost {
        TestHost::with_namespaces(vec![self.namespace(lba_bytes, 0)], workers)
    }
}
