//! A server that notes what comes.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use lxd_storage::transport::fingerprint;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// How the server takes a request for trust, and who calls.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Mood {
    Willing,
    /// Says yes and means no.
    Forgetful,
    /// Hangs up once it has read the request.
    Rude,
    Strict,
    /// Trusts everybody, once it has answered 503 so many times.
    Trusting(u32),
    /// Trusts whoever has the bearer token `good`.
    Tokens,
}

/// A request that came.
struct Seen {
    /// Method and path.
    line: String,
    /// In small letters.
    head: String,
    body: Value,
}

/// A server of one certificate that notes each request.
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) certificate: String,
    shared: Arc<Shared>,
}

struct Shared {
    extensions: Value,
    mood: Mood,
    trusts: AtomicBool,
    answered: AtomicU32,
    seen: Mutex<Vec<Seen>>,
}

impl Server {
    pub(crate) async fn start(extensions: &[&str], mood: Mood) -> Self {
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
        let shared = Arc::new(Shared {
            extensions: json!(extensions),
            mood,
            trusts: AtomicBool::new(false),
            answered: AtomicU32::new(0),
            seen: Mutex::default(),
        });
        let (ours, acceptor) = (Arc::clone(&shared), TlsAcceptor::from(Arc::new(config)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (shared, acceptor) = (Arc::clone(&ours), acceptor.clone());
                tokio::spawn(async move { shared.serve(stream, acceptor).await });
            }
        });
        Self { address, certificate: certificate.pem(), shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    pub(crate) fn fingerprint(&self) -> String {
        fingerprint(self.certificate.as_bytes()).unwrap()
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.seen.lock().unwrap().iter().map(|seen| seen.line.clone()).collect()
    }

    /// What stood in this header of each request.
    pub(crate) fn headers(&self, name: &str) -> Vec<Option<String>> {
        let seen = self.shared.seen.lock().unwrap();
        let header = |seen: &Seen| {
            let line = seen.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(|value| value.trim().to_owned())
        };
        seen.iter().map(header).collect()
    }

    pub(crate) fn posted(&self) -> Vec<Value> {
        let seen = self.shared.seen.lock().unwrap();
        seen.iter().filter(|seen| seen.line.starts_with("POST")).map(|seen| seen.body.clone()).collect()
    }
}

impl Shared {
    async fn serve(&self, stream: TcpStream, acceptor: TlsAcceptor) {
        // Whoever only looks at the certificate hangs up here.
        let Ok(mut stream) = acceptor.accept(stream).await else { return };
        while let Some(seen) = request(&mut stream).await {
            let answer = self.answer(&seen);
            self.seen.lock().unwrap().push(seen);
            let Some((status, answer)) = answer else { return };
            let answer = answer.to_string();
            let head = format!(
                "HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                answer.len()
            );
            if stream.write_all((head + &answer).as_bytes()).await.is_err() {
                return;
            }
        }
    }

    fn answer(&self, seen: &Seen) -> Option<(u16, Value)> {
        let is_post = seen.line.starts_with("POST");
        let refusal = |code: u16, error: &str| json!({ "type": "error", "error_code": code, "error": error });
        let trusted = match self.mood {
            Mood::Rude if is_post => return None,
            Mood::Strict if is_post => return Some((200, refusal(403, "not authorized"))),
            Mood::Trusting(starting) if self.answered.fetch_add(1, Ordering::SeqCst) < starting => {
                return Some((503, refusal(503, "starting")));
            }
            Mood::Trusting(_) => true,
            Mood::Tokens => seen.head.contains("authorization: bearer good"),
            mood => {
                if is_post && mood == Mood::Willing {
                    self.trusts.store(true, Ordering::SeqCst);
                }
                self.trusts.load(Ordering::SeqCst)
            }
        };
        let auth = if trusted { "trusted" } else { "untrusted" };
        let environment = json!({ "server": if trusted { "lxd" } else { "" } });
        let server = json!({ "auth": auth, "api_extensions": self.extensions, "environment": environment,
            "auth_methods": ["tls", "oidc"] });
        Some((200, json!({ "type": "sync", "metadata": server })))
    }
}

async fn request(stream: &mut (impl AsyncRead + Unpin)) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    let words: Vec<&str> = head.split(' ').take(2).collect();
    let line = format!("{} {}", words[0].to_ascii_uppercase(), words[1]);
    Some(Seen { line, body: serde_json::from_slice(&body).unwrap_or_default(), head })
}
