//! The macro behind every schema struct: one place for the rules that all of them keep.
//!
//! `#[serde(flatten)]` would keep unknown fields too, but it buffers each object into an intermediate tree
//! first, which doubles the cost of a list. The visitor written here decodes each field straight from the
//! input and sets aside only what it does not know.

/// Declares an API object.
///
/// Each field is `pub name: Type = "json name",`. Before the JSON name may stand `optional` (an `Option` that is
/// left out of the output when it is `None`) or `time` (an `Option<Timestamp>` for which the server writes a zero
/// time or `null`; left out of the output when it is `None`) or `lists` (a map of lists, each of which and each text in
/// which may be `null`).
macro_rules! object {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $(#[$field_meta:meta])* pub $field:ident: $type:ty = $($how:ident)? $json:literal, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq)]
        #[non_exhaustive]
        pub struct $name {
            $( $(#[$field_meta])* pub $field: $type, )*
            /// What the server sent beyond the fields above; written back unchanged.
            pub extra: $crate::Extra,
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(None)?;
                $( object!(@encode map, $($how)? $json, &self.$field); )*
                for (key, value) in &self.extra {
                    serde::ser::SerializeMap::serialize_entry(&mut map, key, value)?;
                }
                serde::ser::SerializeMap::end(map)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                // Variants carry the fields' own names, so that the match below needs no second list.
                #[allow(non_camel_case_types)]
                enum Key { $( $field, )* Unknown(String) }

                struct KeyVisitor;
                impl serde::de::Visitor<'_> for KeyVisitor {
                    type Value = Key;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a field name")
                    }
                    fn visit_str<E>(self, text: &str) -> Result<Key, E> {
                        Ok(match text { $( $json => Key::$field, )* _ => Key::Unknown(text.to_owned()) })
                    }
                }

                struct KeySeed;
                impl<'de> serde::de::DeserializeSeed<'de> for KeySeed {
                    type Value = Key;
                    fn deserialize<D: serde::Deserializer<'de>>(self, d: D) -> Result<Key, D::Error> {
                        d.deserialize_identifier(KeyVisitor)
                    }
                }

                struct ObjectVisitor;
                impl<'de> serde::de::Visitor<'de> for ObjectVisitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!("a ", stringify!($name), " object"))
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        let mut object = $name::default();
                        while let Some(key) = map.next_key_seed(KeySeed)? {
                            match key {
                                $( Key::$field => object.$field = object!(@decode map, [$($how)?] $type), )*
                                Key::Unknown(name) => { object.extra.insert(name, map.next_value()?); }
                            }
                        }
                        Ok(object)
                    }
                }

                deserializer.deserialize_map(ObjectVisitor)
            }
        }
    };

    (@encode $map:ident, optional $json:literal, $value:expr) => {
        if let Some(value) = $value {
            serde::ser::SerializeMap::serialize_entry(&mut $map, $json, value)?;
        }
    };
    (@encode $map:ident, time $json:literal, $value:expr) => { object!(@encode $map, optional $json, $value) };
    (@encode $map:ident, lists $json:literal, $value:expr) => { object!(@encode $map, $json, $value) };
    (@encode $map:ident, $json:literal, $value:expr) => {
        serde::ser::SerializeMap::serialize_entry(&mut $map, $json, $value)?
    };

    (@decode $map:ident, [time] $type:ty) => {
        $map.next_value::<Option<$crate::timestamp::ZeroIsNone>>()?.and_then(|time| time.0)
    };
    (@decode $map:ident, [lists] $type:ty) => {{
        type Lists = std::collections::BTreeMap<String, Option<Vec<Option<String>>>>;
        let lists = $map.next_value::<Option<Lists>>()?.unwrap_or_default();
        lists
            .into_iter()
            .map(|(key, list)| (key, list.unwrap_or_default().into_iter().flatten().collect()))
            .collect()
    }};
    // `null` stands for "nothing" wherever a Go server had a nil slice, map or pointer.
    (@decode $map:ident, [$($how:ident)?] $type:ty) => { $map.next_value::<Option<$type>>()?.unwrap_or_default() };
}

#[cfg(test)]
mod tests {
    use crate::{StoragePool, StorageVolume, StorageVolumeSnapshot};

    #[test]
    fn null_and_absent_are_empty() {
        let nulls = r#"{"name":null,"config":null,"used_by":null,"managed":null,"status":null}"#;
        for text in ["{}", nulls] {
            assert_eq!(serde_json::from_str::<StoragePool>(text).unwrap(), StoragePool::default());
        }
    }

    #[test]
    fn unknown_fields_are_kept_and_written_back() {
        let text = r#"{"name":"s","description":"","content_type":"","created_at":"2024-01-02T03:04:05Z","config":{},"new":{"deep":[1,null]}}"#;
        let snapshot: StorageVolumeSnapshot = serde_json::from_str(text).unwrap();
        assert_eq!(snapshot.extra["new"]["deep"][0], 1);
        assert_eq!(serde_json::to_string(&snapshot).unwrap(), text);
    }

    #[test]
    fn what_a_put_replaces_carries_unknown_fields_along() {
        let pool: StoragePool =
            serde_json::from_str(r#"{"name":"p","description":"d","colour":"blue"}"#).unwrap();
        assert_eq!(
            serde_json::to_string(&pool.to_put()).unwrap(),
            r#"{"description":"d","config":{},"colour":"blue"}"#
        );
    }

    #[test]
    fn a_wrong_type_is_an_error_that_says_what_was_expected() {
        let error = serde_json::from_str::<StoragePool>(r#"{"name":7}"#).unwrap_err().to_string();
        assert!(error.contains("integer `7`, expected a string"), "{error}");
        let error = serde_json::from_str::<StoragePool>("[]").unwrap_err().to_string();
        assert!(error.contains("a StoragePool object"), "{error}");
    }

    #[test]
    fn a_zero_time_is_none() {
        let volume: StorageVolume = serde_json::from_str(r#"{"created_at":"0001-01-01T00:00:00Z"}"#).unwrap();
        assert_eq!(volume.created_at, None);
    }
}
