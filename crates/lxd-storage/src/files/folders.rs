//! Whole folders into a volume and out of it.

use std::path::{Path, PathBuf};

use lxd_types::{FileMode, FileOptions, FileType};

use super::{
    Files, Found,
    links::Links,
    local::{Tree, Unfinished, check_names, new_folder},
};
use crate::{Error, ErrorKind, Upload, at_once::some_at_once, file_path};

/// A part of a folder on its way here.
enum Arrived {
    Folder { path: String, local: PathBuf, names: Vec<String>, mode: Option<FileMode> },
    File { local: PathBuf, mode: Option<FileMode> },
    Link { path: String, local: PathBuf },
}

impl Files {
    /// Makes a directory and those above it that are missing (`POST .../files?path=`). Those that are there already are
    /// left as they are.
    ///
    /// ```no_run
    /// # async fn example(volume: lxd_storage::VolumeHandle) -> Result<(), lxd_storage::Error> {
    /// volume.files().create_dir_all("/srv/www/static", &lxd_storage::types::FileOptions::new()).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Server`](crate::ErrorKind::Server) where a file is in the way; see [`Files`].
    pub async fn create_dir_all(&self, path: &str, options: &FileOptions) -> Result<(), Error> {
        let mut missing = Vec::new();
        let mut next = path.to_owned();
        loop {
            match self.create_dir(&next, options).await {
                Ok(()) => break,
                Err(error) if error.is_not_found() => match file_path::above(&next) {
                    Some(above) => missing.push(std::mem::replace(&mut next, above)),
                    None => return Err(error),
                },
                Err(error) => return Err(error),
            }
        }
        for path in missing.into_iter().rev() {
            self.create_dir(&path, options).await?;
        }
        Ok(())
    }

    /// Puts what is in a folder of this machine into a directory of the volume, with all that is below it; the directory
    /// and those above it are made if they are missing (`POST .../files?path=`, once for each).
    ///
    /// Permissions are kept, but for set-user-ID and the like, which servers drop, and symbolic links as links, whatever
    /// they point to. The owner of what is new is the one of `owner`, without one user and group 0. Files that are there
    /// already get the new content; what is there besides stays.
    ///
    /// The whole folder is looked at first: a socket, a device or a name that is not UTF-8 is found before anything is
    /// sent. Files go out in constant memory, a few at a time.
    ///
    /// ```no_run
    /// # async fn example(volume: lxd_storage::VolumeHandle) -> Result<(), lxd_storage::Error> {
    /// use lxd_storage::types::FileOptions;
    ///
    /// volume.files().put_dir("site", "/srv/www", &FileOptions::new().with_uid(33).with_gid(33)).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a folder that cannot be read or cannot be in a volume, and for
    /// an `owner` with permissions; [`AlreadyExists`](crate::ErrorKind::AlreadyExists) for something in a link's place; see
    /// [`Files`]. What was put until then stays, and the error says so.
    pub async fn put_dir(
        &self,
        local: impl AsRef<Path>,
        path: &str,
        owner: &FileOptions,
    ) -> Result<(), Error> {
        file_path::check(path)?;
        if owner.mode.is_some() || owner.append {
            return Err(Error::invalid(
                "permissions are those of the folder; only user and group can be set",
            ));
        }
        self.uri(path, &[]).await?;
        let local = local.as_ref().to_owned();
        let (root, tree) = blocking(move || Tree::read(&local).map(|tree| (local, tree))).await?;
        let below = path.trim_end_matches('/').to_owned();
        self.put_tree(root, tree, &below, owner)
            .await
            .map_err(|error| error.with_note(format!("{path:?} may be there in part")))
    }

    async fn put_tree(
        &self,
        root: PathBuf,
        tree: Tree,
        below: &str,
        owner: &FileOptions,
    ) -> Result<(), Error> {
        let with_mode = |mode: Option<FileMode>| {
            let mut options = owner.clone();
            options.mode = mode;
            options
        };
        if !file_path::is_root(below) {
            if let Some(above) = file_path::above(below) {
                self.create_dir_all(&above, owner).await?;
            }
            self.create_dir(below, &with_mode(tree.mode)).await?;
        }
        for (path, mode) in tree.folders {
            self.create_dir(&format!("{below}{path}"), &with_mode(mode)).await?;
        }
        some_at_once(tree.files, |(path, mode)| {
            let (files, options) = (self.clone(), with_mode(mode));
            let (local, path) = (root.join(path.trim_start_matches('/')), format!("{below}{path}"));
            async move { files.put(&path, Upload::file(&local).await?, &options).await }
        })
        .await?;
        for (path, target) in tree.links {
            self.put_link(&format!("{below}{path}"), &target).await?;
        }
        Ok(())
    }

    /// One that is there already and says the same is fine.
    async fn put_link(&self, path: &str, target: &str) -> Result<(), Error> {
        match self.symlink(path, target).await {
            Err(error) if error.server_message().is_some() && self.exists(path).await? => {
                let message = format!("something else is at {path:?}, where a link to {target:?} was to be");
                Err(Error::new(ErrorKind::AlreadyExists, message).with_source(error))
            }
            done => done,
        }
    }

    /// What a symbolic link points to, as it stands in the link (over SFTP, see
    /// [`connect_sftp`](crate::VolumeHandle::connect_sftp)). Needs the API extension `custom_volume_sftp` too, which came
    /// before files.
    ///
    /// ```no_run
    /// # async fn example(volume: lxd_storage::VolumeHandle) -> Result<(), lxd_storage::Error> {
    /// let files = volume.files();
    /// files.symlink("/srv/current", "releases/7").await?;
    /// assert_eq!(files.read_link("/srv/current").await?, "releases/7");
    /// assert_eq!(files.read("/srv/current", 4096).await?, "/srv/releases/7");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a target that is not UTF-8;
    /// [`Server`](crate::ErrorKind::Server) for anything but a link; see [`Files`].
    pub async fn read_link(&self, path: &str) -> Result<String, Error> {
        self.uri(path, &["custom_volume_sftp"]).await?;
        Links::connect(&self.volume).await?.read(path).await
    }

    /// Gets a directory of the volume with all that is below it into a new folder of this machine (`GET .../files?path=`,
    /// once for each). The folder appears under its name once it is complete; dropped or failed before that, nothing of it
    /// is left.
    ///
    /// Symbolic links are made as links, as they are and whatever they point to, and never followed; so nothing is written
    /// outside of the folder, whatever the volume holds. Where there are any, the server needs the API extension
    /// `custom_volume_sftp` too, as for [`read_link`](Self::read_link). Permissions are kept but for set-user-ID and the like; all belongs to the user of
    /// this program.
    ///
    /// ```no_run
    /// # async fn example(volume: lxd_storage::VolumeHandle) -> Result<(), lxd_storage::Error> {
    /// volume.files().get_dir("/srv/www", "site").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for anything but a directory, for a folder that is there already or
    /// cannot be written; [`Decode`](crate::ErrorKind::Decode) for names that cannot be; see [`Files`].
    pub async fn get_dir(&self, path: &str, local: impl AsRef<Path>) -> Result<(), Error> {
        let Found::Folder(names) = self.find(path).await? else {
            return Err(Error::invalid(format!("{path:?} is no directory; `get` reads it")));
        };
        let mode = self.info(path).await?.mode;
        let local = local.as_ref().to_owned();
        let unfinished = blocking(move || Unfinished::begin(&local)).await?;
        let root = unfinished.path().to_owned();
        let (mut links, mut modes) = (Vec::new(), Vec::new());
        let mut folders = vec![(path.trim_end_matches('/').to_owned(), root, names, mode)];
        while let Some((path, local, names, mode)) = folders.pop() {
            check_names(&path, &names)?;
            modes.push((local.clone(), mode));
            let arrive = |name: String| {
                let (files, path, local) = (self.clone(), format!("{path}/{name}"), local.join(name));
                async move { files.arrive(path, local).await }
            };
            for arrived in some_at_once(names, arrive).await? {
                match arrived {
                    Arrived::Folder { path, local, names, mode } => folders.push((path, local, names, mode)),
                    Arrived::File { local, mode } => modes.push((local, mode)),
                    Arrived::Link { path, local } => links.push((path, local)),
                }
            }
        }
        let links = self.targets(links).await?;
        blocking(move || unfinished.finish(&links, &modes)).await
    }

    /// What each link says, over one connection.
    async fn targets(&self, links: Vec<(String, PathBuf)>) -> Result<Vec<(PathBuf, String)>, Error> {
        let mut targets = Vec::new();
        if links.is_empty() {
            return Ok(targets);
        }
        let mut connection = Links::connect(&self.volume).await?;
        for (path, local) in links {
            targets.push((local, connection.read(&path).await?));
        }
        Ok(targets)
    }

    /// Brings one part here; of a folder what is in it comes later.
    async fn arrive(&self, path: String, local: PathBuf) -> Result<Arrived, Error> {
        match self.find(&path).await? {
            Found::Folder(names) => {
                let mode = self.info(&path).await?.mode;
                let folder = local.clone();
                blocking(move || new_folder(&folder)).await?;
                Ok(Arrived::Folder { path, local, names, mode })
            }
            Found::File(file) if file.info.file_type == FileType::Symlink => {
                Ok(Arrived::Link { path, local })
            }
            Found::File(mut file) => {
                file.content.save_to(&local).await?;
                Ok(Arrived::File { local, mode: file.info.mode })
            }
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(Error::new(ErrorKind::Interrupted, "work on a folder was stopped").with_source(error))
    })
}
