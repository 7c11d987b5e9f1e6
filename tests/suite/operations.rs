//! Long work: start, poll, wait, cancel, drop, lose sight of it and take it up again.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::Method;
use lxd_storage::{
    Change, Client, ErrorKind, Pending, PoolHandle, SocketMessage, Volume,
    transport::{
        self, Body, BoxFuture, Endpoint, Limits, Phase, Reached, Transport,
        http::{Request, Response},
    },
    types::{Operation, SourceType, StorageVolumeSource, StorageVolumesPost, VolumeType},
};
use serde_json::{Value, json};

use crate::ctx::{Ctx, cases, transport_to};

cases![
    running_operations_are_listed,
    a_copy_is_started_polled_and_awaited,
    a_failed_operation_says_so,
    a_deadline_ends_the_waiting_and_not_the_work,
    an_operation_is_taken_up_again_by_its_id,
    a_forgotten_operation_is_not_a_missing_object,
    what_cannot_be_cancelled_says_so,
    dropping_does_not_cancel,
    dropping_cancels_where_that_is_asked_for,
    waiting_survives_a_lost_connection,
    the_websockets_of_an_operation_are_open_to_its_secrets,
    an_upset_wait_is_told_from_a_failed_operation,
];

fn copy_of(volume: &str, pool: &PoolHandle, name: &str) -> StorageVolumesPost {
    let mut source = StorageVolumeSource::default();
    source.source_type = SourceType::Copy;
    source.name = volume.to_owned();
    source.pool = pool.name().to_owned();
    StorageVolumesPost::new(name).with_source(source)
}

/// An operation that waits for websockets which nobody opens: it runs for ten seconds or more and then fails.
async fn waiting_operation(ctx: &Ctx, volume: &Volume) -> Pending<Value> {
    let path = format!("/1.0/storage-pools/{}/volumes/custom/{}", volume.pool().name(), volume.name());
    let body = json!({"name": volume.name(), "migration": true});
    let pending = ctx.client.request(Method::POST, &path).json(&body).change().start().await.unwrap();
    assert!(pending.operation().is_some());
    pending
}

async fn a_copy_is_started_polled_and_awaited(ctx: Ctx) {
    for pool in ctx.ready_pools() {
        let mut volume = ctx.new_volume(&pool, "v").await;
        std::fs::write(ctx.content(&volume).join("file"), vec![7; 3 << 20]).unwrap();
        let mut pending =
            pool.volumes().create(copy_of(volume.name(), &pool, &ctx.name("copy"))).start().await.unwrap();
        assert!(pending.operation().is_some());
        while !pending.poll().await.unwrap() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut copy = pending.await.unwrap();
        assert_eq!(std::fs::read(ctx.content(&copy).join("file")).unwrap(), vec![7; 3 << 20]);
        copy.delete().await.unwrap();
        volume.delete().await.unwrap();
    }
}

async fn a_failed_operation_says_so(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    let name = ctx.name("copy");
    let pending = pool.volumes().create(copy_of("nobody-at-all", &pool, &name)).start().await.unwrap();
    let id = pending.operation().unwrap().id.clone();
    let error = pending.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OperationFailed);
    assert_eq!(error.operation(), Some(&*id));
    // What was asked for, and not how it was waited for.
    let url = format!("POST /1.0/storage-pools/{}/volumes/custom", pool.name());
    assert!(error.to_string().starts_with(&url), "{error}");
    assert_eq!(error.request_reached_server(), Reached::Yes);
    assert!(!error.is_retry_safe());
    assert!(error.code().is_some());
    assert!(error.server_message().unwrap().contains("not found"), "{error:?}");
    assert!(!pool.volumes().exists(VolumeType::Custom, &name).await.unwrap());
}

async fn a_deadline_ends_the_waiting_and_not_the_work(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    let mut volume = ctx.new_volume(&pool, "v").await;
    let pending = waiting_operation(&ctx, &volume).await;
    let id = pending.operation().unwrap().id.clone();
    let started = std::time::Instant::now();
    let error = pending.with_deadline(Duration::from_millis(300)).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout(Phase::Wait), Some(&*id)));

    let again = ctx.client.operation(&id).await.unwrap();
    assert!(!again.is_done(), "the work goes on");
    drop(again);
    volume.delete().await.unwrap();
}

async fn an_operation_is_taken_up_again_by_its_id(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    let mut volume = ctx.new_volume(&pool, "v").await;
    let pending = waiting_operation(&ctx, &volume).await;
    let id = pending.operation().unwrap().id.clone();
    drop(pending);
    for form in [id.clone(), format!("/1.0/operations/{id}"), format!("/1.0/operations/{id}?project=default")]
    {
        let attached: Pending<Operation> = ctx.client.operation(&form).await.unwrap();
        assert_eq!(attached.operation().unwrap().id, id);
    }
    volume.delete().await.unwrap();
}

async fn a_forgotten_operation_is_not_a_missing_object(ctx: Ctx) {
    let id = "00000000-0000-0000-0000-000000000000";
    let error = ctx.client.operation(id).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Interrupted, Some(id)));
    assert!(!error.is_not_found());
    let error = ctx.client.operation("../../1.0").await.unwrap_err();
    // Such a path used to be taken for the operation `1.0`, of which nobody spoke.
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
}

async fn what_cannot_be_cancelled_says_so(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    let mut volume = ctx.new_volume(&pool, "v").await;
    let pending = waiting_operation(&ctx, &volume).await;
    if pending.operation().unwrap().may_cancel {
        pending.cancel().await.unwrap();
        assert_eq!(pending.await.unwrap_err().kind(), ErrorKind::Cancelled);
    } else {
        let error = pending.cancel().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
        assert!(error.server_message().is_some());
    }
    volume.delete().await.unwrap();
}

async fn dropping_does_not_cancel(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    let mut volume = ctx.new_volume(&pool, "v").await;
    std::fs::write(ctx.content(&volume).join("file"), vec![1; 8 << 20]).unwrap();
    let name = ctx.name("copy");
    drop(pool.volumes().create(copy_of(volume.name(), &pool, &name)).start().await.unwrap());
    let copy = pool.volume(VolumeType::Custom, &*name);
    for _ in 0..500 {
        if copy.exists().await.unwrap() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(copy.exists().await.unwrap());
    // The record appears before the copying ends, so the deletion may have to wait for it.
    for _ in 0..500 {
        if copy.delete().await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    volume.delete().await.unwrap();
}

/// Work that only ends when it is told to: a token that waits to be used.
fn token(ctx: &Ctx) -> Change<Value> {
    let body = json!({"name": ctx.name("token"), "type": "client", "token": true});
    ctx.client.request(Method::POST, "/1.0/certificates").json(&body).change()
}

async fn dropping_cancels_where_that_is_asked_for(ctx: Ctx) {
    let goes = async |id: &str| {
        for _ in 0..200 {
            match ctx.client.operation(id).await {
                Ok(pending) if pending.operation().unwrap().status_code.is_final() => return true,
                Err(error) if error.is_not_found() => return true,
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        false
    };
    let pending = token(&ctx).start().await.unwrap();
    let kept = pending.operation().unwrap().id.clone();
    drop(pending);

    let pending = token(&ctx).cancel_on_drop().start().await.unwrap();
    let dropped = pending.operation().unwrap().id.clone();
    drop(pending);
    assert!(goes(&dropped).await);

    let pending = token(&ctx).start().await.unwrap().cancel_on_drop();
    let late = pending.operation().unwrap().id.clone();
    let error = pending.with_deadline(Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(error.operation(), Some(&*late));
    assert!(goes(&late).await);

    let kept = ctx.client.operation(&kept).await.unwrap();
    assert!(!kept.is_done());
    kept.cancel().await.unwrap();
}

/// A transport on which the first few `/wait` requests are lost after they were sent.
struct Lossy {
    inner: Box<dyn Transport>,
    lost: AtomicUsize,
    status: Option<u16>,
    waits: Arc<Mutex<usize>>,
}

impl Lossy {
    fn client(ctx: &Ctx, lost: usize, status: Option<u16>) -> (Client, Arc<Mutex<usize>>) {
        let waits = Arc::new(Mutex::new(0));
        let inner = transport_to(ctx.server(), ctx.wire);
        let lossy = Self { inner, lost: AtomicUsize::new(lost), status, waits: Arc::clone(&waits) };
        (Client::new(lossy), waits)
    }
}

impl Transport for Lossy {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, transport::Error>> {
        self.send_within(request, Limits::UNLIMITED)
    }

    fn send_within(
        &self,
        request: Request<Body>,
        limits: Limits,
    ) -> BoxFuture<'_, Result<Response<Body>, transport::Error>> {
        if request.uri().path().ends_with("/wait") {
            *self.waits.lock().unwrap() += 1;
            let left = self.lost.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            if left.is_ok() {
                let status = self.status;
                return Box::pin(async move {
                    match status {
                        Some(status) => {
                            let mut response = Response::new(Body::from("<html>bad gateway</html>"));
                            *response.status_mut() = status.try_into().unwrap();
                            Ok(response)
                        }
                        None => Err(transport::Error::new(
                            transport::ErrorKind::Interrupted,
                            "the connection was cut",
                        )
                        .with_reached(Reached::Maybe)),
                    }
                });
            }
        }
        self.inner.send_within(request, limits)
    }

    fn endpoint(&self) -> &Endpoint {
        self.inner.endpoint()
    }
}

async fn waiting_survives_a_lost_connection(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    let mut volume = ctx.new_volume(&pool, "v").await;
    for status in [None, Some(502)] {
        let (client, waits) = Lossy::client(&ctx, 3, status);
        let name = ctx.name("copy");
        let post = copy_of(volume.name(), &pool, &name);
        let mut copy = client.storage_pool(pool.name()).volumes().create(post).await.unwrap();
        assert_eq!(*waits.lock().unwrap(), 4);
        copy.delete().await.unwrap();
    }
    volume.delete().await.unwrap();
}

async fn an_upset_wait_is_told_from_a_failed_operation(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    let mut volume = ctx.new_volume(&pool, "v").await;
    let (client, _) = Lossy::client(&ctx, 1, Some(403));
    let post = copy_of(volume.name(), &pool, &ctx.name("copy"));
    let error = client.storage_pool(pool.name()).volumes().create(post).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    let id = error.operation().expect("the operation can be taken up again").to_owned();
    // It goes on regardless; whether the server still remembers it is a matter of its five seconds.
    if let Ok(pending) = ctx.client.operation(&id).await {
        pending.await.unwrap();
    }
    pool.volume(VolumeType::Custom, ctx.name("copy")).delete().await.unwrap();
    volume.delete().await.unwrap();
}

async fn running_operations_are_listed(ctx: Ctx) {
    // The source of a migration to which nobody connects goes on for ten seconds.
    let mut volume = ctx.new_volume(&ctx.ready_pools()[0], "v").await;
    let path = format!("/1.0/storage-pools/{}/volumes/custom/{}", volume.pool().name(), volume.name());
    let post = json!({"name": volume.name(), "migration": true});
    let pending = ctx.client.request(Method::POST, &path).json(&post).change().start().await.unwrap();
    let id = pending.operation().unwrap().id.clone();
    let listed = ctx.client.operations().all().await.unwrap();
    assert!(listed.iter().any(|operation| operation.id == id), "{listed:?}");
    let everywhere = ctx.client.operations().all_projects().await;
    if ctx.client.server().await.unwrap().api_extensions.has("operations_get_query_all_projects") {
        assert!(everywhere.unwrap().iter().any(|operation| operation.id == id));
    } else {
        assert_eq!(everywhere.unwrap_err().extension(), Some("operations_get_query_all_projects"));
    }
    let elsewhere = ctx.client.with_project(ctx.name("nowhere")).operations().all().await;
    assert!(
        elsewhere.is_err() || elsewhere.is_ok_and(|listed| listed.iter().all(|operation| operation.id != id))
    );
    drop(pending);
    volume.delete().await.unwrap();
}

async fn the_websockets_of_an_operation_are_open_to_its_secrets(ctx: Ctx) {
    let mut volume = ctx.new_volume(&ctx.ready_pools()[0], "v").await;
    let pending = waiting_operation(&ctx, &volume).await;
    let operation = pending.operation().unwrap().clone();
    let secrets = operation.secrets();
    let (control, content) = (secrets.get("control").unwrap(), secrets.get("fs").unwrap());
    let error = ctx.client.connect_operation(&operation.id, "0123456789abcdef").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Forbidden | ErrorKind::Server), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("0123456789abcdef"));
    let error =
        ctx.client.connect_operation("00000000-0000-0000-0000-000000000000", content).await.unwrap_err();
    assert!(error.is_not_found() || error.kind() == ErrorKind::Server, "{error:?}");
    assert!(!format!("{error} {error:?}").contains(content));

    // The source says over the one what it offers, and waits there for an answer.
    let url = format!("/1.0/operations/{}", operation.id);
    let mut control = ctx.client.connect_operation(&url, control).await.unwrap();
    let mut content = ctx.client.connect_operation(&operation.id, content).await.unwrap();
    let Some(Ok(SocketMessage::Binary(offer))) = control.next().await else { panic!("no offer") };
    assert!(!offer.is_empty());
    // What is no answer ends it, for both.
    control.send(SocketMessage::Binary(Bytes::from_static(b"\xff\xff\xff"))).await.unwrap();
    let rest = async {
        while let Some(Ok(_)) = control.next().await {}
        while let Some(Ok(_)) = content.next().await {}
    };
    tokio::time::timeout(Duration::from_secs(20), rest).await.unwrap();
    assert_eq!(pending.wait().await.unwrap_err().kind(), ErrorKind::OperationFailed);
    volume.delete().await.unwrap();
}
