//! From a file or stream to a bucket.

use http::Method;

use super::{Bucket, Buckets};
use crate::{
    Change, Error, Upload, check, doubt,
    import::{headers, name_of},
    object::Address as _,
    pending::ChangeRequest,
    transfer::Content,
};

impl Buckets {
    /// Makes a bucket from a backup, under a name of yours or the one inside (`POST .../buckets`, always in the
    /// background). Needs the API extension `storage_bucket_backup`, which only Incus has.
    ///
    /// The upload goes out in constant memory; the server unpacks it afterwards, about which
    /// [`Change::with_progress`] tells. The keys come back too, with the credentials that they had. Since an access key
    /// opens one bucket only, the bucket that the backup is of must be gone from the server, or its keys renewed.
    ///
    /// ```
    /// # async fn example(buckets: lxd_storage::Buckets) -> Result<(), lxd_storage::Error> {
    /// use lxd_storage::Upload;
    ///
    /// let upload = Upload::file("photos.tar.gz").await?.with_progress(|done| println!("{done}"));
    /// let photos = buckets.import_backup(upload, Some("photos-again")).await?;
    /// # Ok(()) }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() { on_emulator!(example(buckets) in packed) }
    /// ```
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a name against the rules of S3 or content that doesn't
    /// begin like a backup, before anything is sent; [`AlreadyExists`](crate::ErrorKind::AlreadyExists) for the name;
    /// [`OperationFailed`](crate::ErrorKind::OperationFailed) for an access key that is in use, and what else the
    /// server says of the content.
    pub fn import_backup(&self, upload: Upload, name: Option<&str>) -> Change<Bucket> {
        let request = self.import_request(upload.must_be(Content::Archive), name);
        let (pool, name) = (self.pool.clone(), name.map(str::to_owned));
        Change::new(self.pool.client(), request, move |done| async move {
            pool.bucket(name_of(name, done, "storage_buckets")?).get().await
        })
    }

    fn import_request(&self, upload: Upload, name: Option<&str>) -> Result<ChangeRequest, Error> {
        let route = self.pool.client().scoped(self.route()?);
        let mut request = ChangeRequest::new(Method::POST, route).needs("storage_bucket_backup");
        if let Some(name) = name {
            check::bucket_name(name)?;
            let bucket = self.pool.bucket(name);
            // Servers take the whole upload first.
            request = request.if_free(bucket.scoped()?, bucket.in_words());
            request = request.leaving(doubt::made(&bucket.in_words()));
        } else {
            let nameless = format!("a bucket in pool {:?}, under the name inside,", self.pool.name());
            request = request.leaving(doubt::made(&nameless));
        }
        Ok(request.upload(upload, headers(name, None)?))
    }
}
