//! The running checksums of a trace.

use super::request::{Outcome, Request};

const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;
/// `PRIME_POWERS[n]` is PRIME to the n-th: what n zero bytes do to the state.
const PRIME_POWERS: [u64; 9] = {
    let mut powers = [1_u64; 9];
    let mut exponent = 1;
    while exponent < powers.len() {
        powers[exponent] = powers[exponent - 1].wrapping_mul(PRIME);
        exponent += 1;
    }
    powers
};

/// FNV-1a, 64 bits, over numbers as 8 little-endian bytes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum(u64);

impl Default for Checksum {
    fn default() -> Self {
        Self(OFFSET_BASIS)
    }
}

impl Checksum {
    /// The value so far.
    pub fn value(self) -> u64 {
        self.0
    }

    /// Takes in the inputs of one request (IN).
    pub fn add_request(&mut self, request: &Request) {
        let Request {
            arrival_ns,
            opcode,
            slba,
            nlb,
            fua,
            zsa,
            all,
        } = *request;
        for value in [
            arrival_ns,
            opcode.into(),
            slba,
            nlb.into(),
            fua.into(),
            zsa.into(),
            all.into(),
        ] {
            self.add(value);
        }
    }

    /// Takes in the outputs of one request (OUT). The result is not part of it.
    pub fn add_outcome(&mut self, outcome: &Outcome) {
        let Outcome {
            accepted_start_ns,
            latency_ns,
            status,
            result: _,
        } = *outcome;
        for value in [accepted_start_ns, latency_ns as u64, status.into()] {
            self.add(value);
        }
    }

    fn add(&mut self, mut value: u64) {
        // Most values are small: their upper zero bytes are taken in with one multiplication.
        let mut bytes_left = 8;
        while value != 0 {
            self.0 = (self.0 ^ (value & 0xff)).wrapping_mul(PRIME);
            value >>= 8;
            bytes_left -= 1;
        }
        self.0 = self.0.wrapping_mul(PRIME_POWERS[bytes_left]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_cut_over_zero_bytes_changes_nothing() {
        for value in [0, 1, 0xff, 0x100, 0xab00_0000_0000_00cd, u64::MAX, 1 << 63] {
            let mut checksum = Checksum::default();
            checksum.add(value);
            let mut expected = OFFSET_BASIS;
            for byte in value.to_le_bytes() {
                expected = (expected ^ u64::from(byte)).wrapping_mul(PRIME);
            }
            assert_eq!(checksum.value(), expected, "{value:#x}");
        }
    }
}
