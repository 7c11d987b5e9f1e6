//! The macro for what all objects with a description and keys can be given.

/// Builds up an object that has the fields `description` and `config`.
macro_rules! config_setters {
    ($name:ident) => {
        impl $name {
            /// Sets the description.
            #[must_use]
            pub fn with_description(mut self, description: impl Into<String>) -> Self {
                self.description = description.into();
                self
            }

            /// Sets one key. The value may be anything with a text form, as in
            /// [`Config::set`](crate::Config::set).
            #[must_use]
            pub fn with_config(mut self, key: impl Into<String>, value: impl std::fmt::Display) -> Self {
                self.config.set(key, value);
                self
            }

            /// Sets many keys at once, such as a typed config of [`drivers`](crate::drivers). Others stay.
            #[must_use]
            pub fn with_keys(mut self, keys: impl Into<$crate::Config>) -> Self {
                self.config.extend(keys.into());
                self
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use crate::{Config, StorageBucketPut, StoragePoolPut, StorageVolume, StorageVolumePut};

    #[test]
    fn what_replaces_an_object_is_built_up_like_what_creates_it() {
        let keys: Config = [("size", "1GiB"), ("user.a", "1")].into();
        let put = StoragePoolPut::default().with_description("d").with_config("user.a", 2).with_keys(keys);
        assert_eq!((&*put.description, put.config.text("user.a")), ("d", Some("1")));
        assert_eq!(StorageBucketPut::default().with_config("user.b", true).config["user.b"], "true");
    }

    #[test]
    fn what_the_server_sent_beyond_that_stays() {
        let volume: StorageVolume =
            serde_json::from_str(r#"{"name":"v","description":"d","config":{"a":"1"},"colour":"blue"}"#)
                .unwrap();
        let put: StorageVolumePut = volume.to_put().with_config("b", 2).with_restore("before");
        assert_eq!(
            serde_json::to_string(&put).unwrap(),
            r#"{"description":"d","config":{"a":"1","b":"2"},"restore":"before","colour":"blue"}"#
        );
    }
}
