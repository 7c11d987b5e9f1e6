//! Lists that lie beside an object's own fields on the wire, where they are unknown to the object itself.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::Extra;

/// Takes a list out of the fields that the object doesn't know.
pub(crate) fn take<T: DeserializeOwned>(extra: &mut Extra, field: &str) -> serde_json::Result<Option<T>> {
    extra.remove(field).map_or(Ok(None), serde_json::from_value)
}

/// Puts it back among them.
pub(crate) fn put<T: Serialize>(extra: &mut Extra, field: &str, value: &T) -> serde_json::Result<()> {
    let value: Value = serde_json::to_value(value)?;
    extra.insert(field.to_owned(), value);
    Ok(())
}
