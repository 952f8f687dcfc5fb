//! What is too long to pass over the small stacks of a kernel.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};

use crate::device::SetupError;

/// A value on the heap: a `Box` that can be refused.
#[derive(Debug)]
pub(crate) struct Heap<T>(Box<[T; 1]>);

impl<T> Heap<T> {
    /// Puts a value there.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn new(value: T) -> Result<Self, SetupError> {
        let mut place = Vec::new();
        place.try_reserve_exact(1)?;
        place.push(value);
        let place: Result<Box<[T; 1]>, _> = place.into_boxed_slice().try_into();
        place.map(Self).map_err(|_| SetupError::OutOfMemory)
    }
}

impl<T> Deref for Heap<T> {
    type Target = T;

    fn deref(&self) -> &T {
        let [value] = &*self.0;
        value
    }
}

impl<T> DerefMut for Heap<T> {
    fn deref_mut(&mut self) -> &mut T {
        let [value] = &mut *self.0;
        value
    }
}
