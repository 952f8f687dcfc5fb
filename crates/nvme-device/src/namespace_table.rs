//! Which namespaces there are, by identifier, and which of them a host can use (NVMe Base 2.0 §3.2.1).

use alloc::vec::Vec;
use core::iter::repeat;

use nvme_spec::{Status, NSID_BROADCAST};

use crate::device::SetupError;
use crate::namespace::Namespace;
use crate::NAMESPACES_MAX;

/// A place for a namespace: the one with the identifier of its index, plus 1.
#[derive(Default)]
struct Slot {
    namespace: Option<Namespace>,
    is_attached: bool,
    /// It is being formatted, created or deleted.
    is_erasing: bool,
}

/// The namespaces of the NVM subsystem.
pub(crate) struct NamespaceTable {
    /// Up to the highest identifier in use, with room for [`NAMESPACES_MAX`]: every pass of the dispatcher looks at each of them.
    slots: Vec<Slot>,
    is_sanitizing: bool,
}

impl NamespaceTable {
    /// With these namespaces, all of them attached, and room for others.
    pub fn new(namespaces: Vec<Namespace>) -> Result<Self, SetupError> {
        if namespaces.len() > NAMESPACES_MAX as usize {
            return Err(SetupError::TooManyNamespaces {
                count: namespaces.len(),
            });
        }
        let mut slots = Vec::new();
        slots.try_reserve_exact(NAMESPACES_MAX as usize)?;
        slots.extend(namespaces.into_iter().map(|namespace| Slot {
            namespace: Some(namespace),
            is_attached: true,
            is_erasing: false,
        }));
        Ok(Self {
            slots,
            is_sanitizing: false,
        })
    }

    fn slot(&self, nsid: u32) -> Result<&Slot, Status> {
        self.slots.get(nsid.wrapping_sub(1) as usize).ok_or(absent(nsid))
    }

    fn slot_mut(&mut self, nsid: u32) -> Result<&mut Slot, Status> {
        self.slots
            .get_mut(nsid.wrapping_sub(1) as usize)
            .ok_or(absent(nsid))
    }

    /// The namespace for an I/O command.
    ///
    /// # Errors
    /// Invalid Namespace or Format for what can be no namespace, Invalid Field for one that is not attached, Format or Sanitize in Progress.
    #[inline]
    pub fn serving_mut(&mut self, nsid: u32) -> Result<&mut Namespace, Status> {
        let is_sanitizing = self.is_sanitizing;
        match self.slot_mut(nsid)? {
            Slot {
                namespace: Some(namespace),
                is_attached: true,
                is_erasing: false,
            } if !is_sanitizing => Ok(namespace),
            Slot {
                is_attached: false, ..
            } => Err(Status::INVALID_FIELD_IN_COMMAND),
            _ if is_sanitizing => Err(Status::SANITIZE_IN_PROGRESS),
            _ => Err(Status::FORMAT_IN_PROGRESS),
        }
    }

    /// The namespace for an admin command, which is attached.
    ///
    /// # Errors
    /// Invalid Namespace or Format for what can be no namespace, Invalid Field for one that is not attached.
    pub fn attached(&self, nsid: u32) -> Result<&Namespace, Status> {
        let slot = self.slot(nsid)?;
        let namespace = slot.namespace.as_ref().filter(|_| slot.is_attached);
        namespace.ok_or(Status::INVALID_FIELD_IN_COMMAND)
    }

    /// As [`NamespaceTable::attached`].
    pub fn attached_mut(&mut self, nsid: u32) -> Result<&mut Namespace, Status> {
        let slot = self.slot_mut(nsid)?;
        let is_attached = slot.is_attached;
        let namespace = slot.namespace.as_mut().filter(|_| is_attached);
        namespace.ok_or(Status::INVALID_FIELD_IN_COMMAND)
    }

    /// The namespace, attached or not.
    ///
    /// # Errors
    /// Invalid Namespace or Format for what can be no namespace, Invalid Field for one that is not there.
    pub fn allocated(&self, nsid: u32) -> Result<&Namespace, Status> {
        let slot = self.slot(nsid)?;
        slot.namespace.as_ref().ok_or(Status::INVALID_FIELD_IN_COMMAND)
    }

    /// As [`NamespaceTable::allocated`].
    pub fn allocated_mut(&mut self, nsid: u32) -> Result<&mut Namespace, Status> {
        let slot = self.slot_mut(nsid)?;
        slot.namespace.as_mut().ok_or(Status::INVALID_FIELD_IN_COMMAND)
    }

    /// Whether it is there and attached.
    pub fn is_attached(&self, nsid: u32) -> bool {
        self.attached(nsid).is_ok()
    }

    /// Whether it is being formatted, created or deleted.
    pub fn is_erasing(&self, nsid: u32) -> bool {
        self.slot(nsid).is_ok_and(|slot| slot.is_erasing)
    }

    /// All attached namespaces, by ascending identifier.
    pub fn iter_attached(&self) -> impl Iterator<Item = &Namespace> {
        let attached = self.slots.iter().filter(|slot| slot.is_attached);
        attached.filter_map(|slot| slot.namespace.as_ref())
    }

    /// As [`NamespaceTable::iter_attached`].
    pub fn iter_attached_mut(&mut self) -> impl Iterator<Item = &mut Namespace> {
        let attached = self.slots.iter_mut().filter(|slot| slot.is_attached);
        attached.filter_map(|slot| slot.namespace.as_mut())
    }

    /// All namespaces, by ascending identifier.
    pub fn iter(&self) -> impl Iterator<Item = &Namespace> {
        self.slots.iter().filter_map(|slot| slot.namespace.as_ref())
    }

    /// All namespaces, by ascending identifier.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Namespace> {
        self.slots.iter_mut().filter_map(|slot| slot.namespace.as_mut())
    }

    /// What is at each identifier that there can be, from 1 on.
    pub fn by_identifier(&self) -> impl Iterator<Item = Option<&Namespace>> {
        let slots = self.slots.iter().map(|slot| slot.namespace.as_ref());
        slots.chain(repeat(None)).take(NAMESPACES_MAX as usize)
    }

    /// Those that `nsid` names: one that is attached, or all that are.
    ///
    /// # Errors
    /// As [`NamespaceTable::attached`]; Invalid Field if there is none.
    pub fn select(&self, nsid: u32) -> Result<impl Iterator<Item = &Namespace>, Status> {
        if nsid != NSID_BROADCAST {
            self.attached(nsid)?;
        } else if self.iter_attached().next().is_none() {
            return Err(Status::INVALID_FIELD_IN_COMMAND);
        }
        let all = self.iter_attached();
        Ok(all.filter(move |namespace| nsid == NSID_BROADCAST || nsid == namespace.nsid))
    }

    /// Those that a setting for `nsid` is for: one that is attached, or all, attached or not.
    ///
    /// # Errors
    /// As [`NamespaceTable::attached`].
    pub fn settable_mut(&mut self, nsid: u32) -> Result<impl Iterator<Item = &mut Namespace>, Status> {
        if nsid != NSID_BROADCAST {
            self.attached(nsid)?;
        }
        let all = self.iter_mut();
        Ok(all.filter(move |namespace| nsid == NSID_BROADCAST || nsid == namespace.nsid))
    }

    /// The lowest identifier that is free.
    pub fn free_nsid(&self) -> Option<u32> {
        let index = self.by_identifier().position(|namespace| namespace.is_none())?;
        Some(index as u32 + 1)
    }

    /// Puts a namespace where there is none: at [`NamespaceTable::free_nsid`].
    pub fn put(&mut self, namespace: Namespace) {
        // The room is reserved, and the lowest free identifier is at most one beyond the highest in use.
        if namespace.nsid as usize == self.slots.len() + 1 {
            self.slots.push(Slot::default());
        }
        if let Ok(slot) = self.slot_mut(namespace.nsid) {
            slot.namespace = Some(namespace);
        }
    }

    /// Puts a namespace in the place of the one that it was made of.
    pub fn replace(&mut self, mut renewed: Namespace) {
        if let Ok(slot) = self.slot_mut(renewed.nsid) {
            if let Some(before) = &mut slot.namespace {
                renewed.take_over(before);
            }
            slot.namespace = Some(renewed);
        }
    }

    /// Forgets the namespace.
    pub fn remove(&mut self, nsid: u32) {
        if let Ok(slot) = self.slot_mut(nsid) {
            *slot = Slot::default();
        }
        while self.slots.last().is_some_and(|slot| slot.namespace.is_none()) {
            self.slots.pop();
        }
    }

    /// Moves what is at `nsid` to the same place of `other`, where there is nothing.
    pub fn move_to(&mut self, other: &mut Self, nsid: u32) {
        let index = nsid.wrapping_sub(1) as usize;
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        if other.slots.len() <= index {
            // There is room for all.
            other.slots.resize_with(index + 1, Slot::default);
        }
        if let Some(place) = other.slots.get_mut(index) {
            *place = core::mem::take(slot);
        }
    }

    pub fn set_attached(&mut self, nsid: u32, is_attached: bool) {
        if let Ok(slot) = self.slot_mut(nsid) {
            slot.is_attached = is_attached;
        }
    }

    pub fn set_erasing(&mut self, nsid: u32, is_erasing: bool) {
        if let Ok(slot) = self.slot_mut(nsid) {
            slot.is_erasing = is_erasing;
        }
    }

    /// While the subsystem is being sanitized, no I/O command is carried out.
    pub fn set_sanitizing(&mut self, is_sanitizing: bool) {
        self.is_sanitizing = is_sanitizing;
    }

    /// Why a command for all namespaces is refused.
    ///
    /// # Errors
    /// Sanitize or Format in Progress.
    pub fn check_all_serving(&self) -> Result<(), Status> {
        if self.is_sanitizing {
            Err(Status::SANITIZE_IN_PROGRESS)
        } else if self.slots.iter().any(|slot| slot.is_attached && slot.is_erasing) {
            Err(Status::FORMAT_IN_PROGRESS)
        } else {
            Ok(())
        }
    }
}

/// What a command is told of an identifier beyond those in use.
fn absent(nsid: u32) -> Status {
    match nsid {
        1..=NAMESPACES_MAX => Status::INVALID_FIELD_IN_COMMAND,
        _ => Status::INVALID_NAMESPACE_OR_FORMAT,
    }
}
