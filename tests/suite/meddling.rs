//! A transport that meddles with one kind of request of a client: something happens right before it.

use std::{
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use lxd_storage::{
    Client,
    transport::{
        self, Body, BoxFuture, Endpoint, HttpTransport, Limits, Transport,
        http::{Request, Response},
    },
};

type Deed = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

pub(crate) struct Meddler {
    inner: HttpTransport,
    line: String,
    deed: Mutex<Option<Deed>>,
    met: Met,
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
        inner: HttpTransport,
        line: String,
        deed: impl FnOnce() -> F + Send + 'static,
    ) -> (Client, Met)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let deed: Deed = Box::new(move || Box::pin(deed()));
        let met = Met::default();
        let deed = Mutex::new(Some(deed));
        (Client::new(Self { inner, line, deed, met: met.clone() }), met)
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
        let deed = self.deed.lock().unwrap().take();
        if let Some(deed) = deed {
            deed().await;
        }
        self.inner.send_within(request, limits).await
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
