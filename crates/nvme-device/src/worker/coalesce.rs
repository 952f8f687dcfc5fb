//! Which interrupts a worker raises, and when: at the end of a pass, or later where the host wants them coalesced (NVMe Base 2.0
//! §5.27.1.6 and §5.27.1.7).

use alloc::vec::Vec;

use crate::coalescing::Waiting;
use crate::host::Host;
use crate::limits::{VECTORS_MAX, VECTOR_WORDS};
use crate::setup::{table, SetupError};
use crate::shared::{Interrupts, Shared};

/// The interrupts that a worker has to raise for what it posted.
pub(crate) struct InterruptCoalescer {
    /// Vectors with new entries since the end of the last pass.
    touched: VectorSet,
    /// Vectors whose interrupt is held back, and when the first of them is to be raised.
    held: VectorSet,
    next_due_ns: Option<u64>,
    /// By vector.
    waiting: Vec<Waiting>,
}

impl InterruptCoalescer {
    pub fn new() -> Result<Self, SetupError> {
        Ok(Self {
            touched: VectorSet::default(),
            held: VectorSet::default(),
            next_due_ns: None,
            waiting: table(VECTORS_MAX.into(), Waiting::default)?,
        })
    }

    /// An entry was posted at `now_ns` to a queue with this vector.
    pub fn add(&mut self, vector: Option<u16>, now_ns: u64, shared: &Shared) {
        let Some(vector) = vector else { return };
        self.touched.insert(vector);
        if shared.coalescing().is_on() {
            if let Some(waiting) = self.waiting.get_mut(usize::from(vector)) {
                if waiting.entries == 0 {
                    waiting.since_ns = now_ns;
                }
                waiting.entries = waiting.entries.saturating_add(1);
            }
        }
    }

    /// Raises, at the end of a pass, the interrupts whose time has come; whether one that was held back is among them.
    pub fn raise<H: Host>(&mut self, now_ns: u64, shared: &Shared, host: &H) -> bool {
        let touched = core::mem::take(&mut self.touched);
        if self.held.is_empty() && !shared.coalescing().is_on() {
            touched.raise(shared, host);
            return false;
        }
        let held = core::mem::take(&mut self.held);
        self.next_due_ns = None;
        let mut due = VectorSet::default();
        touched.union(held).for_each(|vector| {
            let Some(waiting) = self.waiting.get_mut(usize::from(vector)) else {
                return;
            };
            let is_msix = shared.interrupts() == Interrupts::Msix;
            match shared.coalescing().due_ns(vector, *waiting) {
                Some(due_ns) if is_msix && now_ns < due_ns => {
                    self.held.insert(vector);
                    self.next_due_ns = Some(self.next_due_ns.map_or(due_ns, |next_ns| next_ns.min(due_ns)));
                }
                _ => {
                    *waiting = Waiting::default();
                    due.insert(vector);
                }
            }
        });
        let raises_held = !due.intersection(held).is_empty();
        due.raise(shared, host);
        raises_held
    }

    /// Raises an interrupt that is held back, because a queue of its vector is about to go.
    pub fn release<H: Host>(&mut self, vector: u16, shared: &Shared, host: &H) {
        if !self.held.contains(vector) {
            return;
        }
        self.held.remove(vector);
        if let Some(waiting) = self.waiting.get_mut(usize::from(vector)) {
            *waiting = Waiting::default();
        }
        let mut due = VectorSet::default();
        due.insert(vector);
        due.raise(shared, host);
    }

    /// When an interrupt that is held back is to be raised, ns.
    pub fn next_due_ns(&self) -> Option<u64> {
        self.next_due_ns
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.touched = VectorSet::default();
        self.held = VectorSet::default();
        self.next_due_ns = None;
        self.waiting.fill(Waiting::default());
    }
}

/// Vectors, each once.
#[derive(Clone, Copy, Default)]
struct VectorSet {
    bits: [u64; VECTOR_WORDS],
}

impl VectorSet {
    fn insert(&mut self, vector: u16) {
        if let Some(bits) = self.bits.get_mut(usize::from(vector / 64)) {
            *bits |= 1 << (vector % 64);
        }
    }

    fn remove(&mut self, vector: u16) {
        if let Some(bits) = self.bits.get_mut(usize::from(vector / 64)) {
            *bits &= !(1 << (vector % 64));
        }
    }

    fn contains(self, vector: u16) -> bool {
        let bits = self.bits.get(usize::from(vector / 64));
        bits.is_some_and(|bits| bits >> (vector % 64) & 1 != 0)
    }

    fn is_empty(self) -> bool {
        self.bits == [0; VECTOR_WORDS]
    }

    fn union(mut self, other: Self) -> Self {
        for (bits, others) in self.bits.iter_mut().zip(other.bits) {
            *bits |= others;
        }
        self
    }

    fn intersection(mut self, other: Self) -> Self {
        for (bits, others) in self.bits.iter_mut().zip(other.bits) {
            *bits &= others;
        }
        self
    }

    fn for_each(self, mut each: impl FnMut(u16)) {
        for (base, mut bits) in (0u16..).step_by(64).zip(self.bits) {
            while bits != 0 {
                each(base + bits.trailing_zeros() as u16);
                bits &= bits - 1;
            }
        }
    }

    fn raise<H: Host>(self, shared: &Shared, host: &H) {
        if self.is_empty() {
            return;
        }
        match shared.interrupts() {
            Interrupts::Msix => self.for_each(|vector| shared.raise_msix(vector, host)),
            Interrupts::Pin => shared.pull_pin(host),
            // The controller makes up for it when it is allowed again.
            Interrupts::PinMasked => shared.note_masked_pin(),
        }
    }
}
