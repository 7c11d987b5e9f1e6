//! Servers that are not whom they should be: no call sends them a byte, and each says what is wrong.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use lxd_storage::{
    Client, ErrorKind,
    transport::{HttpTransport, Identity, Reached, ServerTrust, Tls},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio::io::AsyncReadExt as _;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

use crate::{
    calls::CALLS,
    fixture::{identity, turn},
};

/// A certificate and its key, as PEM.
struct Pair(String, String);

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn issue(&self, name: &str, until: i32) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(until, 1, 1);
        Pair(params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

fn of_itself() -> Pair {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    Pair(made.cert.pem(), made.signing_key.serialize_pem())
}

/// Shows a certificate to whoever comes, and counts the bytes that it hears behind the handshake.
struct Impostor {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    heard: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Impostor {
    async fn new(at: &str, shown: &Pair) -> Self {
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(shown.0.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(shown.1.as_bytes()).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        // Connections to who was here before may still be closing.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        let mut bound = socket.bind(at.parse().unwrap());
        for _ in 0..50 {
            if bound.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            bound = socket.bind(at.parse().unwrap());
        }
        bound.unwrap();
        let listener = socket.listen(64).unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, heard) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counts = (Arc::clone(&asked), Arc::clone(&heard));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, (asked, heard)) = (acceptor.clone(), counts.clone());
                tokio::spawn(async move {
                    asked.fetch_add(1, Ordering::Relaxed);
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut bytes = [0; 1024];
                    while let Ok(read @ 1..) = stream.read(&mut bytes).await {
                        heard.fetch_add(read, Ordering::Relaxed);
                    }
                });
            }
        });
        Self { address, asked, heard, task }
    }

    fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

fn client(url: &str, trust: ServerTrust) -> Client {
    let (pem, key) = identity();
    let identity = Identity::from_pem(pem.as_bytes(), key.as_bytes()).unwrap();
    let tls = Tls::builder(url).identity(identity).trust(trust).build().unwrap();
    Client::new(HttpTransport::new(tls))
}

async fn assert_no_call_trusts(client: &Client, impostor: &Impostor, what: &str) {
    for call in CALLS {
        let error = (call.run)(client.clone()).await.expect_err(call.name);
        let found = (error.kind(), error.request_reached_server());
        assert_eq!(found, (ErrorKind::Tls, Reached::No), "{} of {what}: {error:?}", call.name);
        assert!(error.to_string().contains("certificate"), "{} of {what}: {error}", call.name);
    }
    assert!(impostor.asked.load(Ordering::Relaxed) >= CALLS.len(), "{what}");
    assert_eq!(impostor.heard.load(Ordering::Relaxed), 0, "{what}");
}

fn run(test: impl Future<Output = ()>) {
    let _turn = turn();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

#[test]
fn another_certificate_than_the_pinned_one_gets_no_byte() {
    run(async {
        let (own, other) = (of_itself(), of_itself());
        let impostor = Impostor::new("127.0.0.1:0", &other).await;
        let pinned = ServerTrust::certificate(own.0.as_bytes()).unwrap();
        assert_no_call_trusts(&client(&impostor.url(), pinned), &impostor, "another certificate").await;
    });
}

#[test]
fn whom_an_authority_vouches_for_is_not_the_pinned_server() {
    run(async {
        let (own, authority) = (of_itself(), Authority::new());
        let impostor = Impostor::new("127.0.0.1:0", &authority.issue("127.0.0.1", 2090)).await;
        let pinned = ServerTrust::certificate(own.0.as_bytes()).unwrap();
        assert_no_call_trusts(&client(&impostor.url(), pinned), &impostor, "a man in the middle").await;
    });
}

#[test]
fn certificates_that_expired_or_are_for_others_get_no_byte() {
    run(async {
        let authority = Authority::new();
        for (what, shown) in [
            ("an expired certificate", authority.issue("127.0.0.1", 2001)),
            ("the certificate of another server", authority.issue("other.example", 2090)),
            ("another authority's certificate", Authority::new().issue("127.0.0.1", 2090)),
        ] {
            let impostor = Impostor::new("127.0.0.1:0", &shown).await;
            let trust = ServerTrust::ca(authority.pem.as_bytes()).unwrap();
            assert_no_call_trusts(&client(&impostor.url(), trust), &impostor, what).await;
        }
    });
}

/// The server itself answers first; then somebody else is at its address.
#[test]
fn a_server_that_is_swapped_gets_no_byte() {
    run(async {
        let emulator = lxd_emulator::Emulator::new(lxd_emulator::Personality::LxdNew).unwrap();
        emulator.trust_certificate(&identity().0).unwrap();
        let listener = emulator.listen_tls("127.0.0.1:0").await.unwrap();
        let url = listener.url();
        let pinned = ServerTrust::certificate(emulator.certificate_pem().as_bytes()).unwrap();
        let client = client(&url, pinned);
        client.storage_pools().all().await.unwrap();
        drop(listener);
        emulator.break_connections();
        let impostor = Impostor::new(url.strip_prefix("https://").unwrap(), &of_itself()).await;
        // What was left open notices that it is closed.
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_no_call_trusts(&client, &impostor, "a swapped server").await;
    });
}
