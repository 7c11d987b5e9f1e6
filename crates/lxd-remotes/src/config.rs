//! What `config.yml` says.

use std::{collections::BTreeMap, path::Path};

use serde_norway::{Mapping, Value};

use crate::{
    Error, ErrorKind, Remote,
    edit::line_of,
    remote::{Origin, Protocol},
};

/// A config file, understood.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    pub(crate) default_remote: Option<String>,
    pub(crate) remotes: BTreeMap<String, Remote>,
}

/// Reads the text of a config file; an empty one is fine.
pub(crate) fn parse(text: &str, path: &Path, origin: Origin) -> Result<Config, Error> {
    let mut document = document(text, path)?;
    let refuse = |keys: &[&str], what: &str| Err(malformed(what).at(path, line_of(text, keys)));
    if document.apply_merge().is_err() {
        return refuse(&[], "a merge key (<<) stands for no mapping");
    }
    let top = match &document {
        Value::Null => return Ok(Config::default()),
        Value::Mapping(top) => top,
        _ => return refuse(&[], "the file is no mapping with `default-remote` and `remotes`"),
    };
    let Ok(default_remote) = text_at(top, "default-remote") else {
        return refuse(&["default-remote"], "`default-remote` is no name");
    };
    let mut config = Config { default_remote, remotes: BTreeMap::new() };
    let remotes = match top.get("remotes") {
        None | Some(Value::Null) => return Ok(config),
        Some(Value::Mapping(remotes)) => remotes,
        Some(_) => return refuse(&["remotes"], "`remotes` is no mapping from names to remotes"),
    };
    for (name, entry) in remotes {
        let Some(name) = scalar(name) else {
            return refuse(&["remotes"], "a remote has a name that is no text");
        };
        match remote(&name, entry, origin) {
            Ok(remote) => config.remotes.insert(name, remote),
            Err((key, what)) => {
                let keys = ["remotes", &name, key];
                let keys = if key.is_empty() { keys.get(..2).unwrap_or_default() } else { &keys };
                return refuse(keys, &format!("remote {name:?}: {what}"));
            }
        };
    }
    Ok(config)
}

/// The file as it is, keys that we don't know included.
pub(crate) fn document(text: &str, path: &Path) -> Result<Value, Error> {
    serde_norway::from_str(text).map_err(|error| {
        let line = error.location().map(|location| location.line());
        // The cause could quote the file, and an image server's address can have a password in it.
        malformed(&format!("it is no YAML: {}", without_quotes(&error.to_string()))).at(path, line)
    })
}

fn malformed(what: &str) -> Error {
    let hint = "correct the file by hand, or move it away to begin with an empty one";
    Error::new(ErrorKind::Malformed, format!("{what}; {hint}"))
}

fn without_quotes(text: &str) -> String {
    match (text.find('"'), text.rfind('"')) {
        (Some(first), Some(last)) if first < last => {
            format!("{}\"...{}", text.get(..first).unwrap_or_default(), text.get(last..).unwrap_or_default())
        }
        _ => text.to_owned(),
    }
}

/// One remote, or the key that is wrong (`""` for the entry) and how.
fn remote(name: &str, entry: &Value, origin: Origin) -> Result<Remote, (&'static str, &'static str)> {
    let Value::Mapping(entry) = entry else { return Err(("", "it is no mapping with an `addr`")) };
    let text = |key: &'static str| text_at(entry, key).map_err(|()| (key, "the value is no text"));
    let flag = |key: &'static str| match entry.get(key) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err((key, "the value is neither true nor false")),
    };
    let mut addresses: Vec<String> = Vec::new();
    // Newer versions of incus write several addresses into one text.
    addresses
        .extend(text("addr")?.iter().flat_map(|addr| addr.split(',')).map(|addr| addr.trim().to_owned()));
    match entry.get("addrs") {
        None | Some(Value::Null) => {}
        Some(Value::Sequence(list)) => {
            for address in list {
                addresses.push(scalar(address).ok_or(("addrs", "an address is no text"))?);
            }
        }
        Some(_) => return Err(("addrs", "the value is no list of addresses")),
    }
    addresses.retain(|address| !address.is_empty());
    if let Some(last) = text("last_working_address")?
        && let Some(place) = addresses.iter().position(|address| *address == last)
    {
        addresses.get_mut(..=place).unwrap_or_default().rotate_right(1);
    }
    let protocol = text("protocol")?.map(|text| Protocol::from(&*text));
    if addresses.is_empty() {
        return Err(("", "it has no `addr`"));
    }
    Ok(Remote {
        name: name.to_owned(),
        addresses,
        protocol,
        auth: text("auth_type")?.map(|text| crate::Auth::from(&*text)),
        project: text("project")?,
        public: flag("public")?,
        fixed: flag("static")?,
        origin,
    })
}

/// The text under a key; an empty one is none.
fn text_at(mapping: &Mapping, key: &str) -> Result<Option<String>, ()> {
    match mapping.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => scalar(value).ok_or(()).map(|text| Some(text).filter(|text| !text.is_empty())),
    }
}

/// What the command line clients take for text: they read `12` as the name it looks like.
pub(crate) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, Error> {
        parse(text, Path::new("config.yml"), Origin::Own)
    }

    /// As lxc 5.0 writes it, with an entry of everything else that was ever seen.
    const FILE: &str = "default-remote: big
remotes:
  images:
    addr: https://images.example
    protocol: simplestreams
    public: true
  big:
    addr: https://10.0.0.7:8443
    auth_type: tls
    project: blue
    protocol: lxd
    public: false
  many:
    addr: https://a:8443, https://b:8443
    last_working_address: https://b:8443
    auth_type: oidc
    protocol: incus
    keepalive: 30
    public: false
  listed:
    addrs: [https://c, https://d]
    static: true
  12:
    addr: unix:///run/x.socket
    protocol: novel
aliases: {l: list}
";

    #[test]
    fn all_that_was_ever_written_is_read() {
        let config = read(FILE).unwrap();
        assert_eq!(config.default_remote.as_deref(), Some("big"));
        let names: Vec<&str> = config.remotes.keys().map(String::as_str).collect();
        assert_eq!(names, ["12", "big", "images", "listed", "many"]);
        let big = &config.remotes["big"];
        assert_eq!(
            (big.addresses(), big.project()),
            (&["https://10.0.0.7:8443".to_owned()][..], Some("blue"))
        );
        assert!(big.has_storage() && !config.remotes["images"].has_storage());
        assert_eq!(config.remotes["many"].addresses(), ["https://b:8443", "https://a:8443"]);
        assert_eq!(config.remotes["many"].auth(), Some(&crate::Auth::Oidc));
        assert_eq!(config.remotes["listed"].addresses(), ["https://c", "https://d"]);
        assert!(config.remotes["listed"].is_static());
        assert_eq!(config.remotes["12"].protocol(), Some(&Protocol::Other("novel".to_owned())));
    }

    #[test]
    fn an_empty_file_is_an_empty_config() {
        for text in ["", "\n# nothing\n", "remotes:\n", "remotes: {}\naliases: {}\n"] {
            assert!(read(text).unwrap().remotes.is_empty(), "{text:?}");
        }
    }

    #[test]
    fn bad_files_are_refused_with_the_line() {
        for (text, line, words) in [
            ("remotes:\n  a: [\n", Some(3), "no YAML"),
            ("- a\n", None, "no mapping"),
            ("aliases: {}\nremotes: 7\n", Some(2), "`remotes` is no mapping"),
            ("default-remote: [a]\n", Some(1), "`default-remote`"),
            ("remotes:\n  a: https://me:pw@x\n", Some(2), "remote \"a\""),
            ("remotes:\n  a:\n    public: false\n", Some(2), "no `addr`"),
            ("remotes:\n  a:\n    addr: https://x\n    public: maybe\n", Some(4), "neither true nor false"),
            ("remotes:\n  a:\n    addr: https://x\n  b:\n    addr: {}\n", Some(5), "no text"),
            ("remotes:\n  a: {addr: x}\n  a: {addr: y}\n", None, "duplicate"),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(
                (error.kind(), error.line().or(line)),
                (ErrorKind::Malformed, line.or(error.line())),
                "{text}"
            );
            assert!(line.is_none() || error.line() == line, "{error}");
            let text = format!("{error:#} {error:?}");
            assert!(text.contains(words) && text.contains("by hand") && !text.contains("pw"), "{text}");
        }
    }
}
