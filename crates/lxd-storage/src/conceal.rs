//! Secrets that a server repeats in its answers, taken out before they get into an error or a log.

use std::borrow::Cow;

use lxd_types::{Config, Secret};

/// What comes right before a credential in the command lines of the programs that Incus runs, which it quotes when one
/// of them fails.
const FLAGS: [&str; 2] = ["--access-key", "--secret-key"];

const HIDDEN: &str = "***";

/// The text without these secrets, without what looks like the credentials of a bucket, and without what stands in JSON
/// under the name of a secret.
pub(crate) fn conceal<'a>(text: &'a str, secrets: &[Secret]) -> Cow<'a, str> {
    let mut text = Cow::Borrowed(text);
    for secret in secrets.iter().map(Secret::expose).filter(|secret| !secret.is_empty()) {
        if text.contains(secret) {
            text = Cow::Owned(text.replace(secret, HIDDEN));
        }
    }
    for flag in FLAGS {
        if text.contains(flag) {
            text = Cow::Owned(without_words_after(&text, flag));
        }
    }
    match without_json(&text) {
        Some(hidden) => Cow::Owned(hidden),
        None => text,
    }
}

/// Replaces the word after each flag.
fn without_words_after(text: &str, flag: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(flag) {
        out.push_str(before);
        out.push_str(flag);
        let value = after.trim_start_matches([' ', '=']);
        out.push_str(&after[..after.len() - value.len()]);
        out.push_str(HIDDEN);
        let length = match value.starts_with('"') {
            true => string_length(value.as_bytes()),
            false => value.find([' ', '\n']).unwrap_or(value.len()),
        };
        rest = &value[length..];
    }
    out.push_str(rest);
    out
}

/// Replaces what stands under the names of secrets; `None` where there is none. Every quote may begin a name, since the
/// text need not be JSON as a whole.
fn without_json(text: &str) -> Option<String> {
    let mut out = String::new();
    let (mut kept, mut at) = (0, 0);
    while let Some(found) = text[at..].find('"') {
        at += found + 1;
        let Some(value) = secret_at(&text[at..]).map(|place| at + place) else { continue };
        out.push_str(&text[kept..value]);
        out.push_str(HIDDEN);
        kept = value + value_length(&text[value..]);
        at = kept;
    }
    (kept > 0).then(|| out + &text[kept..])
}

/// Where the value begins, if this is the rest of a secret's name and a colon after it.
fn secret_at(text: &str) -> Option<usize> {
    let (name, after) = text.split_once('"')?;
    if !(Config::hides(name) || name == "access-key") {
        return None;
    }
    let value = after.trim_start().strip_prefix(':')?.trim_start();
    Some(text.len() - value.len())
}

/// How long a JSON value is; one that is cut off ends with the text.
fn value_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    // Byte by byte: no part of a longer letter is a quote or a bracket.
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b'"' => at += string_length(&text.as_bytes()[at..]),
            b'{' | b'[' => (depth, at) = (depth + 1, at + 1),
            b'}' | b']' if depth > 0 => (depth, at) = (depth - 1, at + 1),
            _ if depth > 0 => at += 1,
            _ => return text.find([' ', ',', '}', ']', '\n']).unwrap_or(text.len()),
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// How long a string is, quotes included.
fn string_length(text: &[u8]) -> usize {
    let mut escaped = false;
    let end = text.iter().skip(1).position(|&byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_json_and_command_lines_are_hidden() {
        for (text, hidden) in [
            (
                r#"{"access-key":"AK","secret-key":"SK","name":"n"}"#,
                r#"{"access-key":***,"secret-key":***,"name":"n"}"#,
            ),
            (r#"{"secret-key": "cut of"#, r#"{"secret-key": ***"#),
            (r#"{"secret-key":12345}"#, r#"{"secret-key":***}"#),
            (
                "Failed to run: mc admin add --access-key ab --secret-key sh/ort --policy p: exit status 1",
                "Failed to run: mc admin add --access-key *** --secret-key *** --policy p: exit status 1",
            ),
            ("mc --secret-key=x", "mc --secret-key=***"),
            ("mc --secret-key", "mc --secret-key***"),
            ("nothing to hide", "nothing to hide"),
        ] {
            assert_eq!(conceal(text, &[]), hidden);
        }
    }

    #[test]
    fn whatever_has_the_name_of_a_secret_is_hidden_as_a_whole() {
        for (text, hidden) in [
            (
                r#"{"powerflex.user.password" : "a\"b\\","n":"é"}"#,
                r#"{"powerflex.user.password" : ***,"n":"é"}"#,
            ),
            (r#"{"pure.api.token":"a\"cut"#, r#"{"pure.api.token":***"#),
            (r#"{"pure.api.token":"#, r#"{"pure.api.token":***"#),
            (r#"{"secrets":{"é":"}]é","b":[1,{}]},"n":1}"#, r#"{"secrets":***,"n":1}"#),
            (r#"[{"truenas.api_key":null}]"#, r#"[{"truenas.api_key":***}]"#),
            (r#"{"token":["a"],"token":"b"}"#, r#"{"token":***,"token":***}"#),
            (r#"{"name":"password","the password":1}"#, r#"{"name":"password","the password":***}"#),
            (r#"a " in the text: {"token":"b"} "#, r#"a " in the text: {"token":***} "#),
            (r#"{"name":"n","config":{}}"#, r#"{"name":"n","config":{}}"#),
            ("\"", "\""),
        ] {
            assert_eq!(conceal(text, &[]), hidden);
        }
    }

    #[test]
    fn what_was_sent_is_hidden_wherever_it_stands() {
        let secrets = [Secret::new("S3CR3T"), Secret::default()];
        assert_eq!(conceal("bad key S3CR3T, 'S3CR3T'", &secrets), "bad key ***, '***'");
    }
}
