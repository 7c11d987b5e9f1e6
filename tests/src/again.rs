//! A second try for what failed on real servers, which is never silent.

use std::{
    io::Write as _,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

/// How the line begins that tells of a second try; `cargo xtask test` repeats such lines at its end.
pub const SECOND_TRY: &str = "SECOND TRY";

/// Runs a case, and once more if it fails.
///
/// Real daemons on a busy machine at times lose an operation or take a minute for nothing. What fails twice has failed;
/// what failed once is printed together with the reason.
///
/// # Panics
///
/// As the second try does.
pub fn twice(name: &str, mut case: impl FnMut()) {
    let Err(panic) = catch_unwind(AssertUnwindSafe(&mut case)) else { return };
    tell_second_try(name, &said(&*panic));
    if let Err(panic) = catch_unwind(AssertUnwindSafe(&mut case)) {
        resume_unwind(panic);
    }
}

/// Prints that something is tried again, and why; past the harness, which keeps what passing tests print to itself.
pub fn tell_second_try(what: &str, why: &str) {
    // Nobody reads it where this fails.
    let _ = writeln!(std::io::stdout(), "{SECOND_TRY} of {what}: {why}");
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_default().replace('\n', " | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_once_is_tried_again_and_what_fails_twice_fails() {
        let mut tries = 0;
        twice("a case", || {
            tries += 1;
            assert_ne!(tries, 1, "the first");
        });
        assert_eq!(tries, 2);
        let failed = catch_unwind(|| twice("a case", || panic!("always")));
        assert!(failed.is_err());
    }
}
