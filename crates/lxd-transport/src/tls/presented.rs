//! The certificate that a server shows, before anybody decides to trust it.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    DigitallySignedStruct, Error as TlsError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::trust::{hex, sha256};
use crate::Error;

/// A certificate that a server showed. [`Tls::presented_by`](crate::Tls::presented_by) gets it.
///
/// It proves nothing by itself: anybody can show anybody's certificate. Pinned with
/// [`ServerTrust::fingerprint`](crate::ServerTrust::fingerprint), the next handshake makes the server prove that it has
/// the key.
#[derive(Clone, PartialEq, Eq)]
pub struct Presented {
    certificate: CertificateDer<'static>,
    fingerprint: String,
}

impl Presented {
    pub(crate) fn new(
        certificate: CertificateDer<'static>,
        provider: &CryptoProvider,
    ) -> Result<Self, Error> {
        let fingerprint = hex(&sha256(provider, &certificate)?);
        Ok(Self { certificate, fingerprint })
    }

    /// The SHA-256 of the certificate, as 64 lower-case hex digits.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The certificate, as DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.certificate
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

/// Notes the certificate and refuses it, so that no handshake with it ever completes.
#[derive(Debug)]
pub(crate) struct Looker {
    seen: Mutex<Option<CertificateDer<'static>>>,
    provider: Arc<CryptoProvider>,
}

impl Looker {
    pub(crate) fn new(provider: Arc<CryptoProvider>) -> Self {
        Self { seen: Mutex::new(None), provider }
    }

    pub(crate) fn seen(&self) -> Option<CertificateDer<'static>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ServerCertVerifier for Looker {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(end_entity.clone().into_owned());
        Err(TlsError::General("only the certificate was wanted".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Err(TlsError::General("TLS 1.2 is not spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Err(TlsError::General("only the certificate was wanted".to_owned()))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
