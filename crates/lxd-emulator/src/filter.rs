//! The filter language of lists: clauses of a field, an operator and a value, joined from left to right.

use regex_lite::RegexBuilder;
use serde::Serialize;
use serde_json::Value;

use crate::{failure::Failure, json_syntax};

/// A filter that was understood.
#[derive(Debug)]
pub(crate) struct Filter {
    clauses: Vec<Clause>,
    /// Unknown operators and fields are errors, and not just something that never matches.
    strict: bool,
}

#[derive(Debug)]
struct Clause {
    or: bool,
    not: bool,
    field: String,
    operator: String,
    value: String,
}

impl Filter {
    /// Reads a filter; nothing is none.
    pub(crate) fn parse(text: Option<&str>, strict: bool) -> Result<Option<Self>, Failure> {
        let Some(text) = text else { return Ok(None) };
        let wrong = |what: &str| Failure::internal(format!("Invalid filter: {what}"));
        let mut words = text.split_whitespace().peekable();
        let mut clauses = Vec::new();
        let mut or = false;
        while let Some(word) = words.next() {
            let not = word.eq_ignore_ascii_case("not");
            let field = if not { words.next().ok_or_else(|| wrong("incomplete not clause"))? } else { word };
            let operator = words.next().ok_or_else(|| wrong("clause has no operator"))?;
            let first = words.next().ok_or_else(|| wrong("clause has no value"))?;
            let mut value = first.to_owned();
            if let Some(start) = first.strip_prefix('"') {
                // A quote ends with a later word, even one that is a word of its own.
                start.clone_into(&mut value);
                loop {
                    let more = words.next().ok_or_else(|| wrong("unterminated quote"))?;
                    value.push(' ');
                    if let Some(end) = more.strip_suffix('"') {
                        value.push_str(end);
                        break;
                    }
                    value.push_str(more);
                }
            }
            clauses.push(Clause { or, not, field: field.to_owned(), operator: operator.to_owned(), value });
            or = match words.next() {
                None => break,
                Some("and") => false,
                Some("or") => true,
                Some(_) => return Err(wrong("invalid clause composition")),
            };
            if words.peek().is_none() {
                return Err(wrong("unterminated compound clause"));
            }
        }
        Ok(Some(Self { clauses, strict }))
    }

    /// Whether an object, as clients see it, is wanted.
    pub(crate) fn takes(&self, object: &Value) -> Result<bool, Failure> {
        let mut takes = true;
        for clause in &self.clauses {
            let matches = self.matches(clause, object)? != clause.not;
            takes = if clause.or { takes || matches } else { takes && matches };
        }
        Ok(takes)
    }

    /// The same for what becomes such an object.
    pub(crate) fn takes_view(&self, view: &impl Serialize) -> Result<bool, Failure> {
        let object = serde_json::to_value(view).map_err(|error| Failure::internal(error.to_string()))?;
        self.takes(&object)
    }

    fn matches(&self, clause: &Clause, object: &Value) -> Result<bool, Failure> {
        if self.strict && !matches!(clause.operator.as_str(), "eq" | "ne") {
            return Err(Failure::internal("Unsupported operation"));
        }
        let negated = clause.operator == "ne";
        let equal = match field(object, &clause.field) {
            None if self.strict => {
                let text = format!("Invalid type \"invalid\" for field {:?}", clause.field);
                return Err(Failure::internal(text));
            }
            None => false,
            Some(Value::String(text)) => fits(text, &clause.value),
            Some(other) if self.strict => {
                if let Some(complaint) = json_syntax::complaint(clause.value.as_bytes()) {
                    return Err(Failure::internal(format!("Failed to parse value: {complaint}")));
                }
                serde_json::from_str::<Value>(&clause.value).is_ok_and(|value| value == *other)
            }
            Some(other) => fits(&other.to_string(), &clause.value),
        };
        Ok(equal != negated)
    }
}

/// A field of an object; what comes after the first dot is a key of its config as a whole.
fn field<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    const EMPTY: &Value = &Value::String(String::new());
    match name.split_once('.') {
        Some((outer, key)) => match object.get(outer)? {
            Value::Object(map) => Some(map.get(key).unwrap_or(EMPTY)),
            _ => None,
        },
        None => object.get(name),
    }
}

/// Values are regular expressions for the whole text, unless they say themselves where they begin or end.
fn fits(text: &str, wanted: &str) -> bool {
    let pattern = if wanted.contains(['^', '$']) { wanted.to_owned() } else { format!("^{wanted}$") };
    match RegexBuilder::new(&pattern).case_insensitive(true).build() {
        Ok(pattern) => pattern.is_match(text),
        Err(_) => text == wanted,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn takes(filter: &str) -> bool {
        let object =
            json!({"name": "data", "description": "a b", "config": {"user.owner": "me"}, "count": 3});
        Filter::parse(Some(filter), false).unwrap().unwrap().takes(&object).unwrap()
    }

    #[test]
    fn clauses_are_joined_from_left_to_right() {
        assert!(takes("name eq DATA") && takes("name eq d.*") && !takes("name eq dat"));
        assert!(takes("name eq ^da") && takes("count eq 3") && takes("not name eq other"));
        assert!(takes("name ne x and config.user.owner eq me") && takes("name eq x or name eq data"));
        assert!(takes("description eq \"a b\"") && !takes("config.user.none eq me"));
    }

    #[test]
    fn broken_filters_are_complained_of_in_the_servers_words() {
        let refusal = |filter: &str| Filter::parse(Some(filter), false).unwrap_err().text;
        assert_eq!(refusal("name"), "Invalid filter: clause has no operator");
        assert_eq!(refusal("name eq"), "Invalid filter: clause has no value");
        assert_eq!(refusal("name eq \"v1\""), "Invalid filter: unterminated quote");
        assert_eq!(refusal("not"), "Invalid filter: incomplete not clause");
        assert_eq!(refusal("name eq a nor b eq c"), "Invalid filter: invalid clause composition");
        assert_eq!(refusal("name eq a and"), "Invalid filter: unterminated compound clause");
    }
}
