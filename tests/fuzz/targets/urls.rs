//! Addresses of servers and proxies, and the URLs that servers name objects by.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lxd_storage::{
    transport::{Proxy, ServerTrust, Tls},
    types::Reference,
};

fuzz_target!(|url: &str| {
    let _ = Tls::builder(url).trust(ServerTrust::fingerprint(&"00".repeat(32)).unwrap()).build();
    if let Ok(proxy) = Proxy::new(url) {
        let shown = format!("{proxy:?}");
        if let Some((login, _)) = url.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@'))
            && let Some((_, password)) = login.split_once(':')
            && password.len() > 8
        {
            assert!(!shown.contains(password), "{shown}");
        }
    }
    for reference in [Reference::parse(url), Reference::parse_twice_encoded(url)] {
        let _ = (reference.url.clone(), format!("{reference:?}"), reference.project());
    }
});
