//! Configs: sorted maps of text.

use std::collections::BTreeMap;

/// An object's config.
pub(crate) type Config = BTreeMap<String, String>;

/// A config of these keys and values.
#[cfg(test)]
pub(crate) fn config<const N: usize>(entries: [(&str, &str); N]) -> Config {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// What PATCH makes of a config: the new keys over the old, and without those that are empty.
pub(crate) fn merged(old: &Config, new: &Config) -> Config {
    let mut merged = old.clone();
    merged.extend(new.iter().map(|(key, value)| (key.clone(), value.clone())));
    cleaned(&merged)
}

/// A config without its empty values, which mean that a key is not set.
pub(crate) fn cleaned(config: &Config) -> Config {
    config
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// What servers hold for true.
pub(crate) fn is_true(value: Option<&String>) -> bool {
    value.is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "true" | "1" | "yes" | "on"))
}
