//! Suites with whole devices and many rounds. None takes half an hour, so that a part of `make test-long` has room for it: where fio covers all of
//! a large or slow drive, each of its engines has a suite of its own.

use crate::kexec;

use super::{
    Length, Suite, ALL_KINDS, FLASH, HOTPLUG, IOMMU, KEY_VALUE, MEMMAP, NUMA, PEER, RESETS, USUAL, ZONED,
};

const REFERENCE: &str = "profile=970pro size=4G cpus=1,2 idle_timeout_us=20";
// Zones that cannot be written to their ends.
const ZONED_CAPACITY: &str = "ns=zn540:1G,optane:80M size=1136M cpus=1,2 idle_timeout_us=20 \
    profile_set=1/zone.size_kib=16384,1/zone.capacity_kib=14336,1/zone.max_open=10,1/zone.max_active=12";
const ZONED_PROTOTYPE: &str = "profile=zns-prototype size=400M cpus=1,2 idle_timeout_us=20";
const ZONED_LARGE: &str = "profile=zn540 size=8G cpus=1,2 idle_timeout_us=20";
const KEY_VALUE_LBAS: &str =
    "profile=kv-prototype size=256M cpus=1,2 idle_timeout_us=20 profile_set=key_value.command_set=nvm";
const SIZE_LONG: &str = "size=1G cpus=1,2 idle_timeout_us=20";
const MEMMAP_LONG: &str = "memmap_start=4G memmap_size=1G cpus=1,2 idle_timeout_us=20";
// What fio covers as a whole: each of its engines takes more than ten minutes for it.
const SIZE_FIO: &str = "size=512M cpus=1,2 idle_timeout_us=20";
const MEMMAP_FIO: &str = "memmap_start=4G memmap_size=512M cpus=1,2 idle_timeout_us=20";
// Without a tick, for which the emulator's usual nohz=off has to go.
const ISOLATED: &str =
    "isolcpus=domain,managed_irq,2-3 nohz_full=2-3 rcu_nocbs=2-3 nohz=on rcupdate.rcu_cpu_stall_timeout=5";
const ALL_BUT_FIO: &[&str] = &[
    "identify",
    "reservations",
    "directives",
    "proc",
    "interrupts",
    "discard",
    "filesystem",
    "reset",
    "idle",
];
const ALL_FLASH_BUT_FIO: &[&str] = &[
    "identify",
    "interrupts",
    "discard",
    "filesystem",
    "reset",
    "idle",
    "flash",
];
const FIO_LIBAIO_LONG: Suite = Suite {
    scripts: &["fio"],
    engines: "libaio",
    length: Length::Long,
    ..USUAL
};
const FIO_URING_LONG: Suite = Suite {
    engines: "io_uring",
    ..FIO_LIBAIO_LONG
};
const LONG: Suite = Suite {
    length: Length::Long,
    ..USUAL
};

pub(super) const SUITES: &[Suite] = &[
    Suite {
        name: "6.1-memmap-long",
        kver: "6.1",
        loaded: false,
        modparams: MEMMAP,
        append: "memmap=256M$4G",
        scripts: &["lifecycle"],
        ..LONG
    },
    Suite {
        name: "6.12-zoned-long",
        modparams: ZONED,
        scripts: &["zones", "zonedfs"],
        ..LONG
    },
    Suite {
        name: "6.1-zoned-long",
        kver: "6.1",
        modparams: ZONED,
        scripts: &["zones", "zonedfs"],
        ..LONG
    },
    Suite {
        name: "6.12-zns-prototype-long",
        modparams: ZONED_PROTOTYPE,
        scripts: &["zones"],
        ..LONG
    },
    Suite {
        name: "6.12-zone-capacity-long",
        modparams: ZONED_CAPACITY,
        scripts: &["zones", "zonedfs"],
        ..LONG
    },
    Suite {
        name: "6.12-zn540-long",
        modparams: ZONED_LARGE,
        scripts: &["zones"],
        ..LONG
    },
    Suite {
        name: "6.1-zn540-long",
        kver: "6.1",
        modparams: ZONED_LARGE,
        scripts: &["zones"],
        ..LONG
    },
    Suite {
        name: "6.12-keyvalue-lbas-long",
        modparams: KEY_VALUE_LBAS,
        scripts: &["keyvalue"],
        ..LONG
    },
    Suite {
        name: "6.12-keyvalue-long",
        modparams: KEY_VALUE,
        scripts: &["keyvalue"],
        ..LONG
    },
    Suite {
        name: "6.12-namespaces-long",
        modparams: ALL_KINDS,
        scripts: &["namespaces"],
        ..LONG
    },
    Suite {
        name: "6.1-namespaces-long",
        kver: "6.1",
        modparams: ALL_KINDS,
        scripts: &["namespaces"],
        ..LONG
    },
    Suite {
        name: "6.12-sweep-long",
        modparams: ALL_KINDS,
        scripts: &["sweep"],
        ..LONG
    },
    Suite {
        name: "6.1-sweep-long",
        kver: "6.1",
        modparams: ALL_KINDS,
        scripts: &["sweep"],
        ..LONG
    },
    Suite {
        name: "6.1-nomsi",
        kver: "6.1",
        append: "pci=nomsi",
        scripts: &["interrupts", "fio"],
        brief: true,
        ..LONG
    },
    Suite {
        name: "6.12-resets-long",
        scripts: RESETS,
        ..LONG
    },
    Suite {
        name: "6.1-resets-long",
        kver: "6.1",
        scripts: RESETS,
        ..LONG
    },
    Suite {
        name: "6.12-resets-flash-long",
        modparams: FLASH,
        scripts: RESETS,
        ..LONG
    },
    Suite {
        name: "6.12-resets-nomsi-long",
        append: "pci=nomsi",
        scripts: RESETS,
        ..LONG
    },
    Suite {
        name: "6.1-peer-long",
        kver: "6.1",
        length: Length::Long,
        ..PEER
    },
    Suite {
        name: "6.12-numa-long",
        length: Length::Long,
        ..NUMA
    },
    Suite {
        name: "6.1-numa-long",
        kver: "6.1",
        length: Length::Long,
        ..NUMA
    },
    Suite {
        name: "6.12-numa-io-long",
        loaded: true,
        added: "cpus=2,3",
        scripts: &["interrupts", "fio", "idle"],
        brief: true,
        length: Length::Long,
        ..NUMA
    },
    Suite {
        name: "6.12-size-long",
        modparams: SIZE_LONG,
        scripts: ALL_BUT_FIO,
        ..LONG
    },
    Suite {
        name: "6.12-size-libaio-long",
        modparams: SIZE_FIO,
        ..FIO_LIBAIO_LONG
    },
    Suite {
        name: "6.12-size-uring-long",
        modparams: SIZE_FIO,
        ..FIO_URING_LONG
    },
    Suite {
        name: "6.1-size-long",
        kver: "6.1",
        modparams: SIZE_LONG,
        scripts: ALL_BUT_FIO,
        ..LONG
    },
    Suite {
        name: "6.1-size-libaio-long",
        kver: "6.1",
        modparams: SIZE_FIO,
        ..FIO_LIBAIO_LONG
    },
    Suite {
        name: "6.1-size-uring-long",
        kver: "6.1",
        modparams: SIZE_FIO,
        ..FIO_URING_LONG
    },
    Suite {
        name: "6.12-lifecycle-long",
        loaded: false,
        modparams: SIZE_LONG,
        scripts: &["lifecycle"],
        ..LONG
    },
    Suite {
        name: "6.1-lifecycle-long",
        kver: "6.1",
        loaded: false,
        modparams: SIZE_LONG,
        scripts: &["lifecycle"],
        ..LONG
    },
    Suite {
        name: "6.12-memmap-long",
        modparams: MEMMAP_LONG,
        append: "memmap=1G$4G",
        scripts: ALL_BUT_FIO,
        ..LONG
    },
    Suite {
        name: "6.12-memmap-libaio-long",
        modparams: MEMMAP_FIO,
        append: "memmap=512M$4G",
        ..FIO_LIBAIO_LONG
    },
    Suite {
        name: "6.12-memmap-uring-long",
        modparams: MEMMAP_FIO,
        append: "memmap=512M$4G",
        ..FIO_URING_LONG
    },
    Suite {
        name: "6.12-reference-long",
        modparams: REFERENCE,
        brief: true,
        scripts: &["identify", "fio", "discard", "filesystem", "reset", "flash"],
        ..LONG
    },
    Suite {
        name: "6.12-flash-long",
        modparams: FLASH,
        scripts: ALL_FLASH_BUT_FIO,
        ..LONG
    },
    Suite {
        name: "6.12-flash-libaio-long",
        modparams: FLASH,
        ..FIO_LIBAIO_LONG
    },
    Suite {
        name: "6.12-flash-uring-long",
        modparams: FLASH,
        ..FIO_URING_LONG
    },
    Suite {
        name: "6.12-iommu-long",
        brief: false,
        length: Length::Long,
        ..IOMMU
    },
    Suite {
        name: "6.1-iommu-long",
        kver: "6.1",
        brief: false,
        length: Length::Long,
        ..IOMMU
    },
    Suite {
        name: "6.12-hotplug-long",
        length: Length::Long,
        ..HOTPLUG
    },
    Suite {
        name: "6.1-hotplug-long",
        kver: "6.1",
        length: Length::Long,
        ..HOTPLUG
    },
    Suite {
        name: "6.12-kexec-long",
        loaded: false,
        scripts: &[kexec::SCRIPT],
        length: Length::Long,
        ..USUAL
    },
    Suite {
        name: "6.12-isolated-long",
        append: ISOLATED,
        scripts: &["isolated"],
        length: Length::Long,
        ..HOTPLUG
    },
];
