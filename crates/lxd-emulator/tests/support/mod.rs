//! Emulators, clients of them, and bare requests.

#![allow(dead_code, reason = "not every test needs all of it")]

#[cfg(feature = "program")]
pub(crate) mod program;

use lxd_emulator::{Emulator, Personality};
use lxd_storage::Client;
use lxd_transport::{Body, Transport, http::Request};
use serde_json::Value;

/// A server of each kind, with a client in process.
pub(crate) fn servers() -> Vec<(Personality, Emulator, Client)> {
    Personality::ALL.into_iter().map(server).collect()
}

pub(crate) fn server(personality: Personality) -> (Personality, Emulator, Client) {
    let emulator = Emulator::new(personality).unwrap();
    let client = Client::new(emulator.transport());
    (personality, emulator, client)
}

/// What a bare request is answered: status, ETag and body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) etag: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub(crate) fn metadata(&self) -> Value {
        self.json()["metadata"].clone()
    }

    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().unwrap().to_owned()
    }
}

pub(crate) async fn send(emulator: &Emulator, method: &str, path: &str, body: &str) -> Answer {
    send_with(emulator, method, path, body, &[]).await
}

pub(crate) async fn send_with(
    emulator: &Emulator,
    method: &str,
    path: &str,
    body: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let response = emulator.transport().send(request).await.unwrap();
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (status, etag, location) = (response.status().as_u16(), header("etag"), header("location"));
    let text = response.into_body().collect(1 << 20).await.unwrap();
    Answer { status, etag, location, text: String::from_utf8(text.to_vec()).unwrap() }
}

/// Sends a change and waits for its operation, if it is one.
pub(crate) async fn done(emulator: &Emulator, method: &str, path: &str, body: &str) -> Answer {
    let answer = send(emulator, method, path, body).await;
    if answer.status != 202 {
        return answer;
    }
    let operation = answer.json()["operation"].as_str().unwrap().to_owned();
    let id = operation.split('?').next().unwrap();
    send(emulator, "GET", &format!("{id}/wait?timeout=10"), "").await
}

/// The same, and what came of it.
pub(crate) async fn ended(emulator: &Emulator, method: &str, path: &str, body: &str) -> Result<(), String> {
    let answer = done(emulator, method, path, body).await;
    // Of the answer, or else of the operation; the newest server says both with status 200.
    let answer = answer.json();
    let texts = [&answer["error"], &answer["metadata"]["err"]];
    let failure = texts.into_iter().filter_map(Value::as_str).collect::<String>();
    if failure.is_empty() { Ok(()) } else { Err(failure) }
}

/// A server with a pool `p`.
pub(crate) async fn with_pool(personality: Personality) -> Emulator {
    let emulator = Emulator::new(personality).unwrap();
    done(&emulator, "POST", "/1.0/storage-pools", r#"{"name":"p","driver":"dir"}"#).await;
    emulator
}
