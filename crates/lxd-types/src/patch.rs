//! What a `PATCH` changes.

use std::fmt;

use crate::Config;

object! {
    /// What `PATCH` on a pool or volume takes: the keys given here change, others stay. Empty text removes a key.
    ///
    /// Every server takes a `PATCH` without a description for one that clears it. The handles of the high-level
    /// client fill in the present one; who sends this by hand has to do so.
    ///
    /// ```
    /// use lxd_types::Patch;
    ///
    /// let patch = Patch::new().with_config("user.owner", "backup").with_config("user.old", "");
    /// assert_eq!(serde_json::to_string(&patch)?, r#"{"config":{"user.old":"","user.owner":"backup"}}"#);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub struct Patch {
        /// The new description.
        pub description: Option<String> = optional "description",
        /// The keys to change.
        pub config: Config = "config",
    }
}

impl Patch {
    /// Changes nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the description.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Sets one key; empty text removes it. The value may be anything with a text form, as in [`Config::set`].
    #[must_use]
    pub fn with_config(mut self, key: impl Into<String>, value: impl fmt::Display) -> Self {
        self.config.set(key, value);
        self
    }
}
