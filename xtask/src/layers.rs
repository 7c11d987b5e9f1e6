//! `cargo xtask layers`: who may depend on whom, and what each layer costs.
//!
//! The layering is only worth something as long as somebody checks it. What is asserted here are absences.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::command::{cargo, output, root};

/// Features of a crate, with the name that the README uses.
const COUNTED: [(&str, &str, &str); 7] = [
    ("lxd-types", "", "lxd-types"),
    ("lxd-transport", "", "lxd-transport, no features"),
    ("lxd-transport", "unix", "lxd-transport, unix"),
    ("lxd-transport", "unix,ring", "lxd-transport, unix + ring"),
    ("lxd-storage", "unix", "lxd-storage, unix"),
    ("lxd-storage", "unix,tls", "lxd-storage, unix + tls"),
    ("lxd-remotes", "", "lxd-remotes"),
];

/// What no crate below may bring in: (crate, its features, names that begin like this, why).
const ABSENT: [(&str, &str, &[&str], &str); 4] = [
    (
        "lxd-types",
        "",
        &[
            "tokio",
            "hyper",
            "http",
            "futures",
            "async",
            "mio",
            "tower",
            "rustls",
            "tracing",
            "lxd-transport",
            "lxd-storage",
        ],
        "the types do no I/O, know no HTTP and need no runtime",
    ),
    (
        "lxd-transport",
        "unix,ring,tower",
        &["serde", "lxd-types", "lxd-storage"],
        "the transport knows no schema",
    ),
    (
        "lxd-storage",
        "",
        &["hyperlocal", "rustls", "tokio-rustls", "ring"],
        "without features the client brings no dialer",
    ),
    ("lxd-remotes", "", &["lxd-emulator"], "the emulator is to try and test the layers, and no part of them"),
];

/// What lxd-storage may not name, neither in its manifest nor in its source.
const FOREIGN_TO_STORAGE: [&str; 5] = ["hyper", "hyper-util", "hyperlocal", "rustls", "tokio-rustls"];

/// What no source file of lxd-remotes may contain: people and browsers are its caller's affair.
const FOREIGN_TO_REMOTES: [&str; 5] = ["println!", "eprintln!", "std::process::Command", "stdin", "rustls::"];

/// What no source file of lxd-types may contain: it does no I/O, and nothing in it waits.
const FOREIGN_TO_TYPES: [&str; 7] =
    ["std::fs", "std::net", "std::io", "std::process", "std::thread", "std::env", "async "];

pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    let check_readme = match arguments {
        [] => false,
        ["--check-readme"] => true,
        other => return Err(format!("layers takes --check-readme at most, not {:?}", other.join(" "))),
    };
    for (package, features, names, why) in ABSENT {
        let tree = tree(package, features)?;
        let broken: Vec<&String> =
            tree.iter().filter(|name| names.iter().any(|start| is_or_extends(name, start))).collect();
        if !broken.is_empty() {
            return Err(format!("{package} depends on {broken:?}, but {why}"));
        }
    }
    storage_names_nothing_foreign()?;
    let calls = FOREIGN_TO_STORAGE.map(|name| format!("{}::", name.replace('-', "_")));
    sources_lack("lxd-storage", &calls, "which is the transport's affair")?;
    sources_lack("lxd-remotes", &FOREIGN_TO_REMOTES, "but it prints nothing and runs no program")?;
    sources_lack("lxd-types", &FOREIGN_TO_TYPES, "but it is data only")?;

    let mut table = String::new();
    let mut spans: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (package, features, name) in COUNTED {
        let count = tree(package, features)?.len() + 1;
        table.push_str(&format!("| {name} | {count} |\n"));
        let (least, most) = spans.entry(package).or_insert((count, count));
        (*least, *most) = (count.min(*least), count.max(*most));
    }
    print!("The layers hold. Crates compiled, each with itself:\n\n{table}");
    if check_readme {
        let readme =
            fs::read_to_string(root().join("README.md")).map_err(|error| format!("README.md: {error}"))?;
        let stale: Vec<&str> = table.lines().filter(|line| !readme.contains(line)).collect();
        if !stale.is_empty() {
            return Err(format!("README.md lacks these lines:\n{}", stale.join("\n")));
        }
        for (package, (least, most)) in spans {
            let cell = if least == most { format!("| {least} |") } else { format!("| {least} to {most} |") };
            let start = format!("| [`{package}`]");
            if !readme.lines().any(|line| line.starts_with(&start) && line.ends_with(&cell)) {
                return Err(format!("README.md lacks a line \"{start}...{cell}\""));
            }
        }
    }
    Ok(())
}

/// `hyper` covers `hyper-util`, and not `hyperion`.
fn is_or_extends(name: &str, start: &str) -> bool {
    name.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

/// The names of all crates that a crate compiles besides itself.
fn tree(package: &str, features: &str) -> Result<BTreeSet<String>, String> {
    let printed = output(&mut cargo(&[
        "tree",
        "--package",
        package,
        "--no-default-features",
        "--features",
        features,
        "--edges",
        "normal,build",
        "--target",
        "x86_64-unknown-linux-gnu",
        "--prefix",
        "none",
        "--no-dedupe",
        "--format",
        "{p}",
    ]))?;
    // "name v1.2.3 (path or marks)": two versions of one crate count twice.
    let crates = printed.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (name, version) = (words.next()?, words.next()?);
        (name != package).then(|| (name.to_owned(), version.to_owned()))
    });
    let crates: BTreeSet<(String, String)> = crates.collect();
    let names: BTreeSet<String> = crates.iter().map(|(name, _)| name.clone()).collect();
    if names.len() != crates.len() {
        return Err(format!("{package} compiles some crate in two versions: {crates:?}"));
    }
    Ok(names)
}

fn storage_names_nothing_foreign() -> Result<(), String> {
    let folder = root().join("crates/lxd-storage");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).map_err(|error| error.to_string())?;
    let declared = |name: &str| {
        manifest
            .lines()
            .any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '.', '='])))
    };
    if let Some(name) = FOREIGN_TO_STORAGE.iter().find(|name| declared(name)) {
        return Err(format!("lxd-storage declares {name}, which is the transport's affair"));
    }
    Ok(())
}

fn sources_lack<S: AsRef<str>>(package: &str, words: &[S], why: &str) -> Result<(), String> {
    let mut sources = Vec::new();
    collect_sources(&root().join("crates").join(package).join("src"), &mut sources)?;
    for (path, text) in sources {
        // What is said about code is no code.
        let mut code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let broken = |line: &str| words.iter().find(|word| line.contains(word.as_ref())).map(AsRef::as_ref);
        if let Some(word) = code.find_map(|line| broken(line).map(str::to_owned)) {
            return Err(format!("{path} names {word:?}, {why}"));
        }
    }
    Ok(())
}

fn collect_sources(folder: &Path, found: &mut Vec<(String, String)>) -> Result<(), String> {
    for entry in fs::read_dir(folder).map_err(|error| error.to_string())? {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.is_dir() {
            collect_sources(&path, found)?;
        } else {
            let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
            found.push((path.display().to_string(), text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_or_extends;

    #[test]
    fn names_match_whole_words() {
        assert!(is_or_extends("hyper", "hyper") && is_or_extends("hyper-util", "hyper"));
        assert!(is_or_extends("futures-core", "futures") && !is_or_extends("hyperlocal", "hyper"));
    }
}
