//! What generated workloads have in common: random numbers, arrivals and progress.

/// xorshift64* (Vigna 2016): fast, and the same on every machine.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        // Neighbouring seeds begin far apart; never 0.
        Self((seed ^ 0x9E37_79B9_7F4A_7C15).wrapping_mul(0xBF58_476D_1CE4_E5B9) | 1)
    }

    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let value = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D);
        ((u128::from(value) * u128::from(bound)) >> 64) as u64
    }
}

/// When command number `index` arrives, ns since the phase began, if that is by rate.
pub(super) fn arrival_ns(index: u64, rate_per_s: Option<u64>) -> Option<u64> {
    rate_per_s.map(|rate| (u128::from(index) * 1_000_000_000 / u128::from(rate)) as u64)
}

/// The share of `count` commands that `index` are, in thousandths; nothing if they have no end.
pub(super) fn done_milli(index: u64, count: u64) -> Option<u64> {
    (count != u64::MAX).then(|| (u128::from(index) * 1000 / u128::from(count.max(1))) as u64)
}
