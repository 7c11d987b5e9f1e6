//! The facts of `xtask/data/config-keys.json`, checked: what is misspelt there must not become code.

use serde_json::{Map, Value};

/// The releases, in the order in which they are always listed: (name in the facts, variant, name for people).
pub(super) const RELEASES: [(&str, &str, &str); 5] = [
    ("lxd-5.0", "Lxd50", "LXD 5.0"),
    ("lxd-5.21", "Lxd521", "LXD 5.21"),
    ("lxd-latest", "LxdLatest", "the latest LXD"),
    ("incus-6.0", "Incus60", "Incus 6.0"),
    ("incus-latest", "IncusLatest", "the latest Incus"),
];

/// Types of keys: (name in the facts, kind in the table, macro word).
const TYPES: [(&str, &str, &str); 15] = [
    ("text", "Text", "text"),
    ("secret", "Secret", "text"),
    ("path", "Path", "text"),
    ("url", "Url", "text"),
    ("uuid", "Uuid", "text"),
    ("json", "Json", "text"),
    ("duration", "Duration", "text"),
    ("bool", "Bool", "bool"),
    ("int", "Int", "int"),
    ("size", "Size", "size"),
    ("mode", "FileMode", "file_mode"),
    ("lifespan", "Lifespan", "lifespan"),
    ("schedule", "Schedule", "schedule"),
    ("pattern", "NamePattern", "name_pattern"),
    ("list", "List", "list"),
];

/// What objects have keys: (name in the facts, name of the config type, for people).
pub(super) const SECTIONS: [(&str, &str); 3] = [("pool", "Pool"), ("volume", "Volume"), ("bucket", "Bucket")];

pub(super) struct Facts {
    pub(super) enums: Vec<Choice>,
    /// Per section, the keys that several drivers share.
    pub(super) shared: [Vec<Key>; 3],
    pub(super) drivers: Vec<Driver>,
}

/// An enum of a driver, or of the module of shared keys.
pub(super) struct Choice {
    pub(super) module: String,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) values: Vec<Variant>,
}

pub(super) struct Variant {
    pub(super) value: String,
    pub(super) name: String,
    pub(super) description: String,
}

/// Releases by their place in [`RELEASES`].
pub(super) type Releases = Vec<usize>;

pub(super) enum Type {
    Plain { kind: &'static str, word: &'static str },
    Choice { module: String, name: String },
}

pub(super) struct Key {
    pub(super) key: String,
    pub(super) ty: Type,
    pub(super) default: Option<String>,
    pub(super) default_note: Option<String>,
    /// Where each member of a cluster has its own value.
    pub(super) local: Releases,
    pub(super) releases: Releases,
    pub(super) extension: Option<String>,
    pub(super) condition: Option<String>,
    pub(super) required: bool,
    pub(super) immutable: bool,
    pub(super) computed: bool,
    /// Whether pools take no default for it.
    pub(super) own: bool,
    pub(super) description: String,
}

pub(super) enum Row {
    /// The place among the shared keys of the section.
    Shared(usize),
    Own(Box<Key>),
}

pub(super) struct Driver {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) releases: Releases,
    pub(super) extension: Option<String>,
    pub(super) remote: bool,
    pub(super) optimized_backup: bool,
    pub(super) volume_types: Vec<String>,
    pub(super) content_types: Vec<String>,
    pub(super) buckets: Releases,
    pub(super) rows: [Vec<Row>; 3],
}

impl Facts {
    pub(super) fn parse(json: &str) -> Result<Self, String> {
        let root: Value = serde_json::from_str(json).map_err(|error| format!("config-keys.json: {error}"))?;
        let enums = object(&root["enums"], "enums")?
            .iter()
            .map(|(name, value)| choice(name, value))
            .collect::<Result<Vec<_>, _>>()?;
        let mut shared = [Vec::new(), Vec::new(), Vec::new()];
        for ((section, _), keys) in SECTIONS.iter().zip(&mut shared) {
            for value in array(&root["shared"][section], section)? {
                keys.push(key(value, &enums)?);
            }
        }
        let drivers = object(&root["drivers"], "drivers")?
            .iter()
            .map(|(name, value)| {
                driver(name, value, &shared, &enums).map_err(|error| format!("{name}: {error}"))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { enums, shared, drivers })
    }

    pub(super) fn choice(&self, module: &str, name: &str) -> Option<&Choice> {
        self.enums.iter().find(|choice| choice.module == module && choice.name == name)
    }
}

fn choice(name: &str, value: &Value) -> Result<Choice, String> {
    let (module, short) = name.split_once('.').ok_or_else(|| format!("enum {name} names no module"))?;
    let mut values = Vec::new();
    for value in array(&value["values"], name)? {
        values.push(Variant {
            value: text(value, "value", name)?,
            name: text(value, "variant", name)?,
            description: text(value, "description", name)?,
        });
    }
    Ok(Choice {
        module: module.to_owned(),
        name: short.to_owned(),
        description: text(value, "description", name)?,
        values,
    })
}

fn key(value: &Value, enums: &[Choice]) -> Result<Key, String> {
    const FIELDS: [&str; 13] = [
        "key",
        "type",
        "default",
        "default_note",
        "local",
        "releases",
        "extension",
        "condition",
        "required",
        "immutable",
        "computed",
        "own",
        "description",
    ];
    let key = text(value, "key", "a key")?;
    if let Some(unknown) = object(value, &key)?.keys().find(|field| !FIELDS.contains(&field.as_str())) {
        return Err(format!("{key}: there is no field {unknown:?}"));
    }
    let ty = text(value, "type", &key)?;
    let ty = match ty.strip_prefix("enum ").map(|name| name.split_once('.')) {
        None => TYPES
            .iter()
            .find(|(name, ..)| *name == ty)
            .map(|(_, kind, word)| Type::Plain { kind, word })
            .ok_or_else(|| format!("{key}: there is no type {ty:?}"))?,
        Some(Some((module, name))) if enums.iter().any(|e| e.module == module && e.name == name) => {
            Type::Choice { module: module.to_owned(), name: name.to_owned() }
        }
        Some(_) => return Err(format!("{key}: there is no {ty}")),
    };
    let local = match &value["local"] {
        Value::Null => Vec::new(),
        Value::Bool(true) => (0..RELEASES.len()).collect(),
        some => releases(some).map_err(|error| format!("{key}: {error}"))?,
    };
    Ok(Key {
        ty,
        default: optional(value, "default"),
        default_note: optional(value, "default_note"),
        local,
        releases: releases(&value["releases"]).map_err(|error| format!("{key}: {error}"))?,
        extension: optional(value, "extension"),
        condition: optional(value, "condition"),
        required: flag(value, "required"),
        immutable: flag(value, "immutable"),
        computed: flag(value, "computed"),
        own: flag(value, "own"),
        description: text(value, "description", &key)?,
        key,
    })
}

fn driver(name: &str, value: &Value, shared: &[Vec<Key>; 3], enums: &[Choice]) -> Result<Driver, String> {
    let mut rows = [Vec::new(), Vec::new(), Vec::new()];
    for (((section, _), keys), rows) in SECTIONS.iter().zip(shared).zip(&mut rows) {
        for row in array(&value[section], section)? {
            rows.push(match row {
                Value::String(name) => {
                    let place = keys.iter().position(|key| key.key == *name);
                    Row::Shared(place.ok_or_else(|| format!("no {section} key {name:?} is shared"))?)
                }
                own => Row::Own(Box::new(key(own, enums)?)),
            });
        }
    }
    let words = |field: &str| -> Result<Vec<String>, String> {
        let words = array(&value[field], field)?.iter().map(Value::as_str);
        words.map(|word| word.map(str::to_owned).ok_or_else(|| format!("{field} holds no words"))).collect()
    };
    Ok(Driver {
        name: name.to_owned(),
        description: text(value, "description", name)?,
        releases: releases(&value["releases"])?,
        extension: optional(value, "extension"),
        remote: flag(value, "remote"),
        optimized_backup: flag(value, "optimized_backup"),
        volume_types: words("volume_types")?,
        content_types: words("content_types")?,
        buckets: releases(&value["buckets"])?,
        rows,
    })
}

fn releases(value: &Value) -> Result<Releases, String> {
    if value == "all" {
        return Ok((0..RELEASES.len()).collect());
    }
    let place = |name: &Value| RELEASES.iter().position(|(known, ..)| name == known);
    array(value, "releases")?
        .iter()
        .map(|name| place(name).ok_or_else(|| format!("there is no release {name}")))
        .collect()
}

fn object<'a>(value: &'a Value, what: &str) -> Result<&'a Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("{what} is no object"))
}

fn array<'a>(value: &'a Value, what: &str) -> Result<&'a [Value], String> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| format!("{what} is no list"))
}

fn text(value: &Value, field: &str, what: &str) -> Result<String, String> {
    optional(value, field).ok_or_else(|| format!("{what} lacks {field:?}"))
}

fn optional(value: &Value, field: &str) -> Option<String> {
    value[field].as_str().map(str::to_owned)
}

fn flag(value: &Value, field: &str) -> bool {
    value[field] == true
}
