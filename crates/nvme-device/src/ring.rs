//! A bounded single-producer, single-consumer ring.
//!
//! The only unsafe code of this crate; model-checked with loom (a step of `make test-quick`). Own code because the kernel shell
//! needs set-up to fail instead of aborting when memory is short, which the usual ring crates do not offer.
#![expect(
    unsafe_code,
    reason = "slots are shared between two threads; see the module's description"
)]

use alloc::boxed::Box;
use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::mem::MaybeUninit;

#[cfg(not(loom))]
mod sync {
    pub use alloc::sync::Arc;
    pub use core::sync::atomic::{AtomicUsize, Ordering};

    /// `core`'s cell with the access methods of loom's.
    pub struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub const fn new(value: T) -> Self {
            Self(core::cell::UnsafeCell::new(value))
        }

        pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}

#[cfg(loom)]
mod sync {
    pub use loom::cell::UnsafeCell;
    pub use loom::sync::atomic::{AtomicUsize, Ordering};
    pub use loom::sync::Arc;
}

use sync::{Arc, AtomicUsize, Ordering, UnsafeCell};

/// Keeps producer and consumer counters off each other's cache line.
#[repr(align(128))]
struct Padded<T>(T);

struct Inner<T> {
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
    /// Items taken so far (wrapping). Written by the consumer only.
    head: Padded<AtomicUsize>,
    /// Items put so far (wrapping). Written by the producer only.
    tail: Padded<AtomicUsize>,
}

// SAFETY: a slot is touched by the producer only while it lies outside head..tail and by the consumer only inside; the
// release stores and acquire loads of the counters hand it over. Items move between threads, hence `T: Send`.
unsafe impl<T: Send> Sync for Inner<T> {}
// SAFETY: as above; `Inner` owns its slots.
unsafe impl<T: Send> Send for Inner<T> {}

impl<T> Inner<T> {
    #[expect(clippy::indexing_slicing, reason = "the mask is the last index")]
    fn slot(&self, count: usize) -> &UnsafeCell<MaybeUninit<T>> {
        // The number of slots is a power of two, so that wrapping counters stay in step with the slots.
        // PANIC: the index is masked to one of them.
        &self.slots[count & (self.slots.len() - 1)]
    }
}

/// The end that puts items in.
pub struct Producer<T> {
    inner: Arc<Inner<T>>,
    tail: usize,
    /// Head as last seen; the real one can only be further on.
    head_seen: usize,
}

/// The end that takes items out.
pub struct Consumer<T> {
    inner: Arc<Inner<T>>,
    head: usize,
    /// Tail as last seen; the real one can only be further on.
    tail_seen: usize,
}

impl<T> Drop for Inner<T> {
    /// Both ends are gone; what is left in the ring goes with them.
    fn drop(&mut self) {
        let tail = self.tail.0.load(Ordering::Acquire);
        let mut head = self.head.0.load(Ordering::Acquire);
        while head != tail {
            self.slot(head).with_mut(|slot| {
                // SAFETY: slots from head to tail hold items that nobody has taken out, and nobody will: this is the last owner.
                unsafe { (*slot).assume_init_drop() };
            });
            head = head.wrapping_add(1);
        }
    }
}

/// Makes a ring with room for at least `capacity` items (rounded up to a power of two).
///
/// # Errors
/// Out of memory.
pub fn ring<T: Send>(capacity: usize) -> Result<(Producer<T>, Consumer<T>), TryReserveError> {
    let capacity = capacity.max(1).next_power_of_two();
    let mut slots = Vec::new();
    slots.try_reserve_exact(capacity)?;
    slots.extend((0..capacity).map(|_| UnsafeCell::new(MaybeUninit::uninit())));
    let inner = Arc::new(Inner {
        slots: slots.into_boxed_slice(),
        head: Padded(AtomicUsize::new(0)),
        tail: Padded(AtomicUsize::new(0)),
    });
    Ok((
        Producer {
            inner: inner.clone(),
            tail: 0,
            head_seen: 0,
        },
        Consumer {
            inner,
            head: 0,
            tail_seen: 0,
        },
    ))
}

impl<T: Send> Producer<T> {
    /// Number of items that can be put in now; at least this many until something is put in.
    pub fn free(&mut self) -> usize {
        self.head_seen = self.inner.head.0.load(Ordering::Acquire);
        self.inner.slots.len() - self.tail.wrapping_sub(self.head_seen)
    }

    /// Whether everything has been taken out.
    pub fn is_empty(&mut self) -> bool {
        self.free() == self.inner.slots.len()
    }

    /// Whether so many items can be put in now. Looks at the other end only if it seems that they cannot.
    pub fn has_free(&mut self, items: usize) -> bool {
        let taken = self.tail.wrapping_sub(self.head_seen);
        self.inner.slots.len() - taken >= items || self.free() >= items
    }

    /// Puts `item` in.
    ///
    /// # Errors
    /// Gives the item back if the ring is full.
    pub fn push(&mut self, item: T) -> Result<(), T> {
        if !self.has_free(1) {
            return Err(item);
        }
        // SAFETY: there is room, as was just seen.
        unsafe { self.put(item) };
        self.hand_over();
        Ok(())
    }

    /// Puts in as many of `items` as there is room for; how many. The other end sees all of them at once.
    pub fn push_all(&mut self, items: impl Iterator<Item = T>) -> usize {
        let free = self.free();
        let before = self.tail;
        for item in items.take(free) {
            // SAFETY: there was room for so many, and the other end only makes more.
            unsafe { self.put(item) };
        }
        self.hand_over();
        self.tail.wrapping_sub(before)
    }

    /// Puts an item where the other end does not see it before [`Producer::hand_over`].
    ///
    /// # Safety
    /// There is room for it.
    unsafe fn put(&mut self, item: T) {
        self.inner.slot(self.tail).with_mut(|slot| {
            // SAFETY: fewer than `capacity` items lie between head and tail, so the consumer is done with this slot (its
            // release store of head was read with acquire) and will not look at it before tail is stored by `hand_over`.
            unsafe { (*slot).write(item) };
        });
        self.tail = self.tail.wrapping_add(1);
    }

    fn hand_over(&self) {
        self.inner.tail.0.store(self.tail, Ordering::Release);
    }
}

impl<T: Send> Consumer<T> {
    /// Number of items that can be taken out now; at least this many until the next [`Consumer::pop`].
    pub fn count(&mut self) -> usize {
        self.tail_seen = self.inner.tail.0.load(Ordering::Acquire);
        self.tail_seen.wrapping_sub(self.head)
    }

    /// Whether there is an item. Looks at the other end only if it seems that there is none.
    fn has_item(&mut self) -> bool {
        self.head != self.tail_seen || self.count() > 0
    }

    /// What `look` makes of an item, which stays: the oldest one has index 0.
    pub fn peek<R>(&mut self, index: usize, look: impl FnOnce(&T) -> R) -> Option<R> {
        if self.tail_seen.wrapping_sub(self.head) <= index && self.count() <= index {
            return None;
        }
        let seen = self.inner.slot(self.head.wrapping_add(index)).with(|slot| {
            // SAFETY: as in `pop`, but the item stays: the reference ends with `look`, before this consumer, which is leased_in meanwhile, can
            // take the item out.
            look(unsafe { (*slot).assume_init_ref() })
        });
        Some(seen)
    }

    /// Takes the oldest item out.
    pub fn pop(&mut self) -> Option<T> {
        if !self.has_item() {
            return None;
        }
        let item = self.inner.slot(self.head).with(|slot| {
            // SAFETY: head < tail, so the producer has written this slot before the release store of tail that was read
            // with acquire, and will not write it again before head is stored below. Nobody reads it again: head moves past it.
            unsafe { (*slot).assume_init_read() }
        });
        self.head = self.head.wrapping_add(1);
        self.inner.head.0.store(self.head, Ordering::Release);
        Some(item)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn items_come_out_in_order_and_a_full_ring_gives_the_item_back() {
        let (mut producer, mut consumer) = ring(4).unwrap();
        for round in 0..10u32 {
            for i in 0..4 {
                producer.push(round * 4 + i).unwrap();
            }
            assert_eq!(producer.push(99), Err(99));
            for i in 0..4 {
                assert_eq!(consumer.peek(0, |item| *item), Some(round * 4 + i));
                assert_eq!(consumer.pop(), Some(round * 4 + i));
            }
            assert_eq!(consumer.pop(), None);
            assert_eq!(consumer.peek(0, |_| ()), None);
            assert_eq!(producer.free(), 4);
        }
    }

    #[test]
    fn as_many_go_in_together_as_there_is_room_for_and_each_can_be_looked_at() {
        let (mut producer, mut consumer) = ring(4).unwrap();
        for round in 0..10u32 {
            let mut items = round * 10..;
            producer.push(items.next().unwrap()).unwrap();
            assert_eq!(producer.push_all(items.by_ref()), 3);
            assert_eq!(producer.push_all(items.by_ref()), 0);
            assert_eq!(
                items.next(),
                Some(round * 10 + 4),
                "what does not go in is not taken"
            );
            for index in 0..4 {
                assert_eq!(
                    consumer.peek(index, |item| *item),
                    Some(round * 10 + index as u32)
                );
            }
            assert_eq!(consumer.peek(4, |_| ()), None);
            assert_eq!(
                [(); 4].map(|()| consumer.pop().unwrap() - round * 10),
                [0, 1, 2, 3]
            );
            assert_eq!(producer.push_all(core::iter::empty()), 0);
            assert_eq!(consumer.pop(), None);
        }
    }

    #[test]
    fn what_is_left_in_a_ring_is_dropped_once() {
        use alloc::sync::Arc;
        let item = Arc::new(());
        let (mut producer, mut consumer) = ring(4).unwrap();
        for _ in 0..3 {
            producer.push(item.clone()).unwrap();
        }
        assert_eq!(consumer.count(), 3);
        drop(consumer.pop());
        assert_eq!(consumer.count(), 2);
        drop(producer);
        assert_eq!(Arc::strong_count(&item), 3);
        drop(consumer);
        assert_eq!(Arc::strong_count(&item), 1);
    }

    #[test]
    fn two_threads_pass_a_million_items() {
        extern crate std;
        let (mut producer, mut consumer) = ring(64).unwrap();
        let reader = std::thread::spawn(move || {
            for expected in 0..1_000_000u64 {
                loop {
                    match consumer.pop() {
                        Some(item) => break assert_eq!(item, expected),
                        None => std::thread::yield_now(),
                    }
                }
            }
        });
        for item in 0..1_000_000u64 {
            while producer.push(item).is_err() {
                std::thread::yield_now();
            }
        }
        reader.join().unwrap();
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;

    #[test]
    fn every_interleaving_hands_items_over_in_order() {
        loom::model(|| {
            let (mut producer, mut consumer) = ring(2).unwrap();
            let reader = loom::thread::spawn(move || {
                let mut next = 0u32;
                while next < 3 {
                    assert!(consumer.peek(0, |item| *item).is_none_or(|item| item == next));
                    match consumer.pop() {
                        Some(item) => {
                            assert_eq!(item, next);
                            next += 1;
                        }
                        None => loom::thread::yield_now(),
                    }
                }
            });
            for item in 0..3u32 {
                while producer.push(item).is_err() {
                    loom::thread::yield_now();
                }
            }
            reader.join().unwrap();
        });
    }

    /// Slots are used again meanwhile.
    #[test]
    fn every_interleaving_hands_several_items_over_at_once() {
        loom::model(|| {
            let (mut producer, mut consumer) = ring(2).unwrap();
            producer.push(0u32).unwrap();
            let reader = loom::thread::spawn(move || {
                assert_eq!(consumer.pop(), Some(0));
                let seen = [0, 1].map(|index| consumer.peek(index, |item| *item));
                (consumer, seen)
            });
            let sent = producer.push_all(1..3u32);
            let (mut consumer, seen) = reader.join().unwrap();
            match (sent, seen) {
                (1 | 2, [None, None]) | (1, [Some(1), None]) | (2, [Some(1), Some(2)]) => {}
                // They came between the two looks.
                (2, [None, Some(2)]) => {}
                _ => panic!("{sent}: {seen:?}"),
            }
            let rest: Vec<u32> = core::iter::from_fn(|| consumer.pop()).collect();
            assert!(
                sent == 1 && rest == [1] || sent == 2 && rest == [1, 2],
                "{sent}: {rest:?}"
            );
        });
    }
}
