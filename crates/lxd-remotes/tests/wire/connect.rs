//! What the settings of a client do on the wire.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use lxd_remotes::{
    ErrorKind,
    storage::transport::{BoxFuture, Error as TransportError, Limits, Proxy, Token, TokenSource},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use crate::{
    Folder,
    server::{Mood, Server},
};

pub(crate) struct Fixed(pub(crate) &'static str);

impl TokenSource for Fixed {
    fn token(&self) -> BoxFuture<'_, Result<Token, TransportError>> {
        Box::pin(async { Token::new(self.0) })
    }
}

/// A proxy that opens tunnels to wherever it is asked, and notes that.
async fn proxy() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let noted = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.unwrap());
            }
            let line = String::from_utf8(head).unwrap().lines().next().unwrap().to_owned();
            let address = line.split(' ').nth(1).unwrap().to_owned();
            noted.lock().unwrap().push(line);
            let mut server = TcpStream::connect(address).await.unwrap();
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            tokio::spawn(async move { drop(copy_bidirectional(&mut client, &mut server).await) });
        }
    });
    (url, asked)
}

#[tokio::test]
async fn a_client_has_the_name_and_goes_the_way_that_it_was_given() {
    let server = Server::start(&[], Mood::Tokens).await;
    let (url, asked) = proxy().await;
    let folder = Folder::new("settings");
    folder.write("a", &server, &format!("addr: 'https://{}', auth_type: oidc", server.address));
    let connect = folder.open().client("a").tokens(Fixed("good")).user_agent("nightly/2");
    let client = connect.proxy(Proxy::new(&url).unwrap()).await.unwrap();
    assert!(client.refresh_server().await.unwrap().is_trusted());
    assert_eq!(server.headers("user-agent"), [Some("nightly/2".to_owned())]);
    assert_eq!(server.headers("authorization"), [Some("bearer good".to_owned())]);
    assert_eq!(*asked.lock().unwrap(), [format!("CONNECT {} HTTP/1.1", server.address)]);
}

#[tokio::test]
async fn patience_outlasts_the_start_of_a_server() {
    let server = Server::start(&[], Mood::Trusting(2)).await;
    let folder = Folder::new("patience");
    folder.write("a", &server, &format!("addr: 'https://{}', auth_type: oidc", server.address));
    let remotes = folder.open();
    let hasty = remotes.client("a").tokens(Fixed("good")).await.unwrap();
    assert_eq!(hasty.server().await.unwrap_err().code(), Some(503));
    let patient = remotes.client("a").tokens(Fixed("good")).patience(Duration::from_secs(10));
    assert!(patient.await.unwrap().server().await.unwrap().is_trusted());
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn of_several_addresses_the_one_that_answers_gets_a_patient_client() {
    let server = Server::start(&[], Mood::Trusting(0)).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let folder = Folder::new("several");
    let addresses = format!("addr: 'https://{closed},https://{}', auth_type: oidc", server.address);
    folder.write("a", &server, &addresses);
    let start = Instant::now();
    let connect = folder.open().client("a").tokens(Fixed("good")).patience(Duration::from_secs(60));
    let client = connect.await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "an address without a server was waited for");
    assert_eq!(client.endpoint().url(), Some(&*server.url()));
    assert!(client.server().await.unwrap().is_trusted());
}

#[tokio::test]
async fn limits_end_a_call_that_is_not_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::start(&[], Mood::Trusting(0)).await;
    let folder = Folder::new("limits");
    let silent = listener.local_addr().unwrap();
    folder.write("a", &server, &format!("addr: 'https://{silent}', auth_type: oidc"));
    let limits = Limits::METADATA.with_total(Duration::from_millis(50));
    let client = folder.open().client("a").tokens(Fixed("good")).limits(limits).await.unwrap();
    let error = lxd_remotes::Error::from(client.server().await.unwrap_err());
    assert_eq!(error.kind(), ErrorKind::Server, "{error:#}");
    assert!(error.to_string().contains("timeout"), "{error}");
}
