//! Finding the server of this machine, where the field's own tools look for it.

use std::{
    error::Error as StdError,
    ffi::OsString,
    fmt, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{Error, ErrorKind, dial::unix::connect};

/// A local socket answers at once or not at all.
const LIMIT: Duration = Duration::from_secs(2);

/// Where one family's server may be.
struct Family {
    /// The variables that say where it is: by its socket, or by its folder. The first that is set wins.
    variables: [(&'static str, bool); 2],
    /// Where packages put the socket.
    places: [(&'static str, &'static str); 2],
    /// The socket for users who may only use a project of their own, beside the one in the server's folder.
    user_socket: Option<&'static str>,
    /// Where packages put that one.
    user_places: &'static [(&'static str, &'static str)],
}

/// One place to try.
#[derive(Clone, Debug, PartialEq)]
struct Candidate {
    origin: &'static str,
    path: PathBuf,
    for_users: bool,
}

const LXD: Family = Family {
    variables: [("LXD_SOCKET", false), ("LXD_DIR", true)],
    places: [
        ("the LXD snap", "/var/snap/lxd/common/lxd/unix.socket"),
        ("the LXD package", "/var/lib/lxd/unix.socket"),
    ],
    user_socket: None,
    user_places: &[("the LXD snap, for users", "/var/snap/lxd/common/lxd-user/unix.socket")],
};

const INCUS: Family = Family {
    variables: [("INCUS_SOCKET", false), ("INCUS_DIR", true)],
    places: [
        ("the Incus package", "/run/incus/unix.socket"),
        ("the Incus package", "/var/lib/incus/unix.socket"),
    ],
    user_socket: Some("unix.socket.user"),
    user_places: &[
        ("the Incus package, for users", "/run/incus/unix.socket.user"),
        ("the Incus package, for users", "/var/lib/incus/unix.socket.user"),
    ],
};

/// A server that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// Its socket.
    pub path: PathBuf,
    /// What led there: the variable, or the package whose place it is.
    pub origin: &'static str,
    /// The project of this user, `user-<uid>`, where the socket is the one for users: it lets into no other.
    pub project: Option<String>,
}

/// A place that was tried in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The socket.
    pub path: PathBuf,
    /// What led there: the variable, or the package whose place it is.
    pub origin: &'static str,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// There is none.
    Absent,
    /// It is not for this user.
    NoPermission,
    /// It is there, and nobody listens.
    NobodyListening,
    /// Something else, in the system's words.
    Other(String),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Absent,
            io::ErrorKind::PermissionDenied => Self::NoPermission,
            io::ErrorKind::ConnectionRefused => Self::NobodyListening,
            _ => Self::Other(error.to_string()),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "absent; install the server, or say where its socket is",
            Self::NoPermission => "no permission; add this user to the group lxd or incus-admin",
            Self::NobodyListening => "nobody listens; start the daemon",
            Self::Other(text) => text,
        })
    }
}

/// Finds a server that answers.
///
/// Where one of `LXD_SOCKET`, `LXD_DIR`, `INCUS_SOCKET`, `INCUS_DIR` is set, only what they name is tried, since who
/// names a server wants no other. Otherwise the places where packages put the sockets are tried: the LXD snap, LXD,
/// Incus; and after those, the sockets for users who may only use a project of their own ([`Found::project`]).
///
/// # Errors
/// [`Connect`](ErrorKind::Connect); its text lists what was tried and what to do, [`attempts`] has it typed.
///
/// ```no_run
/// # async fn example() -> Result<(), lxd_transport::Error> {
/// use lxd_transport::{HttpTransport, discover};
///
/// let found = discover::find().await?;
/// let transport = HttpTransport::unix(found.path);
/// # Ok(()) }
/// ```
pub async fn find() -> Result<Found, Error> {
    find_among(candidates(&[LXD, INCUS], |name| std::env::var_os(name))).await
}

/// Finds an LXD server that answers, as [`find`] does, with an eye for LXD's variables and places only.
///
/// # Errors
/// As [`find`].
pub async fn find_lxd() -> Result<Found, Error> {
    find_among(candidates(&[LXD], |name| std::env::var_os(name))).await
}

/// Finds an Incus server that answers, as [`find`] does, with an eye for Incus's variables and places only.
///
/// # Errors
/// As [`find`].
pub async fn find_incus() -> Result<Found, Error> {
    find_among(candidates(&[INCUS], |name| std::env::var_os(name))).await
}

/// What was tried before this error of [`find`], be it that error itself or one that was made out of it.
///
/// ```no_run
/// # async fn example() {
/// use lxd_transport::discover;
///
/// if let Err(error) = discover::find().await {
///     for attempt in discover::attempts(&error).unwrap_or_default() {
///         eprintln!("{} ({}): {}", attempt.path.display(), attempt.origin, attempt.problem);
///     }
/// }
/// # }
/// ```
#[must_use]
pub fn attempts<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a [Attempt]> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tried) = error.downcast_ref::<Tried>() {
            return Some(&tried.0);
        }
        next = error.source();
    }
    None
}

async fn find_among(candidates: Vec<Candidate>) -> Result<Found, Error> {
    let mut tried = Vec::new();
    for Candidate { origin, path, for_users } in candidates {
        match answers(&path).await {
            Ok(()) => {
                let project = if for_users { Some(own_project()?) } else { None };
                return Ok(Found { path, origin, project });
            }
            Err(problem) => tried.push(Attempt { path, origin, problem }),
        }
    }
    let list: Vec<String> = tried.iter().map(Attempt::to_string).collect();
    let message = format!("no server found, tried {}", list.join("; "));
    Err(Error::new(ErrorKind::Connect, message).with_source(Tried(tried)))
}

/// The project that the daemons behind the sockets for users make for this one.
fn own_project() -> Result<String, Error> {
    let me = std::fs::metadata("/proc/self")
        .map_err(|error| Error::new(ErrorKind::Connect, "cannot tell who this user is").with_source(error))?;
    Ok(format!("user-{}", me.uid()))
}

async fn answers(path: &Path) -> Result<(), Problem> {
    match tokio::time::timeout(LIMIT, connect(path)).await {
        Ok(outcome) => outcome.map(drop).map_err(Problem::from),
        Err(_) => Err(Problem::Other(format!("no connection within {LIMIT:?}"))),
    }
}

fn candidates(families: &[Family], variable: impl Fn(&str) -> Option<OsString>) -> Vec<Candidate> {
    let named = families.iter().filter_map(|family| {
        family.variables.into_iter().find_map(|(origin, is_folder)| {
            let value = variable(origin).filter(|value| !value.is_empty())?;
            let path = PathBuf::from(value);
            if !is_folder {
                return Some(vec![Candidate { origin, path, for_users: false }]);
            }
            let user_socket = family.user_socket.map(|name| (name, true));
            let sockets = [("unix.socket", false)].into_iter().chain(user_socket);
            let inside = |(name, for_users)| Candidate { origin, path: path.join(name), for_users };
            Some(sockets.map(inside).collect())
        })
    });
    let named = named.collect::<Vec<_>>().concat();
    if !named.is_empty() {
        return named;
    }
    let of_package = |for_users| {
        move |&(origin, path): &(&'static str, &str)| Candidate { origin, path: path.into(), for_users }
    };
    let places = families.iter().flat_map(|family| &family.places).map(of_package(false));
    places.chain(families.iter().flat_map(|family| family.user_places).map(of_package(true))).collect()
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.path.display(), self.origin, self.problem)
    }
}

/// The vain attempts, as the source of an error whose own line tells them already.
#[derive(Debug)]
struct Tried(Vec<Attempt>);

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "none of {} places has a server", self.0.len())
    }
}

impl StdError for Tried {}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(variables: &[(&str, &str)]) -> Vec<(&'static str, String)> {
        named_of(&[LXD, INCUS], variables)
    }

    fn named_of(families: &[Family], variables: &[(&str, &str)]) -> Vec<(&'static str, String)> {
        let lookup = |name: &str| {
            variables.iter().find(|(set, _)| *set == name).map(|(_, value)| OsString::from(value))
        };
        candidates(families, lookup)
            .into_iter()
            .map(|candidate| (candidate.origin, candidate.path.display().to_string()))
            .collect()
    }

    #[test]
    fn without_variables_the_packages_places_are_tried() {
        let places: Vec<String> = named(&[]).into_iter().map(|(_, path)| path).collect();
        let of_packages = [LXD, INCUS].map(|family| family.places.map(|(_, path)| path.to_owned())).concat();
        let (for_all, for_users) = places.split_at(of_packages.len());
        assert_eq!(for_all, of_packages);
        assert!(for_users.len() == 3 && for_users.iter().all(|path| path.contains("user")), "{for_users:?}");
        assert_eq!(named(&[("LXD_DIR", "")]).len(), places.len(), "an empty variable is an unset one");
    }

    #[test]
    fn who_asks_for_one_family_gets_no_other() {
        let variables = [("LXD_DIR", "/d"), ("INCUS_SOCKET", "/i")];
        assert_eq!(named_of(&[LXD], &variables), [("LXD_DIR", "/d/unix.socket".to_owned())]);
        assert_eq!(named_of(&[INCUS], &variables), [("INCUS_SOCKET", "/i".to_owned())]);
        let places = named_of(&[INCUS], &variables[..1]);
        assert!(places.iter().all(|(_, path)| path.contains("incus")), "{places:?}");
    }

    #[test]
    fn who_names_a_server_gets_no_other() {
        assert_eq!(named(&[("LXD_DIR", "/d")]), [("LXD_DIR", "/d/unix.socket".to_owned())]);
        assert_eq!(named(&[("LXD_SOCKET", "/s"), ("LXD_DIR", "/d")]), [("LXD_SOCKET", "/s".to_owned())]);
        assert_eq!(
            named(&[("INCUS_SOCKET", "/i"), ("LXD_DIR", "/d")]),
            [("LXD_DIR", "/d/unix.socket".to_owned()), ("INCUS_SOCKET", "/i".to_owned())]
        );
        let inside = ["/i/unix.socket", "/i/unix.socket.user"].map(|path| ("INCUS_DIR", path.to_owned()));
        assert_eq!(named(&[("INCUS_DIR", "/i")]), inside);
    }

    #[tokio::test]
    async fn the_error_lists_what_was_tried_and_what_is_wrong() {
        let folder = std::env::temp_dir().join(format!("lxdrs-discover-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let dead = folder.join("dead.sock");
        drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
        let absent = folder.join("absent.sock");
        let at = |origin, path: &Path| Candidate { origin, path: path.to_owned(), for_users: false };
        let error = find_among(vec![at("LXD_SOCKET", &absent), at("LXD_DIR", &dead)]).await.unwrap_err();
        let problems: Vec<_> =
            attempts(&error).unwrap().iter().map(|attempt| attempt.problem.clone()).collect();
        assert_eq!(problems, [Problem::Absent, Problem::NobodyListening]);
        let text = error.to_string();
        assert!(text.contains(&*absent.to_string_lossy()) && text.contains("start the daemon"), "{text}");

        let alive = folder.join("alive.sock");
        let listener = std::os::unix::net::UnixListener::bind(&alive).unwrap();
        let found = find_among(vec![at("LXD_SOCKET", &dead), at("INCUS_SOCKET", &alive)]).await.unwrap();
        assert_eq!((&found.path, found.origin, found.project), (&alive, "INCUS_SOCKET", None));
        let of_user = Candidate { for_users: true, ..at("INCUS_DIR", &alive) };
        let uid = std::fs::metadata(&folder).unwrap().uid();
        let project = find_among(vec![of_user]).await.unwrap().project;
        assert_eq!(project, Some(format!("user-{uid}")), "the folder is this user's own");
        drop(listener);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn problems_are_told_apart() {
        assert_eq!(Problem::from(io::Error::from(io::ErrorKind::PermissionDenied)), Problem::NoPermission);
        assert!(Problem::NoPermission.to_string().contains("group"));
    }
}
