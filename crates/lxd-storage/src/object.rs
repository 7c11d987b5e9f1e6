//! What a handle with state keeps of its object.

use crate::{ETag, Error, ErrorKind};

/// An object as it was read and perhaps edited since.
#[derive(Clone, Debug)]
pub(crate) struct Local<T> {
    object: T,
    /// As it was read, kept only once the object was edited.
    before: Option<Box<T>>,
    etag: Option<ETag>,
    listed: bool,
    deleted: bool,
}

impl<T: Clone> Local<T> {
    /// An object read by itself.
    pub(crate) fn read(object: T, etag: Option<ETag>) -> Self {
        Self { object, before: None, etag, listed: false, deleted: false }
    }

    /// An object out of a list, which brings no ETags.
    pub(crate) fn listed(object: T) -> Self {
        Self { listed: true, ..Self::read(object, None) }
    }

    pub(crate) fn is_listed(&self) -> bool {
        self.listed
    }

    /// The object without the edits.
    pub(crate) fn as_read(&self) -> &T {
        self.before.as_deref().unwrap_or(&self.object)
    }

    pub(crate) fn object(&self) -> &T {
        &self.object
    }

    pub(crate) fn etag(&self) -> Option<&ETag> {
        self.etag.as_ref()
    }

    pub(crate) fn edit(&mut self) -> &mut T {
        if self.before.is_none() {
            self.before = Some(Box::new(self.object.clone()));
        }
        &mut self.object
    }

    pub(crate) fn mark_deleted(&mut self) {
        self.deleted = true;
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// Fails if the object is no longer what it was when it was read.
    pub(crate) fn still_as_read(&self, now: &T, same: impl Fn(&T, &T) -> bool) -> Result<(), Error> {
        if same(self.as_read(), now) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::PreconditionFailed, "it is no longer as it was when it was listed"))
    }
}
