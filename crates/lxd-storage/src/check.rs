//! What is refused before it is sent. Everything else is the server's to judge.

use http::Uri;
use lxd_types::{BackupTarget, BucketKeyRole, Config, ContentType, StorageVolume, drivers};

use crate::Error;

/// Refuses sizes that no server can read.
///
/// Servers answer 500 for these, some only after having begun; a size is also the one value whose exact rules are
/// known here.
pub(crate) fn sizes(config: &Config) -> Result<(), Error> {
    for key in ["size", "volume.size"] {
        config.size(key).map_err(|error| Error::invalid(error.to_string()))?;
    }
    Ok(())
}

/// Refuses to make a block volume smaller. No server does so, since it would cut off what is at its end; a filesystem
/// can shrink on many drivers, of which the server knows best.
pub(crate) fn keeps_its_length(now: &StorageVolume, config: &Config) -> Result<(), Error> {
    if now.content_type != ContentType::Block {
        return Ok(());
    }
    match (now.config.size("size"), config.size("size")) {
        (Ok(Some(is)), Ok(Some(wanted))) if wanted < is && wanted.bytes() > 0 => {
            Err(Error::invalid(format!(
                "volume {:?} is a block volume of {is}, which cannot shrink to {wanted}; create a smaller one, bring the \
             content there and delete this one",
                now.name
            )))
        }
        _ => Ok(()),
    }
}

/// Refuses an empty driver.
pub(crate) fn driver(driver: &str) -> Result<(), Error> {
    if driver.is_empty() { Err(Error::invalid("the driver of the storage pool is empty")) } else { Ok(()) }
}

/// The id of an operation that a caller names by it, by its path or by its URL.
pub(crate) fn operation_id(named: &str) -> Result<&str, Error> {
    let path = match named.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|start| rest.get(start..)).unwrap_or_default(),
        None => named,
    };
    let id = match path.strip_prefix("/1.0/operations/") {
        Some(rest) => rest.split('?').next().unwrap_or(rest).trim_end_matches('/'),
        None => named,
    };
    if id.is_empty() || id.contains(['/', '?', '#']) {
        return Err(Error::invalid(format!(
            "{named:?} is neither the id of an operation nor its path or URL"
        )));
    }
    Ok(id)
}

/// A value of a key for the text of an error, unless no error may show it.
pub(crate) fn shown(key: &str, value: &str) -> String {
    if Config::hides(key) { "***".to_owned() } else { format!("{value:?}") }
}

/// Whether each member of a cluster has the key of a pool for itself. One that any family keeps per member counts: the
/// others have no such key, or take it either way.
pub(crate) fn is_of_a_member(driver: &str, key: &str) -> bool {
    drivers::find(driver)
        .and_then(|driver| driver.pool_key(key))
        .is_some_and(|key| key.scope != drivers::Scope::Global)
}

/// Refuses an optimized backup from a driver of which it is known that it has none. Servers would make an ordinary one
/// and say nothing.
pub(crate) fn packs_by_itself(driver: &str) -> Result<(), Error> {
    if drivers::find(driver).is_none_or(|known| known.optimized_backup) {
        return Ok(());
    }
    let message = format!("the driver {driver:?} has no optimized backups; leave `optimized` out");
    Err(Error::invalid(message))
}

/// Refuses a bucket in a pool of which it is known that it cannot have it, since servers begin it before they notice;
/// gives the API extension that the buckets of the driver need.
pub(crate) fn has_buckets(driver: &str, config: &Config) -> Result<Option<&'static str>, Error> {
    let Some(known) = drivers::find(driver) else { return Ok(None) };
    if known.buckets.is_empty() {
        return Err(Error::invalid(format!("the driver {driver:?} has no buckets")));
    }
    if config.text("size").is_some_and(|size| !size.is_empty()) && known.bucket_key("size").is_none() {
        let message = format!("the driver {driver:?} can set no `size` for its buckets");
        return Err(Error::invalid(message));
    }
    Ok((!known.remote).then_some("storage_buckets_local"))
}

/// Refuses what cannot be the name of a bucket: what the servers refuse, and what S3 clients and MinIO do.
pub(crate) fn bucket_name(name: &str) -> Result<(), Error> {
    let refuse = |why: &str| Err(Error::invalid(format!("{name:?} cannot be the name of a bucket: {why}")));
    let outside = |c: &char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-'));
    if !(3..=63).contains(&name.len()) {
        return refuse("it must have 3 to 63 characters");
    }
    if let Some(bad) = name.chars().find(outside) {
        return refuse(&format!("{bad:?} is no lowercase letter, digit, dot or hyphen"));
    }
    if name.starts_with(['.', '-']) || name.ends_with(['.', '-']) {
        return refuse("it must begin and end with a letter or digit");
    }
    if ["..", ".-", "-."].iter().any(|pair| name.contains(pair)) {
        return refuse("a dot must have a letter or digit on both sides");
    }
    if name.parse::<std::net::Ipv4Addr>().is_ok() {
        return refuse("it is an IP address");
    }
    Ok(())
}

/// Refuses a role that no server has.
pub(crate) fn role(role: &BucketKeyRole) -> Result<(), Error> {
    if !role.is_unknown() {
        return Ok(());
    }
    let message = format!("{:?} is no role of a key; there are \"admin\" and \"read-only\"", role.as_str());
    Err(Error::invalid(message))
}

/// Refuses a target that no backup can be uploaded to: servers find out in the background, and leave out in silence what
/// of the URL they have no use for.
pub(crate) fn backup_target(target: &BackupTarget) -> Result<(), Error> {
    let refuse = |why: String| Err(Error::invalid(format!("the backup cannot be uploaded: {why}")));
    if target.protocol.is_unknown() {
        return refuse(format!("there is no protocol {:?}, but \"s3\"", target.protocol.as_str()));
    }
    // Before anything quotes it.
    if target.url.contains('@') {
        return refuse("its URL has credentials in it, which belong into `with_credentials`".to_owned());
    }
    let uri: Uri = target.url.parse().unwrap_or_default();
    let is_whole = matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    if !is_whole || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return refuse(format!(
            "its URL must be like https://host:port, without a path, not {:?}",
            target.url
        ));
    }
    if target.bucket_name.is_empty() || target.bucket_name.contains('/') {
        return refuse(format!("{:?} is no name of a bucket", target.bucket_name));
    }
    if target.path.is_empty() {
        return refuse("the object has no name (`path`)".to_owned());
    }
    if target.access_key.is_empty() || target.secret_key.is_empty() {
        return refuse("a key is missing (`with_credentials`)".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_go_by_id_path_or_url() {
        for named in
            ["abc", "/1.0/operations/abc", "/1.0/operations/abc?project=p", "https://h:1/1.0/operations/abc/"]
        {
            assert_eq!(operation_id(named).unwrap(), "abc");
        }
        for named in
            ["", "/1.0/operations/", "a/b", "a?b", "../x", "/1.0/operations/a/b", "https://h:1/1.0/x", "x://"]
        {
            let error = operation_id(named).unwrap_err();
            assert!(error.to_string().contains(&format!("{named:?}")), "{error}");
        }
    }

    #[test]
    fn names_of_buckets_follow_the_rules_of_s3() {
        for name in ["abc", "a.b-c", "0photos", &"x".repeat(63), "1.2.3.4.5"] {
            assert!(bucket_name(name).is_ok(), "{name}");
        }
        let long = "x".repeat(64);
        for name in
            ["", "ab", &long, "Abc", "a_b", "a b", "é12", "-ab", "ab-", "ab.", "a..b", "a.-b", "1.2.3.4"]
        {
            let error = bucket_name(name).unwrap_err();
            assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
        }
    }

    #[test]
    fn block_volumes_only_grow() {
        let of = |size: &str| [("size", size)].into_iter().collect::<Config>();
        let mut now = StorageVolume::default();
        now.config = of("2GiB");
        for content_type in [ContentType::Filesystem, ContentType::Block] {
            now.content_type = content_type;
            for (size, shrinks) in [
                ("1GiB", true),
                ("2147483647", true),
                ("2048MiB", false),
                ("3GiB", false),
                ("", false),
                ("0", false),
            ] {
                let refused = keeps_its_length(&now, &of(size)).is_err();
                assert_eq!(refused, shrinks && now.content_type == ContentType::Block, "{size}");
            }
            assert!(keeps_its_length(&now, &Config::new()).is_ok());
        }
        // The length that servers choose by themselves they don't tell.
        now.config = Config::new();
        assert!(keeps_its_length(&now, &of("1GiB")).is_ok());
    }

    #[test]
    fn a_pool_must_be_able_to_have_the_bucket() {
        let sized: Config = [("size", "1GiB")].into_iter().collect();
        assert_eq!(has_buckets("dir", &Config::new()).unwrap(), Some("storage_buckets_local"));
        assert_eq!(has_buckets("btrfs", &sized).unwrap(), Some("storage_buckets_local"));
        assert_eq!(has_buckets("cephobject", &sized).unwrap(), None);
        assert_eq!(has_buckets("quilt", &sized).unwrap(), None);
        assert!(has_buckets("dir", &sized).is_err() && has_buckets("ceph", &Config::new()).is_err());
    }

    #[test]
    fn only_known_roles_are_sent() {
        assert!(role(&BucketKeyRole::Admin).is_ok() && role(&"read-only".into()).is_ok());
        assert!(role(&"boss".into()).unwrap_err().to_string().contains("boss"));
        assert!(role(&BucketKeyRole::default()).is_err());
    }

    #[test]
    fn a_target_of_a_backup_is_whole() {
        let target = |url: &str, bucket: &str, path: &str| {
            BackupTarget::s3(url, bucket, path).with_credentials("access", "secret")
        };
        for url in ["https://s3.example.org", "http://[::1]:9000/", "https://10.0.0.7:9000"] {
            backup_target(&target(url, "b", "a/b c.tar")).unwrap();
        }
        let mut ftp = target("https://h", "b", "p");
        ftp.protocol = "ftp".into();
        for (target, why) in [
            (target("", "b", "p"), "https://host:port"),
            (target("h:9000", "b", "p"), "https://host:port"),
            (target("ftp://h", "b", "p"), "https://host:port"),
            (target("https://h/folder", "b", "p"), "without a path"),
            (target("https://h?a=b", "b", "p"), "without a path"),
            (target("https://user:t0psecret@h", "b", "p"), "with_credentials"),
            (target("https://h", "", "p"), "bucket"),
            (target("https://h", "b/c", "p"), "\"b/c\""),
            (target("https://h", "b", ""), "`path`"),
            (BackupTarget::s3("https://h", "b", "p"), "with_credentials"),
            (ftp, "\"ftp\""),
        ] {
            let text = backup_target(&target).unwrap_err().to_string();
            assert!(text.contains(why) && !text.contains("t0psecret"), "{text}");
        }
    }

    #[test]
    fn unknown_drivers_get_the_benefit_of_the_doubt() {
        assert!(["btrfs", "zfs", "quilt"].iter().all(|driver| packs_by_itself(driver).is_ok()));
        assert!(["dir", "lvm", "ceph", "pure"].iter().all(|driver| packs_by_itself(driver).is_err()));
    }
}
