// A server for the examples of the documentation, which include this file: an emulator with what they name.

struct World {
    client: lxd_storage::Client,
    here: lxd_storage::Client,
    there: lxd_storage::Client,
    pool: lxd_storage::PoolHandle,
    volumes: lxd_storage::Volumes,
    volume: lxd_storage::VolumeHandle,
    data: lxd_storage::VolumeHandle,
    snapshot: lxd_storage::SnapshotHandle,
    backup: lxd_storage::BackupHandle,
    buckets: lxd_storage::Buckets,
    bucket: lxd_storage::BucketHandle,
    key: lxd_storage::BucketKeyHandle,
    _listener: lxd_emulator::TlsListener,
    _folder: tempfile::TempDir,
}

impl World {
    /// Two servers with nothing, and a folder to write into.
    async fn bare() -> Self {
        Self::of_members(&[]).await
    }

    /// The same, of which the first is a cluster.
    async fn cluster() -> Self {
        Self::of_members(&["node1", "node2"]).await
    }

    async fn of_members(members: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::env::set_current_dir(folder.path()).unwrap();
        let (here, there) = (emulator(members), emulator(&[]));
        let client = lxd_storage::Client::new(here.transport());
        let pool = client.storage_pool("fast");
        let volume = pool.volume(lxd_storage::types::VolumeType::Custom, "data");
        let bucket = pool.bucket("photos");
        Self {
            here: client.clone(),
            client,
            there: lxd_storage::Client::new(there.transport()),
            volumes: pool.volumes(),
            data: volume.clone(),
            snapshot: volume.snapshot("nightly"),
            backup: volume.backup("first"),
            volume,
            buckets: pool.buckets(),
            key: bucket.key("admin"),
            bucket,
            pool,
            // Other servers reach it there.
            _listener: here.listen_tls("127.0.0.1:0").await.unwrap(),
            _folder: folder,
        }
    }

    /// The servers with the pools `fast` and `archive`.
    async fn with_pools() -> Self {
        Self::bare().await.and_pools().await
    }

    async fn and_pools(self) -> Self {
        for (client, name) in [(&self.here, "fast"), (&self.here, "archive"), (&self.there, "archive")] {
            let post = lxd_storage::types::StoragePoolsPost::new(name, "btrfs");
            client.storage_pools().create_on_members(post).await.unwrap();
        }
        self
    }

    /// In `fast` the volume `data` with a snapshot and a backup, and the bucket `photos`; an instance and a project.
    async fn full() -> Self {
        Self::with_pools().await.and_content().await
    }

    /// The same on a cluster.
    async fn spread() -> Self {
        Self::cluster().await.and_pools().await.and_content().await
    }

    async fn and_content(self) -> Self {
        use lxd_storage::types::*;

        let post = StorageVolumesPost::new("data").with_config("user.owner", "backup");
        self.volumes.create(post).await.unwrap();
        self.volume.snapshots().create(StorageVolumeSnapshotsPost::new("nightly")).await.unwrap();
        self.volume.backups().create(StorageVolumeBackupsPost::new("first")).await.unwrap();
        self.buckets.create(StorageBucketsPost::new("photos")).await.unwrap();
        let viewer = StorageBucketKeysPost::new("viewer", BucketKeyRole::ReadOnly);
        self.bucket.keys().create(viewer).await.unwrap();
        let root = serde_json::json!({"type": "disk", "path": "/", "pool": "fast"});
        let web = serde_json::json!({"name": "web", "source": {"type": "none"}, "devices": {"root": root}});
        for (path, body) in [("instances", web), ("projects", serde_json::json!({"name": "blue"}))] {
            let request = self.client.request(http::Method::POST, &format!("/1.0/{path}"));
            request.json(&body).change().await.unwrap();
        }
        self
    }

    /// What was there is in `data.tar.gz` and `photos.tar.gz` only.
    async fn packed() -> Self {
        let world = Self::full().await;
        world.volume.export().to_file("data.tar.gz").await.unwrap();
        world.bucket.export().to_file("photos.tar.gz").await.unwrap();
        world.volume.delete().await.unwrap();
        world.bucket.delete().await.unwrap();
        world
    }
}

fn emulator(members: &[&str]) -> lxd_emulator::Emulator {
    let builder = lxd_emulator::Emulator::builder(lxd_emulator::Personality::Incus6);
    builder.drivers(["btrfs", "dir", "zfs"]).members(members.iter().copied()).build().unwrap()
}

/// What others do on the server while an example watches it: a little apart, and then long enough to be told.
async fn changes(world: &World) {
    for name in ["a", "b", "c"] {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        world.volumes.create(lxd_storage::types::StorageVolumesPost::new(name)).await.unwrap();
    }
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
}

/// Runs an example with what it asks for of a [`World`]; one that watches forever, `while changes` are made.
macro_rules! on_emulator {
    ($example:ident($($what:ident),*)) => { on_emulator!($example($($what),*) in full) };
    ($example:ident($($what:ident),*) in $kind:ident) => {
        run(async {
            let world = World::$kind().await;
            $example($(world.$what.clone()),*).await.unwrap();
        })
    };
    ($example:ident($($what:ident),*) while $changes:ident) => {
        run(async {
            let world = World::full().await;
            tokio::select! {
                ended = $example($(world.$what.clone()),*) => ended.unwrap(),
                () = $changes(&world) => {}
            }
        })
    };
}

fn run(example: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ended = runtime.block_on(async { tokio::time::timeout(std::time::Duration::from_secs(20), example).await });
    ended.expect("an example that ends");
}
