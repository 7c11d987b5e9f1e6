//! The way in by HTTPS: the server's own certificate, any client's certificate, and listeners.

use std::{io, net::SocketAddr, path::Path, sync::Arc};

use rustls::{
    DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use tokio::{
    net::{TcpListener, ToSocketAddrs},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    Emulator,
    call::Caller,
    connection::connection,
    core::Core,
    failure::Failure,
    state::Certificate,
    trust::{der_of_pem, fingerprint},
};

const CERTIFICATE: &str = "server.crt";
const KEY: &str = "server.key";

/// What the server shows.
pub(crate) struct ServerCertificate {
    pub(crate) pem: String,
    der: Vec<u8>,
    key: Vec<u8>,
}

impl std::fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerCertificate").field("fingerprint", &self.fingerprint()).finish_non_exhaustive()
    }
}

impl ServerCertificate {
    pub(crate) fn fingerprint(&self) -> String {
        fingerprint(&self.der)
    }

    /// A new one, for addresses that clients of a test use.
    pub(crate) fn generate() -> io::Result<Self> {
        let names = ["localhost", "emulator"].map(str::to_owned).to_vec();
        let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
        let (der, key) = (made.cert.der().to_vec(), made.signing_key.serialize_der());
        Ok(Self { pem: crate::trust::pem_of_der(&der), der, key })
    }

    /// That of a folder, or a new one there.
    pub(crate) fn in_folder(folder: &Path) -> io::Result<Self> {
        let (certificate, key) = (folder.join(CERTIFICATE), folder.join(KEY));
        if !certificate.exists() {
            let made = Self::generate()?;
            write_private(&key, &made.key)?;
            std::fs::write(&certificate, &made.pem)?;
            return Ok(made);
        }
        let pem = std::fs::read_to_string(&certificate)?;
        let der = der_of_pem(&pem).ok_or_else(|| {
            let text = format!("{} holds no certificate", certificate.display());
            io::Error::new(io::ErrorKind::InvalidData, text)
        })?;
        Ok(Self { pem, der, key: std::fs::read(&key)? })
    }

    fn config(&self) -> io::Result<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Arc::new(AnyClient { provider: Arc::clone(&provider) });
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()));
        let chain = vec![CertificateDer::from(self.der.clone())];
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

#[cfg(unix)]
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    std::fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(path)?.write_all(bytes)
}

#[cfg(not(unix))]
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    std::fs::write(path, bytes)
}

/// Takes every certificate whose key the client has; whether it is trusted is asked request by request.
#[derive(Debug)]
struct AnyClient {
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl Emulator {
    /// Listens for HTTPS until what is returned is dropped, which also ends its connections. Port 0 is any free one.
    ///
    /// # Errors
    /// The address is taken, or not one of this machine. Outside of a tokio runtime nothing is done.
    pub async fn listen_tls(&self, address: impl ToSocketAddrs) -> io::Result<TlsListener> {
        // Without one, tokio would panic.
        tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let acceptor = TlsAcceptor::from(Arc::new(self.core.certificate.config()?));
        self.core.store.change(|database| {
            let key = "core.https_address".to_owned();
            database.config.entry(key).or_insert_with(|| address.to_string());
            Ok::<(), io::Error>(())
        })?;
        let core = Arc::clone(&self.core);
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((stream, from)) => {
                            let (acceptor, core) = (acceptor.clone(), Arc::clone(&core));
                            connections.spawn(serve(acceptor, stream, from, core));
                        }
                        // Out of file descriptors, as a rule: others have to be closed first.
                        Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
                    },
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(TlsListener { address, accepting, core: Arc::clone(&self.core) })
    }

    /// The certificate that [`listen_tls`](Self::listen_tls) shows, for clients that pin it.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.core.certificate.pem
    }

    /// Lets clients with that certificate in.
    ///
    /// # Errors
    /// The text holds no certificate.
    pub fn trust_certificate(&self, pem: &str) -> io::Result<()> {
        let der = der_of_pem(pem).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "there is no PEM certificate in what is to be trusted")
        })?;
        let certificate = Certificate {
            name: "trusted".to_owned(),
            kind: "client".to_owned(),
            description: String::new(),
            restricted: false,
            projects: Vec::new(),
            pem: crate::trust::pem_of_der(&der),
        };
        let added = self.core.store.change(|database| {
            database.certificates.entry(fingerprint(&der)).or_insert(certificate);
            Ok::<(), Failure>(())
        });
        added.map_err(io::Error::other)
    }
}

async fn serve(acceptor: TlsAcceptor, stream: tokio::net::TcpStream, from: SocketAddr, core: Arc<Core>) {
    let handshake = tokio::time::timeout(core.idle_timeout, acceptor.accept(stream));
    // What breaks a handshake, or stalls it, is the client's affair.
    let Ok(Ok(stream)) = handshake.await else { return };
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let caller = Caller::Remote {
        certificate: shown.map(|certificate| certificate.as_ref().to_vec()),
        address: from.to_string(),
    };
    connection(stream, core, caller).await;
}

/// An address on which an emulator listens for HTTPS; dropping it ends that.
#[derive(Debug)]
#[must_use = "dropping it stops listening"]
pub struct TlsListener {
    address: SocketAddr,
    accepting: tokio::task::JoinHandle<()>,
    core: Arc<Core>,
}

impl TlsListener {
    /// The address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL, for `Tls::builder` of `lxd-transport`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

impl Drop for TlsListener {
    fn drop(&mut self) {
        self.accepting.abort();
        let text = self.address.to_string();
        // The next one that listens says its own address; where that cannot be kept, neither could anything else.
        let _ = self.core.store.change(|database| {
            if database.config.get("core.https_address") == Some(&text) {
                database.config.remove("core.https_address");
            }
            Ok::<(), io::Error>(())
        });
    }
}
