//! The URLs of `used_by`, read in the way of the server that wrote them.

use lxd_types::{Environment, Reference, ServerFamily};

use crate::{Client, Error};

/// Reads the URLs of `used_by`. Only where the encoding matters is the server asked which one it uses.
pub(crate) async fn references(client: &Client, urls: &[String]) -> Result<Vec<Reference>, Error> {
    let ambiguous = urls.iter().any(|url| url.contains("%25"));
    let twice = ambiguous && encodes_twice(&client.server().await?.environment);
    let parse = if twice { Reference::parse_twice_encoded } else { Reference::parse };
    Ok(urls.iter().map(|url| parse(url)).collect())
}

/// LXD 5.0.0 to 5.0.2 encode the names of volumes twice. No API extension tells, so this is the one place where a
/// version is looked at.
fn encodes_twice(environment: &Environment) -> bool {
    environment.server == ServerFamily::Lxd
        && ["5.0.0", "5.0.1", "5.0.2"].contains(&&*environment.server_version)
}
