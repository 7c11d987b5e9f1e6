//! From a file or stream to a volume.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use lxd_types::{Operation, VolumeType};

use crate::{
    Change, Error, ErrorKind, Upload, Volume, Volumes,
    created::told_name,
    doubt,
    object::Address as _,
    pending::{ChangeRequest, Done},
    route::check_name,
    transfer::Content,
};

impl Volumes {
    /// Makes a custom volume from a backup, under a name of yours or the one inside (`POST .../volumes/custom`, always
    /// in the background). Needs the API extension `custom_volume_backup`, and `backup_override_name` for a name.
    ///
    /// Give a name where you can: LXD 6.7 and later don't tell which name was inside, so that without one of yours the
    /// volume is made there and the call ends in [`Decode`](ErrorKind::Decode).
    ///
    /// The upload goes out in constant memory; the server unpacks it afterwards, about which
    /// [`Change::with_progress`] tells. An optimized backup goes into a pool of the same driver only.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for content that doesn't begin like a backup, before anything is
    /// sent; [`AlreadyExists`](ErrorKind::AlreadyExists) for the name; what the server says of the content
    /// ([`Server`](ErrorKind::Server), [`OperationFailed`](ErrorKind::OperationFailed)), also in the middle of it.
    pub fn import_backup(&self, upload: Upload, name: Option<&str>) -> Change<Volume> {
        let request = self.import_request(upload.must_be(Content::Archive), name, None);
        let request = request.map(|request| {
            let request = request.needs("custom_volume_backup");
            if name.is_some() { request.needs("backup_override_name") } else { request }
        });
        self.import(request, name)
    }

    /// Makes a custom volume of content type `iso` from an ISO image (`POST .../volumes/custom`, always in the
    /// background). Needs the API extension `custom_volume_iso`, which LXD 5.0 lacks.
    ///
    /// Servers take any content and call it an image; here the first 33 KiB are looked at for the primary volume
    /// descriptor that every image has, so compressed ones are refused too.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for what is no ISO image, before anything of it is sent; else as
    /// [`import_backup`](Self::import_backup).
    pub fn import_iso(&self, upload: Upload, name: &str) -> Change<Volume> {
        let request = self.import_request(upload.must_be(Content::Iso), Some(name), Some("iso"));
        self.import(request.map(|request| request.needs("custom_volume_iso")), Some(name))
    }

    /// Makes a custom volume with a filesystem from the files in a tarball (`POST .../volumes/custom`, always in the
    /// background). Needs the API extension `import_custom_volume_tar`, which only LXD from 5.21.5 and 6.6 has.
    ///
    /// # Errors
    /// As [`import_backup`](Self::import_backup).
    pub fn import_tar(&self, upload: Upload, name: &str) -> Change<Volume> {
        let request = self.import_request(upload.must_be(Content::Archive), Some(name), Some("tar"));
        self.import(request.map(|request| request.needs("import_custom_volume_tar")), Some(name))
    }

    fn import_request(
        &self,
        upload: Upload,
        name: Option<&str>,
        kind: Option<&'static str>,
    ) -> Result<ChangeRequest, Error> {
        let client = self.pool().client();
        let mut request = ChangeRequest::new(Method::POST, client.scoped(self.route()?.literal("custom")));
        if let Some(name) = name {
            check_name("volume", name)?;
            let volume = self.pool().volume(VolumeType::Custom, name);
            // Servers take the whole upload first.
            request = request.if_free(volume.scoped()?, volume.in_words());
            request = request.leaving(doubt::made(&volume.in_words()));
        } else {
            let nameless = format!("a volume in pool {:?}, under the name inside,", self.pool().name());
            request = request.leaving(doubt::made(&nameless));
        }
        Ok(request.upload(upload, headers(name, kind)?))
    }

    fn import(&self, request: Result<ChangeRequest, Error>, name: Option<&str>) -> Change<Volume> {
        let (pool, name) = (self.pool().clone(), name.map(str::to_owned));
        Change::new(self.pool().client(), request, move |done| async move {
            pool.volume(VolumeType::Custom, name_of(name, done, "storage_volumes")?).get().await
        })
    }
}

/// The headers of content that is to become something on the server.
pub(crate) fn headers(name: Option<&str>, kind: Option<&'static str>) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    // Compared letter by letter; anything else would be read as JSON.
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    if let Some(kind) = kind {
        both(&mut headers, "type", &HeaderValue::from_static(kind))?;
    }
    if let Some(name) = name {
        both(&mut headers, "name", &in_header(name)?)?;
    }
    Ok(headers)
}

/// Sets a header for both families, each of which ignores the other's.
fn both(headers: &mut HeaderMap, what: &str, value: &HeaderValue) -> Result<(), Error> {
    for family in ["x-lxd-", "x-incus-"] {
        let name = HeaderName::try_from(format!("{family}{what}"))
            .map_err(|error| Error::invalid("a header that cannot be").with_source(error))?;
        headers.insert(name, value.clone());
    }
    Ok(())
}

fn in_header(name: &str) -> Result<HeaderValue, Error> {
    if name.trim() != name {
        let message =
            format!("the name {name:?} of the volume begins or ends with a space, which an import loses");
        return Err(Error::invalid(message));
    }
    HeaderValue::from_bytes(name.as_bytes()).map_err(|error| {
        Error::invalid(format!("the name {name:?} cannot stand in a header")).with_source(error)
    })
}

/// What is made is there by then.
const NOT_TOLD: &str =
    "the server did it and doesn't say how it named what it made; give a name to be sure of it";

/// The name that was asked for, or else the one that was in the content.
pub(crate) fn name_of(asked: Option<String>, done: Done, kind: &str) -> Result<String, Error> {
    let operation: Operation = match (asked, done) {
        (Some(name), _) => return Ok(name),
        (None, Done::Operation(operation)) => *operation,
        (None, Done::AtOnce(answer)) => answer.decode()?,
    };
    told_name(&operation, kind).ok_or_else(|| Error::new(ErrorKind::Decode, NOT_TOLD))
}
