//! The whole set on the newest kernel that there is. What `make test` boots of it is a short suite; these run with `make test-long`.

use super::variations::{
    varied, CONVENTIONAL, ENGINES, NAMESPACES, ONE_CPU, PAIRS, POLLED, POLLED_IOMMU, SEVERAL_HOSTS,
    TWO_DISPATCHERS, ZONES,
};
use super::{Suite, AT_ADDRESS, FAULTS, HOTPLUG, IOMMU, LIFECYCLE, NUMA, PEER, USUAL, WITHOUT_DATA};
use crate::catalogue::NEWEST;

const fn newest(name: &'static str, added: &'static str, suite: Suite) -> Suite {
    Suite {
        kver: NEWEST,
        ..varied(name, added, suite)
    }
}

pub(super) const SUITES: &[Suite] = &[
    newest("newest-all", "", USUAL),
    newest("newest-flash", "", CONVENTIONAL),
    newest("newest-zoned", "", ZONES),
    newest("newest-keyvalue", "", PAIRS),
    newest("newest-namespaces", "", NAMESPACES),
    newest("newest-resets", "", SEVERAL_HOSTS),
    newest("newest-lifecycle", "", LIFECYCLE),
    newest("newest-faults", "", FAULTS),
    newest("newest-iommu", "", IOMMU),
    newest("newest-poll", "", POLLED),
    newest("newest-poll-iommu", "", POLLED_IOMMU),
    newest(
        "newest-nomsi",
        "",
        Suite {
            append: "pci=nomsi",
            scripts: &["interrupts", "fio"],
            ..USUAL
        },
    ),
    newest(
        "newest-memmap",
        "",
        Suite {
            scripts: &["identify", "fio"],
            ..AT_ADDRESS
        },
    ),
    newest("newest-nodata", "", WITHOUT_DATA),
    newest("newest-peer", "", PEER),
    newest("newest-numa", "", NUMA),
    newest("newest-hotplug", "", HOTPLUG),
    newest("newest-dma", "", ENGINES),
    newest("newest-onecpu", ONE_CPU, USUAL),
    newest("newest-dispatchers", TWO_DISPATCHERS, USUAL),
    newest("newest-dispatchers-flash", TWO_DISPATCHERS, CONVENTIONAL),
    newest("newest-dispatchers-zoned", TWO_DISPATCHERS, ZONES),
    newest("newest-dispatchers-namespaces", TWO_DISPATCHERS, NAMESPACES),
    newest("newest-dispatchers-resets", TWO_DISPATCHERS, SEVERAL_HOSTS),
    newest("newest-dispatchers-iommu", TWO_DISPATCHERS, IOMMU),
];
