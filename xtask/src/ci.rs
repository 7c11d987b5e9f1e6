//! `cargo xtask ci`: every check that CI runs before the tests, by the same names everywhere.

use std::{process::Command, time::Instant};

use crate::{
    command::{cargo, output, root, run as run_command},
    config_keys, layers,
};

type Step = (&'static str, fn() -> Result<(), String>);

const STEPS: [Step; 9] = [
    ("msrv", msrv),
    ("fmt", fmt),
    ("clippy", clippy),
    ("docs", docs),
    ("config-keys", || config_keys::run(&["--check"])),
    ("alone", alone),
    ("fuzz", fuzz),
    ("layers", || layers::run(&["--check-readme"])),
    ("licences", licences),
];

const CRATES: [&str; 5] = ["lxd-types", "lxd-transport", "lxd-storage", "lxd-remotes", "lxd-emulator"];

/// Each crate's features one by one, so that none leans on another by accident.
const FEATURES: [(&str, &[&str]); 5] = [
    ("lxd-types", &[]),
    ("lxd-transport", &["unix", "tls", "ring", "aws-lc-rs", "system-roots", "tower"]),
    ("lxd-storage", &["unix", "tls", "blocking"]),
    ("lxd-remotes", &[]),
    ("lxd-emulator", &["unix", "tls", "program"]),
];

pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    if arguments == ["--list"] {
        STEPS.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(());
    }
    if let Some(unknown) = arguments.iter().find(|name| STEPS.iter().all(|(step, _)| step != *name)) {
        return Err(format!("there is no step {unknown:?}; see cargo xtask ci --list"));
    }
    for (name, step) in STEPS {
        if arguments.is_empty() || arguments.contains(&name) {
            println!("== {name}");
            let start = Instant::now();
            step().map_err(|error| format!("{name}: {error}"))?;
            println!("== {name}: passed in {:.0?}\n", start.elapsed());
        }
    }
    Ok(())
}

/// The promise in the manifests is kept only if that toolchain is the one that builds and tests here.
fn msrv() -> Result<(), String> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).map_err(|error| error.to_string())?;
    let declared =
        manifest.lines().find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'));
    let declared = declared.ok_or("Cargo.toml declares no rust-version")?;
    let rustc = output(Command::new("rustc").arg("--version").current_dir(root()))?;
    let version = rustc.split(' ').nth(1).unwrap_or_default();
    if version.starts_with(&format!("{declared}.")) {
        println!("Rust {version} is what Cargo.toml promises");
        return Ok(());
    }
    let message = format!("Cargo.toml promises Rust {declared}, but {version} is what builds here");
    if std::env::var("CI").is_ok_and(|ci| ci == "true") {
        return Err(message);
    }
    println!("NOT CHECKED: {message}");
    Ok(())
}

fn fmt() -> Result<(), String> {
    run_command(&mut cargo(&["fmt", "--all", "--check"]))
}

fn clippy() -> Result<(), String> {
    run_command(&mut cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ]))
}

fn docs() -> Result<(), String> {
    doc(&["--workspace", "--all-features"])
}

fn doc(selection: &[&str]) -> Result<(), String> {
    let mut command = cargo(&["doc", "--no-deps", "--quiet"]);
    run_command(command.args(selection).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Each crate by itself, where no other crate's features can help it along.
fn alone() -> Result<(), String> {
    for package in CRATES {
        doc(&["-p", package, "--no-default-features"])?;
        for kind in ["--lib", "--doc"] {
            run_command(&mut cargo(&["test", "-p", package, "--no-default-features", kind, "--quiet"]))?;
            run_command(&mut cargo(&["test", "-p", package, kind, "--quiet"]))?;
        }
    }
    for (package, features) in FEATURES {
        for feature in std::iter::once("").chain(features.iter().copied()) {
            let mut command =
                cargo(&["clippy", "--quiet", "-p", package, "--no-default-features", "--features", feature]);
            run_command(command.args(["--", "-D", "warnings"]))?;
        }
    }
    Ok(())
}

/// The fuzz targets, which no other step sees: they are apart from the workspace, and are only checked here.
fn fuzz() -> Result<(), String> {
    let manifest = "tests/fuzz/Cargo.toml";
    let check = ["check", "--quiet", "--locked", "--target-dir", "target", "--manifest-path", manifest];
    run_command(&mut cargo(&check))
}

/// Licences, bans and sources. Advisories need a database that is not at hand everywhere.
fn licences() -> Result<(), String> {
    let installed = cargo(&["deny", "--version"]).output().is_ok_and(|output| output.status.success());
    if !installed {
        if std::env::var("CI").is_ok_and(|ci| ci == "true") {
            return Err("CI=true and cargo-deny is not installed".to_owned());
        }
        println!("SKIPPED: cargo-deny is not installed");
        return Ok(());
    }
    run_command(&mut cargo(&["deny", "--all-features", "check", "licenses", "bans", "sources"]))
}
