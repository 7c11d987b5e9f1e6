//! Who we are and whom we trust.

pub(crate) mod identity;
pub(crate) mod presented;
pub(crate) mod trust;

use rustls::crypto::CryptoProvider;

use crate::Error;

/// The cryptography that the features chose. The process-wide default of rustls is neither asked nor set: it may be
/// missing, and it isn't ours.
pub(crate) fn provider() -> Result<CryptoProvider, Error> {
    #[cfg(feature = "ring")]
    return Ok(rustls::crypto::ring::default_provider());
    #[cfg(all(feature = "aws-lc-rs", not(feature = "ring")))]
    return Ok(rustls::crypto::aws_lc_rs::default_provider());
    #[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
    return Err(Error::invalid(
        "no cryptography is built in: enable the feature `ring` or `aws-lc-rs` of lxd-transport",
    ));
}
