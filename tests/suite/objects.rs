//! Objects of buckets: over S3 where a server has it, else as the files that they are.

use std::{fs, path::PathBuf};

use bytes::Bytes;
use lxd_storage::{Bucket, types::Secret};
use lxd_tests::Server;

use crate::s3;

/// The objects of one bucket, with the credentials of one key.
pub(crate) enum Objects {
    Served(Box<s3::Objects>),
    Files(PathBuf),
}

impl Objects {
    pub(crate) fn new(server: Server<'_>, bucket: &Bucket, access: &Secret, secret: &Secret) -> Self {
        match server.emulator() {
            Some(emulator) => {
                Self::Files(emulator.bucket_content(bucket.pool().name(), bucket.project(), bucket.name()))
            }
            None => Self::Served(Box::new(s3::Objects::new(server, bucket, access, secret))),
        }
    }

    pub(crate) async fn put(&self, object: &str, content: impl Into<Bytes>) -> Result<(), String> {
        match self {
            Self::Served(objects) => objects.put(object, content).await,
            Self::Files(folder) => {
                let file = folder.join(object);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, content.into()).map_err(|error| error.to_string())
            }
        }
    }

    pub(crate) async fn get(&self, object: &str) -> Result<Bytes, String> {
        match self {
            Self::Served(objects) => objects.get(object).await,
            Self::Files(folder) => {
                fs::read(folder.join(object)).map(Bytes::from).map_err(|error| error.to_string())
            }
        }
    }
}
