//! What `make test` does in VMs: which kernel, which machine, which parameters, which scripts of tests/vm.

use crate::catalogue::NEWEST;

mod long;
mod newest;
mod suite;
mod variations;

pub use suite::{with_added, Added, Length, Suite};
pub(crate) use suite::{
    ALL_FLASH, ALL_KINDS, ALL_KINDS_SCRIPTS, AT_ADDRESS, DMA, FAULTS, FLASH, HOTPLUG, IOMMU, KEY_VALUE,
    LIFECYCLE, MEMMAP, NUMA, PEER, RESETS, SGL_ALWAYS, USUAL, WITHOUT_DATA, ZONED,
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
