//! Secrets of every kind go through the client while it logs all that it can: none is found in the logs, in an error or
//! in debug text.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    fmt::{Debug, Display},
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use lxd_emulator::{Emulator, Personality, TlsListener};
use lxd_remotes::{Expect, Grant, Join, Remotes};
use lxd_storage::{
    Client, Upload,
    transport::{
        BoxFuture, Error as TransportError, HttpTransport, Identity, ServerTrust, Tls, Token, TokenSource,
        http::Method,
    },
    types::{
        BucketKeyRole, StorageBucketKeysPost, StorageBucketsPost, StoragePoolsPost, StorageVolumesPost,
        VolumeType,
    },
};
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

/// All that was logged and said.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Said {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn shows(&mut self, value: &impl Debug) {
        write!(self, "{value:?} {value:#?}").unwrap();
    }

    fn fails<T: Debug, E: Debug + Display>(&mut self, outcome: Result<T, E>) {
        let error = outcome.unwrap_err();
        write!(self, "{error} {error:#} {error:?} {error:#?}").unwrap();
    }
}

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Said {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// A secret, and what it is.
type Secrets = Vec<(&'static str, String)>;

struct Bearer(&'static str);

impl TokenSource for Bearer {
    fn token(&self) -> BoxFuture<'_, Result<Token, TransportError>> {
        Box::pin(async { Token::new(self.0) })
    }
}

/// An emulator behind TLS, and a client of it whose certificate it trusts.
async fn server(personality: Personality) -> (Emulator, TlsListener, Client) {
    let emulator = Emulator::builder(personality).drivers(["dir", "powerflex"]).build().unwrap();
    let made = rcgen::generate_simple_self_signed(["client".to_owned()]).unwrap();
    emulator.trust_certificate(&made.cert.pem()).unwrap();
    let listener = emulator.listen_tls("127.0.0.1:0").await.unwrap();
    let identity =
        Identity::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes());
    let tls = Tls::builder(listener.url())
        .identity(identity.unwrap())
        .trust(ServerTrust::certificate(emulator.certificate_pem().as_bytes()).unwrap());
    let client = Client::new(HttpTransport::new(tls.build().unwrap()));
    client.storage_pools().create(StoragePoolsPost::new("p", "dir")).await.unwrap();
    (emulator, listener, client)
}

#[tokio::test]
async fn no_secret_is_logged_or_said() {
    let mut said = Said::default();
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(said.clone())
        .init();
    let mut secrets = Secrets::new();
    certificates_and_tokens(&mut said, &mut secrets).await;
    passwords(&mut said, &mut secrets).await;
    bearers(&mut said, &mut secrets).await;
    buckets(&mut said, &mut secrets).await;
    configs(&mut said, &mut secrets).await;
    websockets(&mut said, &mut secrets).await;

    let text = said.text();
    // What would show them if anything did.
    assert!(
        text.contains("/1.0/storage-pools/p/buckets") && text.contains("DEBUG lxd_storage"),
        "nothing was logged"
    );
    assert!(secrets.len() >= 14, "{}", secrets.len());
    for (what, secret) in secrets {
        assert!(secret.len() >= 8, "{what} is too short to be told from other text");
        let found = text.find(&secret);
        let around = found
            .map(|at| String::from_utf8_lossy(&text.as_bytes()[at.saturating_sub(300)..at]).into_owned());
        assert_eq!(around, None, "{what} was shown");
    }
}

/// Joining by a token makes a key and a certificate and sends the token's secret.
async fn certificates_and_tokens(said: &mut Said, secrets: &mut Secrets) {
    for personality in Personality::ALL {
        let (_emulator, _listener, client) = server(personality).await;
        let folder = tempfile::tempdir().unwrap();
        let mut remotes = Remotes::open(folder.path().join("conf")).unwrap();
        let token = Grant::new("new").issue(&client).await.unwrap();
        said.shows(&token);
        secrets.push(("a token", token.reveal().to_owned()));
        let content =
            base64::Engine::decode(&base64::engine::general_purpose::STANDARD, token.reveal()).unwrap();
        let content: Value = serde_json::from_slice(&content).unwrap();
        secrets.push(("a token's secret", content["secret"].as_str().unwrap().to_owned()));
        let join = Join::token(token.clone());
        said.shows(&join);
        said.shows(&remotes.add("mine", join).await.unwrap());
        // Once more, which the server refuses.
        said.fails(Remotes::open(folder.path().join("other")).unwrap().add("mine", Join::token(token)).await);
        let client = remotes.client("mine").await.unwrap();
        said.shows(&client);
        client.storage_pools().all().await.unwrap();
        said.shows(&remotes);
        let key = std::fs::read_to_string(folder.path().join("conf/client.key")).unwrap();
        let identity = std::fs::read(folder.path().join("conf/client.crt")).unwrap();
        said.shows(&Identity::from_pem(&identity, key.as_bytes()).unwrap());
        let lines = key.lines().filter(|line| !line.starts_with("--"));
        secrets.extend(lines.map(|line| ("a client's key", line.to_owned())).take(2));
    }
}

async fn passwords(said: &mut Said, secrets: &mut Secrets) {
    let (_emulator, listener, client) = server(Personality::Lxd5).await;
    let (right, wrong) = ("PASSWORDsecret0", "PASSWORDsecret1");
    secrets.push(("a trust password", right.to_owned()));
    secrets.push(("a wrong trust password", wrong.to_owned()));
    let body = json!({"config": {"core.trust_password": right}});
    client.request(Method::PATCH, "/1.0").json(&body).change().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut remotes = Remotes::open(folder.path().join("conf")).unwrap();
    said.fails(remotes.add("mine", Join::password(listener.url(), wrong, Expect::ask(|_| true))).await);
    let join = Join::password(listener.url(), right, Expect::ask(|_| true));
    said.shows(&join);
    remotes.add("mine", join).await.unwrap();
    said.shows(&remotes);
}

async fn bearers(said: &mut Said, secrets: &mut Secrets) {
    let secret = "BEARERsecret.of.nobody";
    secrets.push(("a bearer token", secret.to_owned()));
    said.shows(&Token::new(secret).unwrap());
    let (emulator, listener, _client) = server(Personality::Incus6).await;
    let trust = ServerTrust::certificate(emulator.certificate_pem().as_bytes()).unwrap();
    let tls = Tls::builder(listener.url()).trust(trust).build().unwrap();
    let transport = lxd_storage::transport::Authorized::new(HttpTransport::new(tls), Bearer(secret));
    let client = Client::new(transport);
    said.shows(&client);
    said.fails(client.storage_pools().all().await);
    // One that no header can carry.
    secrets.push(("a bearer token of two lines", "BEARERsecret2\r\nX-Other: 1".to_owned()));
    said.fails(Token::new("BEARERsecret2\r\nX-Other: 1"));
}

async fn buckets(said: &mut Said, secrets: &mut Secrets) {
    let (_emulator, _listener, client) = server(Personality::Incus6).await;
    let buckets = client.storage_pool("p").buckets();
    let created = buckets.create(StorageBucketsPost::new("photos")).await.unwrap();
    said.shows(&created);
    let admin = created.admin_key.clone().unwrap();
    secrets.push(("an access key", admin.access_key.expose().to_owned()));
    secrets.push(("a secret key", admin.secret_key.expose().to_owned()));
    let keys = created.bucket.keys();
    let own =
        StorageBucketKeysPost::new("own", BucketKeyRole::Admin).with_credentials("ACCESSown0", "SECRETown0");
    secrets.push(("an own access key", "ACCESSown0".to_owned()));
    secrets.push(("an own secret key", "SECRETown0".to_owned()));
    said.shows(&own);
    said.shows(&keys.create(own.clone()).await.unwrap());
    said.fails(keys.create(own).await);
    said.shows(&keys.all().await.unwrap());
    said.shows(&buckets.full().await.unwrap());
    // The server quotes what it was given.
    let quoted = StorageBucketKeysPost::new("bad", BucketKeyRole::Admin).with_credentials("A2", "SECRETbad0");
    secrets.push(("a refused secret key", "SECRETbad0".to_owned()));
    let short = StorageBucketKeysPost::new("bad", BucketKeyRole::Admin).with_credentials("A2", "short");
    said.fails(keys.create(quoted).await);
    said.fails(keys.create(short).await);
    let mut archive = Vec::new();
    created.bucket.export().to_writer(&mut archive).await.unwrap();
    let upload = Upload::from(bytes::Bytes::from(archive));
    said.shows(&upload);
    said.fails(buckets.import_backup(upload, Some("copy")).await);
}

/// Drivers with passwords of their own.
async fn configs(said: &mut Said, secrets: &mut Secrets) {
    let (_emulator, _listener, client) = server(Personality::LxdNew).await;
    let secret = "DRIVERsecret0";
    secrets.push(("a driver's password", secret.to_owned()));
    let post = StoragePoolsPost::new("flex", "powerflex").with_config("powerflex.user.password", secret);
    let post = post.with_config("powerflex.gateway", "https://10.0.0.1").with_config("powerflex.pool", "x");
    said.shows(&post);
    let mut pool = client.storage_pools().create(post.clone()).await.unwrap();
    said.shows(&pool);
    said.fails(client.storage_pools().create(post).await);
    pool.config_mut().set("frob", "1");
    said.fails(pool.save().await);
    said.shows(
        &client
            .storage_pools()
            .ensure(
                StoragePoolsPost::new("flex", "powerflex")
                    .with_config("powerflex.user.password", "DRIVERsecret1"),
            )
            .await,
    );
    secrets.push(("another password", "DRIVERsecret1".to_owned()));
}

async fn websockets(said: &mut Said, secrets: &mut Secrets) {
    for personality in Personality::ALL {
        let (_emulator, _listener, source) = server(personality).await;
        let (_other, _its_listener, target) = server(personality).await;
        let volume = source.storage_pool("p").volumes().create(StorageVolumesPost::new("v")).await.unwrap();
        let body = json!({"name": "v", "migration": true});
        let path = "/1.0/storage-pools/p/volumes/custom/v";
        let offered = source.request(Method::POST, path).json(&body).change().start().await.unwrap();
        said.shows(&offered);
        let operation = offered.operation().unwrap();
        let control = operation.secrets().get("control").unwrap().to_owned();
        said.shows(&operation.secrets());
        said.shows(&source.connect_operation(&operation.id, &control).await.unwrap());
        let wrong = "WEBSOCKETsecret0";
        said.fails(source.connect_operation(&operation.id, wrong).await);
        secrets.push(("a websocket's secret", control));
        secrets.push(("a wrong websocket's secret", wrong.to_owned()));
        for operation in source.operations().all().await.unwrap() {
            said.shows(&operation);
        }
        let there = target.storage_pool("p");
        let moved = volume.copy_to_server(&there).relay().with_name("w").await.unwrap();
        said.shows(&moved);
        assert!(there.volume(VolumeType::Custom, "w").exists().await.unwrap());
    }
}
