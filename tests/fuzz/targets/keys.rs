//! Certificates and keys in PEM.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lxd_storage::transport::{Identity, ServerTrust};

fuzz_target!(|parts: (&[u8], &[u8])| {
    let _ = Identity::from_pem(parts.0, parts.1);
    let _ = ServerTrust::certificate(parts.0);
});
