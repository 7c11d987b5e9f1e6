//! On which member of a cluster a volume is, and how it gets to another.

use crate::{Error, Migration, VolumeHandle};

impl VolumeHandle {
    /// The cluster members that hold a volume of this name, each as a handle that stays on its member. Volumes of local
    /// drivers live on one member, and others may have volumes of the same name. A volume that all members share, and
    /// one on a server that stands alone, comes as one handle without a member; none if there is no such volume.
    ///
    /// ```
    /// # async fn example(data: lxd_storage::VolumeHandle) -> Result<(), lxd_storage::Error> {
    /// for found in data.locate().await? {
    ///     println!("{} is on {}", found.name(), found.client().target().unwrap_or("all members"));
    /// }
    /// # Ok(()) }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() { on_emulator!(example(data)) }
    /// ```
    ///
    /// # Errors
    /// Trouble on the way; a pool that isn't there.
    pub async fn locate(&self) -> Result<Vec<Self>, Error> {
        let everywhere = self.client().without_target().storage_pool(self.pool().name());
        // One request on every server, where asking for the volume alone ends in an error once two members have it.
        let listed = everywhere.volumes().all_of(self.volume_type()).await?;
        let found = listed.iter().filter(|volume| volume.name() == self.name());
        Ok(found.map(|volume| volume.handle().clone()).collect())
    }

    /// Copies the volume to another member of its cluster, under the same name and in the pool of the same name. Works
    /// on every server with clusters: the member fetches the volume from the one that has it. See [`Migration`].
    pub fn copy_to_member(&self, member: impl AsRef<str>) -> Migration {
        Migration::copy(self.clone(), self.pool().with_target(member))
    }

    /// Moves the volume to another member of its cluster; the source is deleted after the copy was compared with it.
    /// See [`Migration`].
    ///
    /// ```
    /// # async fn example(data: lxd_storage::VolumeHandle) -> Result<(), lxd_storage::Error> {
    /// let data = data.move_to_member("node2").await?;
    /// assert_eq!(data.location(), "node2");
    /// # Ok(()) }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() { on_emulator!(example(data) in spread) }
    /// ```
    pub fn move_to_member(&self, member: impl AsRef<str>) -> Migration {
        Migration::moving(self.clone(), self.pool().with_target(member))
    }
}
