//! A model of any kind, chosen at run time.

use crate::nvm::NvmModel;
use crate::{Accepted, Command, Model, Profile, ProfileKind, Refusal, SetupError};

/// A model of any kind. A namespace holds one; the choice is a match on a local enum, not a virtual call. More kinds
/// follow; within the project every match lists them all, so that a new one cannot be forgotten.
#[derive(Clone, Debug)]
pub enum AnyModel {
    /// A drive without flash, see [`crate::nvm`].
    Nvm(NvmModel),
}

impl AnyModel {
    /// Sets up the model that `profile` describes, for a namespace of `capacity_bytes`.
    ///
    /// # Errors
    /// [`SetupError`] when a parameter is out of range, the namespace is empty, or memory for the tables is lacking.
    pub fn new(profile: &Profile, capacity_bytes: u64) -> Result<Self, SetupError> {
        if capacity_bytes == 0 {
            return Err(SetupError::NoCapacity);
        }
        match profile.kind {
            ProfileKind::Nvm(parameters) => Ok(Self::Nvm(NvmModel::new(parameters)?)),
        }
    }
}

impl Model for AnyModel {
    fn submit(&mut self, now_ns: u64, command: &Command) -> Result<Accepted, Refusal> {
        match self {
            Self::Nvm(model) => model.submit(now_ns, command),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_makes_a_model_that_answers() {
        for profile in Profile::all() {
            let mut model = AnyModel::new(profile, 1 << 30).expect("a shipped profile is valid");
            let read = Command::Read {
                offset_bytes: 0,
                len_bytes: 4096,
            };
            let accepted = model.submit(1_000, &read).expect("an idle drive takes a read on");
            assert!(accepted.done_at_ns >= 1_000, "{}", profile.name);
        }
    }

    #[test]
    fn an_empty_namespace_is_refused() {
        let error = AnyModel::new(&Profile::all()[0], 0).expect_err("there is no room for data");
        assert_eq!(error, SetupError::NoCapacity);
    }
}
