//! What the generated documentation says of a key.

use super::data::{Key, RELEASES, Releases, Type};

/// The lines of a key's documentation, without slashes.
pub(super) fn key(key: &Key, is_shared: bool) -> Vec<String> {
    let mut lines = vec![key.description.clone(), String::new()];
    let mut facts = vec![format!("Key `{}`.", key.key)];
    if matches!(key.ty, Type::Plain { kind: "List", .. }) {
        facts.push("No item can hold a comma.".to_owned());
    }
    match (&key.default_note, &key.default) {
        (Some(note), _) => facts.push(format!("Default: {note}.")),
        (None, Some(default)) => facts.push(format!("Default: `{default}`.")),
        (None, None) => {}
    }
    if let Some(condition) = &key.condition {
        facts.push(format!("For: {condition}."));
    }
    match key.local.len() {
        0 => {}
        count if count == RELEASES.len() => facts.push("Each cluster member has its own.".to_owned()),
        _ => facts.push(format!("Each cluster member has its own on {}.", releases(&key.local))),
    }
    if key.required {
        facts.push("Required.".to_owned());
    }
    if key.computed {
        facts.push("The server sets it.".to_owned());
    }
    if key.immutable {
        facts.push("Stays as it was at creation.".to_owned());
    }
    let everywhere = key.releases.len() == RELEASES.len();
    facts.push(match (everywhere, is_shared) {
        (true, _) => "On every server that has the driver.".to_owned(),
        (false, true) => format!("On {}, where they have the driver.", releases(&key.releases)),
        (false, false) => format!("On {}.", releases(&key.releases)),
    });
    if let Some(extension) = &key.extension {
        facts.push(format!("API extension `{extension}`."));
    }
    lines.extend(wrap(&facts));
    lines
}

/// Releases for people: `LXD 5.0, LXD 5.21 and Incus 6.0`.
pub(super) fn releases(releases: &Releases) -> String {
    let names: Vec<&str> = releases.iter().map(|place| RELEASES[*place].2).collect();
    match &names[..] {
        [] => "no server".to_owned(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// Sentences in lines of a length that fits a source file.
fn wrap(sentences: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in sentences.iter().flat_map(|sentence| sentence.split(' ')) {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < 96 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
