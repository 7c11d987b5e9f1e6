//! Connections into a volume that speak another protocol than HTTP: SFTP and NBD.

use http::{HeaderMap, HeaderValue, header};
use lxd_transport::{Upgraded, upgrade};
use lxd_types::{ContentType, VolumeType};

use crate::{Error, ErrorKind, VolumeHandle, object::Address as _, route::Route};

impl VolumeHandle {
    /// Opens a connection that speaks SFTP, version 3, with the root of a custom volume as its root
    /// (`GET .../volumes/custom/<name>/sftp`). Needs the API extension `custom_volume_sftp`, which Incus has since 6.0.5
    /// and 6.13 and no LXD has.
    ///
    /// What comes is the bare stream, for any SFTP client that can begin on one; the first word is the client's. It runs
    /// over the client's own transport and trust, has no time limits of its own, and ends when it is dropped.
    ///
    /// ```no_run
    /// # async fn example(volume: lxd_storage::VolumeHandle) -> Result<(), Box<dyn std::error::Error>> {
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// let mut stream = volume.connect_sftp().await?;
    /// // INIT of version 3, as an SFTP client would send it; the server answers with VERSION.
    /// stream.write_all(&[0, 0, 0, 5, 1, 0, 0, 0, 3]).await?;
    /// stream.flush().await?;
    /// let length = stream.read_u32().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for another type than `custom` and for a volume without a filesystem,
    /// and [`UnsupportedExtension`](ErrorKind::UnsupportedExtension), before the request;
    /// [`NotFound`](ErrorKind::NotFound).
    pub async fn connect_sftp(&self) -> Result<Upgraded, Error> {
        self.only_custom("open SFTP to")?;
        let route = self.client().scoped(self.path()?.literal("sftp"));
        self.client().require(&["custom_volume_sftp"]).await?;
        self.must_be(&ContentType::Filesystem).await?;
        self.connect(route, "sftp").await
    }

    /// Opens a connection that speaks NBD and gives the blocks of a block volume to read
    /// (`GET .../volumes/<type>/<name>/nbd`). Needs the API extension `storage_volume_nbd`, which Incus has since 7.0 and
    /// no LXD has; the server needs QEMU's `qemu-nbd`.
    ///
    /// What comes is the bare stream, for any NBD client; the server speaks first, in the newstyle handshake. It runs
    /// over the client's own transport and trust, has no time limits of its own, and ends when it is dropped.
    ///
    /// ```no_run
    /// # async fn example(volume: lxd_storage::VolumeHandle) -> Result<(), Box<dyn std::error::Error>> {
    /// use tokio::io::AsyncReadExt;
    ///
    /// let mut stream = volume.connect_nbd().await?;
    /// let mut greeting = [0; 8];
    /// stream.read_exact(&mut greeting).await?;
    /// assert_eq!(&greeting, b"NBDMAGIC");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a volume that is neither `custom` nor `virtual-machine` or has a
    /// filesystem, and [`UnsupportedExtension`](ErrorKind::UnsupportedExtension), before the request;
    /// [`NotFound`](ErrorKind::NotFound); [`Server`](ErrorKind::Server) where the server has no `qemu-nbd`.
    pub async fn connect_nbd(&self) -> Result<Upgraded, Error> {
        self.nbd(false).await
    }

    /// The same as [`connect_nbd`](Self::connect_nbd), for reading and writing (`GET .../nbd?writable=1`). Nothing else
    /// may use the volume meanwhile: nobody keeps two writers apart.
    ///
    /// # Errors
    /// As [`connect_nbd`](Self::connect_nbd).
    pub async fn connect_nbd_writable(&self) -> Result<Upgraded, Error> {
        self.nbd(true).await
    }

    async fn nbd(&self, writable: bool) -> Result<Upgraded, Error> {
        if ![VolumeType::Custom, VolumeType::VirtualMachine].contains(self.volume_type()) {
            let message = format!(
                "cannot open NBD to volume {:?}: only volumes of type \"custom\" and \"virtual-machine\" take that",
                self.name()
            );
            return Err(Error::invalid(message));
        }
        let route = self.client().scoped(self.path()?.literal("nbd"));
        let route = if writable { route.query("writable", "1") } else { route };
        self.client().require(&["storage_volume_nbd"]).await?;
        self.must_be(&ContentType::Block).await?;
        self.connect(route, "nbd").await
    }

    /// Reads the volume and refuses another content than this: servers begin, and fail or do the wrong thing.
    pub(crate) async fn must_be(&self, wanted: &ContentType) -> Result<(), Error> {
        let volume = self.get().await?;
        if volume.content_type() == wanted {
            return Ok(());
        }
        let (is, wanted) = (volume.content_type().as_str(), wanted.as_str());
        let message =
            format!("the content of volume {:?} is {is:?}, and only {wanted:?} has that", self.name());
        Err(Error::invalid(message))
    }

    async fn connect(&self, route: Route, protocol: &'static str) -> Result<Upgraded, Error> {
        let uri = route.uri()?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static(protocol));
        let exchange = self.client().exchange();
        let (response, method, uri) = exchange.upgrade(&uri, uri.clone(), headers, exchange.limits).await?;
        if response.headers().get(header::UPGRADE).is_none_or(|upgrade| upgrade != protocol) {
            let message = format!("the server switched to another protocol than {protocol:?}");
            return Err(Error::new(ErrorKind::Decode, message).with_request(&method, &uri));
        }
        upgrade(response).await.map_err(|error| Error::from(error).with_request(&method, &uri))
    }
}
