//! Which line garbage collection takes: a trait, one file per policy.
//!
//! To add one: a file here, a variant below, and a name in `VictimPolicy` of `ssd-profile`.

mod candidates;
mod cost_benefit;
mod greedy;
mod policy;
mod random;

use ssd_profile::VictimPolicy;

use super::lines::Lines;
use crate::SetupError;
use cost_benefit::CostBenefit;
use greedy::Greedy;
pub use policy::Victims;
use random::Random;

/// A policy of any kind.
#[derive(Clone, Debug)]
pub enum AnyVictims {
    /// See [`greedy`].
    Greedy(Greedy),
    /// See [`cost_benefit`].
    CostBenefit(CostBenefit),
    /// See [`random`].
    Random(Random),
}

impl AnyVictims {
    /// The policy that a profile names, for `lines` lines.
    ///
    /// # Errors
    /// [`SetupError::OutOfMemory`].
    pub fn new(policy: VictimPolicy, lines: u32) -> Result<Self, SetupError> {
        Ok(match policy {
            VictimPolicy::Greedy => Self::Greedy(Greedy::new(lines)?),
            VictimPolicy::CostBenefit => Self::CostBenefit(CostBenefit::new(lines)?),
            VictimPolicy::Random => Self::Random(Random::new(lines)?),
        })
    }
}

/// Does the same for whichever policy it is.
macro_rules! with_policy {
    ($self:expr, $policy:ident => $what:expr) => {
        match $self {
            AnyVictims::Greedy($policy) => $what,
            AnyVictims::CostBenefit($policy) => $what,
            AnyVictims::Random($policy) => $what,
        }
    };
}

impl Victims for AnyVictims {
    #[inline]
    fn insert(&mut self, line: u32, lines: &Lines) {
        with_policy!(self, policy => policy.insert(line, lines));
    }

    #[inline]
    fn page_invalidated(&mut self, line: u32, lines: &Lines) {
        with_policy!(self, policy => policy.page_invalidated(line, lines));
    }

    fn take(&mut self, now_ns: u64, lines: &Lines) -> Option<u32> {
        with_policy!(self, policy => policy.take(now_ns, lines))
    }

    fn take_emptiest(&mut self, lines: &Lines) -> Option<u32> {
        with_policy!(self, policy => policy.take_emptiest(lines))
    }

    fn len(&self) -> usize {
        with_policy!(self, policy => policy.len())
    }

    fn metadata_bytes(&self) -> u64 {
        with_policy!(self, policy => policy.metadata_bytes())
    }
}
