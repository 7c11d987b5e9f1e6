//! Permissions, in octal digits.

use std::{fmt, str::FromStr};

use crate::ParseError;

/// The permissions of a file or folder, in octal digits: `711`.
///
/// The key `initial.mode` holds those of a new volume's topmost folder; there servers take any octal number, even one below
/// zero, and here it is what permissions can be. [`FileOptions`](crate::FileOptions) give them to a file or folder inside a
/// volume, and [`FileInfo`](crate::FileInfo) says which it has.
///
/// ```
/// use lxd_types::FileMode;
///
/// assert_eq!(FileMode::new(0o750).unwrap().to_string(), "750");
/// assert_eq!("0750".parse::<FileMode>()?.bits(), 0o750);
/// assert!("789".parse::<FileMode>().is_err());
/// # Ok::<(), lxd_types::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileMode(u16);

impl FileMode {
    /// These bits; `None` beyond `0o7777`.
    #[must_use]
    pub const fn new(bits: u16) -> Option<Self> {
        if bits <= 0o7777 { Some(Self(bits)) } else { None }
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:o}", self.0))
    }
}

impl FromStr for FileMode {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        // Of what `from_str_radix` takes, the sign is not for permissions.
        let bits = u16::from_str_radix(text, 8).ok().filter(|_| !text.starts_with('+'));
        bits.and_then(Self::new)
            .ok_or_else(|| ParseError::new(text, "is not a set of permissions in octal digits, at most 7777"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_parses_back() {
        for mode in (0..=0o7777).filter_map(FileMode::new) {
            assert_eq!(mode.to_string().parse::<FileMode>().unwrap(), mode);
        }
        assert_eq!(FileMode::new(0o10000), None);
    }

    #[test]
    fn refuses_what_is_none() {
        for text in ["", "+711", "-711", "0o711", "8", "rwx", "10000"] {
            assert!(text.parse::<FileMode>().is_err(), "{text:?}");
        }
    }
}
