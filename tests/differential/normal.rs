//! Answers without what differs between any two servers: times, identifiers, folders and free space.

use regex_lite::Regex;
use serde_json::Value;

/// Takes out of texts what names no difference.
pub(crate) struct Normal {
    /// Where the server keeps its storage.
    folder: String,
    patterns: [(Regex, &'static str); 4],
}

impl Normal {
    pub(crate) fn new(folder: String) -> Self {
        let pattern = |text: &str| Regex::new(text).unwrap();
        let patterns = [
            (pattern("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "UUID"),
            (pattern(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"), "TIME"),
            (pattern("match: [0-9a-f]{64} vs"), "match: ETAG vs"),
            (pattern(r"20\d\d/\d\d/\d\d \d\d:\d\d(:\d\d)? UTC"), "TIME"),
        ];
        Self { folder, patterns }
    }

    pub(crate) fn text(&self, text: &str) -> String {
        let mut text = text.replace(&self.folder, "FOLDER");
        for (pattern, instead) in &self.patterns {
            text = pattern.replace_all(&text, *instead).into_owned();
        }
        text
    }

    /// A body, with JSON in one order of its keys.
    pub(crate) fn body(&self, body: &str) -> String {
        let text = self.text(body);
        let Ok(mut value) = serde_json::from_str::<Value>(&text) else { return text };
        hide_space(&mut value);
        value.to_string()
    }
}

/// Takes out how much is used of how much: servers leave out what is zero, which it is for a moment after the creation.
fn hide_space(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, value| !(value.is_number() && matches!(&**name, "used" | "total")));
            fields.values_mut().for_each(hide_space);
        }
        Value::Array(values) => values.iter_mut().for_each(hide_space),
        _ => {}
    }
}
