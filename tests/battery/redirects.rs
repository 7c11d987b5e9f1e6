//! A server that sends its callers elsewhere: no call goes there, and none takes it for a success.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use lxd_storage::{Client, ErrorKind};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UnixListener},
};

use crate::{calls::CALLS, fixture::turn};

const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

#[test]
fn no_call_follows_a_redirect() {
    let _turn = turn();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let trap = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let elsewhere = trap.local_addr().unwrap();
        let trapped = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&trapped);
        let trap = tokio::spawn(async move {
            while trap.accept().await.is_ok() {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let folder = tempfile::tempdir().unwrap();
        for status in REDIRECTS {
            let socket = folder.path().join(status.to_string());
            let server = UnixListener::bind(&socket).unwrap();
            let server = tokio::spawn(async move {
                while let Ok((mut stream, _)) = server.accept().await {
                    let mut head = Vec::new();
                    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                        let mut chunk = [0; 1024];
                        match stream.read(&mut chunk).await {
                            Ok(read @ 1..) => head.extend_from_slice(&chunk[..read]),
                            _ => break,
                        }
                    }
                    let answer = format!(
                        "HTTP/1.1 {status} Elsewhere\r\nLocation: http://{elsewhere}/1.0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    );
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            });
            let client = Client::unix(&socket);
            for call in CALLS {
                let what = format!("{} after {status}", call.name);
                let error = (call.run)(client.clone()).await.expect_err(&what);
                assert_eq!(error.kind(), ErrorKind::Decode, "{what}: {error:?}");
                assert_eq!(error.status().map(|status| status.as_u16()), Some(status), "{what}: {error:?}");
            }
            server.abort();
        }
        trap.abort();
        assert_eq!(trapped.load(Ordering::Relaxed), 0);
    });
}
