//! Fixtures: how they are read and compared.

use std::{
    fs,
    path::{Path, PathBuf},
};

use lxd_types::Envelope;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

fn folder(family: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(family)
}

pub(crate) fn read(family: &str, name: &str) -> String {
    let file = folder(family).join(format!("{name}.json"));
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

pub(crate) fn decode<T: DeserializeOwned>(family: &str, name: &str) -> T {
    let body = read(family, name);
    let envelope = Envelope::parse(body.as_bytes()).unwrap();
    envelope.decode().unwrap_or_else(|error| panic!("{family}/{name}: {error}"))
}

/// What null, absent, empty and zero stand for alike, removed; everything else as it is.
fn essence(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(text) if text == "0001-01-01T00:00:00Z" => None,
        Value::Array(items) if items.is_empty() => None,
        Value::Array(items) => Some(items.iter().map(|item| essence(item).unwrap_or(Value::Null)).collect()),
        Value::Object(fields) => {
            // Servers leave out how much is used where that is nothing.
            let said = fields.iter().filter(|(key, value)| *key != "used" || **value != 0);
            let fields: serde_json::Map<_, _> =
                said.filter_map(|(key, value)| Some((key.clone(), essence(value)?))).collect();
            (!fields.is_empty()).then_some(Value::Object(fields))
        }
        other => Some(other.clone()),
    }
}

/// Decodes, encodes and compares with what was captured; decodes that again and compares with the first.
pub(crate) fn round_trip<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(
    family: &str,
    name: &str,
) -> T {
    let captured: Value = serde_json::from_str(&read(family, name)).unwrap();
    let decoded: T = decode(family, name);
    let encoded = serde_json::to_value(&decoded).unwrap();
    assert_eq!(essence(&encoded), essence(&captured["metadata"]), "{family}/{name}");
    assert_eq!(serde_json::from_value::<T>(encoded).unwrap(), decoded, "{family}/{name}");
    decoded
}

/// The fixtures of a folder whose names do not stand in the text of a test.
pub(crate) fn unread(family: &str, test: &str) -> Vec<String> {
    let files = fs::read_dir(folder(family)).unwrap().map(|entry| entry.unwrap().path());
    let fixtures = files.filter(|file| file.extension().is_some_and(|extension| extension == "json"));
    let names = fixtures.map(|file| file.file_stem().unwrap().to_string_lossy().into_owned());
    names.filter(|name| !test.contains(&format!("\"{name}\""))).collect()
}
