//! `cargo xtask config-keys`: generates the typed configs and the table of drivers in lxd-types from one list of facts.

mod data;
mod render;
mod text;

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use self::data::Facts;
use crate::command::root;

pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    let check = match arguments {
        [] => false,
        ["--check"] => true,
        other => return Err(format!("config-keys takes --check at most, not {:?}", other.join(" "))),
    };
    let path = root().join("xtask/data/config-keys.json");
    let json = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let files = generate(&json)?;
    let stale: Vec<&String> = files
        .iter()
        .filter(|(name, text)| fs::read_to_string(folder().join(name)).ok().as_ref() != Some(text))
        .map(|(name, _)| name)
        .collect();
    if check {
        return match stale[..] {
            [] => Ok(()),
            _ => Err(format!("{stale:?} differ from the facts: run cargo xtask config-keys")),
        };
    }
    for name in &stale {
        fs::write(folder().join(name), &files[*name]).map_err(|error| format!("{name}: {error}"))?;
    }
    println!("{} of {} files written", stale.len(), files.len());
    Ok(())
}

fn folder() -> PathBuf {
    root().join("crates/lxd-types/src/drivers")
}

/// The generated files, by name.
fn generate(json: &str) -> Result<BTreeMap<String, String>, String> {
    let facts = Facts::parse(json)?;
    let mut files = BTreeMap::new();
    files.insert("shared.rs".to_owned(), format(&render::shared(&facts))?);
    files.insert("registry.rs".to_owned(), format(&render::registry(&facts))?);
    for driver in &facts.drivers {
        files.insert(format!("{}.rs", driver.name), format(&render::driver(&facts, driver))?);
    }
    Ok(files)
}

/// Puts code through rustfmt, so that `cargo fmt` finds nothing to change in it.
fn format(code: &str) -> Result<String, String> {
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("rustfmt: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(code.as_bytes()).map_err(|error| format!("rustfmt: {error}"))?;
    }
    let output = child.wait_with_output().map_err(|error| format!("rustfmt: {error}"))?;
    if !output.status.success() {
        return Err(format!("rustfmt refuses the generated code: {}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("rustfmt: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_checked_in_is_what_the_facts_say() {
        run(&["--check"]).unwrap();
    }

    #[test]
    fn a_changed_fact_changes_the_code() {
        let json = fs::read_to_string(root().join("xtask/data/config-keys.json")).unwrap();
        let changed = json.replacen("\"zfs.export\"", "\"zfs.exports\"", 1);
        let (before, after) = (generate(&json).unwrap(), generate(&changed).unwrap());
        let differing: Vec<&String> = before.keys().filter(|name| before[*name] != after[*name]).collect();
        assert_eq!(differing, ["zfs.rs"]);
    }

    #[test]
    fn mistakes_in_the_facts_are_named() {
        let json = fs::read_to_string(root().join("xtask/data/config-keys.json")).unwrap();
        for (from, to, named) in [
            ("\"type\": \"lifespan\"", "\"type\": \"span\"", "snapshots.expiry"),
            ("\"extension\": \"zfs_delegate\"", "\"extensions\": \"zfs_delegate\"", "zfs.delegate"),
            ("\"rsync.compression\",\n", "\"rsync.compresion\",\n", "rsync.compresion"),
            ("\"enum zfs.CloneCopy\"", "\"enum zfs.Clone\"", "zfs.clone_copy"),
            ("[\"incus-latest\"]", "[\"incus-8\"]", "incus-8"),
        ] {
            assert!(json.contains(from), "{from}");
            let error = generate(&json.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }
}
