//! References to objects: the URLs of `used_by`, typed.

use crate::{
    Entity, Environment, ServerFamily,
    entity::{Encoded, percent_decode},
};

/// A reference to an object: what it is, and in which project and on which cluster member. In `used_by` it is a user of a
/// pool or volume; of an event, [`Event::reference`](crate::Event::reference) makes one.
///
/// ```
/// use lxd_types::{Entity, Reference, VolumeType};
///
/// let user = Reference::parse("/1.0/storage-pools/fast/volumes/custom/my%20data?project=blue&target=node1");
/// assert_eq!(user.project(), "blue");
/// assert_eq!(user.member.as_deref(), Some("node1"));
/// assert_eq!(
///     user.entity,
///     Entity::Volume { pool: "fast".into(), volume_type: VolumeType::Custom, name: "my data".into() }
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reference {
    /// What it is.
    pub entity: Entity,
    /// The project, where the server named one. It names none for `default`.
    pub project: Option<String>,
    /// The cluster member, where the server named one.
    pub member: Option<String>,
    /// The URL as the server wrote it. Not safe to send back: some servers encode it twice, some not at all.
    pub url: String,
}

impl Reference {
    /// Reads a URL of `used_by`. Nothing is an error: a form that we don't know is [`Entity::Other`].
    ///
    /// It is not for the `source` of a lifecycle event, which looks like such a URL and has other names in it; that is
    /// what [`Event::reference`](crate::Event::reference) reads.
    #[must_use]
    pub fn parse(url: &str) -> Self {
        Self::read(url, Encoded::Once)
    }

    /// Reads a URL of `used_by` from LXD 5.0.0 to 5.0.2, which encode the names of volumes twice.
    #[must_use]
    pub fn parse_twice_encoded(url: &str) -> Self {
        Self::read(url, Encoded::Twice)
    }

    /// Reads a URL of `used_by` in the way of the server that wrote it.
    ///
    /// ```
    /// use lxd_types::{Environment, Reference};
    ///
    /// let server: Environment = serde_json::from_str(r#"{"server":"lxd","server_version":"5.0.2"}"#)?;
    /// let url = "/1.0/storage-pools/fast/volumes/custom/my%2520data";
    /// assert_eq!(Reference::parse_of(&server, url), Reference::parse_twice_encoded(url));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn parse_of(server: &Environment, url: &str) -> Self {
        // No API extension tells, so this is the one place where a version is looked at.
        let twice = server.server == ServerFamily::Lxd
            && ["5.0.0", "5.0.1", "5.0.2"].contains(&&*server.server_version);
        if twice { Self::parse_twice_encoded(url) } else { Self::parse(url) }
    }

    /// The project: `default` where the server named none.
    #[must_use]
    pub fn project(&self) -> &str {
        self.project.as_deref().unwrap_or("default")
    }

    fn read(url: &str, encoded: Encoded) -> Self {
        let without_fragment = url.split_once('#').map_or(url, |(url, _)| url);
        let (path, query) = without_fragment.split_once('?').unwrap_or((without_fragment, ""));
        let parameter = |name: &str| {
            let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            value.map(|value| percent_decode(&value.replace('+', " ")))
        };
        Self {
            entity: Entity::from_path(path, encoded),
            project: parameter("project"),
            member: parameter("target"),
            url: url.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn project_and_member_are_read() {
        let reference = Reference::parse("/1.0/instances/c1?project=a%20b&target=m+1");
        assert_eq!((reference.project(), reference.member.as_deref()), ("a b", Some("m 1")));
        assert_eq!(Reference::parse("/1.0/instances/c1").project(), "default");
    }

    #[test]
    fn old_servers_encode_twice() {
        let url = "/1.0/storage-pools/p/volumes/custom/ra%2520%25C3%25A9%2525";
        let Entity::Volume { name, .. } = Reference::parse_twice_encoded(url).entity else { panic!() };
        assert_eq!(name, "ra é%");
        let Entity::Volume { name, .. } = Reference::parse(url).entity else { panic!() };
        assert_eq!(name, "ra%20%C3%A9%25");
    }

    proptest! {
        #[test]
        fn no_url_panics(url in ".{0,80}") {
            let _ = (Reference::parse(&url), Reference::parse_twice_encoded(&url));
        }
    }
}
