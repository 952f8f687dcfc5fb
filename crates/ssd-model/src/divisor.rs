//! Division by a number that is known at set-up only, without a division.

/// A divisor with its reciprocal. Exact for every `u32` (Lemire, Kaser, Kurz: "Faster remainder by direct computation").
#[derive(Clone, Copy, Debug)]
pub struct Divisor {
    value: u32,
    /// ceil(2^64 / value); 0 for 1, whose reciprocal does not fit.
    reciprocal: u64,
}

impl Divisor {
    /// A divisor; 0 is taken as 1.
    pub fn new(value: u32) -> Self {
        let value = value.max(1);
        Self {
            value,
            reciprocal: (u64::MAX / u64::from(value)).wrapping_add(1),
        }
    }

    /// The divisor.
    pub fn value(self) -> u32 {
        self.value
    }

    /// `dividend / value`.
    #[inline]
    pub fn divide(self, dividend: u32) -> u32 {
        if self.reciprocal == 0 {
            return dividend;
        }
        ((u128::from(self.reciprocal) * u128::from(dividend)) >> 64) as u32
    }

    /// `(dividend / value, dividend % value)`.
    #[inline]
    pub fn divide_with_rest(self, dividend: u32) -> (u32, u32) {
        let quotient = self.divide(dividend);
        (quotient, dividend - quotient * self.value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_same_as_dividing(dividend: u32, value in 1..=u32::MAX) {
            let divided = Divisor::new(value).divide_with_rest(dividend);
            prop_assert_eq!(divided, (dividend / value, dividend % value));
        }

        #[test]
        fn also_near_the_multiples(value in 1..=65_536_u32, factor: u32, off in 0..3_u32) {
            let dividend = (factor / value * value).wrapping_add(off).wrapping_sub(1);
            prop_assert_eq!(Divisor::new(value).divide(dividend), dividend / value);
        }
    }
}
