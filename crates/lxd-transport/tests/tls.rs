//! Whom we trust, who we are, and what is said when either fails.

#![cfg(feature = "ring")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod support;

use std::{net::SocketAddr, sync::Arc};

use lxd_transport::{
    Error, ErrorKind, HttpTransport, Identity, Phase, Proxy, Reached, ServerTrust, Tls, Transport,
    fingerprint,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{Acceptor, WebPkiClientVerifier},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::LazyConfigAcceptor;

use self::support::{Peer, get, ms, run, text};

/// A certificate with its key, both as PEM text.
struct Pair {
    certificate: String,
    key: String,
}

impl Pair {
    /// Signed by itself, as LXD and Incus do.
    fn of_itself(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap();
        Self { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }

    fn identity(&self) -> Identity {
        Identity::from_pem(self.certificate.as_bytes(), self.key.as_bytes()).unwrap()
    }

    fn pinned(&self) -> ServerTrust {
        ServerTrust::certificate(self.certificate.as_bytes()).unwrap()
    }
}

/// Issues certificates.
struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        Self::named("some authority")
    }

    fn named(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn issue(&self, name: &str) -> Pair {
        self.issue_until(name, 2090)
    }

    fn issue_until(&self, name: &str, year: i32) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    fn trusted(&self) -> ServerTrust {
        ServerTrust::ca(self.certificate.as_bytes()).unwrap()
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()).unwrap();
        Arc::new(roots)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// What a server learned of its client.
#[derive(Debug, Default)]
struct Seen {
    alpn: Vec<Vec<u8>>,
    client: Option<CertificateDer<'static>>,
    request: Option<String>,
}

struct Server {
    address: SocketAddr,
    seen: JoinHandle<Seen>,
}

impl Server {
    /// Serves one connection with this certificate, to clients with a certificate of this authority if one is given.
    async fn start(pair: &Pair, clients: Option<&Authority>) -> Self {
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap();
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(authority) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(authority.roots(), provider());
                config.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let mut config = config.with_single_cert(vec![pair.certificate()], pair.key()).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = tokio::spawn(async move {
            let stream = listener.accept().await.unwrap().0;
            serve(stream, Arc::new(config)).await
        });
        Self { address, seen }
    }

    fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    async fn seen(self) -> Seen {
        self.seen.await.unwrap()
    }
}

async fn serve(stream: TcpStream, config: Arc<ServerConfig>) -> Seen {
    let mut seen = Seen::default();
    let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await.unwrap();
    seen.alpn = start.client_hello().alpn().into_iter().flatten().map(<[u8]>::to_vec).collect();
    match start.into_stream(config).into_fallible().await {
        Ok(stream) => {
            let client = stream.get_ref().1.peer_certificates().map(|chain| chain[0].clone().into_owned());
            seen.client = client;
            let mut peer = Peer::new(stream);
            while let Some(request) = peer.request().await {
                seen.request = Some(request);
                peer.answer("yes").await;
            }
        }
        Err((_, mut stream)) => {
            // Closing with bytes unread would reset the connection, and the reason could be lost with it.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    }
    seen
}

fn over(url: &str, trust: ServerTrust) -> HttpTransport {
    HttpTransport::new(Tls::builder(url).trust(trust).build().unwrap())
}

async fn assert_works(transport: &HttpTransport) {
    assert_eq!(text(transport.send(get("/1.0")).await.unwrap()).await.unwrap(), "yes");
}

/// An error of trust, before a byte of the request was sent, that says this.
async fn assert_refused(transport: &HttpTransport, words: &str) -> Error {
    let error = transport.send(get("/1.0")).await.unwrap_err();
    assert_eq!((error.kind(), error.reached()), (ErrorKind::Tls, Reached::No), "{error:?}");
    assert!(error.to_string().contains(words), "{error}");
    error
}

#[test]
fn a_pinned_server_goes_by_no_name() {
    run(async {
        let pair = Pair::of_itself("somewhere.example");
        let server = Server::start(&pair, None).await;
        let transport = over(&server.url(), pair.pinned());
        assert_works(&transport).await;
        assert_works(&transport).await;
        assert_eq!(transport.idle_connections(), 1);
        drop(transport);
        let host = server.address.to_string();
        let seen = server.seen().await;
        assert_eq!(seen.request.unwrap(), format!("GET /1.0 HTTP/1.1\r\nhost: {host}\r\n\r\n"));
        assert!(seen.client.is_none());
    });
}

#[test]
fn a_pinned_certificate_may_have_expired() {
    run(async {
        let pair = Authority::new().issue_until("127.0.0.1", 2020);
        let server = Server::start(&pair, None).await;
        assert_works(&over(&server.url(), pair.pinned())).await;
    });
}

#[test]
fn another_certificate_than_the_pinned_one_is_refused() {
    run(async {
        let pair = Pair::of_itself("127.0.0.1");
        let server = Server::start(&pair, None).await;
        let transport = over(&server.url(), Pair::of_itself("127.0.0.1").pinned());
        let error = assert_refused(&transport, "not the pinned one").await;
        assert!(error.to_string().contains(&fingerprint(pair.certificate.as_bytes()).unwrap()), "{error}");
        assert!(error.to_string().starts_with(&server.url()), "{error}");
        drop(transport);
        assert!(server.seen().await.request.is_none());
    });
}

#[test]
fn the_right_fingerprint_is_trust_enough() {
    run(async {
        let pair = Pair::of_itself("somewhere.example");
        let server = Server::start(&pair, None).await;
        let fingerprint = fingerprint(pair.certificate.as_bytes()).unwrap();
        assert_works(&over(&server.url(), ServerTrust::fingerprint(&fingerprint).unwrap())).await;
    });
}

#[test]
fn a_wrong_fingerprint_is_refused() {
    run(async {
        let server = Server::start(&Pair::of_itself("127.0.0.1"), None).await;
        let trust = ServerTrust::fingerprint(&"ab".repeat(32)).unwrap();
        assert_refused(&over(&server.url(), trust), "not the pinned one").await;
    });
}

#[test]
fn a_certificate_can_be_looked_at_without_a_request() {
    run(async {
        let pair = Pair::of_itself("somewhere.example");
        let server = Server::start(&pair, None).await;
        let presented = Tls::presented_by(&server.url()).await.unwrap();
        assert_eq!(presented.fingerprint(), fingerprint(pair.certificate.as_bytes()).unwrap());
        assert_eq!(presented.der(), pair.certificate().as_ref());
        assert!(server.seen().await.request.is_none());
    });
}

#[test]
fn who_shows_no_certificate_is_an_error() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { drop(listener.accept().await) });
        assert_eq!(Tls::presented_by(&url).await.unwrap_err().kind(), ErrorKind::Connect);
        assert_eq!(Tls::presented_by("http://x").await.unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn a_server_without_the_key_of_its_certificate_is_refused() {
    run(async {
        let (pair, thief) = (Pair::of_itself("127.0.0.1"), Pair::of_itself("127.0.0.1"));
        let signer = ring::sign::any_supported_type(&thief.key()).unwrap();
        let stolen = rustls::sign::CertifiedKey::new(vec![pair.certificate()], signer);
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(stolen)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { serve(listener.accept().await.unwrap().0, Arc::new(config)).await });
        assert_refused(&over(&url, pair.pinned()), "handshake failed").await;
    });
}

#[test]
fn an_authority_vouches_for_its_servers() {
    run(async {
        let authority = Authority::new();
        let server = Server::start(&authority.issue("127.0.0.1"), None).await;
        assert_works(&over(&server.url(), authority.trusted())).await;
    });
}

#[test]
fn another_authority_is_unknown() {
    run(async {
        let server = Server::start(&Authority::named("one").issue("127.0.0.1"), None).await;
        assert_refused(&over(&server.url(), Authority::named("other").trusted()), "unknown issuer").await;
    });
}

#[test]
fn another_authority_of_the_same_name_is_refused() {
    run(async {
        let server = Server::start(&Authority::named("one").issue("127.0.0.1"), None).await;
        assert_refused(&over(&server.url(), Authority::named("one").trusted()), "certificate").await;
    });
}

#[test]
fn a_certificate_for_another_name_is_refused_unless_that_name_was_asked_for() {
    run(async {
        let authority = Authority::new();
        let pair = authority.issue("lxd.example");
        let server = Server::start(&pair, None).await;
        assert_refused(&over(&server.url(), authority.trusted()), "for another name").await;
        let server = Server::start(&pair, None).await;
        let tls = Tls::builder(server.url()).trust(authority.trusted()).server_name("lxd.example");
        let transport = HttpTransport::new(tls.build().unwrap());
        assert_works(&transport).await;
        drop(transport);
        // The name is for the certificate; the request still goes to the host of the URL.
        let host = format!("host: {}\r\n", server.address);
        assert!(server.seen().await.request.unwrap().contains(&host));
    });
}

#[test]
fn an_expired_certificate_is_refused() {
    run(async {
        let authority = Authority::new();
        let server = Server::start(&authority.issue_until("127.0.0.1", 2020), None).await;
        assert_refused(&over(&server.url(), authority.trusted()), "expired").await;
    });
}

#[test]
fn the_client_certificate_is_presented() {
    run(async {
        let (authority, pair) = (Authority::new(), Pair::of_itself("127.0.0.1"));
        let client = authority.issue("client");
        let server = Server::start(&pair, Some(&authority)).await;
        let tls = Tls::builder(server.url()).trust(pair.pinned()).identity(client.identity());
        let transport = HttpTransport::new(tls.build().unwrap());
        assert_works(&transport).await;
        drop(transport);
        assert_eq!(server.seen().await.client.unwrap(), client.certificate());
    });
}

#[test]
fn a_server_that_wants_a_client_certificate_says_so() {
    // Nobody knows whether the refusal comes before or after the request went out, so there are several tries.
    for _ in 0..5 {
        run(async {
            let pair = Pair::of_itself("127.0.0.1");
            let server = Server::start(&pair, Some(&Authority::new())).await;
            assert_refused(&over(&server.url(), pair.pinned()), "refused the handshake").await;
            assert!(server.seen().await.request.is_none());
        });
    }
}

#[test]
fn a_client_certificate_of_a_stranger_is_refused() {
    run(async {
        let (pair, stranger) = (Pair::of_itself("127.0.0.1"), Authority::new().issue("client"));
        let server = Server::start(&pair, Some(&Authority::new())).await;
        let tls = Tls::builder(server.url()).trust(pair.pinned()).identity(stranger.identity());
        assert_refused(&HttpTransport::new(tls.build().unwrap()), "refused the handshake").await;
    });
}

/// A server that reads a greeting and gives this answer, in bytes.
async fn answering(bytes: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut stream = listener.accept().await.unwrap().0;
        let mut head = [0; 5];
        stream.read_exact(&mut head).await.unwrap();
        let mut greeting = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
        stream.read_exact(&mut greeting).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    format!("https://{address}")
}

#[test]
fn a_server_of_tls_1_2_is_refused() {
    run(async {
        // The rustls of this workspace speaks no TLS 1.2 either, so its two ways to answer are spelled out here: an
        // alert about the version, and a greeting in the old version with one of its cipher suites.
        let alert = vec![0x15, 3, 3, 0, 2, 2, 70];
        let mut greeting = vec![0x16, 3, 3, 0, 42, 2, 0, 0, 38, 3, 3];
        greeting.extend([7; 32]);
        greeting.extend([0, 0xc0, 0x2f, 0]);
        for (answer, words) in [(alert, "ProtocolVersion"), (greeting, "handshake failed")] {
            let transport = over(&answering(answer).await, Pair::of_itself("127.0.0.1").pinned());
            assert_refused(&transport, words).await;
        }
    });
}

#[test]
fn a_server_without_tls_is_refused() {
    run(async {
        let url = answering(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()).await;
        assert_refused(&over(&url, Pair::of_itself("127.0.0.1").pinned()), "handshake failed").await;
    });
}

#[test]
fn a_handshake_that_never_comes_ends_in_time() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let mut stream = listener.accept().await.unwrap().0;
            stream.read_to_end(&mut Vec::new()).await
        });
        let tls = Tls::builder(&url).trust(Pair::of_itself("127.0.0.1").pinned()).build().unwrap();
        let transport = HttpTransport::builder(tls).dial_timeout(ms(100)).build().unwrap();
        let error = transport.send(get("/1.0")).await.unwrap_err();
        assert_eq!((error.kind(), error.reached()), (ErrorKind::Timeout(Phase::Dial), Reached::No));
        assert!(error.to_string().starts_with(&url), "{error}");
        // What was opened so far is closed again.
        let _ = server.await.unwrap();
    });
}

#[test]
fn a_connection_that_breaks_in_the_handshake_is_no_matter_of_trust() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { drop(listener.accept().await.unwrap()) });
        let error = over(&url, Pair::of_itself("127.0.0.1").pinned()).send(get("/1.0")).await.unwrap_err();
        assert_eq!((error.kind(), error.reached()), (ErrorKind::Connect, Reached::No), "{error:?}");
    });
}

#[test]
fn a_port_where_nobody_listens_is_named_with_a_hint() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        drop(listener);
        let error = over(&url, Pair::of_itself("127.0.0.1").pinned()).send(get("/1.0")).await.unwrap_err();
        assert_eq!((error.kind(), error.reached()), (ErrorKind::Connect, Reached::No));
        assert!(error.to_string().starts_with(&url) && error.to_string().contains("core.https_address"));
    });
}

#[test]
fn only_http_1_1_is_offered() {
    run(async {
        let pair = Pair::of_itself("127.0.0.1");
        let server = Server::start(&pair, None).await;
        let transport = over(&server.url(), pair.pinned());
        assert_works(&transport).await;
        drop(transport);
        assert_eq!(server.seen().await.alpn, [b"http/1.1"]);
    });
}

#[test]
fn there_is_no_default_trust() {
    let error = Tls::builder("https://127.0.0.1").build().unwrap_err();
    assert_eq!((error.kind(), error.reached()), (ErrorKind::InvalidInput, Reached::No));
    assert!(error.to_string().contains("trust"), "{error}");
}

#[test]
fn a_key_that_does_not_fit_is_refused() {
    let (one, other) = (Pair::of_itself("one"), Pair::of_itself("other"));
    let identity = Identity::from_pem(one.certificate.as_bytes(), other.key.as_bytes()).unwrap();
    let error = Tls::builder("https://127.0.0.1").trust(one.pinned()).identity(identity).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls);
    let error = Identity::from_pem(one.key.as_bytes(), one.certificate.as_bytes()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn no_key_shows_when_printed() {
    let pair = Pair::of_itself("client");
    assert_eq!(format!("{:?}", pair.identity()), "Identity(***)");
    let builder = Tls::builder("https://127.0.0.1").trust(pair.pinned()).identity(pair.identity());
    let printed = format!("{builder:?}");
    assert!(printed.contains("Identity(***)"), "{printed}");
    let printed = format!("{:?}", HttpTransport::new(builder.build().unwrap()));
    assert!(printed.contains("https://127.0.0.1:8443") && !printed.contains("key"), "{printed}");
}

/// A proxy that answers one request like this and, if that is a yes, opens the tunnel.
async fn proxy(answer: &'static str) -> (Proxy, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let asked = tokio::spawn(async move {
        let mut client = listener.accept().await.unwrap().0;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let target = head.split(' ').nth(1).unwrap().to_owned();
        client.write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes()).await.unwrap();
        if answer.starts_with('2') {
            let mut server = TcpStream::connect(target).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        }
        head
    });
    (proxy, asked)
}

fn through(proxy: Proxy, url: &str, trust: ServerTrust) -> HttpTransport {
    HttpTransport::new(Tls::builder(url).trust(trust).proxy(proxy).build().unwrap())
}

#[test]
fn a_proxy_opens_a_tunnel() {
    run(async {
        let pair = Pair::of_itself("somewhere.example");
        let server = Server::start(&pair, None).await;
        let (proxy, asked) = proxy("200 OK").await;
        let proxy = proxy.with_authorization("Basic c2VjcmV0").unwrap();
        let transport = through(proxy, &server.url(), pair.pinned());
        assert_works(&transport).await;
        assert_works(&transport).await;
        drop(transport);
        let host = server.address;
        let expected =
            format!("CONNECT {host} HTTP/1.1\r\nhost: {host}\r\nproxy-authorization: Basic c2VjcmV0\r\n\r\n");
        assert_eq!(asked.await.unwrap(), expected);
        assert!(!server.seen().await.request.unwrap().contains("authorization"));
    });
}

#[test]
fn a_server_behind_a_proxy_is_verified_all_the_same() {
    run(async {
        let server = Server::start(&Pair::of_itself("127.0.0.1"), None).await;
        let (proxy, _asked) = proxy("200 OK").await;
        let transport = through(proxy, &server.url(), Pair::of_itself("127.0.0.1").pinned());
        assert_refused(&transport, "not the pinned one").await;
    });
}

#[test]
fn a_proxy_that_opens_no_tunnel_is_named() {
    run(async {
        let pair = Pair::of_itself("127.0.0.1");
        for (answer, words) in [
            ("407 Proxy Authentication Required\r\ncontent-length: 0", "Proxy::with_authorization"),
            ("502 Bad Gateway\r\ncontent-length: 0", "no tunnel to 127.0.0.1:9: 502 Bad Gateway"),
            ("garbage", "the connection broke before there was a tunnel"),
        ] {
            let (proxy, _asked) = proxy(answer).await;
            let transport = through(proxy, "https://127.0.0.1:9", pair.pinned());
            let error = transport.send(get("/1.0")).await.unwrap_err();
            assert_eq!((error.kind(), error.reached()), (ErrorKind::Connect, Reached::No), "{error:?}");
            assert!(error.to_string().contains(words), "{error}");
        }
    });
}

#[test]
fn a_proxy_that_never_answers_ends_in_time_and_is_left() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let pair = Pair::of_itself("127.0.0.1");
        let tls = Tls::builder("https://127.0.0.1:9").trust(pair.pinned()).proxy(proxy).build().unwrap();
        let transport = HttpTransport::builder(tls).dial_timeout(ms(100)).build().unwrap();
        let error = transport.send(get("/1.0")).await.unwrap_err();
        assert_eq!((error.kind(), error.reached()), (ErrorKind::Timeout(Phase::Dial), Reached::No));
        let mut left = listener.accept().await.unwrap().0;
        // The connection is closed, and not kept open by something that goes on in the background.
        let _ = left.read_to_end(&mut Vec::new()).await;
    });
}
