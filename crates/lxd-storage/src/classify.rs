//! From what a server says to the kind of our error.
//!
//! The code decides. Texts are looked at only where servers give one code for different things and users have to
//! tell them apart; each such place says which server it is for.

use http::{Method, StatusCode};

use crate::{Error, ErrorKind};

/// The error that a server's error answer stands for.
pub(crate) fn server_error(method: &Method, path: &str, status: StatusCode, code: u16, text: &str) -> Error {
    let code = if code == 0 { status.as_u16() } else { code };
    Error::new(kind(method, path, code, text), text).said_by_server(code).with_status(status)
}

fn kind(method: &Method, path: &str, code: u16, text: &str) -> ErrorKind {
    match code {
        400 | 423 if says_in_use(text) => ErrorKind::InUse,
        400.. if says_limit(text) => ErrorKind::LimitReached,
        500 if says_no_space(text) => ErrorKind::NoSpace,
        // Incus calls the request for a bitmap that isn't there a bad one.
        400 if *method == Method::GET && says_not_found(text) && is_of_a_bitmap(path) => ErrorKind::NotFound,
        400 => ErrorKind::InvalidInput,
        401 | 403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        409 if *method == Method::POST => ErrorKind::AlreadyExists,
        412 => ErrorKind::PreconditionFailed,
        423 => ErrorKind::InUse,
        // Every server answers 500 when the pool of `/resources` doesn't exist.
        500 if says_not_found(text) && path_without_query(path).ends_with("/resources") => {
            ErrorKind::NotFound
        }
        // Every server answers 500 when the snapshot to restore doesn't exist; other names can't end like this.
        500 if *method == Method::PUT && text.ends_with("Snapshot not found") => ErrorKind::NotFound,
        // Two creations of a pool at once: the loser runs into the database's own check.
        500 if *method == Method::POST
            && path_without_query(path) == "/1.0/storage-pools"
            && says_exists(text) =>
        {
            ErrorKind::AlreadyExists
        }
        // The same of volumes, on LXD 5.0 and Incus 6.0.
        500 if *method == Method::POST
            && path_without_query(path).ends_with("/volumes/custom")
            && says_taken_in_database(text) =>
        {
            ErrorKind::AlreadyExists
        }
        _ => ErrorKind::Server,
    }
}

/// Deleting a pool or volume in use is a plain 400 on every server.
pub(crate) fn says_in_use(text: &str) -> bool {
    text.contains("in use")
}

/// A limit of the project, in the words of LXD 5.0 and all Incus.
pub(crate) fn says_limit(text: &str) -> bool {
    text.contains("Reached maximum ")
}

/// The kernel's words, as servers hand them on from the programs that they run, and as Go writes them.
const FULL: [&str; 4] =
    ["No space left on device", "no space left on device", "Disk quota exceeded", "disk quota exceeded"];

pub(crate) fn says_no_space(text: &str) -> bool {
    FULL.iter().any(|words| text.contains(words))
}

fn says_not_found(text: &str) -> bool {
    text.ends_with("not found")
}

fn says_exists(text: &str) -> bool {
    text.contains("already exists") || says_taken_in_database(text)
}

fn says_taken_in_database(text: &str) -> bool {
    text.contains("UNIQUE constraint failed")
}

fn is_of_a_bitmap(path: &str) -> bool {
    path_without_query(path).rsplit('/').nth(1) == Some("bitmaps")
}

fn path_without_query(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_the_few_texts_decide() {
        assert_eq!(kind(&Method::GET, "/x", 404, ""), ErrorKind::NotFound);
        assert_eq!(kind(&Method::POST, "/x", 409, ""), ErrorKind::AlreadyExists);
        assert_eq!(kind(&Method::GET, "/x", 409, "more than one member"), ErrorKind::Server);
        assert_eq!(kind(&Method::PUT, "/x", 412, ""), ErrorKind::PreconditionFailed);
        assert_eq!(
            kind(&Method::DELETE, "/x", 400, "The storage pool is currently in use"),
            ErrorKind::InUse
        );
        assert_eq!(kind(&Method::PUT, "/x", 400, "Invalid option"), ErrorKind::InvalidInput);
        let gone = |path| kind(&Method::GET, path, 400, "Bitmap \"b\" not found");
        assert_eq!(gone("/v/bitmaps/b?project=x"), ErrorKind::NotFound);
        assert_eq!(gone("/v/bitmaps"), ErrorKind::InvalidInput);
        let limit = "Reached maximum aggregate value \"1GiB\" for \"limits.disk\" in project \"p\"";
        assert_eq!(kind(&Method::POST, "/x", 500, limit), ErrorKind::LimitReached);
        for full in [
            "rsync: write f: No space left on device (28)",
            "write /f: no space left on device",
            "write /f: disk quota exceeded",
        ] {
            assert_eq!(kind(&Method::POST, "/x", 500, full), ErrorKind::NoSpace);
        }
        assert_eq!(
            kind(&Method::GET, "/p/resources?project=a", 500, "Storage pool not found"),
            ErrorKind::NotFound
        );
        assert_eq!(kind(&Method::GET, "/p", 500, "Storage pool not found"), ErrorKind::Server);
        let pools = "/1.0/storage-pools";
        assert_eq!(kind(&Method::POST, pools, 500, "The pool already exists"), ErrorKind::AlreadyExists);
        // Of a volume LXD says so too when its name is too long for the file system.
        assert_eq!(kind(&Method::POST, "/p/volumes/custom", 500, "path already exists"), ErrorKind::Server);
        let lost =
            "Error inserting volume \"v\" into database \"UNIQUE constraint failed: storage_volumes.name\"";
        assert_eq!(kind(&Method::POST, "/p/volumes/custom?project=x", 500, lost), ErrorKind::AlreadyExists);
        assert_eq!(kind(&Method::GET, "/p", 503, ""), ErrorKind::Server);
    }
}
