//! The list of the module's parameters, made from `kmod/parameters.h` by this crate's build script, and what a user gave for
//! one of them.

use crate::error::{ParamError, Problem};

include!(concat!(env!("OUT_DIR"), "/parameters.rs"));

/// The parameters as they were given. A parameter that is not there is `None`.
pub type RawParams<'a> = ParameterList<Option<&'a str>>;

/// A parameter as it was given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter<'a> {
    pub name: &'static str,
    pub text: Option<&'a str>,
}

impl<'a> Parameter<'a> {
    pub fn new(name: &'static str, text: Option<&'a str>) -> Self {
        Self { name, text }
    }

    /// The error that says what is wrong with it.
    pub fn refuse(self, problem: Problem<'a>) -> ParamError<'a> {
        ParamError {
            parameter: self.name,
            value: self.text,
            problem,
        }
    }

    /// Its value as a number, if it was given.
    ///
    /// # Errors
    /// If it is no number of 32 bits.
    pub fn number(self) -> Result<Option<u32>, ParamError<'a>> {
        self.text
            .map(|text| text.trim().parse().map_err(|_| self.refuse(Problem::NotANumber)))
            .transpose()
    }

    /// Its value as a switch, if it was given.
    ///
    /// # Errors
    /// If it is neither 1 nor 0.
    pub fn switch(self) -> Result<Option<bool>, ParamError<'a>> {
        self.text
            .map(|text| match text.trim() {
                "1" => Ok(true),
                "0" => Ok(false),
                _ => Err(self.refuse(Problem::NotASwitch)),
            })
            .transpose()
    }
}
