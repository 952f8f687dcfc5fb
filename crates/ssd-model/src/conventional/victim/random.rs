//! Random: any line that has an invalid page. The baseline that other policies are compared with.

use super::super::lines::Lines;
use super::candidates::Candidates;
use super::policy::Victims;
use crate::SetupError;

/// Where the sequence of choices begins: the same for every drive, so that a run can be repeated.
const SEED: u64 = 0x9E37_79B9_7F4A_7C15;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct Random {
    candidates: Candidates,
    /// State of a xorshift64 generator (Marsaglia 2003), never 0.
    state: u64,
}

impl Random {
    /// No candidates, with room for `lines`.
    ///
    /// # Errors
    /// [`SetupError::OutOfMemory`].
    pub fn new(lines: u32) -> Result<Self, SetupError> {
        Ok(Self {
            candidates: Candidates::new(lines)?,
            state: SEED,
        })
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }
}

impl Victims for Random {
    fn insert(&mut self, line: u32, _: &Lines) {
        self.candidates.insert(line);
    }

    fn page_invalidated(&mut self, _: u32, _: &Lines) {}

    fn take(&mut self, _: u64, _: &Lines) -> Option<u32> {
        let random = self.next();
        let count = self.candidates.len() as u64;
        let place = random.checked_rem(count)?;
        self.candidates.take_at(place as usize)
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
