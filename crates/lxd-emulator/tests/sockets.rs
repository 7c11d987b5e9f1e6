//! Unix sockets and HTTPS: who is let in, and what is left behind.

#![cfg(all(feature = "unix", feature = "tls"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod support;

use std::{fs, io::ErrorKind};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lxd_emulator::{Emulator, Personality, TlsListener};
use lxd_storage::{
    Client,
    transport::{Identity, ServerTrust, Tls},
    types::StoragePoolsPost,
};
use serde_json::json;
use support::send;

#[tokio::test]
async fn a_unix_socket_serves_until_it_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("unix.socket");
    let emulator = Emulator::new(Personality::Incus6).unwrap();
    let listener = emulator.listen_unix(&path).unwrap();
    let client = Client::unix(&path);
    let pool = client.storage_pools().create(StoragePoolsPost::new("fast", "dir")).await.unwrap();
    let mut events = client.events().open().await.unwrap();
    pool.handle().delete().await.unwrap();
    events.next().await.unwrap();
    drop(listener);
    assert!(!path.exists());
    assert!(Client::unix(&path).server().await.is_err());
}

#[tokio::test]
async fn paths_that_cannot_be_are_refused_and_dead_sockets_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let emulator = Emulator::new(Personality::Lxd5).unwrap();
    let path = folder.path().join("unix.socket");
    let first = emulator.listen_unix(&path).unwrap();
    let used = emulator.listen_unix(&path).unwrap_err();
    assert_eq!(used.kind(), ErrorKind::AddrInUse);
    assert!(used.to_string().contains("listens on"), "{used}");
    drop(first);
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    drop(emulator.listen_unix(&path).unwrap());

    fs::write(&path, "a letter").unwrap();
    let file = emulator.listen_unix(&path).unwrap_err();
    assert!(file.to_string().contains("is no socket"), "{file}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "a letter");
    let long = emulator.listen_unix(folder.path().join("x".repeat(120))).unwrap_err();
    assert!(long.to_string().contains("a socket's may have 107"), "{long}");
}

#[test]
fn outside_of_a_runtime_nobody_can_listen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("unix.socket");
    let emulator = Emulator::new(Personality::Lxd5).unwrap();
    assert!(emulator.listen_unix(&path).is_err());
    assert!(!path.exists());
    let listening = std::pin::pin!(emulator.listen_tls("127.0.0.1:0"));
    let polled = listening.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    assert!(matches!(polled, std::task::Poll::Ready(Err(_))));
}

#[tokio::test]
async fn a_socket_that_somebody_else_made_meanwhile_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("unix.socket");
    let emulator = Emulator::new(Personality::Lxd5).unwrap();
    let first = emulator.listen_unix(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let second = emulator.listen_unix(&path).unwrap();
    drop(first);
    assert!(Client::unix(&path).server().await.is_ok());
    drop(second);
    assert!(!path.exists());
}

/// A stream cannot connect to a socket for datagrams; that does not make it a dead one.
#[tokio::test]
async fn only_sockets_that_refuse_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("unix.socket");
    let other = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    let refused = Emulator::new(Personality::Lxd5).unwrap().listen_unix(&path).unwrap_err();
    assert!(refused.to_string().contains("cannot tell whether somebody listens on"), "{refused}");
    assert!(path.exists());
    drop(other);
}

#[tokio::test]
async fn a_handshake_that_stalls_is_ended() {
    use tokio::io::AsyncReadExt as _;

    let patience = std::time::Duration::from_millis(50);
    let emulator = Emulator::builder(Personality::Lxd5).idle_timeout(patience).build().unwrap();
    let listener = emulator.listen_tls("127.0.0.1:0").await.unwrap();
    let mut stream = tokio::net::TcpStream::connect(listener.address()).await.unwrap();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(5), stream.read_u8()).await;
    assert!(ended.expect("the server closes it").is_err());
}

/// A client certificate and its key.
fn identity() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["client".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn client(emulator: &Emulator, listener: &TlsListener, (certificate, key): &(String, String)) -> Client {
    let tls = Tls::builder(listener.url())
        .identity(Identity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap())
        .trust(ServerTrust::certificate(emulator.certificate_pem().as_bytes()).unwrap())
        .build()
        .unwrap();
    Client::https(tls)
}

#[tokio::test]
async fn https_is_for_clients_whose_certificate_is_trusted() {
    for personality in Personality::ALL {
        let emulator = Emulator::new(personality).unwrap();
        let listener = emulator.listen_tls("127.0.0.1:0").await.unwrap();
        let identity = identity();
        let client = client(&emulator, &listener, &identity);
        let stranger = client.server().await.unwrap();
        assert_eq!(stranger.auth, "untrusted".into());
        assert!(client.storage_pools().all().await.unwrap_err().is_forbidden());
        emulator.trust_certificate(&identity.0).unwrap();
        assert!(client.storage_pools().all().await.unwrap().is_empty());
        let server = client.refresh_server().await.unwrap();
        assert_eq!(server.environment.certificate, emulator.certificate_pem());
    }
}

#[tokio::test]
async fn a_token_lets_one_client_in() {
    for personality in Personality::ALL {
        let emulator = Emulator::new(personality).unwrap();
        let listener = emulator.listen_tls("127.0.0.1:0").await.unwrap();
        let asked = r#"{"type":"client","name":"somebody","token":true}"#;
        let made = send(&emulator, "POST", "/1.0/certificates", asked).await.metadata();
        let secret = &made["metadata"]["secret"];
        let token = STANDARD.encode(json!({"client_name": "somebody", "secret": secret}).to_string());
        let field = if personality == Personality::Lxd5 { "password" } else { "trust_token" };
        let body = json!({"type": "client", field: token});
        let join = |client: Client| {
            let body = body.clone();
            async move { client.request("POST".parse().unwrap(), "/1.0/certificates").json(&body).change().await }
        };
        let first = client(&emulator, &listener, &identity());
        join(first.clone()).await.unwrap();
        assert!(first.storage_pools().all().await.is_ok(), "{personality:?}");
        let second = client(&emulator, &listener, &identity());
        assert!(join(second).await.unwrap_err().is_forbidden());
        let known = send(&emulator, "GET", "/1.0/certificates?recursion=1", "").await.metadata();
        assert_eq!((known.as_array().unwrap().len(), &known[0]["name"]), (1, &json!("somebody")));
    }
}

#[tokio::test]
async fn the_folder_goes_with_the_last_that_uses_it() {
    let emulator = Emulator::new(Personality::Lxd5).unwrap();
    let transport = emulator.transport();
    let folder = emulator.content("p", "default", "v");
    let client = Client::new(transport);
    let pool = client.storage_pools().create(StoragePoolsPost::new("p", "dir")).await.unwrap();
    pool.volumes().create(lxd_storage::types::StorageVolumesPost::new("v")).await.unwrap();
    drop(emulator);
    assert!(folder.is_dir(), "the client still has it");
    drop((client, pool));
    for _ in 0..100 {
        if !folder.exists() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{} is left", folder.display());
}

/// A server that goes in the middle of its work takes its folder along all the same.
#[test]
fn a_folder_goes_even_if_work_is_going_on() {
    let folder = {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let emulator = Emulator::new(Personality::Lxd5).unwrap();
        runtime.block_on(async {
            support::done(&emulator, "POST", "/1.0/storage-pools", r#"{"name":"p","driver":"dir"}"#).await;
            let volumes = "/1.0/storage-pools/p/volumes/custom";
            support::done(&emulator, "POST", volumes, r#"{"name":"v"}"#).await;
            for index in 0..2000 {
                fs::write(emulator.content("p", "default", "v").join(index.to_string()), "content").unwrap();
            }
            send(&emulator, "POST", &format!("{volumes}/v/snapshots"), r#"{"name":"s"}"#).await;
            tokio::task::yield_now().await;
        });
        emulator.content("p", "default", "v")
    };
    for _ in 0..500 {
        if !folder.ancestors().nth(3).unwrap().exists() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{} is left", folder.display());
}
