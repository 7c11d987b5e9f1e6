//! Secrets that a server repeats in its answers, taken out before they get into an error or a log.

use std::borrow::Cow;

use lxd_types::Secret;

/// What comes right before a credential in texts of servers: in JSON, and in the command lines of the programs that
/// Incus runs, which it quotes when one of them fails.
const BEFORE: [&str; 4] = ["\"access-key\":", "\"secret-key\":", "--access-key", "--secret-key"];

const HIDDEN: &str = "***";

/// The text without these secrets, and without what looks like the credentials of a bucket.
pub(crate) fn conceal<'a>(text: &'a str, secrets: &[Secret]) -> Cow<'a, str> {
    let mut text = Cow::Borrowed(text);
    for secret in secrets.iter().map(Secret::expose).filter(|secret| !secret.is_empty()) {
        if text.contains(secret) {
            text = Cow::Owned(text.replace(secret, HIDDEN));
        }
    }
    for mark in BEFORE {
        if text.contains(mark) {
            text = Cow::Owned(without_words_after(&text, mark));
        }
    }
    text
}

/// Replaces the word or JSON string after each mark; one that is cut off too.
fn without_words_after(text: &str, mark: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(mark) {
        out.push_str(before);
        out.push_str(mark);
        let value = after.trim_start_matches([' ', '=']);
        out.push_str(&after[..after.len() - value.len()]);
        out.push_str(HIDDEN);
        rest = match value.strip_prefix('"') {
            Some(string) => string.split_once('"').map_or("", |(_, after)| after),
            None => value.find([' ', ',', '}', '\n']).map_or("", |end| &value[end..]),
        };
    }
    out.push_str(rest);
    out
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
    fn what_was_sent_is_hidden_wherever_it_stands() {
        let secrets = [Secret::new("S3CR3T"), Secret::default()];
        assert_eq!(conceal("bad key S3CR3T, 'S3CR3T'", &secrets), "bad key ***, '***'");
    }
}
