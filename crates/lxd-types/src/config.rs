//! The string-to-string configuration of pools and volumes.

use std::{
    collections::{BTreeMap, btree_map},
    fmt,
    ops::{Deref, DerefMut},
};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};

use crate::{FileMode, Lifespan, NamePattern, ParseError, Schedule, Secret, Size};

/// Configuration keys and values, strings on both sides, ordered by key so that output is stable.
///
/// It is a [`BTreeMap`] underneath and dereferences to it; the methods here add what the keys' conventions mean.
/// General keys stand at the top (`size`, `source`), a driver's keys carry its name (`zfs.pool_name`), keys under
/// `volume.` on a pool are the defaults of its new volumes, and `user.` keys are free for anyone.
///
/// ```
/// use lxd_types::Config;
///
/// let mut config: Config = [("size", "10GiB"), ("zfs.clone_copy", "false"), ("volume.size", "1GiB")].into();
/// assert_eq!(config.bool("zfs.clone_copy")?, Some(false));
/// assert_eq!(config.size("size")?.unwrap().to_string(), "10GiB");
/// assert_eq!(config.volume_defaults().collect::<Vec<_>>(), [("size", "1GiB")]);
/// config.set("user.owner", "backup");
/// assert_eq!(config.text("user.owner"), Some("backup"));
/// # Ok::<(), lxd_types::ValueError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Config(BTreeMap<String, String>);

impl Config {
    /// No keys.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The text of a key; `None` where it is unset. Empty text unsets a key on the server, so it counts as unset here.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// Whether a key holds a password, a token or a key of a storage appliance, which no log may show.
    /// [`Debug`](fmt::Debug) goes by it.
    ///
    /// ```
    /// use lxd_types::Config;
    ///
    /// assert!(Config::hides("powerflex.user.password") && !Config::hides("powerflex.user.name"));
    /// ```
    #[must_use]
    pub fn hides(key: &str) -> bool {
        ["password", "token", "secret", "api_key"].iter().any(|word| key.contains(word))
    }

    /// Sets a key. The value may be anything with a text form; `true` and a [`Size`] come out as the servers write them.
    pub fn set(&mut self, key: impl Into<String>, value: impl fmt::Display) -> &mut Self {
        self.0.insert(key.into(), value.to_string());
        self
    }

    /// The boolean of a key by the servers' rule: `true`, `1`, `yes`, `on` and `false`, `0`, `no`, `off`, in any case.
    ///
    /// # Errors
    /// [`ValueError`] for other text.
    pub fn bool(&self, key: &str) -> Result<Option<bool>, ValueError> {
        self.parsed(key, parse_bool)
    }

    /// The whole number of a key such as `ceph.osd.pg_num`.
    ///
    /// # Errors
    /// [`ValueError`] for other text, and for numbers below zero.
    pub fn int(&self, key: &str) -> Result<Option<u64>, ValueError> {
        self.parsed(key, |text| {
            text.parse().map_err(|_| ParseError::new(text, "is not a whole number from zero on"))
        })
    }

    /// The size in bytes of a key such as `size` or `volume.size`.
    ///
    /// # Errors
    /// [`ValueError`] where the text is not a size, see [`Size`].
    pub fn size(&self, key: &str) -> Result<Option<Size>, ValueError> {
        self.parsed(key, str::parse)
    }

    /// How long something lives, of a key such as `snapshots.expiry`.
    ///
    /// # Errors
    /// [`ValueError`] where the text is not a lifespan, see [`Lifespan`].
    pub fn lifespan(&self, key: &str) -> Result<Option<Lifespan>, ValueError> {
        self.parsed(key, str::parse)
    }

    /// The schedule of a key such as `snapshots.schedule`.
    ///
    /// # Errors
    /// [`ValueError`] where the text is not a schedule, see [`Schedule`].
    pub fn schedule(&self, key: &str) -> Result<Option<Schedule>, ValueError> {
        self.parsed(key, str::parse)
    }

    /// The pattern for names of a key such as `snapshots.pattern`.
    ///
    /// # Errors
    /// [`ValueError`] where the text is not a pattern, see [`NamePattern`].
    pub fn name_pattern(&self, key: &str) -> Result<Option<NamePattern>, ValueError> {
        self.parsed(key, str::parse)
    }

    /// The permissions of a key such as `initial.mode`.
    ///
    /// # Errors
    /// [`ValueError`] where the text is no octal number, see [`FileMode`].
    pub fn file_mode(&self, key: &str) -> Result<Option<FileMode>, ValueError> {
        self.parsed(key, str::parse)
    }

    /// The items of a key whose value is a list with commas between them; none where it is unset.
    #[must_use]
    pub fn list(&self, key: &str) -> Vec<String> {
        let items = self.text(key).into_iter().flat_map(|text| text.split(','));
        items.map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
    }

    fn parsed<T>(
        &self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, ParseError>,
    ) -> Result<Option<T>, ValueError> {
        let failed = |problem| ValueError { key: key.to_owned(), problem };
        self.text(key).map(|text| parse(text).map_err(failed)).transpose()
    }

    /// The keys of one driver, without its name in front: `driver("zfs")` gives `pool_name` for `zfs.pool_name`.
    pub fn driver<'a>(&'a self, driver: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.under(driver)
    }

    /// The defaults of new volumes: the keys under `volume.`, without that word in front.
    pub fn volume_defaults(&self) -> impl Iterator<Item = (&str, &str)> {
        self.under("volume")
    }

    /// The free keys: those under `user.`, without that word in front.
    pub fn user(&self) -> impl Iterator<Item = (&str, &str)> {
        self.under("user")
    }

    pub(crate) fn under<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(move |(key, value)| {
            Some((key.strip_prefix(namespace)?.strip_prefix('.')?, value.as_str()))
        })
    }
}

fn parse_bool(text: &str) -> Result<bool, ParseError> {
    let is_one_of = |words: [&str; 4]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_one_of(["true", "1", "yes", "on"]) {
        Ok(true)
    } else if is_one_of(["false", "0", "no", "off"]) {
        Ok(false)
    } else {
        Err(ParseError::new(text, "is neither true nor false"))
    }
}

/// A value that is not what its key asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueError {
    key: String,
    problem: ParseError,
}

impl ValueError {
    /// The key that holds the value.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What is wrong with the value.
    #[must_use]
    pub fn problem(&self) -> &ParseError {
        &self.problem
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "config key {:?}: {}", self.key, self.problem)
    }
}

impl std::error::Error for ValueError {}

impl fmt::Debug for Config {
    /// Passwords, tokens and keys of storage appliances are hidden.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().map(|(key, value)| (key, if Self::hides(key) { "***" } else { value }));
        f.debug_map().entries(shown).finish()
    }
}

impl Deref for Config {
    type Target = BTreeMap<String, String>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Config {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

/// Values may be anything with a text form, as in [`Config::set`].
impl<K: Into<String>, V: fmt::Display> FromIterator<(K, V)> for Config {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(key, value)| (key.into(), value.to_string())).collect())
    }
}

/// Values may be anything with a text form, as in [`Config::set`].
impl<K: Into<String>, V: fmt::Display, const N: usize> From<[(K, V); N]> for Config {
    fn from(pairs: [(K, V); N]) -> Self {
        pairs.into_iter().collect()
    }
}

impl From<BTreeMap<String, String>> for Config {
    fn from(map: BTreeMap<String, String>) -> Self {
        Self(map)
    }
}

impl From<&Self> for Config {
    fn from(config: &Self) -> Self {
        config.clone()
    }
}

impl IntoIterator for Config {
    type Item = (String, String);
    type IntoIter = btree_map::IntoIter<String, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Config {
    type Item = (&'a String, &'a String);
    type IntoIter = btree_map::Iter<'a, String, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl Serialize for Config {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A caller without the right to edit gets `null` for a pool's config.
        Ok(Option::<Pairs>::deserialize(deserializer)?.map(|pairs| Self(pairs.0)).unwrap_or_default())
    }
}

/// Keys and values, of which a secret one of the wrong type is not quoted in the error.
struct Pairs(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;

        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = BTreeMap::new();
                while let Some(key) = map.next_key::<String>()? {
                    let value = if Config::hides(&key) {
                        map.next_value::<Secret>()?.expose().to_owned()
                    } else {
                        map.next_value()?
                    };
                    pairs.insert(key, value);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(PairsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_follow_the_servers_rule() {
        let config: Config = [("a", "Yes"), ("b", "oFF"), ("c", "maybe"), ("d", "")].into();
        assert_eq!(config.bool("a").unwrap(), Some(true));
        assert_eq!(config.bool("b").unwrap(), Some(false));
        assert_eq!(config.bool("d").unwrap(), None);
        assert_eq!(config.bool("absent").unwrap(), None);
        assert_eq!(
            config.bool("c").unwrap_err().to_string(),
            r#"config key "c": "maybe" is neither true nor false"#
        );
    }

    #[test]
    fn a_bad_size_names_key_and_value() {
        let config: Config = [("size", "ten")].into();
        let error = config.size("size").unwrap_err();
        assert_eq!(error.key(), "size");
        assert_eq!(
            error.to_string(),
            r#"config key "size": "ten" is not a size: it has to begin with a digit"#
        );
    }

    #[test]
    fn other_values_name_their_key_too() {
        let config: Config = [("a", "x"), ("list", " one,two, ,three ")].into();
        let errors = [
            config.int("a").unwrap_err(),
            config.lifespan("a").unwrap_err(),
            config.schedule("a").unwrap_err(),
            config.file_mode("a").unwrap_err(),
        ];
        assert!(
            errors.iter().all(|error| error.key() == "a" && error.to_string().contains(r#""x""#)),
            "{errors:?}"
        );
        assert_eq!(config.list("list"), ["one", "two", "three"]);
        assert!(config.list("absent").is_empty());
    }

    #[test]
    fn namespaces_match_whole_words() {
        let config: Config = [("zfs.a", "1"), ("zfsx.b", "2"), ("zfs", "3"), ("volume.zfs.c", "4")].into();
        assert_eq!(config.driver("zfs").collect::<Vec<_>>(), [("a", "1")]);
        assert_eq!(config.volume_defaults().collect::<Vec<_>>(), [("zfs.c", "4")]);
    }

    #[test]
    fn secrets_of_appliances_are_hidden() {
        let config: Config =
            [("powerflex.user.password", "s3cret"), ("pure.api.token", "s3cret"), ("size", "1GiB")].into();
        let debug = format!("{config:?}");
        assert!(!debug.contains("s3cret") && debug.contains("1GiB"), "{debug}");
    }

    #[test]
    fn values_are_whatever_has_a_text_form() {
        let config: Config = [("a", true), ("b", false)].into();
        assert_eq!((config.text("a"), config.text("b")), (Some("true"), Some("false")));
        let sizes: Config = [("size", Size::gib(1))].into_iter().collect();
        assert_eq!(sizes, Config::from(BTreeMap::from([("size".to_owned(), "1GiB".to_owned())])));
        assert_eq!(Config::from(&sizes), sizes);
    }

    #[test]
    fn null_is_empty() {
        assert!(serde_json::from_str::<Config>("null").unwrap().is_empty());
    }
}
