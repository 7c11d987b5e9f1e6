//! The macros in which the generated modules are written: a config type, and the methods of one key.

/// Declares a typed config: a [`Config`](crate::Config) with methods for the keys of one driver.
macro_rules! typed_config {
    ($(#[$meta:meta])* pub struct $name:ident;) => {
        $(#[$meta])*
        ///
        /// Unknown keys are kept.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name($crate::Config);

        impl $name {
            /// No keys.
            #[must_use]
            pub const fn new() -> Self {
                Self($crate::Config::new())
            }

            /// All keys, without their types.
            #[must_use]
            pub const fn as_config(&self) -> &$crate::Config {
                &self.0
            }

            /// Sets a key that this type doesn't know. The value may be anything with a text form.
            #[must_use]
            pub fn with_config(mut self, key: impl Into<String>, value: impl std::fmt::Display) -> Self {
                self.0.set(key, value);
                self
            }

            /// Sets a free key: `user.` is put in front of its name.
            #[must_use]
            pub fn with_user(self, name: &str, value: impl std::fmt::Display) -> Self {
                self.with_config(format!("user.{name}"), value)
            }

            /// The free keys: those under `user.`, without that word in front.
            pub fn user(&self) -> impl Iterator<Item = (&str, &str)> {
                self.0.user()
            }
        }

        impl From<$crate::Config> for $name {
            fn from(config: $crate::Config) -> Self {
                Self(config)
            }
        }

        impl From<&$crate::Config> for $name {
            fn from(config: &$crate::Config) -> Self {
                Self(config.clone())
            }
        }

        impl From<$name> for $crate::Config {
            fn from(config: $name) -> Self {
                config.0
            }
        }
    };
}

/// What a typed config of pools can do beyond its keys.
macro_rules! pool_config {
    ($name:ident, $driver:literal) => {
        impl $name {
            /// What creates a pool of this driver with these keys.
            #[must_use]
            pub fn into_post(self, name: impl Into<String>) -> $crate::StoragePoolsPost {
                $crate::StoragePoolsPost::new(name, $driver).with_keys(self)
            }
        }
    };
    ($name:ident, $driver:literal, $volume:ident) => {
        pool_config!($name, $driver);

        impl $name {
            /// Sets defaults of new volumes: each key, with `volume.` put in front. Servers take no `user.` keys here.
            #[must_use]
            pub fn with_volume_defaults(mut self, defaults: $volume) -> Self {
                for (key, value) in $crate::Config::from(defaults) {
                    self.0.insert(format!("volume.{key}"), value);
                }
                self
            }

            /// The defaults of new volumes: the keys under `volume.`, without that word in front.
            #[must_use]
            pub fn volume_defaults(&self) -> $volume {
                $volume(self.0.volume_defaults().collect())
            }
        }
    };
}

/// The reader and the setter of one key. A key without a setter is the server's own.
macro_rules! key {
    ($(#[$doc:meta])* $kind:ident $reader:ident = $key:literal $(as $type:ty)?) => {
        key!(@read [$(#[$doc])*] $kind $reader $key $($type)?);
    };
    ($(#[$doc:meta])* $kind:ident $reader:ident $setter:ident = $key:literal $(as $type:ty)?) => {
        key!(@read [$(#[$doc])*] $kind $reader $key $($type)?);
        key!(@set [$(#[$doc])*] $kind $setter $key $($type)?);
    };

    (@read [$(#[$doc:meta])*] text $reader:ident $key:literal) => {
        $(#[$doc])*
        #[must_use]
        pub fn $reader(&self) -> Option<&str> {
            self.0.text($key)
        }
    };
    (@read [$(#[$doc:meta])*] choice $reader:ident $key:literal $type:ty) => {
        $(#[$doc])*
        #[must_use]
        pub fn $reader(&self) -> Option<$type> {
            self.0.text($key).map(<$type>::from)
        }
    };
    (@read [$(#[$doc:meta])*] list $reader:ident $key:literal) => {
        $(#[$doc])*
        #[must_use]
        pub fn $reader(&self) -> Vec<String> {
            self.0.list($key)
        }
    };
    (@read [$(#[$doc:meta])*] under $reader:ident $key:literal) => {
        $(#[$doc])*
        pub fn $reader(&self) -> impl Iterator<Item = (&str, &str)> {
            self.0.under($key)
        }
    };
    (@read [$(#[$doc:meta])*] bool $reader:ident $key:literal) => {
        key!(@parse [$(#[$doc])*] bool $reader $key bool);
    };
    (@read [$(#[$doc:meta])*] int $reader:ident $key:literal) => {
        key!(@parse [$(#[$doc])*] int $reader $key u64);
    };
    (@read [$(#[$doc:meta])*] size $reader:ident $key:literal) => {
        key!(@parse [$(#[$doc])*] size $reader $key $crate::Size);
    };
    (@read [$(#[$doc:meta])*] lifespan $reader:ident $key:literal) => {
        key!(@parse [$(#[$doc])*] lifespan $reader $key $crate::Lifespan);
    };
    (@read [$(#[$doc:meta])*] schedule $reader:ident $key:literal) => {
        key!(@parse [$(#[$doc])*] schedule $reader $key $crate::Schedule);
    };
    (@read [$(#[$doc:meta])*] name_pattern $reader:ident $key:literal) => {
        key!(@parse [$(#[$doc])*] name_pattern $reader $key $crate::NamePattern);
    };
    (@read [$(#[$doc:meta])*] file_mode $reader:ident $key:literal) => {
        key!(@parse [$(#[$doc])*] file_mode $reader $key $crate::FileMode);
    };
    (@parse [$(#[$doc:meta])*] $kind:ident $reader:ident $key:literal $type:ty) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// [`ValueError`](crate::ValueError) where the text is something else.
        pub fn $reader(&self) -> Result<Option<$type>, $crate::ValueError> {
            self.0.$kind($key)
        }
    };

    (@set [$(#[$doc:meta])*] text $setter:ident $key:literal) => {
        key!(@store [$(#[$doc])*] $setter $key, value: impl Into<String>, value.into());
    };
    (@set [$(#[$doc:meta])*] choice $setter:ident $key:literal $type:ty) => {
        key!(@store [$(#[$doc])*] $setter $key, value: impl Into<$type>, value.into());
    };
    (@set [$(#[$doc:meta])*] list $setter:ident $key:literal) => {
        key!(@store [$(#[$doc])*] $setter $key, items: impl IntoIterator<Item = impl Into<String>>,
            items.into_iter().map(Into::into).collect::<Vec<String>>().join(","));
    };
    (@set [$(#[$doc:meta])*] bool $setter:ident $key:literal) => {
        key!(@store [$(#[$doc])*] $setter $key, value: bool, value);
    };
    (@set [$(#[$doc:meta])*] int $setter:ident $key:literal) => {
        key!(@store [$(#[$doc])*] $setter $key, value: u64, value);
    };
    (@set [$(#[$doc:meta])*] size $setter:ident $key:literal) => {
        key!(@store [$(#[$doc])*] $setter $key, value: $crate::Size, value);
    };
    (@set [$(#[$doc:meta])*] lifespan $setter:ident $key:literal) => {
        key!(@store [$(#[$doc])*] $setter $key, value: $crate::Lifespan, value);
    };
    (@set [$(#[$doc:meta])*] schedule $setter:ident $key:literal) => {
        key!(@store [$(#[$doc])*] $setter $key, value: $crate::Schedule, value.as_str());
    };
    (@set [$(#[$doc:meta])*] name_pattern $setter:ident $key:literal) => {
        key!(@store [$(#[$doc])*] $setter $key, value: $crate::NamePattern, value.as_str());
    };
    (@set [$(#[$doc:meta])*] file_mode $setter:ident $key:literal) => {
        key!(@store [$(#[$doc])*] $setter $key, value: $crate::FileMode, value);
    };
    (@set [$(#[$doc:meta])*] under $setter:ident $key:literal) => {
        #[doc = concat!("Sets `", $key, ".NAME`.")]
        ///
        $(#[$doc])*
        #[must_use]
        pub fn $setter(self, name: &str, value: impl std::fmt::Display) -> Self {
            self.with_config(format!(concat!($key, ".{}"), name), value)
        }
    };
    (@store [$(#[$doc:meta])*] $setter:ident $key:literal, $value:ident: $type:ty, $text:expr) => {
        #[doc = concat!("Sets `", $key, "`.")]
        ///
        $(#[$doc])*
        #[must_use]
        pub fn $setter(mut self, $value: $type) -> Self {
            self.0.set($key, $text);
            self
        }
    };
}
