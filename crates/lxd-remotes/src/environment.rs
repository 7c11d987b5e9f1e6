//! What the environment says about clients, for callers who want to go by it.

use std::{env, ffi::OsString};

use lxd_storage::transport::{BoxFuture, Error as TransportError, Token, TokenSource};

use crate::{Cli, Error, Protocol, Remote, Remotes};

const PROJECT: &str = "INCUS_PROJECT";
const TOKEN: &str = "LXD_AUTH_BEARER_TOKEN";

/// What was found there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    project: Option<String>,
    token: Option<Token>,
}

impl Remotes {
    /// Lets clients go by two more variables of the environment, as the command line clients do: they are read now, and
    /// only if this is called.
    ///
    /// * `INCUS_PROJECT`: clients of remotes that speak Incus work in this project, whichever the remote has.
    /// * `LXD_AUTH_BEARER_TOKEN`: clients of remotes on the network that speak LXD show this token in place of the client
    ///   certificate. Such a token is for one server, and goes to each that a client is made for. A source given to
    ///   [`Connect::tokens`](crate::Connect::tokens) goes first for remotes with OIDC.
    ///
    /// What a remote speaks says its `protocol`, or else whose config was loaded. Where the folder is and which remote is
    /// the default is up to [`load`](Self::load) alone, which goes by its own variables in any case.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), lxd_remotes::Error> {
    /// use lxd_remotes::{Cli, Remotes};
    ///
    /// let remotes = Remotes::load(Cli::Incus)?.with_environment()?;
    /// let client = remotes.client(remotes.default_remote()).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a variable that is no text, or a token that no header can hold.
    pub fn with_environment(mut self) -> Result<Self, Error> {
        self.environment = Environment::read(|name| env::var_os(name))?;
        Ok(self)
    }
}

impl Environment {
    pub(crate) fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let text = |name: &str| -> Result<Option<String>, Error> {
            let text = variable(name).filter(|value| !value.is_empty()).map(OsString::into_string);
            text.transpose()
                .map_err(|_| Error::invalid(format!("{name} is no text; set it anew, or unset it")))
        };
        let token = text(TOKEN)?.map(|token| Token::new(&token)).transpose();
        let token = token.map_err(|error| Error::invalid(format!("{TOKEN}: {error}")))?;
        Ok(Self { project: text(PROJECT)?, token })
    }

    /// The project in place of the remote's.
    pub(crate) fn project(&self, remote: &Remote, cli: Option<Cli>) -> Option<&str> {
        self.project.as_deref().filter(|_| speaks(remote, cli) == Some(Cli::Incus))
    }

    /// The token in place of the client certificate.
    pub(crate) fn token(&self, remote: &Remote, cli: Option<Cli>) -> Option<Bearer> {
        self.token.clone().filter(|_| speaks(remote, cli) == Some(Cli::Lxc)).map(Bearer)
    }
}

/// Whose server it is, by whose command line client would be used.
pub(crate) fn speaks(remote: &Remote, cli: Option<Cli>) -> Option<Cli> {
    match remote.protocol() {
        Some(Protocol::Incus) => Some(Cli::Incus),
        Some(Protocol::Lxd) => Some(Cli::Lxc),
        Some(_) => None,
        None => cli,
    }
}

/// The one token that there is.
pub(crate) struct Bearer(Token);

impl TokenSource for Bearer {
    fn token(&self) -> BoxFuture<'_, Result<Token, TransportError>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::ffi::OsStringExt};

    use super::*;
    use crate::{ErrorKind, folder::tests::Scratch};

    const FILE: &str = "remotes:
  i: {addr: unix:///i.socket, protocol: incus, project: blue}
  l: {addr: unix:///l.socket, protocol: lxd, project: blue}
  open: {addr: unix:///o.socket}
  lxd: {addr: https://h, protocol: lxd}
  incus: {addr: https://h, protocol: incus}
";

    fn environment(variables: &[(&str, &str)]) -> Result<Environment, Error> {
        Environment::read(|name| {
            variables.iter().find(|(set, _)| *set == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[tokio::test]
    async fn the_project_is_for_remotes_that_speak_incus() {
        let scratch = Scratch::new("environment");
        fs::write(scratch.0.join("config.yml"), FILE).unwrap();
        let mut remotes = Remotes::open(&scratch.0).unwrap();
        for (project, cli, name, expected) in [
            ("red", None, "i", Some("red")),
            ("default", None, "i", Some("default")),
            ("", None, "i", Some("blue")),
            ("red", None, "l", Some("blue")),
            ("red", None, "open", None),
            ("red", Some(Cli::Incus), "open", Some("red")),
            ("red", Some(Cli::Lxc), "open", None),
        ] {
            remotes.environment = environment(&[(PROJECT, project)]).unwrap();
            remotes.cli = cli;
            assert_eq!(remotes.client(name).await.unwrap().project(), expected, "{project:?} {name}");
        }
    }

    #[tokio::test]
    async fn the_token_takes_the_place_of_the_certificate_where_lxd_is_spoken() {
        let scratch = Scratch::new("environment-token");
        fs::write(scratch.0.join("config.yml"), FILE).unwrap();
        let mut remotes = Remotes::open(&scratch.0).unwrap();
        assert_eq!(remotes.client("lxd").await.unwrap_err().kind(), ErrorKind::NoIdentity);
        remotes.environment = environment(&[(TOKEN, "hunter2")]).unwrap();
        remotes.client("lxd").await.unwrap();
        assert_eq!(remotes.client("incus").await.unwrap_err().kind(), ErrorKind::NoIdentity);
        assert!(!format!("{remotes:?}").contains("hunter2"));
    }

    #[test]
    fn variables_that_cannot_be_used_are_refused() {
        let error = environment(&[(TOKEN, "hunter 2")]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(TOKEN) && !error.to_string().contains("hunter"), "{error}");
        let error = Environment::read(|_| Some(OsString::from_vec(vec![0xff]))).unwrap_err();
        assert!(error.to_string().contains("no text"), "{error}");
    }
}
