//! `/1.0/storage-pools/POOL/buckets/BUCKET/keys`.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    api::buckets::{asynchronous, plan},
    buckets,
    call::Call,
    core::Core,
    decode::Fields,
    envelope::Reply,
    failure::Failure,
    state::{AccessKey, Bucket, BucketKey, Database},
};

/// What a key is wanted to be. Empty credentials are made up by the server.
pub(crate) struct Wanted {
    name: String,
    key: AccessKey,
}

impl Wanted {
    /// The key that comes with a new bucket.
    pub(crate) fn admin() -> Self {
        let key = AccessKey {
            description: "Admin user".to_owned(),
            role: "admin".to_owned(),
            access_key: String::new(),
            secret_key: String::new(),
        };
        Self { name: "admin".to_owned(), key }
    }

    fn parse(name: String, fields: &Fields) -> Result<Self, Failure> {
        let key = AccessKey {
            description: fields.text("description")?,
            role: fields.text("role")?,
            access_key: fields.text("access-key")?,
            secret_key: fields.text("secret-key")?,
        };
        Ok(Self { name, key })
    }

    pub(crate) fn restored(name: String, key: AccessKey) -> Self {
        Self { name, key }
    }

    /// Judges it, and fills in what was left to the server.
    fn complete(&mut self, database: &Database, key: &BucketKey) -> Result<(), Failure> {
        if self.name.is_empty() {
            return Err(Failure::internal("Key name is required"));
        }
        if !matches!(&*self.key.role, "admin" | "read-only") {
            return Err(Failure::internal("Invalid key role"));
        }
        // The program behind the buckets has rules of its own, and the servers say how they called it.
        let (access, secret) = (&self.key.access_key, &self.key.secret_key);
        let short = |text: &str, least: usize| !text.is_empty() && text.len() < least;
        if short(access, 3) || short(secret, 8) {
            return Err(Failure::internal(format!(
                "Failed to run: mc admin user svcacct add --access-key {access} --secret-key {secret} \
                 {}: exit status 1 (mc: <ERROR> Unable to add a new service account. The access key or the secret key \
                 is too short)",
                key.name
            )));
        }
        let taken = database.buckets.iter().any(|(one, bucket)| {
            bucket.keys.iter().any(|(name, other)| {
                let own = one == key && *name == self.name;
                !own && !access.is_empty() && other.access_key == *access
            })
        });
        if taken {
            return Err(Failure::conflict(
                "A bucket key using that access key already exists on this server",
            ));
        }
        let (letters, all): (Vec<char>, Vec<char>) =
            (('A'..='Z').chain('0'..='9').collect(), ('a'..='z').chain('A'..='Z').chain('0'..='9').collect());
        let noise = |from: &[char], length: usize| -> String {
            (0..length).filter_map(|_| fastrand::choice(from)).collect()
        };
        if self.key.access_key.is_empty() {
            self.key.access_key = noise(&letters, 20);
        }
        if self.key.secret_key.is_empty() {
            self.key.secret_key = noise(&all, 40);
        }
        Ok(())
    }
}

/// Adds a key, and gives it as clients see it.
pub(crate) fn add(core: &Core, bucket: &BucketKey, mut wanted: Wanted) -> Result<Value, Failure> {
    core.store.change(|database| {
        let known = database.buckets.get(bucket).ok_or_else(buckets::gone)?;
        if known.keys.contains_key(&wanted.name) {
            return Err(Failure::conflict("A bucket key for that name already exists"));
        }
        wanted.complete(database, bucket)?;
        let view = buckets::key_view(&wanted.name, &wanted.key);
        let known = database.buckets.get_mut(bucket).ok_or_else(buckets::gone)?;
        known.keys.insert(wanted.name, wanted.key);
        Ok(view)
    })
}

fn find<'a>(bucket: &'a Bucket, name: &str) -> Result<&'a AccessKey, Failure> {
    bucket.keys.get(name).ok_or_else(|| Failure::not_found("Storage bucket key not found"))
}

/// `GET .../keys`.
pub(crate) fn list(call: &Call, pool: &str, name: &str) -> Result<Reply, Failure> {
    call.core.store.read(|database| {
        let (key, bucket) = buckets::find(call, database, pool, name)
            .map_err(|failure| failure.within("Failed loading storage bucket"))?;
        if call.query.recursion() == 0 {
            let urls = bucket.keys.keys().map(|one| buckets::url_of(&key, "keys", one));
            return Reply::of(&urls.collect::<Vec<_>>());
        }
        let views = bucket.keys.iter().map(|(name, key)| buckets::key_view(name, key));
        Reply::of(&views.collect::<Vec<_>>())
    })
}

/// `GET .../keys/KEY`.
pub(crate) fn get(call: &Call, pool: &str, name: &str, key: &str) -> Result<Reply, Failure> {
    call.core.store.read(|database| {
        let (_, bucket) = buckets::find(call, database, pool, name)?;
        let found = find(bucket, key)?;
        let recipe = (key, &found.description, &found.role, &found.access_key, &found.secret_key);
        Reply::with_etag(&buckets::key_view(key, found), &recipe)
    })
}

/// `POST .../keys`.
pub(crate) async fn create(call: Call, pool: &str, name: &str) -> Result<Reply, Failure> {
    let failed = |failure: Failure| failure.within("Failed creating storage bucket key");
    let fields = call.fields("StorageBucketKeysPost").await?;
    let wanted = Wanted::parse(fields.text("name")?, &fields)?;
    let (core, key) = (Arc::clone(&call.core), locate(&call, pool, name).map_err(failed)?);
    let (plan, requestor) = (plan(&call, "Creating storage bucket key", &key), call.requestor());
    call.make(asynchronous(&core), plan, "key", async move {
        let source = buckets::key_source(&key, &wanted.name);
        let made = add(&core, &key, wanted).map_err(failed)?;
        core.happened(&key.project, "storage-bucket-key-created", source.clone(), None, requestor);
        Ok((made, source))
    })
    .await
}

/// `PUT .../keys/KEY`. The servers take any `If-Match`.
pub(crate) async fn update(call: Call, pool: &str, name: &str, key_name: &str) -> Result<Reply, Failure> {
    let failed = |failure: Failure| failure.within("Failed updating storage bucket key");
    let mut wanted = Wanted::parse(key_name.to_owned(), &call.fields("StorageBucketKeyPut").await?)?;
    let (core, key) = (Arc::clone(&call.core), locate(&call, pool, name).map_err(failed)?);
    let (plan, requestor) = (plan(&call, "Updating storage bucket key", &key), call.requestor());
    call.change(asynchronous(&core), plan, async move {
        let source = buckets::key_source(&key, &wanted.name);
        core.store.change(|database| {
            let bucket = database.buckets.get(&key).ok_or_else(buckets::gone)?;
            find(bucket, &wanted.name).map_err(failed)?;
            wanted.complete(database, &key).map_err(failed)?;
            let bucket = database.buckets.get_mut(&key).ok_or_else(buckets::gone)?;
            bucket.keys.insert(wanted.name, wanted.key);
            Ok::<(), Failure>(())
        })?;
        core.happened(&key.project, "storage-bucket-key-updated", source, None, requestor);
        Ok(Reply::done())
    })
    .await
}

/// `DELETE .../keys/KEY`.
pub(crate) async fn delete(call: Call, pool: &str, name: &str, key_name: &str) -> Result<Reply, Failure> {
    let failed = |failure: Failure| failure.within("Failed deleting storage bucket key");
    let (core, key) = (Arc::clone(&call.core), locate(&call, pool, name).map_err(failed)?);
    let (plan, requestor) = (plan(&call, "Deleting storage bucket key", &key), call.requestor());
    let key_name = key_name.to_owned();
    call.change(asynchronous(&core), plan, async move {
        core.store.change(|database| {
            let bucket = database.buckets.get_mut(&key).ok_or_else(buckets::gone)?;
            find(bucket, &key_name).map_err(failed)?;
            bucket.keys.remove(&key_name);
            Ok::<(), Failure>(())
        })?;
        let source = buckets::key_source(&key, &key_name);
        core.happened(&key.project, "storage-bucket-key-deleted", source, None, requestor);
        Ok(Reply::done())
    })
    .await
}

fn locate(call: &Call, pool: &str, name: &str) -> Result<BucketKey, Failure> {
    call.core.store.read(|database| buckets::find(call, database, pool, name).map(|(key, _)| key))
}
