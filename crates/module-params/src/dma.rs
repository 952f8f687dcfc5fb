//! What copies data: the `dma=` parameter.

use crate::error::{ParamError, Problem};

/// The longest name of a DMA engine.
const DMA_NAME_LEN_MAX: usize = 31;

/// Which DMA engines copy data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DmaChoice<'a> {
    /// None: the CPUs do.
    Off,
    /// Any that are free.
    Any,
    /// Those of this name: a channel's, or that of a device with several.
    Named(&'a str),
}

impl<'a> DmaChoice<'a> {
    /// Reads `off`, `any` or a name.
    ///
    /// # Errors
    /// If it is none of them.
    pub fn parse(value: &'a str) -> Result<Self, ParamError<'a>> {
        match value.trim() {
            "off" => Ok(Self::Off),
            "any" => Ok(Self::Any),
            name if is_dma_name(name) => Ok(Self::Named(name)),
            _ => Err(ParamError {
                parameter: "dma",
                value: Some(value),
                problem: Problem::Dma,
            }),
        }
    }
}

/// Whether an engine can be called so: they are all numbered, as in `dma0chan1`.
fn is_dma_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    name.len() <= DMA_NAME_LEN_MAX
        && name.bytes().all(is_allowed)
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.ends_with(|last: char| last.is_ascii_digit())
}
