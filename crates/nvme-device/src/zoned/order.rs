//! The order of data movements within a zone.
//!
//! A command is timed when it is fetched, but its data is moved by the worker that owns its completion queue. One worker moves data in the order of the
//! commands; several do not keep that order among themselves. For most commands it does not matter, for these it does:
//! - A reset: what was written before must not land on what is written after it.
//! - A read of what is being written: it must not see what was there before the zone was reset.
//! - Everything in a zone with a random write area: zeros are put before it as it moves.
//!
//! Such a command waits, and with it its queue, until the movements that it must follow are done: microseconds. So that this comes, no new movement
//! begins in its zone meanwhile. With one worker nothing waits and nothing is counted.
//!
//! With several dispatchers a worker has a ring from each, and keeps the order of each ring alone: then a ring is what is called a worker here.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::device::table;
use crate::device::SetupError;

/// A data movement in a zone, for the worker to say when it is done: the zone's counter in [`ZoneMoves`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ZoneMove(u32);

/// Movements under way, for each zone of the device: the controller adds, workers subtract. Empty if nobody needs to know.
///
/// A zone's counter is found by where the zone begins on the medium, which no two zones have in common, so it is there for whatever zoned
/// namespaces will be created.
#[derive(Debug)]
pub(crate) struct ZoneMoves {
    counters: Vec<AtomicU32>,
    /// No zone has less of the medium than that.
    granule_bytes: u64,
}

impl ZoneMoves {
    /// For a device with `media_bytes` and `workers` workers whose zones have `granule_bytes` of the medium or more.
    pub fn new(media_bytes: u64, granule_bytes: u64, workers: usize) -> Result<Self, SetupError> {
        let granule_bytes = granule_bytes.max(1);
        let zones =
            usize::try_from(media_bytes.div_ceil(granule_bytes)).map_err(|_| SetupError::OutOfMemory)?;
        Ok(Self {
            counters: table(if workers > 1 { zones } else { 0 }, || AtomicU32::new(0))?,
            granule_bytes,
        })
    }

    /// Whether anybody needs to know.
    fn is_counting(&self) -> bool {
        !self.counters.is_empty()
    }

    /// The counter of the zone that begins at `media_offset`.
    fn of(&self, media_offset: u64) -> ZoneMove {
        ZoneMove((media_offset / self.granule_bytes) as u32)
    }

    fn begin(&self, moved: ZoneMove) {
        if let Some(moves) = self.counters.get(moved.0 as usize) {
            moves.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A movement is done; what it did is seen by whoever sees that.
    pub fn end(&self, moved: ZoneMove) {
        if let Some(moves) = self.counters.get(moved.0 as usize) {
            moves.fetch_sub(1, Ordering::Release);
        }
    }

    fn is_quiet(&self, moved: ZoneMove) -> bool {
        self.counters
            .get(moved.0 as usize)
            .is_none_or(|moves| moves.load(Ordering::Acquire) == 0)
    }
}

/// The controller's side.
#[derive(Clone, Copy, Debug)]
struct Movements {
    counter: ZoneMove,
    /// Whose movements are under way, if any are.
    worker: Whose,
    /// What was written up to here has been moved.
    settled_bytes: u64,
    /// A command waits for all movements to be done: others are not to begin.
    is_awaited: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    One(usize),
    Several,
}

/// See the module's documentation.
pub(crate) struct ZoneOrder {
    moves: Arc<ZoneMoves>,
    zones: Vec<Movements>,
}

impl ZoneOrder {
    /// Bytes of memory for a zone, with its counter in [`ZoneMoves`].
    pub const BYTES_PER_ZONE: u64 = (size_of::<Movements>() + size_of::<AtomicU32>()) as u64;

    /// For `zones` zones with `zone_bytes` of the medium each, one after the other from `media_offset` on.
    pub fn new(
        moves: Arc<ZoneMoves>,
        media_offset: u64,
        zone_bytes: u64,
        zones: u32,
    ) -> Result<Self, SetupError> {
        let counted = if moves.is_counting() { zones } else { 0 };
        let mut table = Vec::new();
        table.try_reserve_exact(counted as usize)?;
        table.extend((0..counted).map(|zone| Movements {
            counter: moves.of(media_offset + u64::from(zone) * zone_bytes),
            worker: Whose::One(0),
            settled_bytes: 0,
            is_awaited: false,
        }));
        Ok(Self { moves, zones: table })
    }

    /// Whether a command of `worker` may go on although it must not overtake any movement in `zone`; its write pointer is at `write_pointer`.
    pub fn is_in_order(&mut self, zone: u32, worker: usize, write_pointer: u64) -> bool {
        let is_its_own = |movements: &Movements| movements.worker == Whose::One(worker);
        self.zones.get(zone as usize).is_none_or(is_its_own) || self.is_quiet(zone, write_pointer)
    }

    /// Whether no data is being moved in `zone`, by anybody; if there is, no more begins until there is none.
    pub fn is_quiet(&mut self, zone: u32, write_pointer: u64) -> bool {
        let Some(movements) = self.zones.get_mut(zone as usize) else {
            return true;
        };
        let is_quiet = self.moves.is_quiet(movements.counter);
        movements.is_awaited = !is_quiet;
        if is_quiet {
            movements.settled_bytes = write_pointer;
        }
        is_quiet
    }

    /// Whether a new movement may begin in `zone`: not if somebody waits for the end of those under way.
    pub fn may_begin(&mut self, zone: u32, write_pointer: u64) -> bool {
        let is_awaited = self
            .zones
            .get(zone as usize)
            .is_some_and(|movements| movements.is_awaited);
        !is_awaited || self.is_quiet(zone, write_pointer)
    }

    /// Whether a read of `worker` that ends at byte `end` of `zone` gets what it must, now.
    pub fn can_read(&mut self, zone: u32, worker: usize, end: u64, write_pointer: u64) -> bool {
        self.zones
            .get(zone as usize)
            .is_none_or(|movements| end <= movements.settled_bytes)
            || self.is_in_order(zone, worker, write_pointer)
    }

    /// The zone, which is quiet, was reset: nothing of what was written counts any more.
    pub fn reset(&mut self, zone: u32) {
        if let Some(movements) = self.zones.get_mut(zone as usize) {
            movements.settled_bytes = 0;
        }
    }

    /// `worker` is about to move data in `zone`, in which `write_pointer` is what was written before. The result is for the worker, if the
    /// end of the movement is of interest.
    pub fn begin(&mut self, zone: u32, worker: usize, write_pointer: u64) -> Option<ZoneMove> {
        let movements = self.zones.get_mut(zone as usize)?;
        if self.moves.is_quiet(movements.counter) {
            movements.settled_bytes = write_pointer;
            movements.worker = Whose::One(worker);
        } else if movements.worker != Whose::One(worker) {
            movements.worker = Whose::Several;
        }
        self.moves.begin(movements.counter);
        Some(movements.counter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(moves: &Arc<ZoneMoves>) -> ZoneOrder {
        ZoneOrder::new(moves.clone(), 3 << 19, 1 << 20, 2).unwrap()
    }

    #[test]
    fn with_one_worker_nothing_waits() {
        let mut order = order(&Arc::new(ZoneMoves::new(4 << 20, 1 << 20, 1).unwrap()));
        order.begin(0, 0, 0);
        assert!(order.is_in_order(0, 0, 4096) && order.can_read(0, 0, 4096, 4096));
    }

    #[test]
    fn another_workers_movements_are_waited_for_and_ones_own_are_not() {
        let moves = Arc::new(ZoneMoves::new(4 << 20, 1 << 20, 2).unwrap());
        let mut order = order(&moves);
        let moved = order.begin(0, 0, 0).unwrap();
        assert_ne!(order.begin(1, 0, 0).map(|other| moves.end(other)), None);
        assert!(order.is_in_order(0, 0, 4096));
        assert!(!order.is_in_order(0, 1, 4096));
        assert!(order.is_in_order(1, 1, 0), "another zone");
        moves.end(moved);
        assert!(order.is_in_order(0, 1, 4096));
        // Settled up to 4096: only what is beyond has to wait.
        order.begin(0, 0, 4096);
        assert!(order.can_read(0, 1, 4096, 8192));
        assert!(!order.can_read(0, 1, 4097, 8192));
        order.begin(0, 1, 8192);
        assert!(!order.is_in_order(0, 0, 8192) && !order.is_in_order(0, 1, 8192));
        moves.end(moved);
        assert!(!order.is_in_order(0, 1, 8192));
        assert!(!order.may_begin(0, 8192), "somebody waits");
        moves.end(moved);
        assert!(order.may_begin(0, 8192));
        assert!(order.is_in_order(0, 0, 8192));
        order.reset(0);
        order.begin(0, 1, 0);
        assert!(!order.can_read(0, 0, 512, 4096));
    }
}
