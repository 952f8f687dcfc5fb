//! The state of a key-value namespace: where its pairs are, its features and open iterators.

pub(crate) mod iterators;

use alloc::vec::Vec;

use ssd_model::key_value::KeyValueStore;
use ssd_profile::{KeyValueCommandSet, KeyValueParameters};

use crate::namespace::feature::NamespaceFeature;
use crate::namespace::key_value::iterators::Iterators;
use crate::setup::{table, SetupError};

/// What a key-value namespace has beyond its timing model.
pub(crate) struct KeyValue {
    pub parameters: KeyValueParameters,
    pub store: KeyValueStore,
    /// The feature Key Value Configuration (KV CS 1.0 §4.1.3.1).
    pub configuration: NamespaceFeature,
    pub iterators: Iterators,
    pub transfer_bytes_max: u32,
    /// Where a batch is copied to and a list is put together: as long as the longest transfer.
    pub buffer: Vec<u8>,
}

impl KeyValue {
    pub fn new(
        parameters: &KeyValueParameters,
        capacity_bytes: u64,
        hash_seed: u64,
        transfer_bytes_max: u32,
    ) -> Result<Self, SetupError> {
        Ok(Self {
            parameters: *parameters,
            store: KeyValueStore::new(parameters, capacity_bytes, hash_seed)?,
            configuration: NamespaceFeature::default(),
            iterators: Iterators::new()?,
            transfer_bytes_max,
            buffer: table(transfer_bytes_max as usize, || 0)?,
        })
    }

    /// Whether the namespace speaks the NVM command set beside the vendor specific commands.
    pub fn has_lbas(&self) -> bool {
        self.parameters.command_set == KeyValueCommandSet::WithLbas
    }

    /// Longest value that one command can store.
    pub fn value_bytes_max(&self) -> u32 {
        self.parameters.value_bytes_max.min(self.transfer_bytes_max)
    }

    /// A controller level reset.
    pub fn reset(&mut self) {
        self.configuration.reset();
        self.iterators.close_all();
    }
}
