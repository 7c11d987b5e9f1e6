//! How a server is trusted.

use std::{fmt, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, Error as TlsError, OtherError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, hash::HashAlgorithm, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::identity::certificates;
use crate::{Error, ErrorKind};

/// How a server is trusted. There is deliberately no way to accept any server.
///
/// LXD and Incus sign their certificates themselves, and are often reached by an address that the certificate
/// doesn't name. [`certificate`](Self::certificate) and [`fingerprint`](Self::fingerprint) pin the one certificate:
/// it is the identity, whatever name, issuer or dates are in it.
///
/// ```
/// # fn example(authority: &[u8]) -> Result<(), lxd_transport::Error> {
/// use lxd_transport::ServerTrust;
///
/// let pinned = ServerTrust::fingerprint("12ab34cd12ab34cd12ab34cd12ab34cd12ab34cd12ab34cd12ab34cd12ab34cd")?;
/// let by_authority = ServerTrust::ca(authority)?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ServerTrust(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Certificate(CertificateDer<'static>),
    Fingerprint([u8; 32]),
    Roots(Vec<CertificateDer<'static>>),
    #[cfg(feature = "system-roots")]
    System,
}

impl ServerTrust {
    /// This very certificate, as PEM text. Of a chain the first counts.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) where there is no certificate.
    pub fn certificate(pem: &[u8]) -> Result<Self, Error> {
        let mut chain = certificates("server certificate", pem)?;
        Ok(Self(Kind::Certificate(chain.swap_remove(0))))
    }

    /// The certificate with this SHA-256: 64 hex digits in any case, with or without colons.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for other text.
    pub fn fingerprint(hex: &str) -> Result<Self, Error> {
        let digits: Option<Vec<u8>> = hex
            .chars()
            .filter(|c| *c != ':')
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect();
        let bytes: Option<Vec<u8>> = digits.map(|digits| {
            digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte * 16 + digit)).collect()
        });
        let is_whole = hex.chars().filter(|c| *c != ':').count() == 64;
        match bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) {
            Some(hash) if is_whole => Ok(Self(Kind::Fingerprint(hash))),
            _ => Err(Error::invalid(format!("{hex:?} is no SHA-256 fingerprint of 64 hex digits"))),
        }
    }

    /// Any server whose certificate one of these authorities issued for its name, as PEM text.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) where there is no certificate.
    pub fn ca(pem: &[u8]) -> Result<Self, Error> {
        Ok(Self(Kind::Roots(certificates("certificate of the authority", pem)?)))
    }

    /// Any server whose certificate one of this machine's authorities issued for its name.
    #[cfg(feature = "system-roots")]
    #[must_use]
    pub fn system() -> Self {
        Self(Kind::System)
    }
}

/// The SHA-256 of the first certificate in a PEM text, as hex: what the servers call its fingerprint.
///
/// # Errors
/// [`InvalidInput`](ErrorKind::InvalidInput) where there is no certificate or no cryptography built in.
pub fn fingerprint(pem: &[u8]) -> Result<String, Error> {
    let chain = certificates("certificate", pem)?;
    let provider = super::provider()?;
    Ok(hex(&sha256(&provider, chain.first().map_or(&[], |certificate| certificate.as_ref()))?))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 by the provider that does the rest of the cryptography too.
pub(super) fn sha256(provider: &CryptoProvider, bytes: &[u8]) -> Result<[u8; 32], Error> {
    let suites = provider.cipher_suites.iter().filter_map(rustls::SupportedCipherSuite::tls13);
    let mut hashes = suites.map(|suite| suite.common.hash_provider);
    let hash = hashes.find(|hash| hash.algorithm() == HashAlgorithm::SHA256).map(|hash| hash.hash(bytes));
    hash.and_then(|output| output.as_ref().try_into().ok())
        .ok_or_else(|| Error::new(ErrorKind::Tls, "the provider of cryptography knows no SHA-256"))
}

pub(crate) fn verifier(
    trust: ServerTrust,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, Error> {
    let roots = match trust.0 {
        Kind::Certificate(certificate) => {
            return Ok(Arc::new(Pinned {
                pin: sha256(provider, &certificate)?,
                provider: Arc::clone(provider),
            }));
        }
        Kind::Fingerprint(pin) => return Ok(Arc::new(Pinned { pin, provider: Arc::clone(provider) })),
        Kind::Roots(certificates) => certificates,
        #[cfg(feature = "system-roots")]
        Kind::System => rustls_native_certs::load_native_certs().certs,
    };
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(roots);
    if added == 0 {
        return Err(Error::invalid("none of the authorities' certificates can be used"));
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider)).build();
    Ok(verifier
        .map_err(|error| Error::new(ErrorKind::Tls, "the authorities cannot be used").with_source(error))?)
}

/// Trusts one certificate, by its SHA-256.
#[derive(Debug)]
struct Pinned {
    pin: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let found =
            sha256(&self.provider, end_entity).map_err(|error| TlsError::General(error.to_string()))?;
        // Both sides of the comparison are public, so its timing tells nothing.
        if found == self.pin {
            return Ok(ServerCertVerified::assertion());
        }
        Err(TlsError::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(WrongPin { found })))))
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
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[derive(Debug)]
struct WrongPin {
    found: [u8; 32],
}

impl fmt::Display for WrongPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server's certificate is not the pinned one: its fingerprint is {}", hex(&self.found))
    }
}

impl std::error::Error for WrongPin {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_or_refused_by_value() {
        let plain = "0123456789abcdef".repeat(4);
        let colons: Vec<String> =
            plain.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).to_uppercase()).collect();
        for text in [plain.clone(), plain.to_uppercase(), colons.join(":")] {
            let Kind::Fingerprint(hash) = ServerTrust::fingerprint(&text).unwrap().0 else { panic!() };
            assert_eq!(hex(&hash), plain);
        }
        for text in ["", "ab", &plain[1..], &format!("{plain}0"), &plain.replace('a', "g"), "é"] {
            assert!(ServerTrust::fingerprint(text).unwrap_err().to_string().contains(&format!("{text:?}")));
        }
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        for pem in
            [&b""[..], b"hello", b"-----BEGIN CERTIFICATE-----\nnot base64!\n-----END CERTIFICATE-----\n"]
        {
            assert_eq!(ServerTrust::certificate(pem).unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(ServerTrust::ca(pem).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }
}
