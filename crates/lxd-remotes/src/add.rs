//! Adding a remote.

use lxd_storage::{
    Client,
    transport::{Authorized, Dial, HttpTransport, Presented, Reached, ServerTrust, Tls},
    types::ServerFamily,
};
use serde_norway::Value;

use crate::{
    Error, ErrorKind, Expect, Join, Remote, Remotes, client_key,
    edit::Edit,
    enroll::{Credential, enroll},
    folder::{Readers, replace},
    join::Way,
    pem,
    remote::without_login,
};

impl Remotes {
    /// Joins a server and adds it as a remote: compares the server's certificate with the expected one, makes a client
    /// certificate if the folder has none, asks the server for trust (`POST /1.0/certificates`), pins the certificate in `servercerts` and
    /// writes the entry into `config.yml`, in this order. With [`Join::oidc`] there is no certificate and no such request, and the
    /// server has to trust the bearer token instead.
    ///
    /// The addresses of a token are tried one after the other, ten seconds each at most. A server that trusts the certificate already isn't asked
    /// again, so adding one more time goes on where it was broken off.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), lxd_remotes::Error> {
    /// use lxd_remotes::{Expect, Join, Remotes};
    ///
    /// let mut remotes = Remotes::open("/etc/backup/lxd")?;
    /// let expect = Expect::fingerprint("12ab34cd12ab34cd12ab34cd12ab34cd12ab34cd12ab34cd12ab34cd12ab34cd");
    /// remotes.add("old", Join::password("10.0.0.7:8443", "secret", expect)).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Before anything is sent: [`AlreadyExists`](ErrorKind::AlreadyExists), [`InvalidInput`](ErrorKind::InvalidInput),
    /// [`ExpiredToken`](ErrorKind::ExpiredToken), [`NoIdentity`](ErrorKind::NoIdentity),
    /// [`WrongCertificate`](ErrorKind::WrongCertificate), [`Unreachable`](ErrorKind::Unreachable). By the server:
    /// [`Refused`](ErrorKind::Refused), [`Server`](ErrorKind::Server). [`File`](ErrorKind::File) and
    /// [`Malformed`](ErrorKind::Malformed) for the folder.
    pub async fn add(&mut self, name: &str, join: Join) -> Result<Remote, Error> {
        self.refresh()?;
        self.check_new(name)?;
        let Join { way, project } = join;
        let Prepared { addresses, credential, mut expect } = prepare(way)?;
        let mut failures = Failures::default();
        for address in addresses {
            let url = match url(&address) {
                Ok(url) => url,
                Err(error) => {
                    failures.note(&address, error);
                    continue;
                }
            };
            // Looked at first, since a pinned connection doesn't show what was found instead.
            let found = match Tls::presented_by(&url).await {
                Ok(found) => found,
                Err(error) => {
                    failures.note(&url, unreachable(error.into()));
                    continue;
                }
            };
            if let Err(error) = expect.judge(&found) {
                failures.note(&url, error);
                continue;
            }
            let client = self.pinned(name, &url, &found, &credential)?;
            match enroll(&client, &credential).await {
                Ok(server) => {
                    let family = &server.environment.server;
                    let auth_type = credential.auth_type();
                    return self.save(name, &url, auth_type, project.as_deref(), family, &found);
                }
                Err(error) if never_reached(&error) => failures.note(&url, error),
                Err(error) => return Err(error),
            }
        }
        Err(failures.into_error(name))
    }

    /// A client of just this server, showing the folder's certificate or else a token.
    fn pinned(
        &self,
        name: &str,
        url: &str,
        found: &Presented,
        credential: &Credential,
    ) -> Result<Client, Error> {
        let unusable = |error: lxd_storage::transport::Error| {
            Error::invalid(error.to_string()).with_source(lxd_storage::Error::from(error))
        };
        let trust = ServerTrust::fingerprint(found.fingerprint()).map_err(unusable)?;
        let builder = Tls::builder(url).trust(trust);
        if let Credential::Tokens(source) = credential {
            let transport = HttpTransport::new(builder.build().map_err(unusable)?);
            return Ok(Client::new(Authorized::new(transport, source.clone())));
        }
        let identity = client_key::load_or_create(self.folder(), name)?;
        Ok(Client::https(builder.identity(identity).build().map_err(unusable)?))
    }

    /// Writes down a server that trusts us.
    fn save(
        &mut self,
        name: &str,
        url: &str,
        auth_type: &str,
        project: Option<&str>,
        family: &ServerFamily,
        found: &Presented,
    ) -> Result<Remote, Error> {
        let certificate = pem::encode("CERTIFICATE", found.der());
        let _turn = self.folder().turn();
        // Somebody else may have taken the name while the server was asked.
        self.refresh()?;
        self.check_new(name)?;
        replace(&self.folder().server_certificate(name)?, certificate.as_bytes(), Readers::Anybody)?;
        let protocol = if *family == ServerFamily::Incus { "incus" } else { "lxd" };
        let mut keys = vec![("addr", Value::from(url)), ("auth_type", Value::from(auth_type))];
        keys.extend(project.map(|project| ("project", Value::from(project))));
        keys.extend([("protocol", Value::from(protocol)), ("public", Value::from(false))]);
        self.write(&Edit::Add(name, keys))?;
        self.get(name).cloned()
    }
}

/// What is left of a [`Join`] once it is checked.
struct Prepared {
    /// Where to try.
    addresses: Vec<String>,
    credential: Credential,
    expect: Expect,
}

/// Refuses what can't work.
fn prepare(way: Way) -> Result<Prepared, Error> {
    let (address, credential, expect) = match way {
        Way::Token(token) => {
            if token.is_expired() {
                let when = token.expires_at().map(|time| time.to_string()).unwrap_or_default();
                let message = format!("its time was over at {when}; ask for another one, or set this clock");
                return Err(Error::new(ErrorKind::ExpiredToken, message));
            }
            let expect = Expect::fingerprint(token.fingerprint());
            let addresses = token.addresses().to_vec();
            return Ok(Prepared { addresses, credential: Credential::Token(token), expect });
        }
        Way::Password { address, password, expect } => (address, Credential::Password(password), expect),
        Way::Known { address, expect } => (address, Credential::None, expect),
        Way::Oidc { address, expect, source } => (address, Credential::Tokens(source), expect),
    };
    expect.check()?;
    // Of a token's addresses one may be unusable; of just one there is nothing to fall back on.
    Ok(Prepared { addresses: vec![url(&address)?], credential, expect })
}

/// The form that config files have.
fn url(address: &str) -> Result<String, Error> {
    if address.contains('@') {
        return Err(Error::invalid(format!(
            "{:?} has a user name in it; leave that out",
            without_login(address)
        )));
    }
    let address = address.trim().trim_end_matches('/');
    let url = if address.contains("://") { address.to_owned() } else { format!("https://{address}") };
    // Built for its checks only, and for the port, which config files always name.
    let trust =
        ServerTrust::fingerprint(&"0".repeat(64)).and_then(|trust| Tls::builder(url).trust(trust).build());
    let tls = trust.map_err(|error| Error::invalid(error.to_string()))?;
    let endpoint = Dial::endpoint(&tls).url().map(str::to_owned);
    endpoint.ok_or_else(|| Error::invalid(format!("{address:?} is no https address")))
}

fn unreachable(error: lxd_storage::Error) -> Error {
    Error::new(ErrorKind::Unreachable, error.to_string()).with_source(error)
}

/// Whether the next address may be tried without a secret going out twice.
fn never_reached(error: &Error) -> bool {
    error.storage().is_some_and(|error| error.request_reached_server() == Reached::No)
}

/// What was tried in vain.
#[derive(Default)]
pub(crate) struct Failures(Vec<(String, Error)>);

impl Failures {
    pub(crate) fn note(&mut self, url: &str, error: Error) {
        self.0.push((without_login(url), error));
    }

    /// The one failure, or one that tells all of them. A wrong certificate is the news among them.
    pub(crate) fn into_error(mut self, name: &str) -> Error {
        let wrong = self.0.iter().any(|(_, error)| error.kind() == ErrorKind::WrongCertificate);
        let kind = if wrong { ErrorKind::WrongCertificate } else { ErrorKind::Unreachable };
        let told: Vec<String> = self.0.iter().map(|(url, error)| format!("{url}: {error}")).collect();
        let error = Error::new(kind, format!("remote {name:?}: {}", told.join("; ")));
        match self.0.pop() {
            Some((_, last)) => match last.into_source() {
                Some(source) => error.with_source(source),
                None => error,
            },
            None => Error::new(kind, format!("remote {name:?} has no address")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_the_urls_of_config_files() {
        for (address, expected) in [
            ("10.0.0.7:8443", "https://10.0.0.7:8443"),
            ("https://h.example", "https://h.example:8443"),
            ("[::1]:1", "https://[::1]:1"),
            ("https://h:9/", "https://h:9"),
        ] {
            assert_eq!(url(address).unwrap(), expected);
        }
        for address in ["", "http://h", "unix:///x", "https://me:hunter2@h", "https://h/1.0"] {
            let error = url(address).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{address}");
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn adding_can_be_done_in_a_task() {
        fn is_send(_: &impl Send) {}
        let mut remotes = Remotes::open("/nowhere/at/all").unwrap();
        is_send(&remotes.add("a", Join::known("h", Expect::ask(|_| false))));
    }

    #[tokio::test]
    async fn what_cannot_work_is_refused_before_any_file_is_made() {
        let scratch = crate::folder::tests::Scratch::new("add");
        let mut remotes = Remotes::open(&scratch.0).unwrap();
        let token = |time: &str| {
            let text = crate::token::tests::text(|content| content["expires_at"] = time.into());
            Join::token(text.parse().unwrap())
        };
        let late = "2900-01-01T00:00:00Z";
        for (name, join, kind) in [
            ("a", token("2020-01-01T00:00:00Z"), ErrorKind::ExpiredToken),
            ("a/b", token(late), ErrorKind::InvalidInput),
            ("local", token(late), ErrorKind::AlreadyExists),
            ("a", Join::known("https://h", Expect::fingerprint("ab")), ErrorKind::InvalidInput),
            ("a", Join::password("http://h", "pw", Expect::ask(|_| true)), ErrorKind::InvalidInput),
        ] {
            assert_eq!(remotes.add(name, join).await.unwrap_err().kind(), kind);
        }
        assert!(scratch.names().is_empty());
    }

    #[tokio::test]
    async fn all_addresses_of_a_token_are_tried_and_told() {
        let scratch = crate::folder::tests::Scratch::new("tried");
        let closed = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let addresses = [closed(), "[fe80::1%eth0]:8443".to_owned(), closed()];
        let text = crate::token::tests::text(|content| content["addresses"] = addresses.to_vec().into());
        let mut remotes = Remotes::open(&scratch.0).unwrap();
        let error = remotes.add("a", Join::token(text.parse().unwrap())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        assert!(addresses.iter().all(|address| error.to_string().contains(address)), "{error}");
        assert!(scratch.names().is_empty());
    }
}
