//! Paths inside a volume: the only place that judges them.

use crate::Error;

/// Refuses what is no path from the root of a volume. Anything else is the server's to judge and goes out encoded.
///
/// Servers take a relative path for one from the root, and `..` at the root for the root; whoever sends such a thing
/// meant something else.
pub(crate) fn check(path: &str) -> Result<(), Error> {
    let wrong = if path.is_empty() {
        "is empty"
    } else if !path.starts_with('/') {
        "does not begin with \"/\", which is the root of the volume"
    } else if path.contains('\0') {
        "has a NUL in it"
    } else if path.split('/').any(|name| name == "..") {
        "has \"..\" in it"
    } else {
        return Ok(());
    };
    Err(Error::invalid(format!("the path {path:?} inside the volume {wrong}")))
}

/// Refuses the root too, in whichever way it is written, for what must not happen to it.
pub(crate) fn check_below_root(path: &str) -> Result<(), Error> {
    check(path)?;
    if is_root(path) {
        return Err(Error::invalid(format!("the path {path:?} is the root of the volume")));
    }
    Ok(())
}

/// Whether it is the root, in whichever way it is written.
pub(crate) fn is_root(path: &str) -> bool {
    names(path).next().is_none()
}

/// The directory that it is in; none for what is in the root.
pub(crate) fn above(path: &str) -> Option<String> {
    let mut names: Vec<&str> = names(path).collect();
    names.pop();
    (!names.is_empty()).then(|| format!("/{}", names.join("/")))
}

fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|name| !name.is_empty() && *name != ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_are_paths() {
        for path in ["/", "/a b", "/a..b", "/...", "/%2e%2e", "/é\n?+", "/a//b/", "/."] {
            check(path).unwrap();
        }
    }

    #[test]
    fn what_is_no_path_is_refused_by_value() {
        for (path, why) in [
            ("", "empty"),
            ("a", "begin"),
            ("./a", "begin"),
            ("/a\0b", "NUL"),
            ("/..", ".."),
            ("/a/../b", ".."),
            ("/a/..", ".."),
        ] {
            let error = check(path).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::InvalidInput);
            let text = error.to_string();
            assert!(text.contains(why) && text.contains(&format!("{path:?}")), "{text}");
        }
    }

    #[test]
    fn what_is_above_is_found() {
        for (path, expected) in [
            ("/a/b", Some("/a")),
            ("/a//b/./", Some("/a")),
            ("/a/b/c d", Some("/a/b")),
            ("/a", None),
            ("/./a/", None),
            ("/", None),
        ] {
            assert_eq!(above(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn the_root_is_known_in_disguise() {
        for path in ["/", "//", "/.", "/./"] {
            assert!(check_below_root(path).unwrap_err().to_string().contains("root"), "{path:?}");
        }
        check_below_root("/.a").unwrap();
    }
}
