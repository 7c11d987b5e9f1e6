//! Backups that the server uploads to an S3 server, where it can; a refusal that names the API extension where it can't.

use std::sync::Arc;

use lxd_storage::{
    Error, ErrorKind, Upload,
    transport::{Dial, Reached, ServerTrust, Tls},
    types::{BackupTarget, Expiry, StorageBucketsPost, StorageVolumeBackupsPost, VolumeType},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{
    buckets,
    content::{contents, fill},
    ctx::{Ctx, cases},
    s3::Objects,
};

cases![
    a_backup_becomes_an_object,
    nobody_repeats_the_credentials,
    servers_that_cannot_are_told_by_the_extension,
    what_cannot_be_uploaded_is_refused_before_it_is_sent,
];

/// Something that listens, for as long as this lives.
struct Listening {
    url: String,
    task: JoinHandle<()>,
}

impl Listening {
    async fn new<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
        Self { url, task }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A way without TLS to the server's own buckets, whose certificate it would not trust itself.
async fn way_to(ctx: &Ctx, s3_url: &str) -> Listening {
    let authority = s3_url.strip_prefix("https://").unwrap().split('/').next().unwrap();
    let trust = ServerTrust::certificate(ctx.server().certificate_pem().as_bytes()).unwrap();
    let tls = Arc::new(Tls::builder(format!("https://{authority}")).trust(trust).build().unwrap());
    Listening::new(move |mut near| {
        let tls = Arc::clone(&tls);
        async move {
            let mut far = tls.dial().await.unwrap();
            let _ = copy_bidirectional(&mut near, &mut far).await;
        }
    })
    .await
}

fn automatic() -> StorageVolumeBackupsPost {
    StorageVolumeBackupsPost::automatic()
}

async fn a_backup_becomes_an_object(ctx: Ctx) {
    if !ctx.has("backup_s3_upload").await {
        return;
    }
    let pool = buckets::ready(&ctx).await;
    let created =
        pool.buckets().create(StorageBucketsPost::new(ctx.name("up").to_lowercase())).await.unwrap();
    let (mut bucket, admin) = (created.bucket, created.admin_key.unwrap());
    let way = way_to(&ctx, bucket.s3_url().unwrap()).await;
    let mut volume = ctx.new_volume(&pool, "v").await;
    fill(&ctx.content(&volume));

    let target = BackupTarget::s3(&*way.url, bucket.name(), "nightly/data.tar.gz")
        .with_credentials(admin.access_key.expose(), admin.secret_key.expose());
    volume.backups().upload(automatic(), target.clone()).await.unwrap();
    assert!(volume.backups().all().await.unwrap().is_empty());

    let objects = Objects::new(ctx.server(), &bucket, &admin.access_key, &admin.secret_key);
    let packed = objects.get("nightly/data.tar.gz").await.unwrap();
    let mut copy = pool.volumes().import_backup(Upload::from(packed), Some(&ctx.name("copy"))).await.unwrap();
    assert_eq!(contents(&ctx.content(&copy)), contents(&ctx.content(&volume)));

    // What the S3 server has against it is told by the operation.
    let mut strange = target.clone();
    strange.secret_key = "n0tthisone".into();
    let mut nowhere = target;
    nowhere.bucket_name = ctx.name("nowhere").to_lowercase();
    for target in [strange, nowhere] {
        let error = volume.backups().upload(automatic(), target).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OperationFailed, "{error:?}");
    }
    for gone in [&mut copy, &mut volume] {
        gone.delete().await.unwrap();
    }
    bucket.delete().await.unwrap();
}

/// Reads one request, whose credentials it already knows, and refuses it by quoting them.
async fn quote(mut stream: TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let body =
        "<Error><Code>AccessDenied</Code><Message>key zqaccess with zqs3cret is unknown</Message></Error>";
    let answer = format!(
        "HTTP/1.1 403 Forbidden\r\nContent-Type: application/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(answer.as_bytes()).await;
}

async fn nobody_repeats_the_credentials(ctx: Ctx) {
    if !ctx.has("backup_s3_upload").await {
        return;
    }
    let mut volume = ctx.new_volume(&ctx.ready_pools()[0], "v").await;
    let s3 = Listening::new(quote).await;
    let target = || BackupTarget::s3(&*s3.url, "b", "o").with_credentials("zqaccess", "zqs3cret");
    let hidden = |text: &str| !text.contains("zqaccess") && !text.contains("zqs3cret");

    let error = volume.backups().upload(automatic(), target()).await.unwrap_err();
    let text = format!("{error} {error:#} {error:?} {:?}", error.server_message());
    assert!(hidden(&text) && text.contains("key *** with *** is unknown"), "{text}");

    // Nor does the operation, for who looks at it by the way.
    let mut pending = volume.backups().upload(automatic(), target()).start().await.unwrap();
    while !pending.poll().await.unwrap() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let text = format!("{:?}", pending.operation());
    assert!(hidden(&text) && text.contains("key ***"), "{text}");
    volume.delete().await.unwrap();
}

async fn servers_that_cannot_are_told_by_the_extension(ctx: Ctx) {
    if ctx.has("backup_s3_upload").await {
        return;
    }
    ctx.sent.take();
    let volume = ctx.ready_pools()[0].volume(VolumeType::Custom, "v");
    let target = BackupTarget::s3("https://s3.example.org", "b", "o").with_credentials("a", "s");
    let error = volume.backups().upload(automatic(), target).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.extension()),
        (ErrorKind::UnsupportedExtension, Some("backup_s3_upload"))
    );
    assert!(ctx.sent.take().iter().all(|sent| sent == "GET /1.0"));
}

async fn what_cannot_be_uploaded_is_refused_before_it_is_sent(ctx: Ctx) {
    let volume = ctx.ready_pools()[0].volume(VolumeType::Custom, "v");
    let image = ctx.ready_pools()[0].volume(VolumeType::Image, "v");
    let target = || BackupTarget::s3("https://s3.example.org", "b", "o").with_credentials("a", "s");
    let expiry = Expiry::At("2030-01-02T03:04:05Z".parse().unwrap());
    let backups = volume.backups();
    let refused: [Error; 5] = [
        backups.upload(StorageVolumeBackupsPost::new("named"), target()).await.unwrap_err(),
        backups.upload(automatic().with_expiry(expiry), target()).await.unwrap_err(),
        backups.upload(automatic(), BackupTarget::s3("https://h", "b", "o")).await.unwrap_err(),
        backups.create(automatic().with_target(target())).await.unwrap_err(),
        image.backups().upload(automatic(), target()).await.unwrap_err(),
    ];
    for error in refused {
        assert_eq!((error.kind(), error.request_reached_server()), (ErrorKind::InvalidInput, Reached::No));
    }
    assert_eq!(ctx.sent.take(), Vec::<String>::new());
}
