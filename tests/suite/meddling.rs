//! A transport that meddles with one kind of request of a client: something happens right before it, or a part is
//! missing in its answers.

use std::{
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::header;
use lxd_storage::{
    Client,
    transport::{
        self, Body, BoxFuture, Endpoint, Limits, Transport,
        http::{Request, Response},
    },
};
use serde_json::Value;

type Deed = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;
type Rewrite = Box<dyn Fn(&mut Value) + Send + Sync>;

pub(crate) struct Meddler {
    inner: Box<dyn Transport>,
    line: String,
    how: How,
    met: Met,
}

enum How {
    Before(Mutex<Option<Deed>>),
    Rewriting(Rewrite),
}

/// How many requests of that kind there were.
#[derive(Clone, Default)]
pub(crate) struct Met(Arc<AtomicUsize>);

impl Met {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Meddler {
    /// Something happens once, before the first request that is `METHOD path` goes out.
    pub(crate) fn before<F>(
        inner: Box<dyn Transport>,
        line: String,
        deed: impl FnOnce() -> F + Send + 'static,
    ) -> (Client, Met)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let deed: Deed = Box::new(move || Box::pin(deed()));
        Self::client(inner, line, How::Before(Mutex::new(Some(deed))))
    }

    /// What the answers to `METHOD path` hold is changed on its way.
    pub(crate) fn rewriting(
        inner: Box<dyn Transport>,
        line: String,
        rewrite: impl Fn(&mut Value) + Send + Sync + 'static,
    ) -> (Client, Met) {
        Self::client(inner, line, How::Rewriting(Box::new(rewrite)))
    }

    fn client(inner: Box<dyn Transport>, line: String, how: How) -> (Client, Met) {
        let met = Met::default();
        (Client::new(Self { inner, line, how, met: met.clone() }), met)
    }

    async fn meddle(
        &self,
        request: Request<Body>,
        limits: Limits,
    ) -> Result<Response<Body>, transport::Error> {
        if self.line != format!("{} {}", request.method(), request.uri().path()) {
            return self.inner.send_within(request, limits).await;
        }
        self.met.0.fetch_add(1, Ordering::SeqCst);
        match &self.how {
            How::Before(deed) => {
                let deed = deed.lock().unwrap().take();
                if let Some(deed) = deed {
                    deed().await;
                }
                self.inner.send_within(request, limits).await
            }
            How::Rewriting(rewrite) => {
                let (mut head, body) = self.inner.send_within(request, limits).await?.into_parts();
                let mut answer: Value = serde_json::from_slice(&body.collect(1 << 20).await?).unwrap();
                rewrite(&mut answer["metadata"]);
                head.headers.remove(header::CONTENT_LENGTH);
                Ok(Response::from_parts(head, Body::from(answer.to_string())))
            }
        }
    }
}

impl Transport for Meddler {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, transport::Error>> {
        Box::pin(self.meddle(request, Limits::UNLIMITED))
    }

    fn send_within(
        &self,
        request: Request<Body>,
        limits: Limits,
    ) -> BoxFuture<'_, Result<Response<Body>, transport::Error>> {
        Box::pin(self.meddle(request, limits))
    }

    fn endpoint(&self) -> &Endpoint {
        self.inner.endpoint()
    }
}
