//! Changes to `config.yml` that leave alone what they aren't about, comments included.

use std::ops::Range;

use serde_norway::{Mapping, Value};

use crate::config::scalar;

/// A change to the file.
pub(crate) enum Edit<'a> {
    /// A new remote with these keys.
    Add(&'a str, Vec<(&'static str, Value)>),
    Remove(&'a str),
    Rename(&'a str, &'a str),
    Default(&'a str),
}

const REMOTES: &str = "remotes";
const DEFAULT: &str = "default-remote";

impl Edit<'_> {
    /// The text with the change in it. `document` is what the text says.
    ///
    /// The text is edited line by line, and the outcome is read again: if it doesn't say exactly what it should, since
    /// the file is written in some uncommon way, the whole file is written anew. Then all keys stay and comments go.
    pub(crate) fn apply(&self, text: &str, document: &Value) -> Result<String, serde_norway::Error> {
        let wanted = self.apply_to_document(document);
        let edited = self.apply_to_text(text);
        match edited {
            Some(edited) if serde_norway::from_str(&edited).is_ok_and(|found: Value| found == wanted) => {
                Ok(edited)
            }
            _ => serde_norway::to_string(&wanted),
        }
    }

    fn apply_to_document(&self, document: &Value) -> Value {
        let mut top = document.as_mapping().cloned().unwrap_or_default();
        let mut remotes = top.get(REMOTES).and_then(Value::as_mapping).cloned().unwrap_or_default();
        match self {
            Self::Add(name, keys) => {
                let keys: Mapping =
                    keys.iter().map(|(key, value)| (Value::from(*key), value.clone())).collect();
                remotes.insert(Value::from(*name), Value::Mapping(keys));
            }
            Self::Remove(name) => {
                remotes.retain(|key, _| !is_named(key, name));
            }
            Self::Rename(from, to) => {
                // In its old place: whoever wrote the file had the order in mind.
                let entries = remotes.into_iter();
                remotes = entries
                    .map(|(key, entry)| (if is_named(&key, from) { Value::from(*to) } else { key }, entry))
                    .collect();
                if top.get(DEFAULT).is_some_and(|default| is_named(default, from)) {
                    top.insert(Value::from(DEFAULT), Value::from(*to));
                }
            }
            Self::Default(name) => {
                top.insert(Value::from(DEFAULT), Value::from(*name));
                return Value::Mapping(top);
            }
        }
        top.insert(Value::from(REMOTES), Value::Mapping(remotes));
        Value::Mapping(top)
    }

    fn apply_to_text(&self, text: &str) -> Option<String> {
        let mut lines = Lines::of(text);
        match self {
            Self::Add(name, keys) => lines.add(name, keys)?,
            Self::Remove(name) => lines.remove(name)?,
            Self::Rename(from, to) => lines.rename(from, to)?,
            Self::Default(name) => lines.set_default(name)?,
        }
        Some(lines.0.concat())
    }
}

/// The line of a key below other keys, counted from 1; of the last one of them that is found.
pub(crate) fn line_of(text: &str, keys: &[&str]) -> Option<usize> {
    let lines = Lines::of(text);
    let mut inside = 0..lines.0.len();
    let mut found = None;
    for key in keys {
        let Some(block) = lines.block(inside, key) else { break };
        found = Some(block.start + 1);
        inside = block.start + 1..block.end;
    }
    found
}

/// A file of block mappings, as lines with their ends.
struct Lines(Vec<String>);

impl Lines {
    fn of(text: &str) -> Self {
        let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        if let Some(last) = lines.last_mut().filter(|last| !last.ends_with('\n')) {
            last.push('\n');
        }
        Self(lines)
    }

    fn get(&self, range: Range<usize>) -> &[String] {
        self.0.get(range).unwrap_or_default()
    }

    /// The lines of an entry of the mapping in these lines: its key and all that belongs to it.
    fn block(&self, inside: Range<usize>, key: &str) -> Option<Range<usize>> {
        let depth = self.depth(inside.clone())?;
        let start = inside.start
            + self
                .get(inside.clone())
                .iter()
                .position(|line| indent(line) == Some(depth) && is_key(line, key))?;
        let mut end = start + 1;
        for (place, line) in self.0.iter().enumerate().take(inside.end).skip(start + 1) {
            match indent(line) {
                // Comments and empty lines belong to whatever follows.
                None => {}
                Some(deep) if deep > depth || (deep == depth && is_item(line)) => end = place + 1,
                Some(_) => break,
            }
        }
        Some(start..end)
    }

    /// How far the entries of the mapping in these lines are indented.
    fn depth(&self, inside: Range<usize>) -> Option<usize> {
        self.get(inside).iter().filter(|line| !line.starts_with("---")).find_map(|line| indent(line))
    }

    fn remotes(&self) -> Option<Range<usize>> {
        self.block(0..self.0.len(), REMOTES)
    }

    fn add(&mut self, name: &str, keys: &[(&str, Value)]) -> Option<()> {
        let (depth, place) = match self.remotes() {
            Some(block) => {
                let depth = self.depth(block.start + 1..block.end);
                if depth.is_none() {
                    // `remotes: {}`, or nothing at all behind the colon.
                    *self.0.get_mut(block.start)? = format!("{REMOTES}:\n");
                }
                (depth.unwrap_or(2), block.end)
            }
            None => {
                self.0.push(format!("{REMOTES}:\n"));
                (2, self.0.len())
            }
        };
        let mut entry = format!("{:depth$}{}:\n", "", plain(name)?);
        for (key, value) in keys {
            let value = match value {
                Value::String(text) => plain(text)?,
                other => serde_norway::to_string(other).ok()?.trim_end().to_owned(),
            };
            entry.push_str(&format!("{:1$}{key}: {value}\n", "", depth * 2));
        }
        self.0.splice(place..place, [entry]);
        Some(())
    }

    fn remove(&mut self, name: &str) -> Option<()> {
        let block = self.remotes()?;
        let entry = self.block(block.start + 1..block.end, name)?;
        if entry.len() + 1 == block.len() {
            *self.0.get_mut(block.start)? = format!("{REMOTES}: {{}}\n");
        }
        self.0.drain(entry);
        Some(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Option<()> {
        let block = self.remotes()?;
        let entry = self.block(block.start + 1..block.end, from)?;
        let line = self.0.get_mut(entry.start)?;
        let depth = indent(line)?;
        // Keys have no colon in them, so the first one ends the key, whatever quotes are around it.
        let (_, rest) = line.split_once(':')?;
        *line = format!("{:depth$}{}:{rest}", "", plain(to)?);
        let default = self.block(0..self.0.len(), DEFAULT).and_then(|block| self.0.get(block.start));
        let default: Option<Mapping> = default.and_then(|line| serde_norway::from_str(line).ok());
        let default = default.as_ref().and_then(|default| default.get(DEFAULT));
        if default.is_some_and(|default| is_named(default, from)) { self.set_default(to) } else { Some(()) }
    }

    fn set_default(&mut self, name: &str) -> Option<()> {
        let line = format!("{DEFAULT}: {}", plain(name)?);
        match self.block(0..self.0.len(), DEFAULT) {
            Some(block) => {
                let old = self.0.get_mut(block.start)?;
                let comment = old.find(" #").and_then(|start| old.get(start..)).unwrap_or("\n").to_owned();
                *old = line + &comment;
            }
            None => {
                let first = self.0.iter().position(|line| indent(line).is_some() && !line.starts_with("---"));
                let first = first.unwrap_or(self.0.len());
                self.0.insert(first, line + "\n");
            }
        }
        Some(())
    }
}

/// Whether this key or value is a remote's name. One like `12` is no text to YAML unless it has quotes.
fn is_named(value: &Value, name: &str) -> bool {
    scalar(value).as_deref() == Some(name)
}

/// How far a line is indented; `None` where it says nothing.
fn indent(line: &str) -> Option<usize> {
    let said = line.trim_start_matches(' ');
    (!said.trim().is_empty() && !said.starts_with('#')).then(|| line.len() - said.len())
}

/// Whether a line is an item of a list, which may stand as far left as the list's key.
fn is_item(line: &str) -> bool {
    let said = line.trim();
    said == "-" || said.starts_with("- ")
}

fn is_key(line: &str, key: &str) -> bool {
    let said = line.trim_start();
    let rest = [key.to_owned(), format!("{key:?}"), format!("'{key}'")]
        .iter()
        .find_map(|key| said.strip_prefix(key.as_str()).and_then(|rest| rest.strip_prefix(':')));
    rest.is_some_and(|rest| rest.trim_end().is_empty() || rest.starts_with(' '))
}

/// Words that YAML 1.1, which the command line clients read, takes for a boolean and YAML 1.2 for text.
const AMBIGUOUS: [&str; 6] = ["y", "n", "yes", "no", "on", "off"];

/// A name as YAML, with quotes where it could be read as something else.
fn plain(name: &str) -> Option<String> {
    if AMBIGUOUS.iter().any(|word| name.eq_ignore_ascii_case(word)) {
        return Some(format!("{name:?}"));
    }
    serde_norway::to_string(name).ok().map(|text| text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# mine
default-remote: a # for now
remotes:
  # the first
  a:
    addr: https://a
    x-own: {deep: [1, 2]}

  # the second
  \"b\":
    addr: https://b
x-list:
- one
- two
aliases: {}
";

    fn edited(edit: &Edit<'_>, text: &str) -> String {
        let document: Value = serde_norway::from_str(text).unwrap();
        let edited = edit.apply(text, &document).unwrap();
        let found: Value = serde_norway::from_str(&edited).unwrap();
        assert_eq!(found, edit.apply_to_document(&document), "{edited}");
        edited
    }

    fn add(name: &str) -> Edit<'_> {
        Edit::Add(name, vec![("addr", Value::from("https://[::1]:1")), ("public", Value::from(false))])
    }

    #[test]
    fn an_edit_touches_its_own_lines_only() {
        let entry = "  c:\n    addr: https://[::1]:1\n    public: false\n";
        assert_eq!(edited(&add("c"), FILE), FILE.replace("x-list", &format!("{entry}x-list")));
        assert_eq!(
            edited(&Edit::Remove("a"), FILE),
            FILE.replace("  a:\n    addr: https://a\n    x-own: {deep: [1, 2]}\n", "")
        );
        assert_eq!(edited(&Edit::Rename("b", "z"), FILE), FILE.replace("\"b\"", "z"));
        assert_eq!(
            edited(&Edit::Rename("a", "z"), FILE),
            FILE.replace("  a:", "  z:").replace("remote: a", "remote: z")
        );
        assert_eq!(edited(&Edit::Default("b"), FILE), FILE.replace("remote: a", "remote: b"));
        let without = FILE.replace("default-remote: a # for now\n", "");
        assert_eq!(edited(&Edit::Rename("a", "12"), &without), without.replace("  a:", "  '12':"));
    }

    #[test]
    fn a_file_with_nothing_in_it_gets_what_it_needs() {
        let entry = "remotes:\n  c:\n    addr: https://[::1]:1\n    public: false\n";
        for text in ["", "remotes:\n", "remotes: {}\n", "remotes: null"] {
            assert_eq!(edited(&add("c"), text), entry, "{text:?}");
        }
        assert_eq!(
            edited(&Edit::Default("b"), "# c\n---\nremotes:\n"),
            "# c\n---\ndefault-remote: b\nremotes:\n"
        );
        assert_eq!(edited(&Edit::Default("b"), ""), "default-remote: b\n");
        assert_eq!(edited(&Edit::Remove("c"), entry), "remotes: {}\n");
    }

    #[test]
    fn an_uncommon_file_keeps_its_keys_and_loses_its_comments() {
        for text in [
            "{remotes: {a: {addr: x, own: 1}}, own: 2} # flow",
            "remotes: {a: {addr: x, own: 1}} # half\nown: 2\n",
            "remotes: &r\n  ? a\n  : addr: x\n    own: 1\nown: 2 # c\n",
        ] {
            for edit in [add("c"), Edit::Default("a"), Edit::Rename("a", "z")] {
                let text = edited(&edit, text);
                assert!(text.contains("own: 1") && text.contains("own: 2"), "{text}");
            }
            assert!(!edited(&Edit::Remove("a"), text).contains("own: 1"));
        }
    }

    #[test]
    fn names_that_look_like_something_else_are_quoted() {
        for name in ["on", "y", "12", "1e3", "null", "~", "true", "0x1f", "#a", "a#", "é"] {
            let text = edited(&add(name), "remotes: {}\n");
            assert_eq!(edited(&Edit::Remove(name), &text), "remotes: {}\n", "{text}");
        }
        assert!(edited(&add("On"), "").contains("\"On\":") && edited(&add("12"), "").contains("'12':"));
    }

    #[test]
    fn names_that_are_no_text_are_found_all_the_same() {
        let file = "default-remote: 12\nremotes:\n  12:\n    addr: x\n  true:\n    addr: y\n";
        assert_eq!(edited(&Edit::Remove("true"), file), file.replace("  true:\n    addr: y\n", ""));
        assert_eq!(edited(&Edit::Rename("12", "a"), file), file.replace("12", "a"));
        assert_eq!(edited(&Edit::Rename("a", "12"), &file.replace("12", "a")), file.replace("12", "'12'"));
    }

    #[test]
    fn lines_are_found() {
        assert_eq!(line_of(FILE, &["remotes"]), Some(3));
        assert_eq!(line_of(FILE, &["remotes", "b"]), Some(10));
        assert_eq!(line_of(FILE, &["remotes", "b", "addr"]), Some(11));
        assert_eq!(line_of(FILE, &["remotes", "b", "nothing"]), Some(10));
        assert_eq!(line_of(FILE, &["nothing"]), None);
    }
}
