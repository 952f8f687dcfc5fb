//! Which PCI domain the device's bus is put in: its address is part of what people and tools know a drive by.

use core::fmt;

/// The bus number. NVMeVirt's device is `0001:10:00.0`, and ours is too wherever that address is free.
pub const BUS: u8 = 0x10;
/// The first domain to try, NVMeVirt's. Domain 0 is the machine's own.
pub const DOMAIN_FIRST: u32 = 1;
/// The last one: tools such as xNVMe and pynvme read four hexadecimal digits.
pub const DOMAIN_LAST: u32 = 0xffff;

/// What an attempt to use a domain ends with if it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptError {
    /// The domain has a bus already: try the next one.
    InUse,
    /// Another domain would not help. The kernel's negative error number.
    Kernel(i32),
}

/// Why there is no bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceError {
    /// Every domain of four digits is in use.
    NoDomain,
    /// The kernel's negative error number.
    Kernel(i32),
}

impl fmt::Display for PlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDomain => write!(
                f,
                "no PCI domain is free for the virtual PCI bus: {DOMAIN_FIRST:04x} to {DOMAIN_LAST:04x} are all in use"
            ),
            Self::Kernel(error) => write!(f, "the virtual PCI bus could not be made (error {error})"),
        }
    }
}

/// Attempts one domain after the other until one is free.
///
/// # Errors
/// If none is, or an attempt fails for another reason.
pub fn place<T>(mut attempt: impl FnMut(u32) -> Result<T, AttemptError>) -> Result<T, PlaceError> {
    for domain in DOMAIN_FIRST..=DOMAIN_LAST {
        match attempt(domain) {
            Ok(bus) => return Ok(bus),
            Err(AttemptError::InUse) => {}
            Err(AttemptError::Kernel(error)) => return Err(PlaceError::Kernel(error)),
        }
    }
    Err(PlaceError::NoDomain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn domain_beside(taken: &[u32]) -> Result<u32, PlaceError> {
        place(|domain| {
            if taken.contains(&domain) {
                Err(AttemptError::InUse)
            } else {
                Ok(domain)
            }
        })
    }

    #[test]
    fn the_address_is_nvmevirt_s_where_it_is_free() {
        assert_eq!(domain_beside(&[]), Ok(1));
        // The machine's own, and what VMD makes.
        assert_eq!(domain_beside(&[0, 0x10000]), Ok(1));
        assert_eq!(std::format!("{:04x}:{BUS:02x}:00.0", 1), "0001:10:00.0");
    }

    #[test]
    fn else_it_is_in_the_next_free_domain() {
        assert_eq!(domain_beside(&[1]), Ok(2));
        assert_eq!(domain_beside(&[2, 1, 3, 5]), Ok(4));
    }

    #[test]
    fn no_domain_has_five_digits() {
        let all_but_last: std::vec::Vec<u32> = (1..0xffff).collect();
        assert_eq!(domain_beside(&all_but_last), Ok(0xffff));
        let refused = place(|_| Err::<(), _>(AttemptError::InUse)).unwrap_err();
        assert_eq!(refused, PlaceError::NoDomain);
        assert!(refused.to_string().contains("0001 to ffff are all in use"));
    }

    #[test]
    fn another_failure_is_not_tried_again() {
        let mut attempts = 0;
        let refused = place(|_| {
            attempts += 1;
            Err::<(), _>(AttemptError::Kernel(-12))
        });
        assert_eq!((refused, attempts), (Err(PlaceError::Kernel(-12)), 1));
    }
}
