//! The cluster that a server belongs to.

use lxd_types::{ClusterMember, ClusterMemberState};

use crate::{Client, Error, ErrorKind, route::Route};

/// The cluster that a server belongs to, if any (`/1.0/cluster`). Needs the API extension `clustering`.
///
/// A pool or volume seen from one member comes from [`PoolHandle::with_target`](crate::PoolHandle::with_target), a pool
/// on all members from [`StoragePools::create_on_members`](crate::StoragePools::create_on_members), and a volume moves
/// by [`VolumeHandle::move_to_member`](crate::VolumeHandle::move_to_member).
///
/// ```
/// # async fn example(client: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
/// for member in client.cluster().members().await? {
///     println!("{} {} {}", member.server_name, member.url, member.status);
/// }
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(client)) }
/// ```
#[derive(Clone, Debug)]
pub struct Cluster {
    client: Client,
}

impl Cluster {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Whether the server belonged to a cluster when its description was last read.
    ///
    /// # Errors
    /// Trouble on the way.
    pub async fn is_clustered(&self) -> Result<bool, Error> {
        Ok(self.client.server().await?.environment.server_clustered)
    }

    /// The members, by name (`GET /1.0/cluster/members?recursion=1`). None for a server that stands alone.
    ///
    /// # Errors
    /// Trouble on the way.
    pub async fn members(&self) -> Result<Vec<ClusterMember>, Error> {
        // Of a server that stands alone some versions make an error of their own.
        if !self.is_clustered().await? && !self.client.refresh_server().await?.environment.server_clustered {
            return Ok(Vec::new());
        }
        let route = Route::new("/1.0/cluster/members").query("recursion", "1");
        let mut members: Vec<ClusterMember> = self.client.get(Ok(route), &["clustering"]).await?.decode()?;
        members.sort_by(|a, b| a.server_name.cmp(&b.server_name));
        Ok(members)
    }

    /// One member (`GET /1.0/cluster/members/<name>`).
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound), also on a server that stands alone.
    pub async fn member(&self, name: &str) -> Result<ClusterMember, Error> {
        if !self.is_clustered().await? && !self.client.refresh_server().await?.environment.server_clustered {
            return Err(Error::new(ErrorKind::NotFound, "the server belongs to no cluster"));
        }
        self.client.get(member_route(name), &["clustering"]).await?.decode()
    }

    /// What a member has, with how full each of its pools is (`GET /1.0/cluster/members/<name>/state`). Needs the API
    /// extension `cluster_member_state`, which LXD 5.0 lacks: there, ask each pool
    /// [seen from the member](crate::PoolHandle::with_target) for its [resources](crate::PoolHandle::resources).
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound); [`UnsupportedExtension`](ErrorKind::UnsupportedExtension).
    pub async fn member_state(&self, name: &str) -> Result<ClusterMemberState, Error> {
        let route = member_route(name).map(|route| route.literal("state"));
        self.client.get(route, &["cluster_member_state"]).await?.decode()
    }
}

fn member_route(name: &str) -> Result<Route, Error> {
    Route::new("/1.0/cluster/members").name("cluster member", name)
}
