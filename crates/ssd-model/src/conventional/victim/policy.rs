//! What a policy must do.

use crate::conventional::lines::Lines;

/// The lines that garbage collection may take, and the choice among them. Every line in it has at least one invalid page.
pub trait Victims {
    /// `line` becomes a candidate.
    fn insert(&mut self, line: u32, lines: &Lines);

    /// One more page of the candidate `line` became invalid; `lines` has the new count.
    fn page_invalidated(&mut self, line: u32, lines: &Lines);

    /// Takes the line out that the policy chooses; nothing if there is no candidate.
    fn take(&mut self, now_ns: u64, lines: &Lines) -> Option<u32>;

    /// Takes the line out that has the fewest valid pages: what counts when the free lines run out.
    fn take_emptiest(&mut self, lines: &Lines) -> Option<u32>;

    /// How many candidates there are.
    fn len(&self) -> usize;

    /// Bytes of the tables.
    fn metadata_bytes(&self) -> u64;
}
