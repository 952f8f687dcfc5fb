//! Who the device says it is: the same for the same parameters, different for different ones.

/// Names and unique identifiers of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// SN, padded with spaces.
    pub serial_number: [u8; 20],
    /// MN, padded with spaces.
    pub model_number: [u8; 40],
    /// FR, padded with spaces.
    pub firmware_revision: [u8; 8],
    seed: u64,
}

impl Identity {
    /// Derives all names from what the device is: its profile, size and LBA size, and the serial number if the user gave one.
    pub fn derive(profile_name: &str, capacity_bytes: u64, lba_bytes: u32, serial: Option<&str>) -> Self {
        Self::derive_from(FNV_OFFSET, profile_name, capacity_bytes, lba_bytes, serial)
    }

    /// As [`Identity::derive`], for a device of several namespaces: of which profiles and sizes, in their order. The first one's profile gives
    /// the model number.
    pub fn derive_for_namespaces<'a>(
        namespaces: impl Iterator<Item = (&'a str, u64)> + Clone,
        capacity_bytes: u64,
        lba_bytes: u32,
        serial: Option<&str>,
    ) -> Self {
        let (first, _) = namespaces.clone().next().unwrap_or_default();
        // The first one's name is taken in below.
        let seed = namespaces
            .skip(1)
            .fold(FNV_OFFSET, |seed, (profile_name, bytes)| {
                fnv1a(fnv1a(seed, profile_name.as_bytes()), &bytes.to_le_bytes())
            });
        Self::derive_from(seed, first, capacity_bytes, lba_bytes, serial)
    }

    fn derive_from(
        seed: u64,
        profile_name: &str,
        capacity_bytes: u64,
        lba_bytes: u32,
        serial: Option<&str>,
    ) -> Self {
        let mut seed = fnv1a(seed, profile_name.as_bytes());
        seed = fnv1a(seed, &capacity_bytes.to_le_bytes());
        seed = fnv1a(seed, &lba_bytes.to_le_bytes());
        seed = fnv1a(seed, serial.unwrap_or_default().as_bytes());
        let mut serial_number = [b' '; 20];
        match serial {
            Some(serial) => fill(&mut serial_number, &[serial]),
            None => {
                fill(&mut serial_number, &["NVMEV"]);
                let digits = serial_number.iter_mut().skip(5).take(15);
                for (place, digit) in (0..15u32).zip(digits) {
                    *digit = hex_digit((seed >> (4 * place)) as u8).to_ascii_uppercase();
                }
            }
        }
        let mut model_number = [b' '; 40];
        fill(&mut model_number, &["NVMeVirt ", profile_name]);
        let mut firmware_revision = [b' '; 8];
        fill(&mut firmware_revision, &[env!("CARGO_PKG_VERSION")]);
        Self {
            serial_number,
            model_number,
            firmware_revision,
            seed,
        }
    }

    /// EUI-64 of the namespace with this number, locally administered.
    pub(crate) fn eui64(&self, unique_number: u64) -> [u8; 8] {
        let mut id = self.hash(unique_number, b"eui64").to_be_bytes();
        id[0] = id[0] & !0b01 | 0b10;
        id
    }

    /// NGUID of the namespace with this number: an extension and a locally administered EUI-64.
    pub(crate) fn nguid(&self, unique_number: u64) -> [u8; 16] {
        let mut id = [0; 16];
        let (extension, eui64) = id.split_at_mut(8);
        extension.copy_from_slice(&self.hash(unique_number, b"nguid").to_be_bytes());
        eui64.copy_from_slice(&self.eui64(unique_number));
        id
    }

    /// UUID of the namespace with this number (0: of the NVM subsystem), version 8 of RFC 9562: its content is our own.
    pub(crate) fn uuid(&self, unique_number: u64) -> [u8; 16] {
        let mut id = [0; 16];
        let (high, low) = id.split_at_mut(8);
        high.copy_from_slice(&self.hash(unique_number, b"uuid high").to_be_bytes());
        low.copy_from_slice(&self.hash(unique_number, b"uuid low").to_be_bytes());
        id[6] = id[6] & 0x0F | 0x80;
        id[8] = id[8] & 0x3F | 0x80;
        id
    }

    /// The subsystem's NVMe Qualified Name, null-terminated (NVMe Base 2.0 §4.5).
    pub(crate) fn subsystem_nqn(&self) -> [u8; 256] {
        const PREFIX: &[u8] = b"nqn.2014-08.org.nvmexpress:uuid:";
        let mut nqn = [0; 256];
        let mut at = nqn.iter_mut();
        let mut put = |byte: u8| {
            if let Some(slot) = at.next() {
                *slot = byte;
            }
        };
        PREFIX.iter().for_each(|&byte| put(byte));
        for (index, byte) in self.uuid(0).into_iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                put(b'-');
            }
            put(hex_digit(byte >> 4));
            put(hex_digit(byte));
        }
        nqn
    }

    fn hash(&self, unique_number: u64, purpose: &[u8]) -> u64 {
        let number = unique_number.to_le_bytes();
        // Namespaces that were there from the beginning have small numbers, and keep the names that they have always had.
        let len = if unique_number >> 32 == 0 { 4 } else { 8 };
        fnv1a(fnv1a(self.seed, number.get(..len).unwrap_or_default()), purpose)
    }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, 64 bits, going on from `hash`.
fn fnv1a(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// Puts `parts` one after the other at the start of `field`, as far as it is long; anything but printable ASCII becomes '?'.
fn fill(field: &mut [u8], parts: &[&str]) {
    let bytes = parts.iter().flat_map(|part| part.bytes());
    for (slot, byte) in field.iter_mut().zip(bytes) {
        *slot = if byte == b' ' || byte.is_ascii_graphic() {
            byte
        } else {
            b'?'
        };
    }
}

/// The digit of the lower four bits.
fn hex_digit(byte: u8) -> u8 {
    match byte & 0xF {
        digit @ 0..=9 => b'0' + digit,
        digit => b'a' + digit - 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_parameters_give_the_same_names_and_others_give_others() {
        let identity = Identity::derive("optane", 1 << 30, 512, None);
        assert_eq!(identity, Identity::derive("optane", 1 << 30, 512, None));
        for other in [
            Identity::derive("optane", 1 << 30, 4096, None),
            Identity::derive("optane", 1 << 31, 512, None),
            Identity::derive("970pro", 1 << 30, 512, None),
            Identity::derive("optane", 1 << 30, 512, Some("A")),
        ] {
            assert_ne!(identity.serial_number, other.serial_number);
            assert_ne!(identity.uuid(1), other.uuid(1));
        }
        assert_ne!(identity.nguid(1), identity.nguid(2));
        assert_eq!(&identity.model_number[..16], b"NVMeVirt optane ");
    }

    #[test]
    fn a_serial_of_the_users_own_is_padded_cut_and_made_printable() {
        assert_eq!(
            &Identity::derive("x", 1, 512, Some("A\tB")).serial_number,
            b"A?B                 "
        );
        let long = Identity::derive("x", 1, 512, Some("0123456789012345678901234"));
        assert_eq!(&long.serial_number, b"01234567890123456789");
    }

    #[test]
    fn the_qualified_name_has_the_form_that_the_specification_asks_for() {
        let nqn = Identity::derive("x", 1, 512, None).subsystem_nqn();
        let text = core::str::from_utf8(&nqn[..68]).unwrap();
        assert!(text.starts_with("nqn.2014-08.org.nvmexpress:uuid:"), "{text}");
        assert_eq!(text.as_bytes()[32 + 14], b'8', "version nibble: {text}");
        assert_eq!(nqn[68], 0);
    }
}
