//! The client certificate.

use std::fmt;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::Error;

/// A client certificate with its private key. [`Debug`](fmt::Debug) shows neither.
///
/// ```no_run
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use lxd_transport::Identity;
///
/// let identity = Identity::from_pem(&std::fs::read("client.crt")?, &std::fs::read("client.key")?)?;
/// # Ok(()) }
/// ```
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// From PEM text, as in `client.crt` and `client.key` of the command line clients.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where there is no certificate or no key.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, Error> {
        let chain = certificates("client certificate", certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
            Error::invalid("the client key is no PEM text with a private key").with_source(error)
        })?;
        Ok(Self { chain, key })
    }

    pub(crate) fn into_parts(self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (self.chain, self.key)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(***)")
    }
}

/// All certificates of a PEM text; at least one.
pub(crate) fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(Error::invalid(format!("the {what} is no PEM text with a certificate"))),
        Err(error) => Err(Error::invalid(format!("the {what} is broken PEM text")).with_source(error)),
    }
}
