//! Volumes as disk devices of instances and profiles.

use std::{collections::BTreeMap, fmt, sync::Arc};

use http::Method;
use lxd_transport::Reached;
use lxd_types::{ContentType, VolumeType};
use serde_json::{Map, Value};

use crate::{
    Change, Client, ETag, Error, ErrorKind, VolumeHandle,
    edit::Races,
    pending::ChangeRequest,
    route::{Route, check_name},
};

/// Who is to have a volume as a disk: an instance or a profile, in the project of the volume's client.
///
/// ```
/// use lxd_storage::Holder;
///
/// assert_eq!(Holder::instance("web").to_string(), "instance \"web\"");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    is_profile: bool,
    name: Arc<str>,
}

impl Holder {
    /// An instance.
    pub fn instance(name: impl AsRef<str>) -> Self {
        Self { is_profile: false, name: name.as_ref().into() }
    }

    /// A profile, and with it all instances that have it.
    pub fn profile(name: impl AsRef<str>) -> Self {
        Self { is_profile: true, name: name.as_ref().into() }
    }

    fn route(&self, client: &Client) -> Result<Route, Error> {
        let (path, what) =
            if self.is_profile { ("/1.0/profiles", "profile") } else { ("/1.0/instances", "instance") };
        // Neither knows a cluster member: any of them answers for all.
        Ok(client.scoped_project(Route::new(path).name(what, &self.name)?))
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.is_profile { "profile" } else { "instance" };
        write!(f, "{what} {:?}", self.name)
    }
}

/// How an instance is to see a volume.
///
/// ```
/// use lxd_storage::Disk;
///
/// let data = Disk::at("/srv/data").with_device("data").read_only();
/// let raw = Disk::block().with_option("boot.priority", "10");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Disk {
    device: Option<String>,
    path: Option<String>,
    options: BTreeMap<String, String>,
}

impl Disk {
    /// A filesystem, mounted at an absolute path.
    pub fn at(path: impl Into<String>) -> Self {
        Self { path: Some(path.into()), ..Self::default() }
    }

    /// A block device or ISO image of a virtual machine, which has no path.
    pub fn block() -> Self {
        Self::default()
    }

    /// The device's name. Default: the volume's.
    pub fn with_device(mut self, device: impl Into<String>) -> Self {
        self.device = Some(device.into());
        self
    }

    /// Not to be written to.
    pub fn read_only(self) -> Self {
        self.with_option("readonly", "true")
    }

    /// Any other option of a disk device, such as `limits.max` or `boot.priority`.
    pub fn with_option(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.insert(key.into(), value.into());
        self
    }
}

impl VolumeHandle {
    /// Makes the volume a disk device of an instance or profile, and gives the device's name
    /// (`PUT /1.0/instances/<name>` or `/1.0/profiles/<name>`, with the ETag).
    ///
    /// Edits by others at the same time are kept: after a lost race this begins again. A device of that name that is
    /// this volume at this place already is no error and changes nothing.
    ///
    /// ```
    /// # async fn example(data: lxd_storage::VolumeHandle) -> Result<(), lxd_storage::Error> {
    /// use lxd_storage::{Disk, Holder};
    ///
    /// let web = Holder::instance("web");
    /// data.attach(&web, Disk::at("/srv/data")).await?;
    /// data.detach(&web).await?;
    /// # Ok(()) }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() { on_emulator!(example(data)) }
    /// ```
    ///
    /// The volume of a virtual machine needs the API extension `vm_root_volume_attachment`, which only newer LXD has.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for the volume or the holder; [`AlreadyExists`](ErrorKind::AlreadyExists) for
    /// another device of that name; [`InvalidInput`](ErrorKind::InvalidInput) for a filesystem without a path, a block
    /// device with one or in a container, before anything is changed.
    pub async fn attach(&self, holder: &Holder, disk: Disk) -> Result<String, Error> {
        if *self.volume_type() == VolumeType::VirtualMachine {
            self.client().require(&["vm_root_volume_attachment"]).await?;
        }
        let volume = self.get().await?;
        let device = disk.device.clone().unwrap_or_else(|| self.name().to_owned());
        check_name("device", &device)?;
        let entry = self.device_entry(volume.content_type(), &disk)?;
        let is_raw = *volume.content_type() != ContentType::Filesystem;
        edit_devices(self.client(), holder, |object| {
            if is_raw && object.get("type").and_then(Value::as_str) == Some("container") {
                let message =
                    format!("volume {:?} is no filesystem, and {holder} is a container", self.name());
                return Err(Error::invalid(message));
            }
            let devices = devices_of(object)?;
            match devices.get(&device) {
                Some(present) if *present == entry => Ok(false),
                Some(_) => {
                    let message = format!("{holder} has another device {device:?}");
                    Err(Error::new(ErrorKind::AlreadyExists, message))
                }
                None => {
                    devices.insert(device.clone(), entry.clone());
                    Ok(true)
                }
            }
        })
        .await?;
        Ok(device)
    }

    /// Takes away all disk devices of an instance or profile that are this volume, and gives their names; none if it
    /// had none. Devices that an instance has from a profile stay.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for the holder.
    pub async fn detach(&self, holder: &Holder) -> Result<Vec<String>, Error> {
        let mut removed = Vec::new();
        edit_devices(self.client(), holder, |object| {
            let devices = devices_of(object)?;
            let ours = devices.iter().filter(|(_, entry)| self.is_device(entry));
            let gone: Vec<String> = ours.map(|(name, _)| name.clone()).collect();
            for name in &gone {
                devices.remove(name);
            }
            let changed = !gone.is_empty();
            // After a race that only seemed lost the devices are gone already.
            if changed {
                removed = gone;
            }
            Ok(changed)
        })
        .await?;
        Ok(removed)
    }

    /// Takes away one disk device of an instance or profile by its name, if it is this volume; others that are stay.
    ///
    /// ```
    /// # async fn example(data: lxd_storage::VolumeHandle) -> Result<(), lxd_storage::Error> {
    /// use lxd_storage::{Disk, Holder};
    ///
    /// let web = Holder::instance("web");
    /// let device = data.attach(&web, Disk::at("/srv/data")).await?;
    /// data.detach_device(&web, &device).await?;
    /// # Ok(()) }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() { on_emulator!(example(data)) }
    /// ```
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for the holder, and for the device, also for one that an instance has from a
    /// profile; [`InvalidInput`](ErrorKind::InvalidInput) for a device that is something else. Nothing is changed then.
    pub async fn detach_device(&self, holder: &Holder, device: &str) -> Result<(), Error> {
        let mut removed = false;
        edit_devices(self.client(), holder, |object| {
            let devices = devices_of(object)?;
            match devices.get(device) {
                // After a race that only seemed lost.
                None if removed => Ok(false),
                None => Err(Error::new(
                    ErrorKind::NotFound,
                    format!("{holder} has no device {device:?} of its own"),
                )),
                Some(entry) if !self.is_device(entry) => {
                    let volume = self.name();
                    let message =
                        format!("device {device:?} of {holder} is not volume {volume:?} but another");
                    Err(Error::invalid(message))
                }
                Some(_) => {
                    devices.remove(device);
                    removed = true;
                    Ok(true)
                }
            }
        })
        .await
    }

    /// Whether a device is this volume.
    fn is_device(&self, entry: &Value) -> bool {
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        text("type") == Some("disk")
            && text("pool") == Some(self.pool().name())
            && text("source") == Some(&*self.device_source())
    }

    fn device_entry(&self, content_type: &ContentType, disk: &Disk) -> Result<Value, Error> {
        let has_path = disk.path.is_some();
        match (content_type, has_path) {
            (ContentType::Filesystem, false) => {
                let message =
                    format!("volume {:?} is a filesystem and needs a path (`Disk::at`)", self.name());
                return Err(Error::invalid(message));
            }
            (ContentType::Block | ContentType::Iso, true) => {
                let message =
                    format!("volume {:?} is no filesystem and takes no path (`Disk::block`)", self.name());
                return Err(Error::invalid(message));
            }
            _ => {}
        }
        if disk.path.as_ref().is_some_and(|path| !path.starts_with('/')) {
            return Err(Error::invalid(format!("the path {:?} is not absolute", disk.path.as_deref())));
        }
        let mut entry: Map<String, Value> =
            disk.options.iter().map(|(key, value)| (key.clone(), Value::from(&**value))).collect();
        entry.insert("type".to_owned(), Value::from("disk"));
        entry.insert("pool".to_owned(), Value::from(self.pool().name()));
        entry.insert("source".to_owned(), Value::from(self.device_source()));
        if let Some(path) = &disk.path {
            entry.insert("path".to_owned(), Value::from(&**path));
        }
        Ok(Value::Object(entry))
    }

    /// Volumes of other types carry their type in front.
    fn device_source(&self) -> String {
        match self.volume_type() {
            VolumeType::Custom => self.name().to_owned(),
            other => format!("{}/{}", other.as_str(), self.name()),
        }
    }
}

fn devices_of(object: &mut Map<String, Value>) -> Result<&mut Map<String, Value>, Error> {
    let devices = object.entry("devices").or_insert_with(|| Value::Object(Map::new()));
    if devices.is_null() {
        *devices = Value::Object(Map::new());
    }
    devices.as_object_mut().ok_or_else(|| Error::new(ErrorKind::Decode, "the devices are no object"))
}

/// Reads the whole holder, lets `change` edit it, and writes it back with its ETag if it says so.
async fn edit_devices(
    client: &Client,
    holder: &Holder,
    mut change: impl FnMut(&mut Map<String, Value>) -> Result<bool, Error> + Send,
) -> Result<(), Error> {
    let queue = client.turns().of(&holder.route(client)?.uri()?.to_string());
    let _turn = queue.lock().await;
    let mut races = Races::default();
    loop {
        match edit_once(client, holder, &mut change).await {
            Err(error) => races.again_after(error).await?,
            done => return done,
        }
    }
}

async fn edit_once(
    client: &Client,
    holder: &Holder,
    change: &mut (impl FnMut(&mut Map<String, Value>) -> Result<bool, Error> + Send),
) -> Result<(), Error> {
    let (mut object, etag) = read(client, holder).await?;
    if !change(&mut object)? {
        return Ok(());
    }
    let request = ChangeRequest::new(Method::PUT, holder.route(client)?).json(&object);
    let put: Change<()> = Change::new(client, request, |_| async { Ok(()) });
    match etag {
        Some(etag) => put.if_match(&etag).await?,
        None => put.await?,
    }
    // Servers check the ETag a moment before they write, so the result is looked at too.
    let wanted = object.get("devices").cloned();
    let (mut after, _) = read(client, holder).await?;
    if after.get("devices") == wanted.as_ref() || !change(&mut after)? {
        return Ok(());
    }
    let message = format!("the devices of {holder} were overwritten at the same moment");
    Err(Error::new(ErrorKind::PreconditionFailed, message).with_reached(Reached::Yes))
}

async fn read(client: &Client, holder: &Holder) -> Result<(Map<String, Value>, Option<ETag>), Error> {
    let answer = client.get(holder.route(client), &[]).await?;
    Ok((answer.decode()?, answer.etag))
}
