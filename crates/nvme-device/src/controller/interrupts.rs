//! Interrupts, as far as the controller has to see to them; workers raise those of the completions that they post.

use nvme_spec::registers;

use crate::controller::Controller;
use crate::host::Host;
use crate::limits::VECTORS_MAX;
use crate::pci::bar::Bar;
use crate::shared::Interrupts;

impl Controller {
    /// Follows the mask registers, and makes up for what was masked. Whether the pin has something to tell takes all queues to say.
    pub(crate) fn poll_interrupts<H: Host>(&mut self, host: &H) {
        self.poll_mask(Bar(host.bar()));
        if self.leases.is_home() || self.core.shared.interrupts() == Interrupts::Msix {
            self.poll_suppressed(host);
        }
    }

    /// Lets go of the pin when nothing is left to tell. It is a level: there is something until the host has consumed all completions, and
    /// Interrupt Status in configuration space says so. Hosts that share the line look there (Linux' uio_pci_generic does).
    pub(crate) fn poll_pin<H: Host>(&mut self, host: &H) {
        if !self.core.shared.config_space().interrupt_pending() || self.has_pin_work() {
            return;
        }
        self.core.shared.config_space().take_interrupt_pending();
        // A worker has posted just before: its interrupt may have found the status cleared.
        if self.has_pin_work() {
            self.core.shared.pull_pin(host);
        }
    }

    /// Whether there are completions that the pin tells of.
    fn has_pin_work(&self) -> bool {
        let is_pin = !self.core.shared.config_space().msix_enabled() && self.interrupt_mask & 1 == 0;
        is_pin
            && (0u16..)
                .zip(&self.core.queue_set.completion_queues)
                .take(self.core.queue_set.queues_end.into())
                .filter_map(|(cqid, queue)| Some((cqid, queue.as_ref()?)))
                .any(|(cqid, queue)| {
                    queue.vector.is_some() && queue.has_unseen(self.core.shared.cq_posted(cqid))
                })
    }

    /// INTMS sets bits, INTMC clears them. INTMS reads back as the mask; INTMC always reads as 0, so that a write of the
    /// value it already had is not missed.
    fn poll_mask(&mut self, bar: Bar<'_>) {
        let mut mask = self.interrupt_mask | bar.load(registers::INTMS);
        mask &= !bar.take(registers::INTMC);
        if mask == self.interrupt_mask {
            return;
        }
        self.interrupt_mask = mask;
        self.core.shared.set_interrupt_mask(mask);
        bar.store(registers::INTMS, mask);
    }

    /// Raises what could not be raised while it was masked.
    fn poll_suppressed<H: Host>(&mut self, host: &H) {
        if !self.core.shared.take_suppressed_interrupt() {
            return;
        }
        match self.core.shared.interrupts() {
            Interrupts::Msix => {
                let bar = Bar(host.bar());
                (0..VECTORS_MAX)
                    .filter(|&vector| bar.take_vector_pending(vector))
                    // Masked still: the next time.
                    .for_each(|vector| self.core.shared.raise_msix(vector, host));
            }
            Interrupts::Pin if self.has_pin_work() => self.core.shared.pull_pin(host),
            Interrupts::Pin => {}
            // Masked again.
            Interrupts::PinMasked => self.core.shared.note_masked_pin(),
        }
    }
}
