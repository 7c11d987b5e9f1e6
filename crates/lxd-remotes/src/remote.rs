//! One remote, as the config files describe it.

use std::fmt;

/// What a remote speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// The API of LXD.
    Lxd,
    /// The API of Incus.
    Incus,
    /// A list of images on a web server.
    Simplestreams,
    /// What this crate doesn't know.
    Other(String),
}

impl From<&str> for Protocol {
    fn from(text: &str) -> Self {
        match text {
            "lxd" => Self::Lxd,
            "incus" => Self::Incus,
            "simplestreams" => Self::Simplestreams,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Lxd => "lxd",
            Self::Incus => "incus",
            Self::Simplestreams => "simplestreams",
            Self::Other(text) => text,
        })
    }
}

/// How a remote wants to know who is calling.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Auth {
    /// By the client certificate.
    Tls,
    /// By a bearer token of an OpenID provider.
    Oidc,
    /// By Candid, which servers have given up.
    Candid,
    /// What this crate doesn't know.
    Other(String),
}

impl From<&str> for Auth {
    fn from(text: &str) -> Self {
        match text {
            "tls" => Self::Tls,
            "oidc" => Self::Oidc,
            "candid" => Self::Candid,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tls => "tls",
            Self::Oidc => "oidc",
            Self::Candid => "candid",
            Self::Other(text) => text,
        })
    }
}

/// Where a remote is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// In the user's folder.
    Own,
    /// In the folder that all users share.
    Shared,
    /// Nowhere: `local` is always there.
    BuiltIn,
}

/// A server or image server by its name. Reading it does no I/O.
///
/// ```no_run
/// # fn example(remotes: &lxd_remotes::Remotes) -> Result<(), lxd_remotes::Error> {
/// let remote = remotes.get("backup")?;
/// println!("{} at {:?}, project {:?}", remote.name(), remote.addresses(), remote.project());
/// # Ok(()) }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Remote {
    pub(crate) name: String,
    pub(crate) addresses: Vec<String>,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) auth: Option<Auth>,
    pub(crate) project: Option<String>,
    pub(crate) public: bool,
    pub(crate) fixed: bool,
    pub(crate) origin: Origin,
}

impl Remote {
    /// The server of this machine, which needs no entry.
    pub(crate) fn local() -> Self {
        Self {
            name: "local".to_owned(),
            addresses: vec!["unix://".to_owned()],
            protocol: None,
            auth: None,
            project: None,
            public: false,
            fixed: true,
            origin: Origin::BuiltIn,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is, in the order in which the addresses are tried: `https://host:port`, `unix:///path`, or `unix://` for
    /// the server of this machine wherever it is. The address that worked last comes first, where `incus` noted it.
    #[must_use]
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// What it speaks; `None` where the file leaves that open, as it does for `local` in LXD's.
    #[must_use]
    pub fn protocol(&self) -> Option<&Protocol> {
        self.protocol.as_ref()
    }

    /// How it wants to know who is calling; `None` where the file leaves that open, which stands for [`Auth::Tls`].
    #[must_use]
    pub fn auth(&self) -> Option<&Auth> {
        self.auth.as_ref()
    }

    /// The project that its client works in; `None` for the server's default.
    #[must_use]
    pub fn project(&self) -> Option<&str> {
        self.project.as_deref()
    }

    /// Whether it serves public images to anyone.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.public
    }

    /// Whether it can't be changed: it is built in, marked as static, or all users of the machine share it.
    #[must_use]
    pub fn is_static(&self) -> bool {
        self.fixed || self.origin != Origin::Own
    }

    /// Whether it has storage: image servers and public remotes have not.
    #[must_use]
    pub fn has_storage(&self) -> bool {
        !self.public && self.protocol != Some(Protocol::Simplestreams)
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<String> = self.addresses.iter().map(|address| without_login(address)).collect();
        f.debug_struct("Remote")
            .field("name", &self.name)
            .field("addresses", &addresses)
            .field("protocol", &self.protocol)
            .field("auth", &self.auth)
            .field("project", &self.project)
            .field("public", &self.public)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// An address for messages: image servers can have a password in theirs.
pub(crate) fn without_login(address: &str) -> String {
    match address.rsplit_once('@') {
        None => address.to_owned(),
        Some((before, host)) => {
            let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
            format!("{scheme}://***@{host}")
        }
    }
}

/// Names end up in file names and before the colon of `remote:volume`.
pub(crate) fn problem_with_name(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it is empty");
    }
    if name.starts_with('.') || name.starts_with('-') {
        return Some("it begins with a dot or dash");
    }
    name.chars()
        .any(|c| matches!(c, '/' | '\\' | ':') || c.is_whitespace() || c.is_control())
        .then_some("it has a slash, colon or space in it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_does_not_show() {
        assert_eq!(without_login("https://me:pw@h/x"), "https://***@h/x");
        assert_eq!(without_login("https://h:8443"), "https://h:8443");
        let remote = Remote { addresses: vec!["https://me:pw@h".to_owned()], ..Remote::local() };
        assert!(!format!("{remote:?}").contains("pw"));
    }

    #[test]
    fn names_that_would_leave_the_folder_are_refused() {
        for name in ["", "..", "a/b", "a:b", "a b", "-x", "a\n"] {
            assert!(problem_with_name(name).is_some(), "{name:?}");
        }
        for name in ["a", "backup-1", "é", "h.example"] {
            assert_eq!(problem_with_name(name), None, "{name:?}");
        }
    }

    #[test]
    fn unknown_words_are_kept() {
        assert_eq!(Protocol::from("new"), Protocol::Other("new".to_owned()));
        assert_eq!(
            (Protocol::from("new").to_string(), Auth::from("pki").to_string()),
            ("new".into(), "pki".into())
        );
    }
}
