//! The URLs of `used_by`, read in the way of the server that wrote them.

use lxd_types::Reference;

use crate::{Client, Error};

/// Reads the URLs of `used_by`. Only where the encoding matters is the server asked which one it uses.
pub(crate) async fn references(client: &Client, urls: &[String]) -> Result<Vec<Reference>, Error> {
    let ambiguous = urls.iter().any(|url| url.contains("%25"));
    if !ambiguous {
        return Ok(urls.iter().map(|url| Reference::parse(url)).collect());
    }
    let server = client.server().await?;
    Ok(urls.iter().map(|url| Reference::parse_of(&server.environment, url)).collect())
}
