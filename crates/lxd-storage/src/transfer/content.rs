//! What content is, as far as its beginning shows.

use crate::Error;

/// Where the primary volume descriptor of an ISO image has its mark: in the seventeenth sector, after one byte.
const ISO_MARK_AT: usize = 32_769;
const ISO_MARK: &[u8] = b"CD001";

/// A plain tarball has its mark in the middle of the first header.
const TAR_MARK_AT: usize = 257;
const TAR_MARK: &[u8] = b"ustar";

/// What content is to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Content {
    /// Anything.
    Any,
    /// Something that servers unpack.
    Archive,
    /// An ISO image.
    Iso,
}

impl Content {
    /// So many bytes from its beginning tell.
    pub(super) fn needed(self) -> usize {
        match self {
            Self::Any => 0,
            Self::Archive => TAR_MARK_AT + TAR_MARK.len(),
            Self::Iso => ISO_MARK_AT + ISO_MARK.len(),
        }
    }

    /// Refuses content that begins otherwise. `start` is shorter than what is needed only where that is all of it.
    pub(super) fn check(self, start: &[u8]) -> Result<(), Error> {
        match self {
            Self::Archive if !is_archive(start) => Err(Error::invalid(
                "this is no backup: it is neither a tarball, compressed or not, nor a squashfs image",
            )),
            Self::Iso if start.len() < self.needed() => {
                let message = format!("this is no ISO image: it ends after {} bytes", start.len());
                Err(Error::invalid(message))
            }
            Self::Iso if !start.ends_with(ISO_MARK) => {
                let message = format!(
                    "this is no ISO image: there is no \"CD001\" at byte {ISO_MARK_AT}, where its primary volume \
                     descriptor would be"
                );
                Err(Error::invalid(message))
            }
            _ => Ok(()),
        }
    }
}

fn is_archive(start: &[u8]) -> bool {
    const BEGINNINGS: [&[u8]; 7] = [
        b"\x1f\x8b",
        b"BZh",
        b"\xfd7zXZ",
        b"\x28\xb5\x2f\xfd",
        b"\x04\x22\x4d\x18",
        b"hsqs",
        b"\x5d\x00\x00",
    ];
    BEGINNINGS.iter().any(|beginning| start.starts_with(beginning))
        || start.get(TAR_MARK_AT..).is_some_and(|rest| rest.starts_with(TAR_MARK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_known_by_their_beginning() {
        let mut tar = vec![0_u8; 262];
        tar[257..262].copy_from_slice(b"ustar");
        for start in [&tar[..], b"\x1f\x8b\x08", b"hsqs", b"BZh9", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"] {
            Content::Archive.check(start).unwrap();
        }
        for start in [&b""[..], b"hello", &[0; 262], b"PK\x03\x04"] {
            assert!(Content::Archive.check(start).is_err(), "{start:?}");
        }
    }

    #[test]
    fn an_iso_image_is_known_by_its_descriptor() {
        let mut image = vec![0_u8; Content::Iso.needed()];
        let error = Content::Iso.check(&image).unwrap_err().to_string();
        assert!(error.contains("CD001") && error.contains("32769"), "{error}");
        let error = Content::Iso.check(&image[1..]).unwrap_err().to_string();
        assert!(error.contains("ends after 32773 bytes"), "{error}");
        image[32_769..].copy_from_slice(b"CD001");
        Content::Iso.check(&image).unwrap();
        assert!(Content::Iso.check(b"\x1f\x8b\x08").is_err() && Content::Any.check(b"").is_ok());
    }
}
