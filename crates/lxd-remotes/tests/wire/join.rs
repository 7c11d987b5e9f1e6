//! What goes over the wire while a server is joined, and what doesn't.

use base64::{Engine, engine::general_purpose::STANDARD};
use lxd_remotes::{Auth, ErrorKind, Expect, Join, JoinToken, Protocol};
use serde_json::json;

use crate::{
    Folder,
    connect::Fixed,
    server::{Mood, Server},
};

fn token(addresses: &[&str], fingerprint: &str) -> JoinToken {
    let content = json!({ "client_name": "me", "fingerprint": fingerprint, "addresses": addresses, "secret": "c0ffee" });
    STANDARD.encode(content.to_string()).parse().unwrap()
}

#[tokio::test]
async fn another_certificate_than_expected_gets_no_request_at_all() {
    let server = Server::start(&[], Mood::Willing).await;
    let folder = Folder::new("wrong");
    let mut remotes = folder.open();
    let url = server.url();
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

#[tokio::test]
async fn a_bearer_token_joins_without_a_certificate() {
    let server = Server::start(&[], Mood::Tokens).await;
    let folder = Folder::new("oidc");
    let expect = || Expect::fingerprint(server.fingerprint());
    let mut remotes = folder.open();
    let wrong = Join::oidc(&server.address, Expect::fingerprint("ab".repeat(32)), Fixed("good"));
    assert_eq!(remotes.add("a", wrong).await.unwrap_err().kind(), ErrorKind::WrongCertificate);
    assert!(server.requests().is_empty());
    let bad = Join::oidc(&server.address, expect(), Fixed("hunter2"));
    let error = remotes.add("a", bad).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    let shown = format!("{error:#} {error:?}");
    assert!(shown.contains("tls, oidc") && !shown.contains("hunter2"), "{shown}");
    assert!(!folder.0.exists());

    let join = Join::oidc(&server.address, expect(), Fixed("good")).with_project("blue");
    let remote = remotes.add("a", join).await.unwrap();
    assert_eq!((remote.auth(), remote.project()), (Some(&Auth::Oidc), Some("blue")));
    assert_eq!(server.requests(), ["GET /1.0", "GET /1.0"]);
    assert!(folder.has("a") && !folder.0.join("client.key").exists());
    let client = folder.open().client("a").tokens(Fixed("good")).await.unwrap();
    assert!(client.server().await.unwrap().is_trusted());
    assert_eq!(remotes.client("a").await.unwrap_err().kind(), ErrorKind::NoTokens);
}
