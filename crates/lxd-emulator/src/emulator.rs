//! The emulator: made by its builder, shared by its clones, reached in process or by listeners.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::{
    Personality,
    clock::Clock,
    content::Content,
    core::Core,
    events::Events,
    faults::{Fault, Faults, Struck},
    in_process::InProcess,
    operations::Operations,
    personality::Extensions,
    settings,
    state::{BucketKey, DEFAULT, Database, Profile, Project, VolumeKey, VolumeKind},
    store::Store,
    turns::Turns,
};

/// As LXD and Incus have it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// A server's storage API with nothing but a folder behind it.
///
/// Cheap to clone; all clones are the same server. Its folder, which is temporary unless
/// [`state`](EmulatorBuilder::state) names one, goes away with the last clone, transport and listener.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use lxd_emulator::{Emulator, Personality};
/// use lxd_transport::{Body, Transport, http::Request};
///
/// let emulator = Emulator::new(Personality::Lxd5)?;
/// let answer = emulator.transport().send(Request::get("/1.0/storage-pools").body(Body::empty())?).await?;
/// assert_eq!(answer.status(), 200);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Emulator {
    pub(crate) core: Arc<Core>,
}

impl Emulator {
    /// A server of that kind, alone and with nothing on it.
    ///
    /// # Errors
    /// No temporary folder can be made.
    pub fn new(personality: Personality) -> io::Result<Self> {
        Self::builder(personality).build()
    }

    /// A server of that kind, with other than the default settings.
    pub fn builder(personality: Personality) -> EmulatorBuilder {
        EmulatorBuilder {
            personality,
            drivers: vec!["btrfs".to_owned(), "dir".to_owned()],
            members: Vec::new(),
            with: Vec::new(),
            without: Vec::new(),
            temporary: None,
            state: None,
            idle_timeout: IDLE_TIMEOUT,
        }
    }

    /// A transport that needs no socket, for `lxd_storage::Client::new`.
    #[must_use]
    pub fn transport(&self) -> InProcess {
        InProcess::new(Arc::clone(&self.core))
    }

    /// The folder in which it keeps everything, laid out as a server's own.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.core.content.member("")
    }

    /// The folder with the objects of a bucket, each a file by its name. There is no S3 to reach them by.
    #[must_use]
    pub fn bucket_content(&self, pool: &str, project: &str, bucket: &str) -> PathBuf {
        let same = |key: &&BucketKey| key.pool == pool && key.project == project && key.name == bucket;
        let found = self.core.store.read(|database| database.buckets.keys().find(same).cloned());
        self.core.content.bucket(&found.unwrap_or_else(|| BucketKey {
            pool: pool.to_owned(),
            project: project.to_owned(),
            name: bucket.to_owned(),
            member: self.core.store.read(|database| self.core.here(database)),
        }))
    }

    /// The folder with the files of a custom volume; of a block volume it is `root.img` in there. Where there is no such
    /// volume, it is the folder that it would have.
    #[must_use]
    pub fn content(&self, pool: &str, project: &str, volume: &str) -> PathBuf {
        let find = |database: &Database| {
            let mut keys = database.volumes.keys();
            let found = keys.find(|key| {
                key.pool == pool
                    && key.project == project
                    && key.name == volume
                    && key.kind == VolumeKind::Custom
            });
            found.map_or_else(|| self.core.here(database), |key| key.member.clone())
        };
        let member = self.core.store.read(find);
        self.core.folder(&VolumeKey {
            pool: pool.to_owned(),
            project: project.to_owned(),
            kind: VolumeKind::Custom,
            name: volume.to_owned(),
            member,
        })
    }

    /// Lets requests that are like this meet a fault from now on. Of several rules the first that fits strikes.
    pub fn fault(&self, fault: Fault) -> Struck {
        Struck::new(self.clone(), self.core.faults.add(fault))
    }

    /// Breaks all connections and event streams, as a proxy does that is restarted. What is stored and what runs stays.
    pub fn break_connections(&self) {
        self.core.faults.cut_all();
    }

    /// Restarts the server: all connections and event streams break, and its operations are forgotten. What is stored
    /// stays; work that was under way goes on unseen.
    pub fn restart(&self) {
        self.core.operations.forget_all();
        self.core.faults.cut_all();
    }

    /// Stops the server's clock, if it still goes by itself, and moves it on.
    ///
    /// Everything that happens after a while on the server goes by it: ended operations are forgotten, tokens, snapshots
    /// and backups expire, and snapshots are taken by schedule, the latter before the next request is answered. Waiting
    /// with a `timeout` does not.
    pub fn advance(&self, time: Duration) {
        self.core.clock.advance(time);
    }
}

/// Makes an [`Emulator`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct EmulatorBuilder {
    personality: Personality,
    drivers: Vec<String>,
    members: Vec<String>,
    with: Vec<String>,
    without: Vec<String>,
    temporary: Option<PathBuf>,
    state: Option<PathBuf>,
    idle_timeout: Duration,
}

impl EmulatorBuilder {
    /// Sets the drivers that pools may have, of those in `lxd_types::drivers`. Default: `btrfs` and `dir`.
    pub fn drivers<S: Into<String>>(mut self, drivers: impl IntoIterator<Item = S>) -> Self {
        self.drivers = drivers.into_iter().map(Into::into).collect();
        self.drivers.sort();
        self
    }

    /// Makes it a cluster of these members, the first of which answers. They are named as hosts are: letters, digits,
    /// `-` and `.`. Default: a server alone, or the members that a folder of [`state`](Self::state) was made for.
    pub fn members<S: Into<String>>(mut self, members: impl IntoIterator<Item = S>) -> Self {
        self.members = members.into_iter().map(Into::into).collect();
        self
    }

    /// Adds an API extension to those of the personality.
    pub fn with_extension(mut self, extension: impl Into<String>) -> Self {
        self.with.push(extension.into());
        self
    }

    /// Takes an API extension away from the personality.
    pub fn without_extension(mut self, extension: impl Into<String>) -> Self {
        self.without.push(extension.into());
        self
    }

    /// Sets where the temporary folder is made. Default: where the system has such folders.
    pub fn temporary_in(mut self, folder: impl AsRef<Path>) -> Self {
        self.temporary = Some(folder.as_ref().to_owned());
        self
    }

    /// Closes connections that wait so long for a request. Default: 30 s, as the servers do. A proxy in between can be
    /// less patient, so that a client sends a request on a connection that is being closed. TLS handshakes have so
    /// long, too.
    pub fn idle_timeout(mut self, time: Duration) -> Self {
        self.idle_timeout = time;
        self
    }

    /// Keeps everything in a folder, which is empty or holds what an emulator of the same personality kept there.
    ///
    /// One emulator at a time has a folder: [`build`](Self::build) refuses one that another emulator still has, in this
    /// process or another, with [`ResourceBusy`](io::ErrorKind::ResourceBusy). What an emulator that was killed had not
    /// finished, as uploads, copies and backups, is removed.
    pub fn state(mut self, folder: impl AsRef<Path>) -> Self {
        self.state = Some(folder.as_ref().to_owned());
        self
    }

    /// Makes the emulator.
    ///
    /// # Errors
    /// No temporary folder can be made, or the folder of [`state`](Self::state) is not one to go on with: it belongs
    /// to another personality, version or cluster, or to somebody else, or another emulator uses it.
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for members that cannot be named so, two of one name, and drivers
    /// that no server has.
    pub fn build(self) -> io::Result<Emulator> {
        settings::check_members(&self.members)?;
        settings::check_drivers(&self.drivers)?;
        let mut extensions = self.personality.extensions();
        self.with.iter().for_each(|extension| extensions.add(extension));
        self.without.iter().for_each(|extension| extensions.remove(extension));
        let behaviour = Arc::new(self.personality.behaviour());
        let database = fresh(&self.members, &extensions, behaviour.incus);
        let name = self.personality.name();
        #[cfg(feature = "tls")]
        let mut certificate = None;
        let (store, content) = match &self.state {
            None => (Store::in_memory(database, name), Content::temporary(self.temporary.as_deref())?),
            Some(folder) => {
                let folder = made(folder)?;
                let store = Store::in_folder(&folder, database, name)?;
                #[cfg(feature = "tls")]
                {
                    certificate = Some(crate::tls::ServerCertificate::in_folder(&folder)?);
                }
                let content = Content::in_folder(folder);
                crate::recovery::run(&store, &content)?;
                (store, content)
            }
        };
        let (clock, events) = (Arc::new(Clock::default()), Arc::new(Events::new()));
        let operations = Operations::new(Arc::clone(&clock), Arc::clone(&events), Arc::clone(&behaviour));
        let drivers = self.drivers;
        let core = Core {
            behaviour,
            extensions,
            store,
            content,
            clock,
            events,
            operations,
            faults: Faults::default(),
            turns: Turns::default(),
            #[cfg(any(feature = "unix", feature = "tls"))]
            idle_timeout: self.idle_timeout,
            drivers,
            maintained: crate::maintenance::Last::default(),
            unpacking: tokio::sync::Mutex::default(),
            #[cfg(feature = "tls")]
            certificate: certificate.map_or_else(crate::tls::ServerCertificate::generate, Ok)?,
        };
        Ok(Emulator { core: Arc::new(core) })
    }
}

/// The folder of a state, which is made where there is none.
fn made(folder: &Path) -> io::Result<PathBuf> {
    if folder.as_os_str().is_empty() {
        let text = "the path of the state folder is empty; name a folder";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let there = std::fs::create_dir_all(folder).and_then(|()| folder.canonicalize());
    there.map_err(|error| {
        let text = format!(
            "cannot keep the state in {}: {error}; name a folder that is empty or made by this program",
            folder.display()
        );
        io::Error::new(error.kind(), text)
    })
}

/// What every new server has.
fn fresh(members: &[String], extensions: &Extensions, incus: bool) -> Database {
    let mut features = vec!["images", "networks", "profiles", "storage.volumes"];
    if extensions.has("storage_buckets") {
        features.extend(["networks.zones", "storage.buckets"]);
    }
    let config = features.into_iter().map(|feature| (format!("features.{feature}"), "true".to_owned()));
    let brand = if incus { "Incus" } else { "LXD" };
    let project = Project { description: format!("Default {brand} project"), config: config.collect() };
    let profile = Profile { description: format!("Default {brand} profile"), ..Profile::default() };
    Database {
        projects: BTreeMap::from([(DEFAULT.to_owned(), project)]),
        profiles: BTreeMap::from([((DEFAULT.to_owned(), DEFAULT.to_owned()), profile)]),
        members: members.to_vec(),
        ..Database::default()
    }
}
