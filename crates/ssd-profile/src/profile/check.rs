//! Checking the parameters of a profile.

use crate::Field;
use crate::ParameterError;

/// Checks each parameter that `fields` shows by itself.
pub(crate) fn check_each(
    fields: impl FnOnce(&mut dyn FnMut(&'static str, Field<'_>)),
) -> Result<(), ParameterError> {
    let mut result = Ok(());
    fields(&mut |key, field| {
        if result.is_ok() {
            result = field
                .check()
                .map_err(|(value, rule)| ParameterError { key, value, rule });
        }
    });
    result
}
