//! A module that is loaded.

use serde::Serialize;
use std::path::PathBuf;

/// A module with its parameters.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Loaded {
    pub module: PathBuf,
    pub parameters: String,
}
