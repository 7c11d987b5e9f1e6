//! Volumes as people write them: `[type/]volume[/snapshot]`.

use std::{fmt, str::FromStr};

use crate::VolumeType;

/// A volume, or one of its snapshots, as the command line clients take it: `[type/]volume[/snapshot]`.
///
/// Without a type a volume is `custom`. The first part is a type where it is one of the four that there are and another
/// part follows: `custom/a` is volume `a`, and a snapshot `a` of a volume called `custom` is written `custom/custom/a`.
/// What is displayed is read as the same again.
///
/// ```
/// use lxd_types::{VolumePath, VolumeType};
///
/// let path: VolumePath = "data/nightly".parse()?;
/// assert_eq!((path.name(), path.snapshot()), ("data", Some("nightly")));
///
/// let root: VolumePath = "container/web".parse()?;
/// assert_eq!((root.volume_type(), root.name()), (&VolumeType::Container, "web"));
/// assert_eq!(root.to_string(), "container/web");
///
/// assert!("a/b/c".parse::<VolumePath>().unwrap_err().to_string().contains("\"a\" is no type"));
/// # Ok::<(), lxd_types::VolumePathError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumePath {
    volume_type: VolumeType,
    name: String,
    snapshot: Option<String>,
}

/// Text that is no `[type/]volume[/snapshot]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumePathError {
    text: String,
    wrong: Wrong,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wrong {
    Empty,
    Type(String),
    TooLong,
}

impl VolumePath {
    /// A volume of one of the four types.
    ///
    /// # Errors
    /// An empty name, one with a slash, or a type that is not known.
    pub fn new(volume_type: VolumeType, name: impl Into<String>) -> Result<Self, VolumePathError> {
        Self { volume_type, name: name.into(), snapshot: None }.checked()
    }

    /// A snapshot of the volume.
    ///
    /// # Errors
    /// An empty name, or one with a slash.
    pub fn with_snapshot(self, snapshot: impl Into<String>) -> Result<Self, VolumePathError> {
        Self { snapshot: Some(snapshot.into()), ..self }.checked()
    }

    /// The volume's type.
    #[must_use]
    pub fn volume_type(&self) -> &VolumeType {
        &self.volume_type
    }

    /// The volume's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The snapshot, if it is one.
    #[must_use]
    pub fn snapshot(&self) -> Option<&str> {
        self.snapshot.as_deref()
    }

    fn checked(self) -> Result<Self, VolumePathError> {
        let names = [Some(&self.name), self.snapshot.as_ref()];
        let wrong = if self.volume_type.is_unknown() {
            Wrong::Type(self.volume_type.as_str().to_owned())
        } else if names.into_iter().flatten().any(String::is_empty) {
            Wrong::Empty
        } else if names.into_iter().flatten().any(|name| name.contains('/')) {
            Wrong::TooLong
        } else {
            return Ok(self);
        };
        Err(VolumePathError { text: self.to_string(), wrong })
    }
}

impl FromStr for VolumePath {
    type Err = VolumePathError;

    fn from_str(text: &str) -> Result<Self, VolumePathError> {
        let refuse = |wrong| Err(VolumePathError { text: text.to_owned(), wrong });
        let (volume_type, rest) = match text.split_once('/') {
            Some((first, rest)) if !VolumeType::from(first).is_unknown() => (VolumeType::from(first), rest),
            Some((first, rest)) if rest.contains('/') => {
                return refuse(if first.is_empty() { Wrong::Empty } else { Wrong::Type(first.to_owned()) });
            }
            _ => (VolumeType::Custom, text),
        };
        let mut names = rest.split('/');
        let (name, snapshot) = (names.next().unwrap_or_default(), names.next());
        if names.next().is_some() {
            return refuse(Wrong::TooLong);
        }
        if name.is_empty() || snapshot == Some("") {
            return refuse(Wrong::Empty);
        }
        Ok(Self { volume_type, name: name.to_owned(), snapshot: snapshot.map(str::to_owned) })
    }
}

impl fmt::Display for VolumePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A name that is also a type would be taken for one if a snapshot follows.
        let like_a_type = self.snapshot.is_some() && !VolumeType::from(&*self.name).is_unknown();
        if self.volume_type != VolumeType::Custom || like_a_type {
            write!(f, "{}/", self.volume_type.as_str())?;
        }
        f.write_str(&self.name)?;
        match &self.snapshot {
            Some(snapshot) => write!(f, "/{snapshot}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for VolumePathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.text;
        match &self.wrong {
            Wrong::Empty => write!(f, "{text:?} lacks a name; a volume is written [type/]volume[/snapshot]"),
            Wrong::Type(first) => write!(
                f,
                "{first:?} is no type of volume, as in {text:?}; there are custom, container, virtual-machine and image"
            ),
            Wrong::TooLong => {
                write!(f, "{text:?} has too many slashes; a volume is written [type/]volume[/snapshot]")
            }
        }
    }
}

impl std::error::Error for VolumePathError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(text: &str) -> (VolumeType, String, Option<String>) {
        let path: VolumePath = text.parse().unwrap();
        (path.volume_type, path.name, path.snapshot)
    }

    #[test]
    fn every_form_is_read() {
        for (text, volume_type, name, snapshot) in [
            ("a", "custom", "a", None),
            ("a/s", "custom", "a", Some("s")),
            ("custom/a", "custom", "a", None),
            ("custom/a/s", "custom", "a", Some("s")),
            ("container/a", "container", "a", None),
            ("virtual-machine/a b/s", "virtual-machine", "a b", Some("s")),
            ("image/0f", "image", "0f", None),
            // Alone it is a name; before a slash it is a type.
            ("container", "custom", "container", None),
            ("custom/custom/s", "custom", "custom", Some("s")),
            ("container/image", "container", "image", None),
        ] {
            let expected = (VolumeType::from(volume_type), name.to_owned(), snapshot.map(str::to_owned));
            assert_eq!(parts(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_volume_is_refused_by_value() {
        for (text, why) in [
            ("", "lacks a name"),
            ("/", "lacks a name"),
            ("a/", "lacks a name"),
            ("/s", "lacks a name"),
            ("custom/", "lacks a name"),
            ("custom//s", "lacks a name"),
            ("custom/a/", "lacks a name"),
            ("/a/s", "lacks a name"),
            ("quilt/a/s", "\"quilt\" is no type"),
            ("custom/a/s/t", "too many slashes"),
        ] {
            let error = text.parse::<VolumePath>().unwrap_err().to_string();
            assert!(error.contains(why) && error.contains(&format!("{text:?}")), "{error}");
        }
        assert!(VolumePath::new(VolumeType::Custom, "a/b").is_err());
        assert!(VolumePath::new("quilt".into(), "a").is_err());
        let volume = VolumePath::new(VolumeType::Custom, "a").unwrap();
        assert!(volume.clone().with_snapshot("").is_err() && volume.with_snapshot("s/t").is_err());
    }

    proptest! {
        #[test]
        fn what_is_displayed_is_read_as_the_same(
            volume_type in 0..4_usize,
            name in "custom|image|[^/]{1,9}",
            snapshot in proptest::option::of("image|[^/]{1,9}"),
        ) {
            let types =
                [VolumeType::Custom, VolumeType::Container, VolumeType::VirtualMachine, VolumeType::Image];
            let mut path = VolumePath::new(types[volume_type].clone(), name).unwrap();
            if let Some(snapshot) = snapshot {
                path = path.with_snapshot(snapshot).unwrap();
            }
            prop_assert_eq!(path.to_string().parse::<VolumePath>(), Ok(path));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            if let Ok(path) = text.parse::<VolumePath>() {
                prop_assert_eq!(path.to_string().parse::<VolumePath>(), Ok(path));
            }
        }
    }
}
