//! A suite: which machine, which parameters, which scripts.

use crate::vm::CPUS_USUAL;
use clap::Args;
use std::time::Duration;

/// When a suite runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// In `make test`.
    Usual,
    /// In `make test-long` alone, with whole devices and many rounds.
    Long,
    /// In `make test-long` alone, with checks that are as long as in `make test`, and all that fio can do: what is different is how the module or the
    /// driver is set up.
    Varied,
}

impl Length {
    /// Whether it runs in `make test`.
    pub fn is_usual(self) -> bool {
        self == Self::Usual
    }

    /// A VM that takes longer hangs.
    pub fn timeout(self) -> Duration {
        let minutes = match self {
            Self::Usual => 10,
            Self::Varied => 30,
            Self::Long => 60,
        };
        Duration::from_secs(minutes * 60)
    }
}

/// What all suites get beside their own settings: `make test-vm SUITE=6.12-size ADD='cpus=1'`.
#[derive(Args, Debug, Default)]
pub struct Added {
    /// More parameters for the module, instead of the suite's of the same name
    #[arg(
        id = "add",
        long = "add",
        allow_hyphen_values = true,
        env = "NVMEV_ADD",
        default_value = ""
    )]
    pub modparams: String,
    /// More parameters for the guest's kernel
    #[arg(long, allow_hyphen_values = true, env = "NVMEV_APPEND", default_value = "")]
    pub append: String,
    /// More options for QEMU
    #[arg(long, allow_hyphen_values = true, env = "NVMEV_QEMUOPTS", default_value = "")]
    pub qemuopts: String,
}

/// The parameters of a module with those in `added`, which take the place of those of the same name.
pub fn with_added(modparams: &str, added: &str) -> String {
    let name = |parameter: &str| parameter.split('=').next().map(str::to_owned);
    let is_kept = |parameter: &&str| added.split_whitespace().all(|new| name(new) != name(parameter));
    let kept = modparams.split_whitespace().filter(is_kept);
    kept.chain(added.split_whitespace()).collect::<Vec<_>>().join(" ")
}

/// One VM.
pub struct Suite {
    /// As printed, and as `make test-vm SUITE=` selects it, by its start.
    pub name: &'static str,
    /// The kernel, one of [`crate::kernels::SERIES`].
    pub kver: &'static str,
    /// Number of CPUs; more if the parameters name more.
    pub cpus: u32,
    /// Whether the module is loaded before the scripts start; else they do it themselves, with the same parameters.
    pub loaded: bool,
    /// The module's parameters.
    pub modparams: &'static str,
    /// Parameters instead of those of the same name there.
    pub added: &'static str,
    /// Added to the kernel's command line.
    pub append: &'static str,
    /// Added to QEMU's options.
    pub qemuopts: &'static str,
    /// Scripts in tests/vm, without `.sh`, in the order to run them.
    pub scripts: &'static [&'static str],
    /// Whether fio takes the short version.
    pub brief: bool,
    /// The engines that fio takes, of those in tests/vm/fio.sh; empty: all.
    pub engines: &'static str,
    /// Whether the module is built with the faults that tests can ask for.
    pub faults: bool,
    /// When it runs.
    pub length: Length,
}

// Under emulation three busy CPUs share two cores, and whoever polls takes the time of the one that has something to do.
// So the module's threads sleep soon here; 6.12-onecpu-4k has the usual time instead.
pub(crate) const SIZE: &str = "size=256M cpus=1,2 idle_timeout_us=20";

pub(crate) const MEMMAP: &str = "memmap_start=4G memmap_size=256M cpus=1,2 idle_timeout_us=20";

pub(crate) const FLASH: &str = "profile=tlc-ssd size=256M cpus=1,2 idle_timeout_us=20";

// A socket each. The first one has too little memory for a drive of 1 GiB.
pub(crate) const TWO_NODES: &str = "-smp sockets=2,cores=2,threads=1 \
    -object memory-backend-ram,id=near,size=1G -numa node,nodeid=0,memdev=near -numa cpu,node-id=0,socket-id=0 \
    -object memory-backend-ram,id=far,size=6G -numa node,nodeid=1,memdev=far -numa cpu,node-id=1,socket-id=1";
// The driver describes all data of I/O commands with SGLs, not just long ones.
pub(crate) const SGL_ALWAYS: &str = "nvme.sgl_threshold=1";
// A zoned namespace with small zones for file systems, one without zones, and a small zoned one with worn-out zones.
pub(crate) const ZONED: &str = "ns=zn540:1G,optane:80M,zn540:128M size=1264M cpus=1,2 idle_timeout_us=20 \
    profile_set=1/zone.size_kib=16384,1/zone.max_open=10,1/zone.max_active=12,\
1/zone.descriptor_extension_bytes=64,1/zrwa.count=2,1/zrwa.size_bytes=65536,1/zrwa.granularity_bytes=4096,\
3/zone.size_kib=16384,3/zone.offline=1,3/zone.read_only=1,3/zone.finish_recommended_ms=2000";
pub(crate) const KEY_VALUE: &str = "profile=kv-prototype size=256M cpus=1,2 idle_timeout_us=20";
// A namespace of each kind, and room for others.
pub(crate) const ALL_KINDS: &str =
    "ns=optane:64M,tlc-ssd:128M,zn540:128M,kv-prototype:32M size=512M cpus=1,2 idle_timeout_us=20 \
    profile_set=3/zone.size_kib=16384,3/zone.max_open=2,3/zone.max_active=3";
pub(crate) const NO_DATA: &str = "size=16T data=none cpus=1,2 idle_timeout_us=20";
// Two workers: there may be an engine for one of them alone.
pub(crate) const DMA: &str = "size=256M cpus=1,2,3 idle_timeout_us=20";
pub(crate) const ALL: &[&str] = &[
    "identify",
    "reservations",
    "directives",
    "proc",
    "interrupts",
    "fio",
    "discard",
    "filesystem",
    "reset",
    "idle",
];

pub(crate) const ALL_FLASH: &[&str] = &[
    "identify",
    "interrupts",
    "fio",
    "discard",
    "filesystem",
    "reset",
    "idle",
    "flash",
];

pub(crate) const ALL_KINDS_SCRIPTS: &[&str] = &["sweep", "namespaces"];

/// In this order: the last one unloads the module.
pub(crate) const RESETS: &[&str] = &["uio", "nvmet", "storm"];

pub(crate) const USUAL: Suite = Suite {
    name: "",
    kver: "6.12",
    cpus: CPUS_USUAL,
    loaded: true,
    modparams: SIZE,
    added: "",
    append: "",
    qemuopts: "",
    scripts: ALL,
    brief: false,
    engines: "",
    faults: false,
    length: Length::Usual,
};

pub(crate) const IOMMU: Suite = Suite {
    append: "intel_iommu=on",
    qemuopts: "-machine q35 -device intel-iommu,intremap=on",
    brief: true,
    scripts: &["interrupts", "fio"],
    ..USUAL
};

pub(crate) const LIFECYCLE: Suite = Suite {
    loaded: false,
    scripts: &["lifecycle", "refuse"],
    ..USUAL
};

pub(crate) const AT_ADDRESS: Suite = Suite {
    modparams: MEMMAP,
    append: "memmap=256M$4G",
    scripts: &["identify"],
    brief: true,
    ..USUAL
};

pub(crate) const WITHOUT_DATA: Suite = Suite {
    loaded: false,
    modparams: NO_DATA,
    append: "memmap=16M$4G",
    scripts: &["nodata"],
    ..USUAL
};

pub(crate) const PEER: Suite = Suite {
    // Another PCI function with memory.
    qemuopts: "-object memory-backend-ram,id=peer,size=4M,share=on -device ivshmem-plain,memdev=peer",
    scripts: &["peer"],
    ..USUAL
};

pub(crate) const FAULTS: Suite = Suite {
    // Else the driver waits a minute for each command that a dead controller does not answer.
    append: "nvme_core.io_timeout=5 nvme_core.admin_timeout=5",
    loaded: false,
    scripts: &["faults", "suspend"],
    faults: true,
    ..USUAL
};

/// One CPU more than the module has, so that a thread whose CPU goes offline need not share another one.
pub(crate) const HOTPLUG: Suite = Suite {
    cpus: 4,
    loaded: false,
    // For a drive in reserved memory, which hibernation would lose as well.
    append: "memmap=32M$4G",
    scripts: &["hotplug", "hibernate"],
    ..USUAL
};

pub(crate) const NUMA: Suite = Suite {
    cpus: 4,
    loaded: false,
    // The first node is too small to have some of it, so memory that can be had in one piece is there on the second one.
    append: "nokaslr movablecore=3G",
    qemuopts: TWO_NODES,
    scripts: &["numa"],
    ..USUAL
};
