//! The files inside a custom volume.

mod folders;
mod links;
mod local;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Uri};
use lxd_transport::Body;
use lxd_types::{ContentType, FileInfo, FileOptions};
use tokio::sync::OnceCell;

use crate::{
    Download, Error, Upload, VolumeHandle, exchange::Opened, file_headers, file_path, object::Address as _,
    transfer,
};

impl VolumeHandle {
    /// The files inside the volume, if it is a custom volume with a filesystem. Needs the API extension
    /// `file_storage_volume`, which Incus has since 6.0.6 and 6.18 and no LXD has. See [`Files`].
    #[must_use]
    pub fn files(&self) -> Files {
        Files { volume: self.clone(), has_files: Arc::default() }
    }
}

/// The files inside a custom volume with a filesystem, which are read and written through the server
/// (`.../volumes/custom/<name>/files`).
///
/// Paths begin with `/`, the root of the volume; a relative path, an empty one, and one with `..` or a NUL in it are
/// refused before anything is sent. Names may be anything else, but have to be UTF-8.
///
/// The first use of the manager (or of a clone) reads the volume once, to find out whether it has a filesystem: of a
/// block volume a server would show, and let you overwrite, the file that it keeps the blocks in.
///
/// Every request needs the API extension `file_storage_volume`: Incus 6.0.6, 6.18 and later. LXD has nothing like it.
///
/// ```no_run
/// # async fn example(volume: lxd_storage::VolumeHandle) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::{Upload, types::{FileMode, FileOptions}};
///
/// let files = volume.files();
/// files.create_dir("/etc", &FileOptions::new()).await?;
/// let private = FileOptions::new().with_uid(1000).with_mode(FileMode::new(0o600).unwrap());
/// files.put("/etc/app.conf", Upload::file("app.conf").await?, &private).await?;
///
/// let mut file = files.get("/etc/app.conf").await?;
/// println!("{:?} bytes of user {:?}", file.info.size, file.info.uid);
/// file.content.save_to("copy.conf").await?;
///
/// // Whole folders, in both directions:
/// files.put_dir("site", "/srv/www", &FileOptions::new()).await?;
/// files.get_dir("/srv/www", "site-as-it-is").await?;
/// files.delete_all("/srv/www").await?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// Of every call: [`UnsupportedExtension`](crate::ErrorKind::UnsupportedExtension), and
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a bad path, another type than `custom` and a volume without a
/// filesystem, all of them before the request; [`NotFound`](crate::ErrorKind::NotFound) for the volume and for the path;
/// [`Server`](crate::ErrorKind::Server) for most of what the file system itself refuses.
#[derive(Clone, Debug)]
pub struct Files {
    volume: VolumeHandle,
    /// Set once it is known that the volume has a filesystem.
    has_files: Arc<OnceCell<()>>,
}

/// A file on its way from the server, and what it is.
#[derive(Debug)]
#[non_exhaustive]
pub struct FileContent {
    /// Type, owner, permissions, size in bytes, time.
    pub info: FileInfo,
    /// The content, to be read chunk by chunk or written somewhere. Of a symbolic link it is the path of its target, which
    /// servers make an absolute one; [`Files::read_link`] tells what stands in it.
    pub content: Download,
}

/// What is at a path.
enum Found {
    Folder(Vec<String>),
    File(Box<FileContent>),
}

impl FileContent {
    /// All of it, if it isn't more than so many bytes. The path is for the error.
    async fn read(mut self, path: &str, max: usize) -> Result<Bytes, Error> {
        let too_long = || Error::invalid(format!("{path:?} has more than {max} bytes"));
        if self.content.size().is_some_and(|size| size > max as u64) {
            return Err(too_long());
        }
        let mut bytes = BytesMut::new();
        while let Some(chunk) = self.content.chunk().await {
            let chunk = chunk?;
            if chunk.len() > max - bytes.len() {
                return Err(too_long());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }
}

impl Files {
    /// The volume that they are in.
    #[must_use]
    pub fn volume(&self) -> &VolumeHandle {
        &self.volume
    }

    /// Begins to read a file, and gives its content as a [`Download`] besides what it is (`GET .../files?path=`). A
    /// broken connection is taken up again where it broke, as long as the file was not written meanwhile.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a directory; see [`Files`].
    pub async fn get(&self, path: &str) -> Result<FileContent, Error> {
        match self.find(path).await? {
            Found::File(file) => Ok(*file),
            Found::Folder(_) => {
                Err(Error::invalid(format!("{path:?} is a directory; `list` gives its names")))
            }
        }
    }

    /// Reads a whole file into memory (`GET .../files?path=`); of a symbolic link, the path of its target, made absolute.
    ///
    /// ```no_run
    /// # async fn example(volume: lxd_storage::VolumeHandle) -> Result<(), lxd_storage::Error> {
    /// let bytes = volume.files().read("/etc/hostname", 4096).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a file of more than `max` bytes, and for a directory; see
    /// [`Files`].
    pub async fn read(&self, path: &str, max: usize) -> Result<Bytes, Error> {
        self.get(path).await?.read(path, max).await
    }

    /// What is at a path, without its content (`HEAD .../files?path=`). Links are not followed.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) where nothing is; see [`Files`].
    pub async fn info(&self, path: &str) -> Result<FileInfo, Error> {
        let uri = self.uri(path, &[]).await?;
        Ok(file_headers::info(&self.volume.client().exchange().head(uri).await?))
    }

    /// Whether anything is at a path, be it a link to nowhere (`HEAD .../files?path=`).
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for the volume, on first use; see [`Files`].
    pub async fn exists(&self, path: &str) -> Result<bool, Error> {
        // Apart from what follows: that the volume is not there is no answer.
        let uri = self.uri(path, &[]).await?;
        match self.volume.client().exchange().head(uri).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The names of what is in a directory, sorted, without `.` and `..` (`GET .../files?path=`). Bytes of a name that
    /// are not UTF-8 come as U+FFFD; such a file can be reached by SFTP only.
    ///
    /// ```no_run
    /// # async fn example(volume: lxd_storage::VolumeHandle) -> Result<(), lxd_storage::Error> {
    /// let files = volume.files();
    /// for name in files.list("/").await? {
    ///     println!("{name}: {:?}", files.info(&format!("/{name}")).await?);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for anything but a directory; see [`Files`].
    pub async fn list(&self, path: &str) -> Result<Vec<String>, Error> {
        match self.find(path).await? {
            Found::File(_) => Err(Error::invalid(format!("{path:?} is no directory; `get` reads it"))),
            Found::Folder(mut names) => {
                names.sort_unstable();
                Ok(names)
            }
        }
    }

    /// Writes a file: makes it, replaces its content, or appends to one that is there (`POST .../files?path=`). Through a symbolic
    /// link it goes to the link's target. The content goes out in constant memory.
    ///
    /// Servers write into the file itself as the content comes in. Where the upload breaks, what came in until then is
    /// in the file; write under another name first where that matters.
    ///
    /// ```no_run
    /// # async fn example(volume: lxd_storage::VolumeHandle) -> Result<(), lxd_storage::Error> {
    /// use lxd_storage::{Upload, types::FileOptions};
    ///
    /// volume.files().put("/log", "one more line\n", &FileOptions::new().append()).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) where the directory for it is missing, or the file to append to;
    /// [`Server`](crate::ErrorKind::Server) where a directory is at the path; see [`Files`].
    pub async fn put(
        &self,
        path: &str,
        content: impl Into<Upload>,
        options: &FileOptions,
    ) -> Result<(), Error> {
        file_path::check_below_root(path)?;
        let headers = file_headers::of_new("file", options);
        let uri = self.uri(path, &[]).await?;
        let body = content.into().into_body().await?;
        self.write(Method::POST, uri, headers, body).await
    }

    /// Makes a directory (`POST .../files?path=`). One that is there already is left as it is, and no error.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) where the directory above it is missing; see [`Files`].
    pub async fn create_dir(&self, path: &str, options: &FileOptions) -> Result<(), Error> {
        file_path::check_below_root(path)?;
        // Directories have no content to append to; servers don't look at that.
        let headers = file_headers::of_new("directory", options);
        let uri = self.uri(path, &[]).await?;
        self.write(Method::POST, uri, headers, Body::empty()).await
    }

    /// Makes a symbolic link to `target`, which need not exist and is relative to the link's own directory unless it
    /// begins with `/` (`POST .../files?path=`).
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for an empty target and one with a NUL in it;
    /// [`Server`](crate::ErrorKind::Server) where something is at the path; see [`Files`].
    pub async fn symlink(&self, path: &str, target: &str) -> Result<(), Error> {
        file_path::check_below_root(path)?;
        if target.is_empty() || target.contains('\0') {
            return Err(Error::invalid(format!("a link cannot point to {target:?}")));
        }
        let headers = file_headers::of_new("symlink", &FileOptions::new());
        let uri = self.uri(path, &[]).await?;
        self.write(Method::POST, uri, headers, Body::from(Bytes::copy_from_slice(target.as_bytes()))).await
    }

    /// Removes a file, a symbolic link or an empty directory (`DELETE .../files?path=`). The root of the volume is
    /// refused before anything is sent.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) where nothing is; [`Server`](crate::ErrorKind::Server) for a directory
    /// that is not empty; see [`Files`].
    pub async fn delete(&self, path: &str) -> Result<(), Error> {
        self.remove(path, &[], false).await
    }

    /// Removes a directory with all that is below it, or a file or link (`DELETE .../files?path=`). Links below it are
    /// removed and not followed. Needs the API extension `file_delete_force` too, which came with Incus 7. The root of
    /// the volume is refused before anything is sent.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) where nothing is; see [`Files`].
    pub async fn delete_all(&self, path: &str) -> Result<(), Error> {
        self.remove(path, &["file_delete_force"], true).await
    }

    /// What is at a path, in one request: a file's content on its way, or the names in a directory.
    async fn find(&self, path: &str) -> Result<Found, Error> {
        let uri = self.uri(path, &[]).await?;
        let client = self.volume.client().clone();
        let (method, headers, body) = (Method::GET, HeaderMap::new(), Bytes::new());
        let opened =
            client.exchange().open(method.clone(), uri.clone(), headers.clone(), body.clone()).await?;
        // By the kind of the answer and not by what can be read out of it: a file may hold anything.
        match opened {
            Opened::Content(response) => {
                let info = file_headers::info(response.headers());
                let from = transfer::From { client, method, headers, body };
                let content = Download::of_response(from, uri, response);
                Ok(Found::File(Box::new(FileContent { info, content })))
            }
            Opened::Answer(answer) => {
                Ok(Found::Folder(answer.decode::<Option<Vec<String>>>()?.unwrap_or_default()))
            }
        }
    }

    async fn remove(&self, path: &str, needed: &[&'static str], with_all_below: bool) -> Result<(), Error> {
        file_path::check_below_root(path)?;
        let uri = self.uri(path, needed).await?;
        self.write(Method::DELETE, uri, file_headers::of_removal(with_all_below), Body::empty()).await
    }

    async fn write(&self, method: Method, uri: Uri, headers: HeaderMap, body: Body) -> Result<(), Error> {
        self.volume.client().exchange().upload(method, uri, headers, body).await.map(drop)
    }

    /// The target of a request, once it is known that server and volume can serve it.
    async fn uri(&self, path: &str, needed: &[&'static str]) -> Result<Uri, Error> {
        file_path::check(path)?;
        self.volume.only_custom("open the files of")?;
        let client = self.volume.client();
        let uri = client.scoped(self.volume.path()?.literal("files")).query("path", path).uri()?;
        client.require(&["file_storage_volume"]).await?;
        client.require(needed).await?;
        self.has_files().await?;
        Ok(uri)
    }

    async fn has_files(&self) -> Result<(), Error> {
        self.has_files.get_or_try_init(|| self.volume.must_be(&ContentType::Filesystem)).await.copied()
    }
}
