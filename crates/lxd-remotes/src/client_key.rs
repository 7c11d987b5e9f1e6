//! The client's certificate and key.

use std::time::{Duration, SystemTime};

use lxd_storage::transport::Identity;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P384_SHA384,
};

use crate::{
    Error, ErrorKind,
    folder::{Folder, Readers, create, read},
    pem,
};

const YEARS: u32 = 10;
const YEAR: Duration = Duration::from_secs(31_556_952);

/// Servers refuse a certificate that isn't valid yet, and their clocks may be behind.
const CLOCK_DIFFERENCE: Duration = Duration::from_secs(300);

/// The certificate to show to a remote's server: the remote's own, or else that of all remotes.
pub(crate) fn load(folder: &Folder, remote: &str) -> Result<Identity, Error> {
    let own = folder.of_remote("clientcerts", remote, "crt")?;
    let (certificate, key) = match read(&own)? {
        Some(certificate) => (Some(certificate), folder.of_remote("clientcerts", remote, "key")?),
        None => (read(&folder.file("client.crt"))?, folder.file("client.key")),
    };
    match (certificate, read(&key)?) {
        (Some(certificate), Some(key_text)) => {
            // Old versions of the command line clients could be given such a key, and asked for its password.
            if String::from_utf8_lossy(&key_text).contains("ENCRYPTED") {
                let message = "the key is encrypted; store it without a password, readable by its owner only";
                return Err(Error::new(ErrorKind::NoIdentity, message).at(&key, None));
            }
            Identity::from_pem(&certificate, &key_text).map_err(|error| {
                let message = "the certificate and key beside each other cannot be used";
                Error::new(ErrorKind::NoIdentity, message)
                    .at(&key, None)
                    .with_source(lxd_storage::Error::from(error))
            })
        }
        (certificate, _) => {
            let missing = if certificate.is_some() { key } else { key.with_extension("crt") };
            let message = "there is none; add a remote with a token, which makes one, or put yours there";
            Err(Error::new(ErrorKind::NoIdentity, message).at(&missing, None))
        }
    }
}

/// The same, made first if the folder has no certificate, from its key if it has one: a program that was killed, or is
/// just now making the certificate, leaves that.
pub(crate) fn load_or_create(folder: &Folder, remote: &str) -> Result<Identity, Error> {
    let (certificate, key) = (folder.file("client.crt"), folder.file("client.key"));
    folder.make()?;
    {
        let _turn = folder.turn();
        if read(&certificate)?.is_none() {
            if read(&key)?.is_none() {
                create(&key, generate()?.as_bytes(), Readers::Owner)?;
            }
            // What is there now decides, if another program takes no turns; of two certificates of one key either fits.
            let made = read(&key)?.as_deref().map(certificate_of).transpose()?.flatten();
            if let Some(made) = made {
                create(&certificate, made.as_bytes(), Readers::Anybody)?;
            }
        }
    }
    load(folder, remote)
}

fn failed(error: rcgen::Error) -> Error {
    Error::new(ErrorKind::NoIdentity, "a client certificate cannot be made").with_source(error)
}

/// A new key as PEM text.
fn generate() -> Result<String, Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).map_err(failed)?;
    Ok(pem::encode("PRIVATE KEY", &key.serialize_der()))
}

/// A new certificate of this key as PEM text; none for a key of a kind that has to bring its own.
fn certificate_of(key: &[u8]) -> Result<Option<String>, Error> {
    let key = pem::decode("PRIVATE KEY", &String::from_utf8_lossy(key));
    let Some(Ok(key)) = key.map(KeyPair::try_from) else { return Ok(None) };
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, user_at_host());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let now = SystemTime::now();
    params.not_before = (now - CLOCK_DIFFERENCE).into();
    params.not_after = (now + YEAR * YEARS).into();
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok(Some(pem::encode("CERTIFICATE", certificate.der())))
}

/// Who this is, for the people who look at a server's list of clients.
fn user_at_host() -> String {
    let user = ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = Some(host.trim()).filter(|host| !host.is_empty()).unwrap_or("localhost");
    format!("{}@{host}", user.filter(|user| !user.is_empty()).as_deref().unwrap_or("unknown"))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;
    use crate::folder::tests::Scratch;

    #[test]
    fn a_pair_is_made_once_and_kept() {
        let scratch = Scratch::new("key");
        let folder = Folder::new(&scratch.0);
        assert_eq!(load(&folder, "r").unwrap_err().kind(), ErrorKind::NoIdentity);
        load_or_create(&folder, "r").unwrap();
        let key = fs::read(folder.file("client.key")).unwrap();
        assert_eq!(fs::metadata(folder.file("client.key")).unwrap().permissions().mode() & 0o777, 0o600);
        load_or_create(&folder, "r").unwrap();
        assert_eq!(fs::read(folder.file("client.key")).unwrap(), key);
        assert_eq!(scratch.names(), ["client.crt", "client.key"]);
    }

    #[test]
    fn a_key_that_was_left_alone_gets_its_certificate() {
        let scratch = Scratch::new("alone");
        let folder = Folder::new(&scratch.0);
        load_or_create(&folder, "r").unwrap();
        let key = fs::read(folder.file("client.key")).unwrap();
        fs::remove_file(folder.file("client.crt")).unwrap();
        load_or_create(&folder, "r").unwrap();
        assert_eq!(fs::read(folder.file("client.key")).unwrap(), key);
        load(&folder, "r").unwrap();
        // Somebody's own, of a kind that has to bring its certificate.
        fs::remove_file(folder.file("client.crt")).unwrap();
        fs::write(folder.file("client.key"), "-----BEGIN ENCRYPTED PRIVATE KEY-----\nsecret").unwrap();
        let error = load_or_create(&folder, "r").unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::NoIdentity, Some(&*folder.file("client.crt"))));
    }

    #[test]
    fn many_at_once_make_one_pair() {
        let scratch = Scratch::new("at-once");
        let folder = Folder::new(scratch.0.join("new"));
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| load_or_create(&folder, "r"))).collect();
            threads.into_iter().for_each(|thread| drop(thread.join().unwrap().unwrap()));
        });
    }

    #[test]
    fn half_a_pair_and_an_encrypted_key_are_refused() {
        let scratch = Scratch::new("half");
        let folder = Folder::new(&scratch.0);
        fs::write(folder.file("client.crt"), "x").unwrap();
        let error = load_or_create(&folder, "r").unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::NoIdentity, Some(&*folder.file("client.key"))));
        fs::write(folder.file("client.key"), "-----BEGIN ENCRYPTED PRIVATE KEY-----\nsecret").unwrap();
        let error = load_or_create(&folder, "r").unwrap_err();
        assert!(error.to_string().contains("without a password") && !format!("{error:?}").contains("secret"));
    }

    #[test]
    fn a_remote_can_have_a_certificate_of_its_own() {
        let scratch = Scratch::new("own");
        let folder = Folder::new(&scratch.0);
        load_or_create(&folder, "r").unwrap();
        fs::create_dir(scratch.0.join("clientcerts")).unwrap();
        fs::write(scratch.0.join("clientcerts/r.crt"), "broken").unwrap();
        fs::write(scratch.0.join("clientcerts/r.key"), "broken").unwrap();
        assert_eq!(load(&folder, "r").unwrap_err().kind(), ErrorKind::NoIdentity);
        load(&folder, "other").unwrap();
    }
}
