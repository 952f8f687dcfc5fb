//! What `make test` does in VMs: which kernel, which machine, which parameters, which scripts of tests/vm.

use std::time::Duration;

use clap::Args;

use crate::catalogue::NEWEST;
use crate::vm::CPUS_USUAL;

mod long;
mod newest;
mod variations;

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
const SIZE: &str = "size=256M cpus=1,2 idle_timeout_us=20";
const MEMMAP: &str = "memmap_start=4G memmap_size=256M cpus=1,2 idle_timeout_us=20";
const FLASH: &str = "profile=tlc-ssd size=256M cpus=1,2 idle_timeout_us=20";
// A socket each. The first one has too little memory for a drive of 1 GiB.
const TWO_NODES: &str = "-smp sockets=2,cores=2,threads=1 \
    -object memory-backend-ram,id=near,size=1G -numa node,nodeid=0,memdev=near -numa cpu,node-id=0,socket-id=0 \
    -object memory-backend-ram,id=far,size=6G -numa node,nodeid=1,memdev=far -numa cpu,node-id=1,socket-id=1";
// The driver describes all data of I/O commands with SGLs, not just long ones.
const SGL_ALWAYS: &str = "nvme.sgl_threshold=1";
// A zoned namespace with small zones for file systems, one without zones, and a small zoned one with worn-out zones.
const ZONED: &str = "ns=zn540:1G,optane:80M,zn540:128M size=1264M cpus=1,2 idle_timeout_us=20 \
    profile_set=1/zone.size_kib=16384,1/zone.max_open=10,1/zone.max_active=12,\
1/zone.descriptor_extension_bytes=64,1/zrwa.count=2,1/zrwa.size_bytes=65536,1/zrwa.granularity_bytes=4096,\
3/zone.size_kib=16384,3/zone.offline=1,3/zone.read_only=1,3/zone.finish_recommended_ms=2000";
const KEY_VALUE: &str = "profile=kv-prototype size=256M cpus=1,2 idle_timeout_us=20";
// A namespace of each kind, and room for others.
const ALL_KINDS: &str =
    "ns=optane:64M,tlc-ssd:128M,zn540:128M,kv-prototype:32M size=512M cpus=1,2 idle_timeout_us=20 \
    profile_set=3/zone.size_kib=16384,3/zone.max_open=2,3/zone.max_active=3";
const NO_DATA: &str = "size=16T data=none cpus=1,2 idle_timeout_us=20";
// Two workers: there may be an engine for one of them alone.
const DMA: &str = "size=256M cpus=1,2,3 idle_timeout_us=20";
const ALL: &[&str] = &[
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
const ALL_FLASH: &[&str] = &[
    "identify",
    "interrupts",
    "fio",
    "discard",
    "filesystem",
    "reset",
    "idle",
    "flash",
];
const ALL_KINDS_SCRIPTS: &[&str] = &["sweep", "namespaces"];
/// In this order: the last one unloads the module.
const RESETS: &[&str] = &["uio", "nvmet", "storm"];
const USUAL: Suite = Suite {
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
const IOMMU: Suite = Suite {
    append: "intel_iommu=on",
    qemuopts: "-machine q35 -device intel-iommu,intremap=on",
    brief: true,
    scripts: &["interrupts", "fio"],
    ..USUAL
};
const LIFECYCLE: Suite = Suite {
    loaded: false,
    scripts: &["lifecycle", "refuse"],
    ..USUAL
};
const AT_ADDRESS: Suite = Suite {
    modparams: MEMMAP,
    append: "memmap=256M$4G",
    scripts: &["identify"],
    brief: true,
    ..USUAL
};
const WITHOUT_DATA: Suite = Suite {
    loaded: false,
    modparams: NO_DATA,
    append: "memmap=16M$4G",
    scripts: &["nodata"],
    ..USUAL
};
const PEER: Suite = Suite {
    // Another PCI function with memory.
    qemuopts: "-object memory-backend-ram,id=peer,size=4M,share=on -device ivshmem-plain,memdev=peer",
    scripts: &["peer"],
    ..USUAL
};
const FAULTS: Suite = Suite {
    // Else the driver waits a minute for each command that a dead controller does not answer.
    append: "nvme_core.io_timeout=5 nvme_core.admin_timeout=5",
    loaded: false,
    scripts: &["faults", "suspend"],
    faults: true,
    ..USUAL
};
/// One CPU more than the module has, so that a thread whose CPU goes offline need not share another one.
const HOTPLUG: Suite = Suite {
    cpus: 4,
    loaded: false,
    scripts: &["hotplug", "hibernate"],
    ..USUAL
};
const NUMA: Suite = Suite {
    cpus: 4,
    loaded: false,
    // The first node is too small to have some of it, so memory that can be had in one piece is there on the second one.
    append: "nokaslr movablecore=3G",
    qemuopts: TWO_NODES,
    scripts: &["numa"],
    ..USUAL
};

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Suite> {
    [SUITES, long::SUITES, variations::SUITES, newest::SUITES]
        .into_iter()
        .flatten()
}

const SUITES: &[Suite] = &[
    Suite {
        name: "6.12-size",
        append: "iomem=relaxed",
        scripts: &[
            "identify",
            "reservations",
            "directives",
            "proc",
            "interrupts",
            "fio",
            "reset",
            "idle",
        ],
        brief: true,
        ..USUAL
    },
    Suite {
        name: "6.12-lifecycle",
        ..LIFECYCLE
    },
    Suite {
        name: "6.1-lifecycle",
        kver: "6.1",
        loaded: false,
        scripts: &["lifecycle"],
        ..USUAL
    },
    Suite {
        name: "6.12-memmap",
        ..AT_ADDRESS
    },
    Suite {
        name: "6.12-nodata",
        ..WITHOUT_DATA
    },
    Suite {
        name: "6.12-flash",
        modparams: FLASH,
        append: SGL_ALWAYS,
        scripts: &["fio", "reset", "flash"],
        brief: true,
        ..USUAL
    },
    Suite {
        name: "6.1-flash",
        kver: "6.1",
        modparams: FLASH,
        append: SGL_ALWAYS,
        scripts: &["interrupts", "discard", "filesystem", "reset"],
        brief: true,
        ..USUAL
    },
    Suite {
        name: "6.12-zoned",
        modparams: ZONED,
        scripts: &["zones"],
        ..USUAL
    },
    Suite {
        name: "6.1-keyvalue",
        kver: "6.1",
        modparams: KEY_VALUE,
        scripts: &["keyvalue"],
        ..USUAL
    },
    // With two dispatchers, here where each kind of drive is.
    Suite {
        name: "6.12-namespaces",
        modparams: ALL_KINDS,
        added: variations::TWO_DISPATCHERS,
        scripts: ALL_KINDS_SCRIPTS,
        ..USUAL
    },
    Suite {
        name: "6.12-iommu",
        ..IOMMU
    },
    // Of the newest kernel what a change there may break: the rest of it is in `make test-long`.
    Suite {
        name: "newest-short",
        kver: NEWEST,
        scripts: &["identify", "interrupts", "fio", "reset", "unload"],
        ..IOMMU
    },
    Suite {
        name: "newest-short-zoned",
        kver: NEWEST,
        modparams: ZONED,
        scripts: &["zones", "unload"],
        ..USUAL
    },
    Suite {
        name: "6.12-nomsi",
        append: "pci=nomsi",
        scripts: &["interrupts"],
        brief: true,
        ..USUAL
    },
    Suite {
        name: "6.12-polled",
        append: "nvme.poll_queues=1",
        scripts: &["polled"],
        ..USUAL
    },
    Suite {
        name: "6.12-resets",
        scripts: RESETS,
        ..USUAL
    },
    Suite {
        name: "6.12-peer",
        ..PEER
    },
    Suite {
        name: "6.12-dma",
        cpus: 4,
        loaded: false,
        modparams: DMA,
        scripts: &["dma"],
        ..USUAL
    },
    Suite {
        name: "6.12-hotplug",
        ..HOTPLUG
    },
    Suite {
        name: "6.12-onecpu-4k",
        cpus: 2,
        modparams: "size=256M cpus=1 lba_size=4096",
        scripts: &["fio"],
        brief: true,
        ..USUAL
    },
    Suite {
        name: "6.12-faults",
        ..FAULTS
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_is_there_and_is_used() {
        let folder = crate::paths::root().join("tests/vm");
        for suite in all() {
            for script in suite.scripts {
                assert!(
                    folder.join(format!("{script}.sh")).is_file(),
                    "{}: no script {script}",
                    suite.name
                );
            }
        }
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if let Some(script) = name.strip_suffix(".sh").filter(|script| *script != "lib") {
                assert!(
                    all().any(|suite| suite.scripts.contains(&script)),
                    "no suite runs {name}"
                );
            }
        }
    }

    #[test]
    fn added_parameters_replace_those_of_the_same_name_and_no_others() {
        assert_eq!(with_added("size=1G cpus=1,2", ""), "size=1G cpus=1,2");
        assert_eq!(
            with_added("size=1G cpus=1,2 ns=a:1", "cpus=1  debug=1"),
            "size=1G ns=a:1 cpus=1 debug=1"
        );
        assert_eq!(
            with_added("size=1G lba_size=512", "lba=1"),
            "size=1G lba_size=512 lba=1"
        );
        assert_eq!(with_added("", "cpus=3"), "cpus=3");
    }

    #[test]
    fn names_are_unique() {
        let mut names = std::collections::BTreeSet::new();
        for suite in all() {
            assert!(names.insert(suite.name), "{} is there twice", suite.name);
        }
    }
}
