//! A volume as it is wanted.

use lxd_types::{
    Config, ContentType, StorageVolumesPost,
    drivers::{self, Key},
};

use super::{
    Attempt, Diff, Drift, Ensured,
    compare::{self, Allowed, Keys, Options},
    diff,
};
use crate::{Error, Volume, VolumeHandle, Volumes, check, object::Address};

/// A volume that is to be there, with these keys. Await it, or look at the [`diff`](Self::diff) first.
///
/// It is created if it is absent. Keys that differ are set, and the description if one is wanted; keys that aren't
/// mentioned stay, a key with an empty value is unset. Where nothing differs nothing is sent.
/// Of two that want the same at once one creates it and the other takes it as it is and looks what differs.
///
/// ```
/// # async fn example(pool: lxd_storage::PoolHandle) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::types::{Size, StorageVolumesPost};
///
/// let data = StorageVolumesPost::new("data").with_size(Size::gib(10)).with_config("snapshots.expiry", "2w");
/// let ensured = pool.volumes().ensure(data).await?;
/// for change in &ensured.changes {
///     println!("had to be changed: {change}");
/// }
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(pool)) }
/// ```
///
/// # Errors
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) where it would take more than was said: another content type, a
/// smaller size, a key that stays as it was at creation. Those of creating and editing.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct EnsureVolume {
    volumes: Volumes,
    wanted: StorageVolumesPost,
    options: Options,
}

impl Volumes {
    /// Sees to it that there is such a volume. See [`EnsureVolume`].
    pub fn ensure(&self, volume: StorageVolumesPost) -> EnsureVolume {
        EnsureVolume { volumes: self.clone(), wanted: volume, options: Options::default() }
    }
}

impl VolumeHandle {
    /// Sees to it that there is no such volume; says whether there was one. Its snapshots and backups go with it.
    ///
    /// # Errors
    /// As [`delete`](Self::delete), without [`NotFound`](crate::ErrorKind::NotFound) for the volume.
    pub async fn ensure_absent(&self) -> Result<bool, Error> {
        match self.delete().await {
            Ok(()) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl EnsureVolume {
    /// Unsets the keys that aren't mentioned, but for the size, those that the server sets and those that it copied
    /// from the pool's defaults.
    pub fn exactly(mut self) -> Self {
        self.options.exactly = true;
        self
    }

    /// Lets the size become smaller, which can destroy data. A block volume never does.
    pub fn allow_shrinking(mut self) -> Self {
        self.options.may_shrink = true;
        self
    }

    /// What would have to be changed. Changes nothing.
    ///
    /// # Errors
    /// As for [`EnsureVolume`] itself.
    pub async fn diff(self) -> Result<Diff<Self>, Error> {
        diff(self).await
    }

    fn handle(&self) -> VolumeHandle {
        self.volumes.pool().volume(self.wanted.volume_type.clone(), &*self.wanted.name)
    }

    async fn look(&self) -> Result<Option<Volume>, Error> {
        check::sizes(&self.wanted.config)?;
        let volume = match self.handle().get().await {
            // Also a pool that isn't there; to create the volume will say so.
            Err(error) if error.is_not_found() => return Ok(None),
            found => found?,
        };
        let wanted = match &self.wanted.content_type {
            unsaid if unsaid.as_str().is_empty() => &ContentType::Filesystem,
            said => said,
        };
        if wanted != volume.content_type() && self.wanted.source.is_none() {
            return Err(Error::invalid(format!(
                "volume {:?} has content {:?}, wanted {:?}; that stays as it was at creation",
                volume.name(),
                volume.content_type().as_str(),
                wanted.as_str()
            )));
        }
        check::keeps_its_length(volume.object(), &self.wanted.config)?;
        Ok(Some(volume))
    }

    /// The pool is asked only where its keys matter.
    async fn keys(&self, volume: &Volume) -> Result<PoolKeys, Error> {
        let of_none = PoolKeys { driver: None, config: Config::default() };
        let differs = !self
            .changes(volume.description(), volume.config(), &of_none)
            .is_ok_and(|found| found.is_empty());
        if !differs {
            return Ok(of_none);
        }
        let pool = self.volumes.pool().get().await?;
        Ok(PoolKeys { driver: Some(pool.driver().to_owned()), config: pool.config().clone() })
    }

    fn changes(&self, description: &str, config: &Config, keys: &PoolKeys) -> Result<Vec<Drift>, Error> {
        let mut changes = compare::config(&self.wanted.config, config, keys, None, &self.options)?;
        changes.extend(compare::description(&self.wanted.description, description));
        Ok(changes)
    }
}

/// Keys of volumes in a pool.
struct PoolKeys {
    driver: Option<String>,
    config: Config,
}

impl Keys for PoolKeys {
    fn key(&self, name: &str) -> Option<&'static Key> {
        match &self.driver {
            Some(driver) => drivers::find(driver)?.volume_key(name),
            // What a key holds is the same with all drivers.
            None => drivers::all().find_map(|driver| driver.volume_key(name)),
        }
    }

    fn inherited(&self, name: &str) -> Option<&str> {
        self.config.text(&format!("volume.{name}"))
    }
}

impl Attempt for EnsureVolume {
    type Object = Volume;

    async fn drift(&self) -> Result<Vec<Drift>, Error> {
        let Some(volume) = self.look().await? else { return Ok(vec![Drift::Absent]) };
        let keys = self.keys(&volume).await?;
        self.changes(volume.description(), volume.config(), &keys)
    }

    async fn once(&self, allowed: &Allowed) -> Result<Ensured<Volume>, Error> {
        let Some(volume) = self.look().await? else {
            let changes = vec![Drift::Absent];
            allowed.check(&changes)?;
            return Ok(Ensured { object: self.volumes.create(self.wanted.clone()).await?, changes });
        };
        let keys = self.keys(&volume).await?;
        if self.changes(volume.description(), volume.config(), &keys)?.is_empty() {
            return Ok(Ensured { object: volume, changes: Vec::new() });
        }
        let mut outcome = Ok(Vec::new());
        let object = self
            .handle()
            .edit(|put| {
                // Compared again with what is there now: the edit may have lost a race.
                outcome = self.changes(&put.description, &put.config, &keys).and_then(|changes| {
                    allowed.check(&changes)?;
                    Ok(changes)
                });
                if let Ok(changes) = &outcome {
                    compare::make(changes, &mut put.description, &mut put.config);
                }
            })
            .await?;
        Ok(Ensured { object, changes: outcome.map_err(|error| error.with_note(self.handle().in_words()))? })
    }
}
