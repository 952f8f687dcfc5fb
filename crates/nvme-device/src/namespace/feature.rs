//! A feature that each namespace has for itself.

use nvme_spec::FeatureSelect;

/// A feature's value of one namespace; 0 by default.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NamespaceFeature {
    current: u32,
    saved: u32,
}

impl NamespaceFeature {
    /// The value that `select` names.
    pub fn get(self, select: FeatureSelect) -> u32 {
        match select {
            FeatureSelect::CURRENT => self.current,
            FeatureSelect::SAVED => self.saved,
            _ => 0,
        }
    }

    pub fn set(&mut self, value: u32, is_saved: bool) {
        self.current = value;
        if is_saved {
            self.saved = value;
        }
    }

    /// A controller level reset.
    pub fn reset(&mut self) {
        self.current = self.saved;
    }
}
