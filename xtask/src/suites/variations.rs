//! What the other suites check with a dispatcher and a worker and with interrupts, in other ways: one thread that does both, a dispatcher and
//! two workers, two dispatchers and a worker, doorbells in the BAR alone, queues without interrupts, and all that behind an IOMMU that remaps interrupts.

use super::{
    Length, Suite, ALL_FLASH, ALL_KINDS, ALL_KINDS_SCRIPTS, DMA, FLASH, IOMMU, KEY_VALUE, RESETS, USUAL,
    ZONED,
};

pub(super) const CONVENTIONAL: Suite = Suite {
    modparams: FLASH,
    scripts: ALL_FLASH,
    ..USUAL
};
pub(super) const ZONES: Suite = Suite {
    modparams: ZONED,
    scripts: &["zones", "zonedfs"],
    ..USUAL
};
pub(super) const PAIRS: Suite = Suite {
    modparams: KEY_VALUE,
    scripts: &["keyvalue"],
    ..USUAL
};
pub(super) const NAMESPACES: Suite = Suite {
    modparams: ALL_KINDS,
    scripts: ALL_KINDS_SCRIPTS,
    ..USUAL
};
pub(super) const SEVERAL_HOSTS: Suite = Suite {
    scripts: RESETS,
    ..USUAL
};
/// One queue has no interrupts: a program looks for its completions itself, if it asks for that.
pub(super) const POLLED: Suite = Suite {
    append: "nvme.poll_queues=1",
    scripts: &["interrupts", "fio", "reset"],
    ..USUAL
};
/// Data that a DMA engine copies.
pub(super) const ENGINES: Suite = Suite {
    loaded: false,
    modparams: DMA,
    scripts: &["dma"],
    ..USUAL
};
pub(super) const POLLED_IOMMU: Suite = Suite {
    append: "intel_iommu=on nvme.poll_queues=1",
    ..IOMMU
};

pub(super) const fn varied(name: &'static str, added: &'static str, suite: Suite) -> Suite {
    Suite {
        name,
        added,
        brief: false,
        length: Length::Varied,
        ..suite
    }
}

const fn long(name: &'static str, suite: Suite) -> Suite {
    Suite {
        length: Length::Long,
        ..varied(name, "", suite)
    }
}

const fn on_6_1(suite: Suite) -> Suite {
    Suite { kver: "6.1", ..suite }
}

pub(super) const ONE_CPU: &str = "cpus=1";
const THREE_CPUS: &str = "cpus=1,2,3";
pub(super) const TWO_DISPATCHERS: &str = "dispatchers=2 cpus=1,2,3";
const DOORBELLS_IN_BAR: &str = "shadow_doorbells=0";
const TWO_DISPATCHERS_DOORBELLS_IN_BAR: &str = "dispatchers=2 cpus=1,2,3 shadow_doorbells=0";

// All kinds of drive with two dispatchers are in `make test`.
pub(super) const SUITES: &[Suite] = &[
    varied("6.12-onecpu", ONE_CPU, USUAL),
    varied("6.1-onecpu", ONE_CPU, on_6_1(USUAL)),
    varied("6.12-onecpu-flash", ONE_CPU, CONVENTIONAL),
    varied("6.12-onecpu-zoned", ONE_CPU, ZONES),
    varied("6.12-onecpu-keyvalue", ONE_CPU, PAIRS),
    varied("6.12-onecpu-namespaces", ONE_CPU, NAMESPACES),
    varied("6.12-onecpu-resets", ONE_CPU, SEVERAL_HOSTS),
    varied("6.12-onecpu-iommu", ONE_CPU, IOMMU),
    varied("6.12-onecpu-poll", ONE_CPU, POLLED),
    varied("6.12-threecpus", THREE_CPUS, USUAL),
    varied("6.1-threecpus", THREE_CPUS, on_6_1(USUAL)),
    varied("6.12-threecpus-flash", THREE_CPUS, CONVENTIONAL),
    varied("6.12-threecpus-zoned", THREE_CPUS, ZONES),
    varied("6.12-threecpus-keyvalue", THREE_CPUS, PAIRS),
    varied("6.12-threecpus-namespaces", THREE_CPUS, NAMESPACES),
    varied("6.12-threecpus-resets", THREE_CPUS, SEVERAL_HOSTS),
    varied("6.12-threecpus-iommu", THREE_CPUS, IOMMU),
    varied("6.12-threecpus-poll", THREE_CPUS, POLLED),
    varied("6.12-dispatchers", TWO_DISPATCHERS, USUAL),
    varied("6.1-dispatchers", TWO_DISPATCHERS, on_6_1(USUAL)),
    varied("6.12-dispatchers-flash", TWO_DISPATCHERS, CONVENTIONAL),
    varied("6.12-dispatchers-zoned", TWO_DISPATCHERS, ZONES),
    varied("6.12-dispatchers-keyvalue", TWO_DISPATCHERS, PAIRS),
    varied("6.12-dispatchers-resets", TWO_DISPATCHERS, SEVERAL_HOSTS),
    varied("6.12-dispatchers-iommu", TWO_DISPATCHERS, IOMMU),
    varied("6.12-dispatchers-poll", TWO_DISPATCHERS, POLLED),
    varied(
        "6.12-dispatchers-bar-doorbells",
        TWO_DISPATCHERS_DOORBELLS_IN_BAR,
        CONVENTIONAL,
    ),
    varied("6.12-bar-doorbells", DOORBELLS_IN_BAR, USUAL),
    varied("6.1-bar-doorbells", DOORBELLS_IN_BAR, on_6_1(USUAL)),
    varied("6.12-bar-doorbells-resets", DOORBELLS_IN_BAR, SEVERAL_HOSTS),
    long("6.12-dma-long", ENGINES),
    long("6.1-dma-long", on_6_1(ENGINES)),
    varied("6.12-onecpu-dma", ONE_CPU, ENGINES),
    long("6.12-poll-long", POLLED),
    varied("6.1-poll", "", on_6_1(POLLED)),
    varied("6.12-poll-iommu", "", POLLED_IOMMU),
];
