//! Which module of a crate imports which, by what the sources say.
//!
//! An import is a `use`, or a path inside of an item, that leads to an item of another module of the
//! same crate. It counts for the module that defines the item, whatever re-exports the path goes
//! through. Code for tests does not count, nor does `mod child;`.
//!
//! What this crate does *not* do: expand macros, so paths inside of a macro's arguments are not seen;
//! tell an inherent method's module, so calling one is no import; look at other crates.
#![forbid(unsafe_code)]

mod graph;
mod layers;
mod resolve;
mod source;

pub use graph::{Cycle, Graph};
pub use layers::Layers;
pub use source::{Figures, Module, Sources};
