//! Cost-benefit: the line whose free space, weighed with its age, is worth most beside the cost of moving the rest.
//!
//! After Rosenblum and Ousterhout, "The Design and Implementation of a Log-Structured File System" (1992), §3.5: with the
//! share `u` of valid pages, `(1 - u) * age / (1 + u)`. Old lines with cold data are collected earlier than by the greedy policy,
//! which leaves hot lines time to empty themselves.

use core::cmp::Ordering;

use super::super::lines::Lines;
use super::candidates::Candidates;
use super::policy::Victims;
use crate::SetupError;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct CostBenefit {
    candidates: Candidates,
}

impl CostBenefit {
    /// No candidates, with room for `lines`.
    ///
    /// # Errors
    /// [`SetupError::OutOfMemory`].
    pub fn new(lines: u32) -> Result<Self, SetupError> {
        Ok(Self {
            candidates: Candidates::new(lines)?,
        })
    }
}

/// Compares the worth of two lines, as fractions: no division, no floating point. The products stay below 2^64 * 2^32 * 2^33, so
/// times are cut to 2^62 ns (146 years).
fn compare(a: u32, b: u32, now_ns: u64, lines: &Lines) -> Ordering {
    let pages = lines.pages_per_line();
    let fraction = |line| {
        let valid_pages = lines.valid_pages(line);
        let age_ns = now_ns.saturating_sub(lines.closed_at_ns(line)).min(1 << 62) + 1;
        let benefit = u128::from(pages - valid_pages) * u128::from(age_ns);
        (benefit, u128::from(pages) + u128::from(valid_pages))
    };
    let ((benefit_a, cost_a), (benefit_b, cost_b)) = (fraction(a), fraction(b));
    (benefit_a * cost_b).cmp(&(benefit_b * cost_a))
}

impl Victims for CostBenefit {
    fn insert(&mut self, line: u32, _: &Lines) {
        self.candidates.insert(line);
    }

    fn page_invalidated(&mut self, _: u32, _: &Lines) {}

    fn take(&mut self, now_ns: u64, lines: &Lines) -> Option<u32> {
        self.candidates
            .take_best(|line, best| compare(line, best, now_ns, lines) == Ordering::Greater)
    }

    fn take_emptiest(&mut self, lines: &Lines) -> Option<u32> {
        self.candidates.take_emptiest(lines)
    }

    fn len(&self) -> usize {
        self.candidates.len()
    }

    fn metadata_bytes(&self) -> u64 {
        self.candidates.metadata_bytes()
    }
}
