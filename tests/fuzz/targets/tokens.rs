//! Trust tokens, as people paste them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lxd_remotes::JoinToken;

fuzz_target!(|text: &str| {
    if let Ok(token) = text.parse::<JoinToken>() {
        let _ = format!("{token:?}");
    }
});
