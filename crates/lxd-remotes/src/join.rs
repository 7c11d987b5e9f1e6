//! How a server is to be joined.

use std::fmt;

use lxd_storage::transport::{Presented, ServerTrust, TokenSource};

use crate::{Error, ErrorKind, JoinToken, connect::Source};

/// How to become a client that a server trusts, for [`Remotes::add`](crate::Remotes::add).
///
/// ```
/// use lxd_remotes::{Expect, Join};
///
/// let by_password = Join::password("https://10.0.0.7:8443", "secret", Expect::fingerprint("ab".repeat(32)))
///     .with_project("blue");
/// assert!(!format!("{by_password:?}").contains("secret"));
/// ```
#[must_use = "it does nothing until it is given to `Remotes::add`"]
pub struct Join {
    pub(crate) way: Way,
    pub(crate) project: Option<String>,
}

pub(crate) enum Way {
    Token(JoinToken),
    Password { address: String, password: String, expect: Expect },
    Known { address: String, expect: Expect },
    Oidc { address: String, expect: Expect, source: Source },
}

impl Join {
    /// By a token. It says where the server is and which certificate it has.
    pub fn token(token: JoinToken) -> Self {
        Self { way: Way::Token(token), project: None }
    }

    /// By the trust password (`core.trust_password`) that LXD up to 5.0 has. The address is `https://host:port`, or
    /// `host:port`.
    pub fn password(address: impl Into<String>, password: impl Into<String>, expect: Expect) -> Self {
        let way = Way::Password { address: address.into(), password: password.into(), expect };
        Self { way, project: None }
    }

    /// By nothing: the server has this folder's `client.crt` in its trust store already.
    pub fn known(address: impl Into<String>, expect: Expect) -> Self {
        Self { way: Way::Known { address: address.into(), expect }, project: None }
    }

    /// By a bearer token, which makes a remote with `auth_type: oidc`: it needs no client certificate, and the folder gets
    /// none. Once the server's certificate is verified, a token of the source has to be trusted (`GET /1.0`). The source is
    /// not written down: clients of the remote get theirs by [`Connect::tokens`](crate::Connect::tokens), and the command
    /// line clients sign in by themselves. Needs the API extension `oidc` for tokens of an OpenID provider and
    /// `auth_bearer` (LXD) for those that the server issued itself.
    ///
    /// ```no_run
    /// # async fn example(source: impl lxd_remotes::storage::transport::TokenSource) -> Result<(), lxd_remotes::Error> {
    /// use lxd_remotes::{Cli, Expect, Join, Remotes};
    ///
    /// let expect = Expect::ask(|found| found.fingerprint().starts_with("12ab34cd"));
    /// Remotes::load(Cli::Incus)?.add("prod", Join::oidc("prod.example:8443", expect, source)).await?;
    /// # Ok(()) }
    /// ```
    pub fn oidc(address: impl Into<String>, expect: Expect, source: impl TokenSource) -> Self {
        Self {
            way: Way::Oidc { address: address.into(), expect, source: Source::new(source) },
            project: None,
        }
    }

    /// Lets the remote's clients work in this project.
    pub fn with_project(mut self, project: impl Into<String>) -> Self {
        self.project = Some(project.into());
        self
    }
}

impl fmt::Debug for Join {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match &self.way {
            Way::Token(_) => "token",
            Way::Password { .. } => "password",
            Way::Known { .. } => "known",
            Way::Oidc { .. } => "oidc",
        };
        f.debug_struct("Join").field("way", &way).field("project", &self.project).finish_non_exhaustive()
    }
}

/// Which certificate the server must have. There is deliberately no way to take whatever comes.
///
/// ```
/// use lxd_remotes::Expect;
///
/// let known = Expect::fingerprint("12ab34cd12ab34cd12ab34cd12ab34cd12ab34cd12ab34cd12ab34cd12ab34cd");
/// let asked = Expect::ask(|found| {
///     println!("The server's fingerprint is {}. Is that right?", found.fingerprint());
///     false
/// });
/// ```
#[must_use = "it does nothing until it is given to a `Join`"]
pub struct Expect(Kind);

enum Kind {
    Fingerprint(String),
    Ask(Box<dyn FnMut(&Presented) -> bool + Send>),
}

impl Expect {
    /// The one with this SHA-256: 64 hex digits in any case, with or without colons.
    pub fn fingerprint(hex: impl Into<String>) -> Self {
        Self(Kind::Fingerprint(hex.into()))
    }

    /// The one that this function says yes to. It is called before anything is sent.
    pub fn ask(decide: impl FnMut(&Presented) -> bool + Send + 'static) -> Self {
        Self(Kind::Ask(Box::new(decide)))
    }

    /// Refuses a fingerprint that is none, before there is any connection.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match &self.0 {
            Kind::Ask(_) => Ok(()),
            Kind::Fingerprint(hex) => match ServerTrust::fingerprint(hex) {
                Ok(_) => Ok(()),
                Err(error) => Err(Error::invalid(error.to_string())),
            },
        }
    }

    /// Says yes or no to what was found.
    pub(crate) fn judge(&mut self, found: &Presented) -> Result<(), Error> {
        match &mut self.0 {
            Kind::Ask(decide) => {
                let declined = || wrong(format!("the caller declined {}", found.fingerprint()));
                decide(found).then_some(()).ok_or_else(declined)
            }
            Kind::Fingerprint(hex) => {
                let wanted: String = hex.chars().filter(|c| *c != ':').collect();
                if wanted.eq_ignore_ascii_case(found.fingerprint()) {
                    return Ok(());
                }
                let message = format!(
                    "expected fingerprint {wanted}, found {}; is it another server?",
                    found.fingerprint()
                );
                Err(wrong(message))
            }
        }
    }
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::WrongCertificate, message)
}

impl fmt::Debug for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Fingerprint(hex) => f.debug_tuple("Fingerprint").field(hex).finish(),
            Kind::Ask(_) => f.write_str("Ask"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_token_nor_password_shows() {
        let token = crate::token::tests::text(|_| {});
        let shown = format!(
            "{:?} {:?}",
            Join::token(token.parse().unwrap()),
            Join::password("https://x", "hunter2", Expect::ask(|_| true))
        );
        assert!(
            !shown.contains(&token) && !shown.contains("c0ffee") && !shown.contains("hunter2"),
            "{shown}"
        );
    }

    #[test]
    fn what_is_no_fingerprint_is_refused_early() {
        assert_eq!(Expect::fingerprint("ab").check().unwrap_err().kind(), ErrorKind::InvalidInput);
        Expect::fingerprint("AB:".repeat(31) + "AB").check().unwrap();
    }
}
