//! What stands in the headers of the files API, in both directions.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use lxd_types::{FileInfo, FileOptions};

/// What an answer tells of the file.
pub(crate) fn info(headers: &HeaderMap) -> FileInfo {
    FileInfo::from_headers(|name| headers.get(name).and_then(|value| value.to_str().ok()))
}

/// The headers of something new.
pub(crate) fn of_new(file_type: &'static str, options: &FileOptions) -> HeaderMap {
    let mut headers = HeaderMap::new();
    // Without it a body may be taken for a form, which empties it before anybody reads the content.
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(HeaderName::from_static("x-incus-type"), HeaderValue::from_static(file_type));
    if let Some(uid) = options.uid {
        headers.insert(HeaderName::from_static("x-incus-uid"), HeaderValue::from(uid));
    }
    if let Some(gid) = options.gid {
        headers.insert(HeaderName::from_static("x-incus-gid"), HeaderValue::from(gid));
    }
    // With the leading zero, octal is what it is read as by everybody.
    let mode = options.mode.and_then(|mode| HeaderValue::try_from(format!("{:04o}", mode.bits())).ok());
    if let Some(mode) = mode {
        headers.insert(HeaderName::from_static("x-incus-mode"), mode);
    }
    let write = if options.append { "append" } else { "overwrite" };
    headers.insert(HeaderName::from_static("x-incus-write"), HeaderValue::from_static(write));
    headers
}

/// The headers that ask for a removal with all that is below.
pub(crate) fn of_removal(with_all_below: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if with_all_below {
        headers.insert(HeaderName::from_static("x-incus-force"), HeaderValue::from_static("true"));
    }
    headers
}

#[cfg(test)]
mod tests {
    use lxd_types::FileMode;

    use super::*;

    #[test]
    fn options_become_headers() {
        let options = FileOptions::new().with_uid(7).with_mode(FileMode::new(0o40).unwrap()).append();
        let headers = of_new("file", &options);
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!((text("x-incus-uid"), text("x-incus-gid")), (Some("7"), None));
        assert_eq!((text("x-incus-mode"), text("x-incus-write")), (Some("0040"), Some("append")));
        assert_eq!(text("content-type"), Some("application/octet-stream"));
    }
}
