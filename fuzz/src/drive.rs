//! The drive that the targets are about: small, with a namespace of each kind.

use std::cell::RefCell;

use nvme_device::NamespaceConfig;
use nvmev_sim::host::{Machine, TestHost};
use ssd_model::{namespace_bytes, profiles};
use ssd_profile::Profile;

/// Bytes of the medium that each namespace has.
const NAMESPACE_BYTES: u64 = 1 << 20;
/// Host memory.
pub const RAM_BYTES: usize = 8 << 20;
/// MDTS: 64 KiB.
pub const MDTS: u8 = 4;
/// Largest transfer.
pub const TRANSFER_BYTES_MAX: usize = 4096 << MDTS;
/// LBAs of a zone.
pub const ZONE_LBAS: u64 = 256;

/// What a namespace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// LBAs.
    Lbas,
    /// Zones.
    Zones,
    /// Keys and values.
    Pairs,
    /// Keys and values by vendor specific commands, and LBAs.
    PairsAndLbas,
}

/// A namespace as its host knows it.
#[derive(Clone, Copy, Debug)]
pub struct Traits {
    /// What it is.
    pub kind: Kind,
    /// Bytes of an LBA.
    pub lba_bytes: u32,
    /// LBAs.
    pub size_lbas: u64,
}

/// The namespaces, from nsid 1 on.
fn profiles_of_namespaces() -> [(Kind, u32, Profile<'static>); 6] {
    let changed = |name: &str, changes: &'static str| {
        let mut profile = *profiles::by_name(name).expect("a built-in profile");
        profile.set_list(changes).expect("values in range");
        profile.validate().expect("a sound profile");
        profile
    };
    let nvm = changed("optane", "mdts=4");
    // One channel each: every channel has a table that takes its time to fill.
    let conventional = changed(
        "tlc-ssd",
        "mdts=4,nand.channels=1,nand.luns_per_channel=2,write_buffer.size_bytes=393216",
    );
    let zoned = changed(
        "zn540",
        "mdts=4,nand.channels=1,nand.luns_per_channel=2,zone.size_kib=128,zone.capacity_kib=96,zone.dies_per_zone=2,\
         zone.max_open=3,zone.max_active=4,zone.descriptor_extension_bytes=64,zone.read_only=1,zone.offline=1,\
         zone.finish_recommended_ms=1,zone.reset_recommended_ms=2,zone.reads_across_zones=true,zrwa.count=2,\
         zrwa.size_bytes=16384,zrwa.granularity_bytes=4096,reference_quirks=false",
    );
    let pairs = "mdts=4,key_value.value_bytes_max=65536,key_value.command_set=key-value";
    let pairs_and_lbas = "mdts=4,key_value.value_bytes_max=65536,key_value.command_set=nvm";
    [
        (Kind::Lbas, 512, nvm),
        (Kind::Lbas, 512, conventional),
        (Kind::Zones, 512, zoned),
        (Kind::Pairs, 512, changed("kv-prototype", pairs)),
        (Kind::PairsAndLbas, 512, changed("kv-prototype", pairs_and_lbas)),
        (Kind::Lbas, 4096, nvm),
    ]
}

struct Plan {
    configs: Vec<NamespaceConfig>,
    traits: Vec<Traits>,
    /// What the last input's host has left, to be wiped.
    machine: Option<Machine>,
}

impl Plan {
    fn new() -> Self {
        let mut configs = Vec::new();
        let mut traits = Vec::new();
        for (media_offset, (kind, lba_bytes, profile)) in (0..)
            .step_by(NAMESPACE_BYTES as usize)
            .zip(profiles_of_namespaces())
        {
            let bytes = namespace_bytes(&profile.kind, NAMESPACE_BYTES).expect("a sound profile");
            configs.push(NamespaceConfig {
                kind: profile.kind,
                mdts: MDTS,
                lba_bytes,
                media_offset,
                media_len_bytes: NAMESPACE_BYTES,
            });
            traits.push(Traits {
                kind,
                lba_bytes,
                size_lbas: bytes / u64::from(lba_bytes),
            });
        }
        Self {
            configs,
            traits,
            machine: None,
        }
    }
}

thread_local! {
    static PLAN: RefCell<Plan> = RefCell::new(Plan::new());
}

/// A new drive with so many dispatchers and workers in a machine that is as good as new, and its namespaces.
pub fn new_drive(dispatchers: usize, workers: usize) -> (TestHost, Vec<Traits>) {
    PLAN.with_borrow_mut(|plan| {
        let media_bytes = plan.configs.len() * NAMESPACE_BYTES as usize;
        let mut machine = plan
            .machine
            .take()
            .unwrap_or_else(|| Machine::new(RAM_BYTES, media_bytes));
        machine.wipe();
        let host = TestHost::in_machine(machine, plan.configs.clone(), dispatchers, workers);
        (host, plan.traits.clone())
    })
}

/// Keeps the machine for the next drive.
pub fn put_away(host: TestHost) {
    PLAN.with_borrow_mut(|plan| plan.machine = Some(host.machine));
}
