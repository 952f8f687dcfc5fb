//! What the other suites check with a dispatcher and a worker and with interrupts, in other ways: one thread that does both, a dispatcher and
//! two workers, two dispatchers and a worker, doorbells in the BAR alone, queues without interrupts, and all that behind an IOMMU that remaps interrupts.

use super::{
    Length, Suite, ALL_FLASH, ALL_KINDS, ALL_KINDS_SCRIPTS, DMA, FLASH, IOMMU, KEY_VALUE, RESETS, SIZE_LONG,
    USUAL, ZONED,
};

const SIMPLE: Suite = Suite {
    modparams: SIZE_LONG,
    ..USUAL
};
const CONVENTIONAL: Suite = Suite {
    modparams: FLASH,
    scripts: ALL_FLASH,
    ..USUAL
};
const ZONES: Suite = Suite {
    modparams: ZONED,
    scripts: &["zones", "zonedfs"],
    ..USUAL
};
const PAIRS: Suite = Suite {
    modparams: KEY_VALUE,
    scripts: &["keyvalue"],
    ..USUAL
};
const NAMESPACES: Suite = Suite {
    modparams: ALL_KINDS,
    scripts: ALL_KINDS_SCRIPTS,
    ..USUAL
};
const SEVERAL_HOSTS: Suite = Suite {
    scripts: RESETS,
    ..USUAL
};
/// One queue has no interrupts: a program looks for its completions itself, if it asks for that.
const POLLED: Suite = Suite {
    append: "nvme.poll_queues=1",
    scripts: &["interrupts", "fio", "reset"],
    ..USUAL
};
/// Data that a DMA engine copies.
const ENGINES: Suite = Suite {
    loaded: false,
    modparams: DMA,
    scripts: &["dma"],
    ..USUAL
};
const POLLED_IOMMU: Suite = Suite {
    append: "intel_iommu=on nvme.poll_queues=1",
    ..IOMMU
};

const fn varied(name: &'static str, added: &'static str, suite: Suite) -> Suite {
    Suite {
        name,
        added,
        brief: false,
        length: Length::Long,
        ..suite
    }
}

const fn on_6_1(suite: Suite) -> Suite {
    Suite { kver: "6.1", ..suite }
}

const ONE_CPU: &str = "cpus=1";
const THREE_CPUS: &str = "cpus=1,2,3";
pub(super) const TWO_DISPATCHERS: &str = "dispatchers=2 cpus=1,2,3";
const DOORBELLS_IN_BAR: &str = "shadow_doorbells=0";
const TWO_DISPATCHERS_DOORBELLS_IN_BAR: &str = "dispatchers=2 cpus=1,2,3 shadow_doorbells=0";

pub(super) const SUITES: &[Suite] = &[
    varied("6.12-onecpu-long", ONE_CPU, SIMPLE),
    varied("6.1-onecpu-long", ONE_CPU, on_6_1(SIMPLE)),
    varied("6.12-onecpu-flash-long", ONE_CPU, CONVENTIONAL),
    varied("6.12-onecpu-zoned-long", ONE_CPU, ZONES),
    varied("6.12-onecpu-keyvalue-long", ONE_CPU, PAIRS),
    varied("6.12-onecpu-namespaces-long", ONE_CPU, NAMESPACES),
    varied("6.12-onecpu-resets-long", ONE_CPU, SEVERAL_HOSTS),
    varied("6.12-onecpu-iommu-long", ONE_CPU, IOMMU),
    varied("6.12-onecpu-poll-long", ONE_CPU, POLLED),
    varied("6.12-threecpus-long", THREE_CPUS, SIMPLE),
    varied("6.1-threecpus-long", THREE_CPUS, on_6_1(SIMPLE)),
    varied("6.12-threecpus-flash-long", THREE_CPUS, CONVENTIONAL),
    varied("6.12-threecpus-zoned-long", THREE_CPUS, ZONES),
    varied("6.12-threecpus-keyvalue-long", THREE_CPUS, PAIRS),
    varied("6.12-threecpus-namespaces-long", THREE_CPUS, NAMESPACES),
    varied("6.12-threecpus-resets-long", THREE_CPUS, SEVERAL_HOSTS),
    varied("6.12-threecpus-iommu-long", THREE_CPUS, IOMMU),
    varied("6.12-threecpus-poll-long", THREE_CPUS, POLLED),
    varied("6.12-dispatchers-long", TWO_DISPATCHERS, SIMPLE),
    varied("6.1-dispatchers-long", TWO_DISPATCHERS, on_6_1(SIMPLE)),
    varied("6.12-dispatchers-flash-long", TWO_DISPATCHERS, CONVENTIONAL),
    varied("6.12-dispatchers-zoned-long", TWO_DISPATCHERS, ZONES),
    varied("6.12-dispatchers-keyvalue-long", TWO_DISPATCHERS, PAIRS),
    varied("6.12-dispatchers-namespaces-long", TWO_DISPATCHERS, NAMESPACES),
    varied("6.12-dispatchers-resets-long", TWO_DISPATCHERS, SEVERAL_HOSTS),
    varied("6.12-dispatchers-iommu-long", TWO_DISPATCHERS, IOMMU),
    varied("6.12-dispatchers-poll-long", TWO_DISPATCHERS, POLLED),
    varied(
        "6.12-dispatchers-bar-doorbells-long",
        TWO_DISPATCHERS_DOORBELLS_IN_BAR,
        CONVENTIONAL,
    ),
    varied("6.12-bar-doorbells-long", DOORBELLS_IN_BAR, SIMPLE),
    varied("6.1-bar-doorbells-long", DOORBELLS_IN_BAR, on_6_1(SIMPLE)),
    varied("6.12-bar-doorbells-resets-long", DOORBELLS_IN_BAR, SEVERAL_HOSTS),
    varied("6.12-dma-long", "", ENGINES),
    varied("6.1-dma-long", "", on_6_1(ENGINES)),
    varied("6.12-onecpu-dma-long", ONE_CPU, ENGINES),
    varied("6.12-poll-long", "", POLLED),
    varied("6.1-poll-long", "", on_6_1(POLLED)),
    varied("6.12-poll-iommu-long", "", POLLED_IOMMU),
];
