//! What goes over the wire while a server is joined, and what doesn't.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use lxd_remotes::{ErrorKind, Expect, Join, JoinToken, Protocol, Remotes};
use lxd_storage::transport::fingerprint;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// How the server takes a request for trust.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Willing,
    /// Says yes and means no.
    Forgetful,
    /// Hangs up once it has read the request.
    Rude,
    Strict,
}

/// A server of one certificate that notes each request with its body.
struct Server {
    address: String,
    certificate: String,
    seen: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Server {
    async fn start(extensions: &[&str], mood: Mood) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new(["server".to_owned()]).unwrap().self_signed(&key).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from(certificate.der().to_vec())],
                PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::<Mutex<Vec<(String, Value)>>>::default();
        let (noted, acceptor) = (Arc::clone(&seen), TlsAcceptor::from(Arc::new(config)));
        let extensions = json!(extensions);
        tokio::spawn(async move {
            let mut trusted = false;
            while let Ok((stream, _)) = listener.accept().await {
                // Whoever only looks at the certificate hangs up here.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                while let Some((head, body)) = request(&mut stream).await {
                    noted.lock().unwrap().push((head.clone(), body));
                    let is_post = head.starts_with("POST");
                    if is_post && mood == Mood::Rude {
                        break;
                    }
                    trusted |= is_post && mood == Mood::Willing;
                    let answer = if is_post && mood == Mood::Strict {
                        json!({ "type": "error", "error_code": 403, "error": "not authorized" })
                    } else {
                        let auth = if trusted { "trusted" } else { "untrusted" };
                        let environment = json!({ "server": if trusted { "lxd" } else { "" } });
                        json!({ "type": "sync", "metadata":
                            { "auth": auth, "api_extensions": extensions, "environment": environment } })
                    };
                    let answer = answer.to_string();
                    let head = format!(
                        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                        answer.len()
                    );
                    if stream.write_all((head + &answer).as_bytes()).await.is_err() {
                        break;
                    }
                }
            }
        });
        Self { address, certificate: certificate.pem(), seen }
    }

    fn fingerprint(&self) -> String {
        fingerprint(self.certificate.as_bytes()).unwrap()
    }

    fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|(head, _)| head.clone()).collect()
    }

    fn posted(&self) -> Vec<Value> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|(head, _)| head.starts_with("POST")).map(|(_, body)| body.clone()).collect()
    }
}

/// Method and path, and the body as JSON.
async fn request(stream: &mut (impl AsyncRead + Unpin)) -> Option<(String, Value)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    let words: Vec<&str> = head.split(' ').take(2).collect();
    let head = format!("{} {}", words[0].to_ascii_uppercase(), words[1]);
    Some((head, serde_json::from_slice(&body).unwrap_or_default()))
}

fn token(addresses: &[&str], fingerprint: &str) -> JoinToken {
    let content = json!({ "client_name": "me", "fingerprint": fingerprint, "addresses": addresses, "secret": "c0ffee" });
    STANDARD.encode(content.to_string()).parse().unwrap()
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lxd-remotes-join-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn open(&self) -> Remotes {
        Remotes::open(&self.0).unwrap()
    }

    /// Whether the remote was written down.
    fn has(&self, name: &str) -> bool {
        self.0.join(format!("servercerts/{name}.crt")).exists() || self.open().get(name).is_ok()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn another_certificate_than_expected_gets_no_request_at_all() {
    let server = Server::start(&[], Mood::Willing).await;
    let folder = Folder::new("wrong");
    let mut remotes = folder.open();
    let url = format!("https://{}", server.address);
    let wrong = "ab".repeat(32);
    for join in [
        Join::token(token(&[&server.address], &wrong)),
        Join::password(&url, "hunter2", Expect::fingerprint(&wrong)),
        Join::password(&url, "hunter2", Expect::ask(|_| false)),
        Join::known(&url, Expect::fingerprint(&wrong)),
    ] {
        let error = remotes.add("a", join).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WrongCertificate);
        let shown = format!("{error:#} {error:?}");
        assert!(shown.contains(&server.fingerprint()) && !shown.contains("hunter2"), "{shown}");
    }
    assert!(server.requests().is_empty() && !folder.0.exists());
}

#[tokio::test]
async fn the_newest_servers_get_the_token_as_such_and_the_oldest_as_a_password() {
    for (extensions, in_password) in [(&["explicit_trust_token"][..], false), (&["certificate_token"], true)]
    {
        let server = Server::start(extensions, Mood::Willing).await;
        let folder = Folder::new(if in_password { "old" } else { "new" });
        let token = token(&[&server.address], &server.fingerprint());
        let remote = folder.open().add("a", Join::token(token.clone())).await.unwrap();
        assert_eq!(remote.protocol(), Some(&Protocol::Lxd));
        assert_eq!(server.requests(), ["GET /1.0", "POST /1.0/certificates", "GET /1.0"]);
        let posted = server.posted();
        assert_eq!(
            (&posted[0]["type"], &posted[0]["trust_token"]),
            (&json!("client"), &json!(token.reveal()))
        );
        assert_eq!(posted[0].get("password").is_some(), in_password);
        assert!(folder.has("a"));
    }
}

#[tokio::test]
async fn a_password_goes_out_as_it_is_and_stays_out_of_errors() {
    let server = Server::start(&[], Mood::Strict).await;
    let folder = Folder::new("password");
    let mut remotes = folder.open();
    let expected = server.fingerprint();
    let join =
        Join::password(&server.address, "hunter2", Expect::ask(move |found| found.fingerprint() == expected));
    let error = remotes.add("a", join).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(server.posted(), [json!({ "type": "client", "password": "hunter2" })]);
    assert!(!format!("{error:#} {error:?}").contains("hunter2") && !folder.has("a"));
}

#[tokio::test]
async fn a_secret_goes_out_once_whatever_becomes_of_it() {
    let server = Server::start(&[], Mood::Rude).await;
    let folder = Folder::new("rude");
    let token = token(&[&server.address, &server.address], &server.fingerprint());
    let error = folder.open().add("a", Join::token(token)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server, "{error:#}");
    assert_eq!(server.posted().len(), 1);
    assert!(!folder.has("a"));
}

#[tokio::test]
async fn a_yes_without_trust_is_no_yes() {
    let server = Server::start(&[], Mood::Forgetful).await;
    let folder = Folder::new("forgetful");
    let token = token(&[&server.address], &server.fingerprint());
    let error = folder.open().add("a", Join::token(token)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(!folder.has("a"));
}
