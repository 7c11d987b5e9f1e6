//! Faults by rule, met by the real client on all three ways in: each ends in its typed error, and the next call works.

#![cfg(all(feature = "unix", feature = "tls"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

use std::time::{Duration, Instant};

use lxd_emulator::{Emulator, Fault, OperationFault, Personality, TlsListener, UnixListener};
use lxd_storage::{
    Client, ErrorKind, EventItem, Upload,
    transport::{HttpTransport, Identity, Limits, ServerTrust, Tls, Transport},
    types::{StoragePoolsPost, StorageVolumeSnapshotsPost, StorageVolumesPost, VolumeType},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// No server takes a tenth of this.
const SHORT: Duration = Duration::from_millis(400);

struct Ways {
    emulator: Emulator,
    clients: Vec<(&'static str, Client)>,
    _listeners: (UnixListener, TlsListener),
    _folder: tempfile::TempDir,
}

impl Ways {
    async fn new(personality: Personality) -> Self {
        Self::of(Emulator::new(personality).unwrap()).await
    }

    async fn of(emulator: Emulator) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("unix.socket");
        let unix = emulator.listen_unix(&path).unwrap();
        let https = emulator.listen_tls("127.0.0.1:0").await.unwrap();
        let made = rcgen::generate_simple_self_signed(["client".to_owned()]).unwrap();
        emulator.trust_certificate(&made.cert.pem()).unwrap();
        let key = made.signing_key.serialize_pem();
        let tls = Tls::builder(https.url())
            .identity(Identity::from_pem(made.cert.pem().as_bytes(), key.as_bytes()).unwrap())
            .trust(ServerTrust::certificate(emulator.certificate_pem().as_bytes()).unwrap())
            .build()
            .unwrap();
        let clients = vec![
            ("in process", client(emulator.transport())),
            ("unix", client(HttpTransport::unix(path))),
            ("tls", client(HttpTransport::new(tls))),
        ];
        let pools = emulator_client(&emulator).storage_pools();
        let pool = pools.create(StoragePoolsPost::new("p", "dir")).await.unwrap();
        pool.volumes().create(StorageVolumesPost::new("v")).await.unwrap();
        Self { emulator, clients, _listeners: (unix, https), _folder: folder }
    }
}

fn client(transport: impl Transport) -> Client {
    let limits = Limits::METADATA.with_first_byte(SHORT).with_idle(SHORT);
    Client::builder(transport).limits(limits).change_limits(limits).answer_max(1 << 20).build().unwrap()
}

fn emulator_client(emulator: &Emulator) -> Client {
    Client::new(emulator.transport())
}

/// What a read meets, and the kinds of error that this is; none where what can be read is read.
type Met = (&'static str, fn() -> Fault, &'static [&'static str]);

fn for_reads() -> Vec<Met> {
    vec![
        ("stall", Fault::stall, &["Timeout"]),
        ("stall in the body", || Fault::stall_after(10), &["Timeout"]),
        ("cut before the head", || Fault::cut().times(2), &["Interrupted"]),
        ("cut in the body", || Fault::cut_after(10).times(2), &["Interrupted"]),
        ("another content type", || Fault::content_type("text/html"), &[]),
        ("garbage", Fault::garbage, &["Decode"]),
        ("without end", Fault::endless, &["Decode", "InvalidInput"]),
        ("an error", || Fault::answer(500, "no space left on device"), &["NoSpace"]),
        ("starting", || Fault::answer(503, "LXD daemon is starting up"), &["Server"]),
    ]
}

#[tokio::test]
async fn every_fault_of_a_read_is_a_typed_error_and_passes() {
    let ways = Ways::new(Personality::Lxd5).await;
    for (way, client) in &ways.clients {
        for (name, fault, kinds) in for_reads() {
            let struck = ways.emulator.fault(fault().on("GET", "/1.0/storage-pools/p"));
            let began = Instant::now();
            match client.storage_pool("p").get().await {
                Ok(pool) => assert!(kinds.is_empty() && pool.name() == "p", "{name}, {way}"),
                Err(error) => {
                    let kind = format!("{:?}", error.kind());
                    assert!(kinds.iter().any(|wanted| kind.starts_with(wanted)), "{name}, {way}: {error:?}");
                }
            }
            assert!(began.elapsed() < SHORT * 5, "{name}, {way}: {:?}", began.elapsed());
            assert!(struck.count() > 0, "{name}, {way}");
            struck.remove();
            assert_eq!(client.storage_pool("p").get().await.unwrap().name(), "p", "after {name}, {way}");
        }
    }
}

#[tokio::test]
async fn a_delay_is_waited_for_and_not_for_ever() {
    let ways = Ways::new(Personality::Lxd5).await;
    for (way, client) in &ways.clients {
        let struck = ways.emulator.fault(Fault::delay(SHORT / 4).on("GET", "/1.0/*"));
        assert!(client.storage_pool("p").exists().await.unwrap(), "{way}");
        struck.remove();
        let struck = ways.emulator.fault(Fault::delay(SHORT * 20).on("GET", "/1.0/*"));
        let error = client.storage_pool("p").get().await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{way}: {error:?}");
        struck.remove();
    }
}

#[tokio::test]
async fn a_stream_of_events_that_does_not_open_ends_within_the_limits() {
    let ways = Ways::new(Personality::Lxd5).await;
    for (way, client) in &ways.clients {
        let struck = ways.emulator.fault(Fault::stall().on("GET", "/1.0/events"));
        let opened = tokio::time::timeout(SHORT * 5, client.events().open()).await;
        let error = opened.unwrap_or_else(|_| panic!("{way}: still waiting")).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{way}: {error:?}");
        struck.remove();
        client.events().open().await.unwrap();
    }
}

#[tokio::test]
async fn exports_can_be_tasks() {
    let ways = Ways::new(Personality::Lxd5).await;
    for (_, client) in &ways.clients {
        let volume = client.storage_pool("p").volume(VolumeType::Custom, "v");
        let export = async move { volume.export().to_writer(&mut tokio::io::sink()).await };
        assert!(tokio::spawn(export).await.unwrap().unwrap().bytes > 0);
    }
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_in_doubt() {
    let ways = Ways::new(Personality::Lxd5).await;
    for (number, (way, client)) in ways.clients.iter().enumerate() {
        let name = format!("lost{number}");
        let struck = ways.emulator.fault(Fault::cut().on("POST", "/1.0/storage-pools/p/volumes/custom"));
        let pool = client.storage_pool("p");
        let error = pool.volumes().create(StorageVolumesPost::new(&name)).await.unwrap_err();
        assert!(!error.is_retry_safe() && error.to_string().contains(&name), "{way}: {error}");
        struck.remove();
        assert!(pool.volumes().exists(VolumeType::Custom, &name).await.unwrap(), "{way}: it was made");
    }
}

#[tokio::test]
async fn operations_vanish_fail_late_and_never_end() {
    let ways = Ways::new(Personality::Lxd5).await;
    let snapshots = "/1.0/storage-pools/p/volumes/custom/v/snapshots";
    for (number, (way, client)) in ways.clients.iter().enumerate() {
        let volume = client.storage_pool("p").volume(VolumeType::Custom, "v");
        let take = |name: &str| {
            volume.snapshots().create(StorageVolumeSnapshotsPost::new(format!("{name}{number}")))
        };
        for (fault, kind) in [
            (OperationFault::Vanishes, "Interrupted"),
            (OperationFault::FailsLate("disk gone".to_owned()), "OperationFailed"),
            (OperationFault::NeverEnds, "Timeout"),
        ] {
            let struck = ways.emulator.fault(Fault::operation(fault.clone()).on("POST", snapshots));
            let error = take(kind).with_deadline(SHORT).await.unwrap_err();
            assert!(format!("{:?}", error.kind()).starts_with(kind), "{fault:?}, {way}: {error:?}");
            struck.remove();
        }
        take("good").await.unwrap();
    }
}

#[tokio::test]
async fn an_operation_that_never_ends_keeps_no_folder() {
    for personality in Personality::ALL {
        let emulator = Emulator::new(personality).unwrap();
        let pool = emulator_client(&emulator).storage_pools().create(StoragePoolsPost::new("p", "dir"));
        let volume = pool.await.unwrap().volumes().create(StorageVolumesPost::new("v")).await.unwrap();
        let folder = emulator.content("p", "default", "v");
        let struck = emulator.fault(Fault::operation(OperationFault::NeverEnds));
        let taken = volume.snapshots().create(StorageVolumeSnapshotsPost::new("s"));
        taken.with_deadline(SHORT).await.unwrap_err();
        struck.remove();
        assert!(folder.is_dir());
        drop((volume, emulator));
        tokio::time::sleep(SHORT).await;
        assert!(!folder.exists(), "{personality:?}");
    }
}

#[tokio::test]
async fn a_race_is_lost_once_and_the_edit_wins_in_the_end() {
    let ways = Ways::new(Personality::Lxd5).await;
    for (way, client) in &ways.clients {
        let volume = client.storage_pool("p").volume(VolumeType::Custom, "v");
        let meddle = |emulator: Emulator| async move {
            let theirs = emulator_client(&emulator).storage_pool("p").volume(VolumeType::Custom, "v");
            theirs.edit(|put| _ = put.config.set("user.theirs", "1")).await.unwrap();
        };
        let path = "/1.0/storage-pools/p/volumes/custom/v";
        let struck = ways.emulator.fault(Fault::before(meddle).on("PUT", path).times(1));
        let edited = volume.edit(|put| _ = put.config.set("user.ours", *way)).await.unwrap();
        assert_eq!(struck.count(), 1);
        struck.remove();
        let keys = ["user.theirs", "user.ours"].map(|key| edited.config().text(key).map(str::to_owned));
        assert_eq!(keys, [Some("1".to_owned()), Some((*way).to_owned())]);
        volume.edit(|put| _ = put.config.set("user.theirs", "")).await.unwrap();
    }
}

#[tokio::test]
async fn an_early_refusal_of_an_upload_is_the_servers_own_text() {
    let ways = Ways::new(Personality::Incus6).await;
    for (way, client) in &ways.clients {
        let fault =
            Fault::refuse_upload(507, "the disk is full").on("POST", "/1.0/storage-pools/p/volumes/custom");
        let struck = ways.emulator.fault(fault);
        let mut archive = vec![0x1f, 0x8b];
        archive.resize(8 << 20, 7);
        let import = client.storage_pool("p").volumes().import_backup(Upload::from(archive), Some("n"));
        let error = import.await.unwrap_err();
        assert_eq!(error.server_message(), Some("the disk is full"), "{way}: {error:?}");
        struck.remove();
    }
}

#[tokio::test]
async fn a_restart_forgets_operations_and_breaks_streams_but_loses_nothing() {
    let ways = Ways::new(Personality::Lxd5).await;
    for (way, client) in &ways.clients {
        let mut events = client.events().open().await.unwrap();
        ways.emulator.restart();
        let gap = tokio::time::timeout(Duration::from_secs(5), events.next()).await.unwrap().unwrap();
        assert_eq!(gap, EventItem::Gap, "{way}");
        assert!(client.operations().all().await.unwrap().is_empty(), "{way}");
        assert!(client.storage_pool("p").volumes().exists(VolumeType::Custom, "v").await.unwrap(), "{way}");
    }
}

#[tokio::test]
async fn a_connection_that_is_closed_while_it_is_kept_is_no_error() {
    let idle = Duration::from_millis(40);
    let emulator = Emulator::builder(Personality::Lxd5).idle_timeout(idle).build().unwrap();
    let ways = Ways::of(emulator).await;
    // In process there are no connections.
    for (way, client) in &ways.clients[1..] {
        let volume = client.storage_pool("p").volume(VolumeType::Custom, "v");
        // Right before the close, in its midst and after it.
        for step in 0..40 {
            assert!(volume.exists().await.unwrap(), "{way}");
            tokio::time::sleep(idle - Duration::from_millis(2) + step * Duration::from_micros(100)).await;
        }
        // What may have begun can't be sent twice, but here the close is known.
        for value in ["1", "2", "3"] {
            volume.edit(|put| _ = put.config.set("user.at", value)).await.unwrap();
            tokio::time::sleep(3 * idle).await;
        }
    }
}

#[tokio::test]
async fn a_connection_without_requests_is_closed() {
    let idle = Duration::from_millis(40);
    let emulator = Emulator::builder(Personality::Lxd5).idle_timeout(idle).build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("unix.socket");
    let _listener = emulator.listen_unix(&path).unwrap();
    for request in ["", "GET /1.0 HT", "GET / HTTP/1.1\r\nHost: lxd\r\n\r\n"] {
        let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
        closed.unwrap().unwrap();
        assert_eq!(answer.starts_with(b"HTTP/1.1 200 OK"), request.ends_with('\n'), "{answer:?}");
    }
}
