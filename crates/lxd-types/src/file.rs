//! Files inside a volume, as servers tell of them: in headers.

use crate::{FileMode, Timestamp};

open_enum! {
    /// What is at a path inside a volume.
    ///
    /// Servers know three types. Pipes, sockets and devices pass for files.
    pub enum FileType {
        /// A file.
        File = "file",
        /// A directory.
        Directory = "directory",
        /// A symbolic link.
        Symlink = "symlink",
    }
}

/// What a server tells of a file, directory or symbolic link inside a volume.
///
/// What an answer does not tell, or tells in a way that can't be read, is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileInfo {
    /// File, directory or symbolic link.
    pub file_type: FileType,
    /// The number of the user who owns it.
    pub uid: Option<u32>,
    /// The number of the group that owns it.
    pub gid: Option<u32>,
    /// The permissions.
    pub mode: Option<FileMode>,
    /// When it was written last, to the second.
    pub modified: Option<Timestamp>,
    /// The length in bytes; of files only.
    pub size: Option<u64>,
}

impl FileInfo {
    /// Reads it out of an answer, whose header of a name `header` gives. The case of names does not count in HTTP; they
    /// are asked for in lower case here.
    ///
    /// ```
    /// use lxd_types::{FileInfo, FileType};
    ///
    /// let info = FileInfo::from_headers(|name| match name {
    ///     "x-incus-type" => Some("file"),
    ///     "x-incus-mode" => Some("0640"),
    ///     "x-incus-modified" => Some("2026-11-24 15:08:49 +0000 UTC"),
    ///     "content-length" => Some("5"),
    ///     _ => None,
    /// });
    /// assert_eq!((info.file_type, info.size), (FileType::File, Some(5)));
    /// assert_eq!(info.mode.unwrap().bits(), 0o640);
    /// assert_eq!(info.modified, "2026-11-24T15:08:49Z".parse().ok());
    /// ```
    #[must_use]
    pub fn from_headers<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Self {
        let file_type = FileType::from(header("x-incus-type").unwrap_or_default());
        // A link's is that of the target's path, and only where the answer brings that along.
        let size = header("content-length").filter(|_| file_type == FileType::File);
        Self {
            uid: header("x-incus-uid").and_then(|text| text.parse().ok()),
            gid: header("x-incus-gid").and_then(|text| text.parse().ok()),
            mode: header("x-incus-mode").and_then(|text| text.parse().ok()),
            modified: header("x-incus-modified").and_then(time),
            size: size.and_then(|text| text.parse().ok()),
            file_type,
        }
    }
}

/// A time as Go prints it: `2026-11-24 15:08:49.5 +0000 UTC`.
fn time(text: &str) -> Option<Timestamp> {
    let mut parts = text.split_whitespace();
    let (day, clock, zone) = (parts.next()?, parts.next()?, parts.next()?);
    let (hours, minutes) = zone.split_at_checked(3)?;
    format!("{day}T{clock}{hours}:{minutes}").parse().ok()
}

/// How a file or directory comes into being inside a volume. Without anything said it belongs to user and group 0, with
/// the permissions 644 for a file and 755 for a directory, and replaces the content of a file that is there.
///
/// Owner and permissions are those of something new. Servers leave them as they are where the file or directory is
/// there already.
///
/// ```
/// use lxd_types::{FileMode, FileOptions};
///
/// let options = FileOptions::new().with_uid(1000).with_gid(1000).with_mode(FileMode::new(0o600).unwrap());
/// assert!(!options.append);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileOptions {
    /// The number of the user who is to own it.
    pub uid: Option<u32>,
    /// The number of the group that is to own it.
    pub gid: Option<u32>,
    /// The permissions.
    pub mode: Option<FileMode>,
    /// Whether the content goes to the end of a file, which has to be there.
    pub append: bool,
}

impl FileOptions {
    /// As the server does by itself.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the number of the user who is to own it.
    #[must_use]
    pub fn with_uid(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// Sets the number of the group that is to own it.
    #[must_use]
    pub fn with_gid(mut self, gid: u32) -> Self {
        self.gid = Some(gid);
        self
    }

    /// Sets the permissions.
    #[must_use]
    pub fn with_mode(mut self, mode: FileMode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Lets the content go to the end of a file, which has to be there. Directories have none.
    #[must_use]
    pub fn append(mut self) -> Self {
        self.append = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_go_are_read() {
        for (text, expected) in [
            ("2026-11-24 15:08:49 +0000 UTC", Some("2026-11-24T15:08:49Z")),
            ("2026-11-24 15:08:49.25 -0330 NST", Some("2026-11-24T18:38:49.25Z")),
            ("2026-11-24 15:08:49", None),
            ("2026-11-24 15:08:49 é UTC", None),
            ("", None),
        ] {
            assert_eq!(time(text), expected.map(|text| text.parse().unwrap()), "{text:?}");
        }
    }

    #[test]
    fn what_is_not_told_or_makes_no_sense_is_none() {
        assert_eq!(FileInfo::from_headers(|_| None), FileInfo::default());
        let info = FileInfo::from_headers(|_| Some("-1"));
        assert_eq!((info.uid, info.mode, info.modified, info.size), (None, None, None, None));
        assert!(info.file_type.is_unknown());
    }

    #[test]
    fn only_files_have_a_size() {
        let info = |file_type| {
            FileInfo::from_headers(move |name| match name {
                "x-incus-type" => Some(file_type),
                "content-length" => Some("7"),
                _ => None,
            })
        };
        assert_eq!(info("file").size, Some(7));
        assert_eq!((info("directory").size, info("symlink").size), (None, None));
    }
}
