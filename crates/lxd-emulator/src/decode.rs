//! Bodies of requests, read as Go reads them into its structs: unknown fields are passed over, and what has the wrong
//! type is named in Go's words.

use serde_json::{Map, Value};

use crate::{clock::Moment, config::Config, failure::Failure, json_syntax};

/// The fields of a struct that a request carries.
#[derive(Debug)]
pub(crate) struct Fields {
    values: Map<String, Value>,
    /// The Go type, and the path to it in front of a field's name.
    kind: &'static str,
    path: String,
    /// Whether times are complained of as a newer Go does.
    newer_go: bool,
}

impl Fields {
    pub(crate) fn parse(body: &[u8], kind: &'static str, newer_go: bool) -> Result<Self, Failure> {
        if let Some(complaint) = json_syntax::complaint(body) {
            return Err(Failure::bad_request(complaint));
        }
        let first = serde_json::Deserializer::from_slice(body).into_iter::<Value>().next();
        let values = match first {
            Some(Ok(Value::Object(values))) => values,
            Some(Ok(Value::Null)) => Map::new(),
            Some(Ok(other)) => {
                let what = kind_of(&other);
                let text = format!("json: cannot unmarshal {what} into Go value of type api.{kind}");
                return Err(Failure::bad_request(text));
            }
            Some(Err(error)) => return Err(Failure::bad_request(error.to_string())),
            None => return Err(Failure::bad_request("EOF")),
        };
        Ok(Self { values, kind, path: String::new(), newer_go })
    }

    /// A field that is there and not null. Go takes names in any case.
    fn value(&self, field: &str) -> Option<&Value> {
        let exact = self.values.get(field);
        let value = exact.or_else(|| {
            self.values.iter().find(|(name, _)| name.eq_ignore_ascii_case(field)).map(|(_, value)| value)
        });
        value.filter(|value| !value.is_null())
    }

    fn wrong(&self, field: &str, value: &Value, wanted: &str) -> Failure {
        let (what, kind, path) = (kind_of(value), self.kind, &self.path);
        Failure::bad_request(format!(
            "json: cannot unmarshal {what} into Go struct field {kind}.{path}{field} of type {wanted}"
        ))
    }

    /// Whether the field is there, be it null.
    pub(crate) fn has(&self, field: &str) -> bool {
        self.values.keys().any(|name| name.eq_ignore_ascii_case(field))
    }

    /// Whether the field is there and not null.
    pub(crate) fn is_set(&self, field: &str) -> bool {
        self.value(field).is_some()
    }

    pub(crate) fn text(&self, field: &str) -> Result<String, Failure> {
        match self.value(field) {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Err(self.wrong(field, other, "string")),
        }
    }

    pub(crate) fn flag(&self, field: &str) -> Result<bool, Failure> {
        match self.value(field) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.wrong(field, other, "bool")),
        }
    }

    pub(crate) fn texts(&self, field: &str) -> Result<Option<Vec<String>>, Failure> {
        let list = match self.value(field) {
            None => return Ok(None),
            Some(Value::Array(list)) => list,
            Some(other) => return Err(self.wrong(field, other, "[]string")),
        };
        let texts = list.iter().map(|one| match one {
            Value::String(text) => Ok(text.clone()),
            other => Err(self.wrong(field, other, "string")),
        });
        texts.collect::<Result<_, _>>().map(Some)
    }

    /// A config; a key that is null is there and empty.
    pub(crate) fn config(&self, field: &str) -> Result<Option<Config>, Failure> {
        let map = match self.value(field) {
            None => return Ok(None),
            Some(Value::Object(map)) => map,
            Some(other) => return Err(self.wrong(field, other, "map[string]string")),
        };
        self.map_of_text(field, map).map(Some)
    }

    /// A map of configs, as devices are.
    pub(crate) fn configs(
        &self,
        field: &str,
    ) -> Result<Option<std::collections::BTreeMap<String, Config>>, Failure> {
        let map = match self.value(field) {
            None => return Ok(None),
            Some(Value::Object(map)) => map,
            Some(other) => return Err(self.wrong(field, other, "map[string]map[string]string")),
        };
        let configs = map.iter().map(|(name, value)| match value {
            Value::Object(map) => Ok((name.clone(), self.map_of_text(field, map)?)),
            Value::Null => Ok((name.clone(), Config::new())),
            other => Err(self.wrong(field, other, "map[string]string")),
        });
        configs.collect::<Result<_, _>>().map(Some)
    }

    fn map_of_text(&self, field: &str, map: &Map<String, Value>) -> Result<Config, Failure> {
        let entries = map.iter().map(|(key, value)| match value {
            Value::String(text) => Ok((key.clone(), text.clone())),
            Value::Null => Ok((key.clone(), String::new())),
            other => Err(self.wrong(field, other, "string")),
        });
        entries.collect()
    }

    /// A struct inside of this one.
    pub(crate) fn object(&self, field: &str, kind: &'static str) -> Result<Option<Self>, Failure> {
        match self.value(field) {
            None => Ok(None),
            Some(Value::Object(values)) => Ok(Some(Self {
                values: values.clone(),
                kind,
                path: format!("{}{field}.", self.path),
                newer_go: self.newer_go,
            })),
            Some(other) => Err(self.wrong(field, other, &format!("api.{kind}"))),
        }
    }

    /// A time; null and Go's zero time are none.
    pub(crate) fn time(&self, field: &str) -> Result<Option<Moment>, Failure> {
        let text = match self.value(field) {
            None => return Ok(None),
            Some(Value::String(text)) => text,
            Some(other) if self.newer_go => {
                let _ = other;
                return Err(Failure::bad_request("Time.UnmarshalJSON: input is not a JSON string"));
            }
            Some(other) => {
                return Err(Failure::bad_request(format!(
                    "parsing time {:?} as \"\\\"2006-01-02T15:04:05Z07:00\\\"\": cannot parse {:?} as \"\\\"\"",
                    other.to_string(),
                    other.to_string()
                )));
            }
        };
        Moment::parse(text).ok_or_else(|| {
            Failure::bad_request(if self.newer_go {
                format!("parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?} as \"2006\"")
            } else {
                let (quoted, rest) = (format!("\"{text}\""), format!("{text}\""));
                format!(
                    "parsing time {quoted:?} as \"\\\"2006-01-02T15:04:05Z07:00\\\"\": cannot parse {rest:?} as \"2006\""
                )
            })
        })
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(body: &str) -> Result<Fields, Failure> {
        Fields::parse(body.as_bytes(), "StoragePoolsPost", false)
    }

    #[test]
    fn wrong_types_are_named_as_go_does() {
        let text = |result: Result<String, Failure>| result.unwrap_err().text;
        assert_eq!(
            text(fields(r#"{"name":1}"#).unwrap().text("name")),
            "json: cannot unmarshal number into Go struct field StoragePoolsPost.name of type string"
        );
        assert_eq!(
            fields("[]").unwrap_err().text,
            "json: cannot unmarshal array into Go value of type api.StoragePoolsPost"
        );
    }

    #[test]
    fn null_is_absent_and_names_come_in_any_case() {
        let fields = fields(r#"{"Name":"a","description":null,"config":{"k":null}}"#).unwrap();
        assert_eq!(fields.text("name").unwrap(), "a");
        assert_eq!(fields.text("description").unwrap(), "");
        assert_eq!(fields.config("config").unwrap().unwrap()["k"], "");
    }
}
