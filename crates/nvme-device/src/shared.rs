//! What the controller, the workers and the shell's other threads look at together: atomics only.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use nvme_spec::registers;
use nvme_spec::registers::csts;

use crate::coalescing::CoalescingSettings;
use crate::command::zone_transfer::{ZoneTransfer, ZoneTransfers};
use crate::host::Host;
use crate::limits::NAMESPACES_MAX;
use crate::pci::bar::Bar;
use crate::pci::config::ConfigSpace;
use crate::pci::power::Power;
use crate::setup::SetupError;
use crate::stats::dma::CopyCounts;
use crate::stats::flash::{FlashLog, NamespaceReport};
use crate::stats::lateness::Lateness;
use crate::stats::queues::Statistics;

/// How the function can raise interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupts {
    /// By vector.
    Msix,
    /// By the pin, one for all.
    Pin,
    /// By the pin, but not now.
    PinMasked,
}

/// State that more than one thread of the shell looks at.
#[derive(Debug)]
pub struct Shared {
    config_space: ConfigSpace,
    power: Power,
    /// The controller has told the workers to forget everything, and they have not all done so: written by the controller, read by workers.
    is_resetting: AtomicBool,
    /// The controller wants everything back that it has leased to other dispatchers: written by the controller, read by them.
    is_recalling: AtomicBool,
    /// A dispatcher has something for the controller to see to.
    has_call: AtomicBool,
    statistics: Statistics,
    lateness: Lateness,
    copy_counts: CopyCounts,
    flash_log: FlashLog,
    /// TransferState of data in zones.
    zone_transfers: Arc<ZoneTransfers>,
    /// Pin-based interrupt mask (INTMS/INTMC): written by the controller, read by workers.
    interrupt_mask: AtomicU32,
    /// Which interrupts may come later.
    coalescing: CoalescingSettings,
    /// A completion was posted while interrupts were masked: set by workers, cleared by the controller.
    interrupt_suppressed: AtomicBool,
}

impl Shared {
    /// For a device in whose zones these transfers are, with so many workers.
    pub(crate) fn new(zone_transfers: Arc<ZoneTransfers>, worker_count: usize) -> Result<Self, SetupError> {
        Ok(Self {
            config_space: ConfigSpace::new(),
            power: Power::new()?,
            is_resetting: AtomicBool::new(false),
            is_recalling: AtomicBool::new(false),
            has_call: AtomicBool::new(false),
            statistics: Statistics::new()?,
            lateness: Lateness::new(worker_count)?,
            copy_counts: CopyCounts::new(worker_count)?,
            flash_log: FlashLog::new(NAMESPACES_MAX as usize)?,
            zone_transfers,
            interrupt_mask: AtomicU32::new(0),
            coalescing: CoalescingSettings::default(),
            interrupt_suppressed: AtomicBool::new(false),
        })
    }

    /// The function's PCI configuration space.
    pub fn config_space(&self) -> &ConfigSpace {
        &self.config_space
    }

    /// Writes to configuration space, for the host; see [`ConfigSpace::read`]. Writers must not race with each other.
    pub fn write_config(&self, bar: &[AtomicU32], offset: u32, width_bytes: u32, value: u32) {
        self.config_space.write(offset, width_bytes, value);
        self.power.follow(self.config_space.is_in_d0(), bar);
    }

    /// The device has failed for good, which CSTS.CFS tells: for the shell's panic handler. Nothing reaches the host's memory any more, and no
    /// reset will ever be done, so none is waited for.
    pub fn mark_failed(&self, bar: &[AtomicU32]) {
        self.config_space.mark_failed();
        if let Some(word) = bar.get(registers::CSTS / 4) {
            word.fetch_or(csts::CFS, Ordering::AcqRel);
        }
    }

    /// Whether the function is in D3hot: registers mean nothing then.
    pub(crate) fn is_asleep(&self) -> bool {
        self.power.is_asleep()
    }

    /// Whether the device may read and write the host's memory: not while the function sleeps, is no bus master, is being reset, or has failed.
    pub(crate) fn reaches_memory(&self) -> bool {
        let config = &self.config_space;
        config.is_bus_master() && !self.is_asleep() && !config.is_resetting() && !config.has_failed()
    }

    pub(crate) fn is_resetting(&self) -> bool {
        self.is_resetting.load(Ordering::Acquire)
    }

    pub(crate) fn set_resetting(&self, is_resetting: bool) {
        self.is_resetting.store(is_resetting, Ordering::Release);
    }

    pub(crate) fn is_recalling(&self) -> bool {
        self.is_recalling.load(Ordering::Acquire)
    }

    pub(crate) fn set_recalling(&self, is_recalling: bool) {
        self.is_recalling.store(is_recalling, Ordering::Release);
    }

    pub(crate) fn has_call(&self) -> bool {
        self.has_call.load(Ordering::Acquire)
    }

    /// Has the controller call all queue sets back; whether it was not going to do so.
    pub(crate) fn call_controller(&self) -> bool {
        // Not written where it is set: others read it at each pass.
        let is_new = !self.has_call();
        if is_new {
            self.has_call.store(true, Ordering::Release);
        }
        is_new
    }

    pub(crate) fn clear_call(&self) {
        self.has_call.store(false, Ordering::Release);
    }

    /// Counters of the submission queues.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// How late completions are posted.
    pub fn lateness(&self) -> &Lateness {
        &self.lateness
    }

    /// What DMA engines copied, and what they did not.
    pub fn copy_counts(&self) -> &CopyCounts {
        &self.copy_counts
    }

    /// Asks for the reports of what the namespaces' flash did; the result is the number of the request. The controller answers in its next
    /// pass, in every state; it may sleep until then, or have ended.
    pub fn request_flash_reports(&self) -> u32 {
        self.flash_log.request()
    }

    /// Whether the request was answered.
    pub fn has_flash_reports(&self, request: u32) -> bool {
        self.flash_log.is_answered(request)
    }

    /// What the flash of namespace `nsid` did, as last answered.
    pub fn namespace_report(&self, nsid: u32) -> NamespaceReport {
        match nsid.checked_sub(1) {
            Some(index) => self.flash_log.read(index as usize),
            None => NamespaceReport::Absent,
        }
    }

    /// Asks for the counters of flash to begin anew.
    pub fn request_flash_reset(&self) {
        self.flash_log.request_reset();
    }

    pub(crate) fn flash_log(&self) -> &FlashLog {
        &self.flash_log
    }

    /// A transfer of data in a zone is over.
    pub(crate) fn end_zone_transfer(&self, moved: ZoneTransfer) {
        self.zone_transfers.end(moved);
    }

    pub(crate) fn set_sq_head(&self, sqid: u16, head: u16) {
        self.statistics.queue(sqid).set_sq_head(head);
    }

    pub(crate) fn sq_head(&self, sqid: u16) -> u16 {
        self.statistics.queue(sqid).sq_head()
    }

    /// Entries posted to completion queue `cqid` since it was made (wrapping): its worker writes it, a dispatcher reads it to check head doorbells.
    pub(crate) fn set_cq_posted(&self, cqid: u16, count: u32) {
        self.statistics.queue(cqid).set_cq_posted(count);
    }

    pub(crate) fn cq_posted(&self, cqid: u16) -> u32 {
        self.statistics.queue(cqid).cq_posted()
    }

    pub(crate) fn set_interrupt_mask(&self, mask: u32) {
        self.interrupt_mask.store(mask, Ordering::Release);
    }

    pub(crate) fn coalescing(&self) -> &CoalescingSettings {
        &self.coalescing
    }

    /// How interrupts can be raised now. Without MSI-X there is one vector, 0, for all queues (PCIe Transport 1.0
    /// §3.5.1.1), which INTMS and the Interrupt Disable bit mask.
    pub(crate) fn interrupts(&self) -> Interrupts {
        let config = &self.config_space;
        if config.msix_enabled() {
            Interrupts::Msix
        } else if config.intx_disabled() || self.interrupt_mask.load(Ordering::Acquire) & 1 != 0 {
            Interrupts::PinMasked
        } else {
            Interrupts::Pin
        }
    }

    /// Sends a vector's message, or, if the vector or the function is masked, keeps it pending (PCI Express Base 4.0 §6.1.4.5).
    pub(crate) fn raise_msix<H: Host>(&self, vector: u16, host: &H) {
        let bar = Bar(host.bar());
        // A message is a write to memory.
        if self.config_space.msix_masked() || bar.is_vector_masked(vector) || !self.reaches_memory() {
            bar.set_vector_pending(vector);
            self.interrupt_suppressed.store(true, Ordering::Release);
        } else {
            host.raise_msix(vector);
        }
    }

    /// Pulls the pin: first the status that says why, then the interrupt that makes the host look.
    pub(crate) fn pull_pin<H: Host>(&self, host: &H) {
        self.config_space.set_interrupt_pending();
        host.raise_intx();
    }

    /// There is something to tell by the pin, which is masked. Interrupt Disable masks the pin, not its status.
    pub(crate) fn note_masked_pin(&self) {
        self.config_space.set_interrupt_pending();
        self.interrupt_suppressed.store(true, Ordering::Release);
    }

    /// Whether there may be something to tell that was suppressed, since the last call.
    pub(crate) fn take_suppressed_interrupt(&self) -> bool {
        self.interrupt_suppressed.load(Ordering::Acquire)
            && self.interrupts() != Interrupts::PinMasked
            && self.interrupt_suppressed.swap(false, Ordering::AcqRel)
    }
}
