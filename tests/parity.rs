//! The table of what others can do and this library: the tests that it names are there and run, and its sums are right.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{fs, path::Path};

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Whether a case is one that `tests/suite` runs on the servers.
fn runs_in_suite(module: &str, case: &str) -> bool {
    let (main, source) = (read("tests/suite/main.rs"), read(&format!("tests/suite/{module}.rs")));
    let list = source.split_once("\ncases![").and_then(|(_, rest)| rest.split_once("];"));
    let (list, rest) = list.unwrap_or_else(|| panic!("module {module} has no list of cases"));
    main.contains(&format!("\nmod {module};"))
        && main.contains(&format!("(\"{module}\", {module}::CASES),"))
        && list.split(',').any(|name| name.trim() == case)
        && rest.contains(&format!("async fn {case}("))
}

/// Whether a test is one that `tests/faults` runs.
fn runs_in_faults(module: &str, case: &str) -> bool {
    let (main, source) = (read("tests/faults/main.rs"), read(&format!("tests/faults/{module}.rs")));
    main.contains(&format!("\nmod {module};"))
        && source.contains(&format!("#[tokio::test]\nasync fn {case}("))
}

#[test]
fn the_tests_that_the_table_names_are_there_and_run() {
    let table = read("docs/parity.md");
    let mut named = 0;
    for (module, case) in table.split('`').skip(1).step_by(2).filter_map(|word| word.split_once("::")) {
        let runs = match module.split_once('/') {
            _ if module.ends_with("module") => continue,
            None => runs_in_suite(module, case),
            Some(("faults", module)) => runs_in_faults(module, case),
            Some(("transport", module)) => {
                let source = read(&format!("crates/lxd-transport/tests/{module}.rs"));
                source.contains(&format!("#[test]\nfn {case}("))
            }
            Some(_) => false,
        };
        assert!(runs, "{module}::{case} does not run");
        named += 1;
    }
    assert!(named > 60, "only {named} tests are named");
}

#[test]
fn a_test_is_there_only_if_it_runs() {
    assert!(
        runs_in_suite("pools", "get_and_exists")
            && runs_in_faults("newer", "progress_is_told_once_per_change")
    );
    // Both are functions of their modules, and no cases.
    assert!(!runs_in_suite("pools", "get") && !runs_in_suite("scope", "new_project"));
    assert!(!runs_in_faults("script", "serve"));
}

#[test]
fn the_sums_are_those_of_the_rows() {
    let text = read("docs/parity.md");
    const OTHERS: [&str; 4] =
        ["Operations and events", "Connection", "Authentication and TLS", "Correctness and style"];
    let is_about_storage = |section: &&str| OTHERS.iter().all(|other| !section.starts_with(other));
    let about_storage = text.split("\n## ").skip(1).filter(is_about_storage);
    let rows =
        about_storage.flat_map(str::lines).filter(|line| line.starts_with("| ") && !line.starts_with("| | "));
    let ours: Vec<&str> = rows.map(|row| row.trim_end_matches(" |").rsplit(" | ").next().unwrap()).collect();
    let yes = ours.iter().filter(|cell| cell.starts_with("yes")).count();
    let recorded = ours.iter().filter(|cell| cell.starts_with("recorded only")).count();
    assert_eq!(yes + recorded, ours.len(), "a cell of ours says neither");
    let total = ours.len();
    let sums = format!("Of the {total} rows about storage {yes} are a yes and {recorded} are recorded only.");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(&sums), "it does not say: {sums}");
}
