//! The table of what others can do and this library: the tests that it names are there.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{fs, path::Path};

#[test]
fn the_tests_that_the_table_names_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let table = fs::read_to_string(root.join("docs/parity.md")).unwrap();
    let mut named = 0;
    for (module, case) in table.split('`').skip(1).step_by(2).filter_map(|word| word.split_once("::")) {
        if module == "module" {
            continue;
        }
        let source = fs::read_to_string(root.join(format!("tests/suite/{module}.rs")));
        let source = source.unwrap_or_else(|error| panic!("module {module}: {error}"));
        assert!(source.contains(&format!("async fn {case}(")), "{module}::{case} is not there");
        named += 1;
    }
    assert!(named > 60, "only {named} tests are named");
}
