//! What failed in a run of tests, kept until its end.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use lxd_tests::SECOND_TRY;

use crate::command::shown;

/// Lines of one test target's account of its failures that are kept.
const KEPT: usize = 60;

/// Runs tests, their output going where ours goes, and tells at the end once more what failed: of a long run, often
/// only the end is kept.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let cannot = |error: std::io::Error| error.to_string();
    let mut child =
        command.stdout(Stdio::piped()).spawn().map_err(|error| format!("{}: {error}", shown(command)))?;
    let mut failures = Failures::default();
    if let Some(output) = child.stdout.take() {
        let mut ours = std::io::stdout().lock();
        for line in BufReader::new(output).split(b'\n') {
            let line = line.map_err(cannot)?;
            ours.write_all(&line).and_then(|()| ours.write_all(b"\n")).map_err(cannot)?;
            failures.line(&String::from_utf8_lossy(&line));
        }
    }
    let status = child.wait().map_err(cannot)?;
    if !failures.kept.is_empty() {
        println!("\nWhat failed, if only at the first try:\n\n{}", failures.kept.join("\n"));
    }
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", shown(command))) }
}

/// The accounts that test targets give of what failed in them.
#[derive(Default)]
struct Failures {
    kept: Vec<String>,
    /// How many lines of the account that is being read are kept; none outside of one.
    account: Option<usize>,
}

impl Failures {
    fn line(&mut self, line: &str) {
        match &mut self.account {
            // Behind what the harness has put before it.
            None if line.contains(SECOND_TRY) => self.kept.push(line.to_owned()),
            None if line == "failures:" => self.account = Some(0),
            None => {}
            Some(_) if line.starts_with("test result:") => {
                self.kept.push(line.to_owned());
                self.account = None;
            }
            Some(kept) if *kept < KEPT && !line.trim().is_empty() => {
                *kept += 1;
                self.kept.push(line.to_owned());
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_of_failures_are_kept_and_nothing_else() {
        let mut failures = Failures::default();
        for line in
            "test a ... ok\nSECOND TRY of d: slow\ntest b ... FAILED\n\nfailures:\n\n---- b ----\nwhy\n\nfailures:\n    b\n\n\
                     test result: FAILED. 1 passed; 1 failed\ntest c ... ok\n\ntest result: ok. 1 passed"
                .lines()
        {
            failures.line(line);
        }
        assert_eq!(
            failures.kept,
            [
                "SECOND TRY of d: slow",
                "---- b ----",
                "why",
                "failures:",
                "    b",
                "test result: FAILED. 1 passed; 1 failed"
            ]
        );
    }

    #[test]
    fn a_long_account_is_cut() {
        let mut failures = Failures::default();
        failures.line("failures:");
        for number in 0..1000 {
            failures.line(&format!("{number}"));
        }
        failures.line("test result: FAILED.");
        assert_eq!(failures.kept.len(), KEPT + 1);
    }
}
