//! What of a filter a server can do.
//!
//! Servers read a filter as comparisons from left to right, without precedence or parentheses, and take each value
//! for a regular expression in any case. So a chain of comparisons can be sent that begins with one group of "or"s and
//! goes on with "and"s. Values go out as expressions that match nothing else.

use std::fmt::Write;

use super::{Field, Term};

/// Which part of a [`Filter`](crate::Filter) goes to the server, and which is done here alone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FilterPlan {
    /// The query parameter `filter`, where there is anything to send.
    pub sent: Option<String>,
    /// The comparisons that the server's language cannot express, in words.
    pub only_here: Vec<String>,
}

impl FilterPlan {
    /// Whether the server can do all of it.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.only_here.is_empty()
    }

    pub(super) fn of(term: &Term) -> Self {
        let conjuncts = match term {
            Term::All(terms) => terms.iter().collect(),
            other => vec![other],
        };
        let (mut first, mut rest, mut only_here) = (None, Vec::new(), Vec::new());
        for conjunct in conjuncts {
            match (conjunct, &first) {
                (Term::Is { .. }, _) => match clause(conjunct) {
                    Some(clause) => rest.push(clause),
                    None => only_here.push(in_words(conjunct)),
                },
                // Only one group of "or"s has a place: at the beginning.
                (Term::Any(terms), None) => match terms.iter().map(clause).collect::<Option<Vec<_>>>() {
                    Some(clauses) => first = Some(clauses.join(" or ")),
                    None => only_here.push(in_words(conjunct)),
                },
                _ => only_here.push(in_words(conjunct)),
            }
        }
        let chain: Vec<String> = first.into_iter().chain(rest).collect();
        Self { sent: (!chain.is_empty()).then(|| chain.join(" and ")), only_here }
    }
}

/// One comparison in the server's language.
fn clause(term: &Term) -> Option<String> {
    let Term::Is { field, value, equal } = term else { return None };
    let name = match field {
        Field::Name => "name",
        Field::Description => "description",
        Field::VolumeType => "type",
        Field::ContentType => "content_type",
        Field::Location => "location",
        Field::Driver => "driver",
        Field::Status => "status",
        // Old servers leave it empty in lists.
        Field::Project => return None,
        Field::Config(key)
            if key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) =>
        {
            return Some(format!("config.{key} {} {}", operator(*equal), exactly(value)?));
        }
        Field::Config(_) => return None,
    };
    Some(format!("{name} {} {}", operator(*equal), exactly(value)?))
}

fn operator(equal: bool) -> &'static str {
    if equal { "eq" } else { "ne" }
}

/// An expression that matches this text and no other; none for empty text, which servers don't take.
fn exactly(value: &str) -> Option<String> {
    if value.is_empty() {
        return None;
    }
    let mut expression = String::from("(?-i:");
    for c in value.chars() {
        if c.is_ascii_alphanumeric() {
            expression.push(c);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(expression, "\\x{{{:x}}}", u32::from(c));
        }
    }
    expression.push(')');
    Some(expression)
}

fn in_words(term: &Term) -> String {
    let join = |terms: &[Term], word: &str| {
        let parts: Vec<String> = terms.iter().map(in_words).collect();
        format!("({})", parts.join(word))
    };
    match term {
        Term::Is { field, value, equal } => format!("{field:?} {} {value:?}", operator(*equal)),
        Term::All(terms) => join(terms, " and "),
        Term::Any(terms) => join(terms, " or "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_group_of_ors_goes_first() {
        let group = Field::Name.eq("a b").or(Field::Name.ne("c"));
        let plan = Field::VolumeType.eq("custom").and(group.clone()).plan();
        let expected = r"name eq (?-i:a\x{20}b) or name ne (?-i:c) and type eq (?-i:custom)";
        assert_eq!((plan.sent.as_deref(), plan.is_complete()), (Some(expected), true));

        let plan = Field::VolumeType.eq("custom").and(group.clone()).and(group).plan();
        assert_eq!((plan.sent.as_deref(), plan.only_here.len()), (Some(expected), 1));
    }

    #[test]
    fn what_servers_cannot_express_is_named() {
        for filter in [Field::Name.eq(""), Field::config("user.a b").eq("x"), Field::Project.eq("p")] {
            let plan = filter.plan();
            assert!(plan.sent.is_none() && !plan.is_complete(), "{plan:?}");
        }
        let nested = Field::Name.eq("a").and(Field::Name.eq("b")).or(Field::Name.eq("c"));
        assert_eq!(nested.plan().sent, None);
        assert!(nested.plan().only_here[0].contains("Name eq \"a\""));
    }
}
