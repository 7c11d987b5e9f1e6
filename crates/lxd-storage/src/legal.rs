//! What servers do with volumes of each type and content, so that the rest is refused before it is sent.

use http::Method;
use lxd_types::{ContentType, VolumeType};

use crate::{Error, VolumeHandle};

impl VolumeHandle {
    /// Refuses what servers do with custom volumes only.
    pub(crate) fn only_custom(&self, what: &str) -> Result<(), Error> {
        self.refuse_unless(*self.volume_type() == VolumeType::Custom, what, "")
    }

    /// Refuses a request to the volume itself that its type doesn't take.
    pub(crate) fn takes_method(&self, method: &Method) -> Result<(), Error> {
        match *method {
            Method::POST => self.only_custom("rename or move"),
            Method::PATCH => self.refuse_unless(
                *self.volume_type() == VolumeType::Custom,
                "patch",
                "; `edit` reads, changes and replaces it as a whole",
            ),
            Method::DELETE => self.refuse_unless(
                !matches!(self.volume_type(), VolumeType::Container | VolumeType::VirtualMachine),
                "delete",
                "; it goes with its instance",
            ),
            _ => Ok(()),
        }
    }

    /// Refuses changes of keys where the content is one that has its keys for good.
    pub(crate) fn content_takes_keys(&self, content_type: &ContentType) -> Result<(), Error> {
        if *content_type != ContentType::Iso {
            return Ok(());
        }
        let message = format!(
            "the keys of volume {:?} cannot be changed, since its content is an ISO image; its description can",
            self.name()
        );
        Err(Error::invalid(message))
    }

    fn refuse_unless(&self, legal: bool, what: &str, instead: &str) -> Result<(), Error> {
        if legal {
            return Ok(());
        }
        let message = format!(
            "cannot {what} volume {:?}: it is of type {:?}, and servers do so with type \"custom\"{instead}",
            self.name(),
            self.volume_type().as_str()
        );
        Err(Error::invalid(message))
    }
}
