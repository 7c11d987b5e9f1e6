//! A stretch of wire between client and server that breaks on command.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use lxd_storage::{
    Client,
    transport::{HttpTransport, Identity, ServerTrust, Tls},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, split},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    task::JoinHandle,
};

use crate::ctx::{Ctx, Wire};

/// Passes bytes on until it has brought so many from the server; then it breaks that connection, once.
pub(crate) struct Cut {
    pub(crate) client: Client,
    after: Arc<AtomicU64>,
    relay: JoinHandle<()>,
    socket: Option<PathBuf>,
}

const NEVER: u64 = u64::MAX;

impl Cut {
    /// A wire to the server of the case, of its kind, that holds until told otherwise.
    pub(crate) async fn new(ctx: &Ctx) -> Self {
        let after = Arc::new(AtomicU64::new(NEVER));
        match ctx.wire {
            Wire::Unix => {
                let socket = std::env::temp_dir().join(format!("lxdrs-cut-{}", ctx.name("")));
                let listener = UnixListener::bind(&socket).unwrap();
                let (server, limit) = (ctx.daemon().socket(), after.clone());
                let relay = tokio::spawn(async move {
                    while let Ok((near, _)) = listener.accept().await {
                        let far = UnixStream::connect(&server).await.unwrap();
                        tokio::spawn(pass(near, far, limit.clone()));
                    }
                });
                let client = Client::new(HttpTransport::unix(&socket));
                Self { client, after, relay, socket: Some(socket) }
            }
            Wire::Tls => {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let near_address = listener.local_addr().unwrap();
                let daemon = ctx.daemon();
                let server = daemon.https_url().strip_prefix("https://").unwrap().to_owned();
                let limit = after.clone();
                let relay = tokio::spawn(async move {
                    while let Ok((near, _)) = listener.accept().await {
                        let far = TcpStream::connect(&server).await.unwrap();
                        tokio::spawn(pass(near, far, limit.clone()));
                    }
                });
                let (certificate, key) = daemon.client_identity();
                let tls = Tls::builder(format!("https://{near_address}"))
                    .identity(Identity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap())
                    .trust(ServerTrust::certificate(daemon.certificate_pem().as_bytes()).unwrap())
                    .build()
                    .unwrap();
                Self { client: Client::https(tls), after, relay, socket: None }
            }
        }
    }

    /// Breaks a connection once so many more bytes have come from the server.
    pub(crate) fn break_after(&self, bytes: u64) {
        self.after.store(bytes, Ordering::SeqCst);
    }

    /// Whether it has broken since.
    pub(crate) fn has_broken(&self) -> bool {
        self.after.load(Ordering::SeqCst) == NEVER
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.relay.abort();
        if let Some(socket) = &self.socket {
            let _ = std::fs::remove_file(socket);
        }
    }
}

async fn pass<S>(near: S, far: S, after: Arc<AtomicU64>)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let ((mut near_read, mut near_write), (mut far_read, mut far_write)) = (split(near), split(far));
    let there = async { copy(&mut near_read, &mut far_write).await.map(drop) };
    let back = async {
        let mut buffer = vec![0; 16 << 10];
        loop {
            let count = far_read.read(&mut buffer).await?;
            if count == 0 {
                return near_write.shutdown().await;
            }
            let left = after.load(Ordering::SeqCst);
            if left != NEVER && count as u64 > left {
                after.store(NEVER, Ordering::SeqCst);
                return Ok(());
            }
            if left != NEVER {
                after.store(left - count as u64, Ordering::SeqCst);
            }
            near_write.write_all(&buffer[..count]).await?;
        }
    };
    // Whichever ends first takes the other along, and both connections.
    tokio::select! { _ = there => {}, _ = back => {} }
}
