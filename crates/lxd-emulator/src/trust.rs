//! Who is let in: certificates and their fingerprints, and what callers without trust may ask.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    call::{Call, Caller},
    failure::Failure,
};

/// What a certificate is called: SHA-256 of its DER form.
pub(crate) fn fingerprint(der: &[u8]) -> String {
    crate::etag::hex(&hmac_sha256::Hash::hash(der))
}

/// The DER form of the first certificate of a PEM text.
pub(crate) fn der_of_pem(pem: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
    let body: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    STANDARD.decode(body).ok()
}

/// The same as PEM text, as Go writes it.
pub(crate) fn pem_of_der(der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut lines = String::from("-----BEGIN CERTIFICATE-----\n");
    for (index, c) in body.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            lines.push('\n');
        }
        lines.push(c);
    }
    lines.push_str("\n-----END CERTIFICATE-----\n");
    lines
}

/// Whether there is anything under a path.
fn is_path(segments: &[&str]) -> bool {
    const AREAS: [&str; 8] = [
        "certificates",
        "cluster",
        "events",
        "instances",
        "operations",
        "profiles",
        "projects",
        "storage-pools",
    ];
    match segments {
        ["1.0"] | ["1.0", "storage-volumes", ..] => true,
        ["1.0", area, rest @ ..] => AREAS.contains(area) && !rest.contains(&""),
        _ => false,
    }
}

impl Call {
    /// Whether the caller is let in.
    pub(crate) fn is_trusted(&self) -> bool {
        match &self.caller {
            Caller::Local => true,
            Caller::Remote { certificate, .. } => certificate.as_deref().is_some_and(|der| {
                let fingerprint = fingerprint(der);
                self.core.store.read(|database| database.certificates.contains_key(&fingerprint))
            }),
        }
    }

    /// Refuses callers without trust, but for what everybody may ask.
    pub(crate) fn check_trust(&self, segments: &[&str]) -> Result<(), Failure> {
        let open = match (self.method.as_str(), segments) {
            ("GET", [""] | ["1.0"] | ["1.0", "metadata", "configuration"]) => true,
            ("POST", ["1.0", "certificates"]) => true,
            // A secret opens these, and they look at it themselves.
            ("GET", ["1.0", "operations", _, "websocket"]) => true,
            ("GET", ["1.0", "operations", id, "wait"]) => self.knows_secret(id),
            _ => false,
        };
        // Strangers are told of paths that there aren't.
        if open || !is_path(segments) || self.is_trusted() {
            return Ok(());
        }
        Err(Failure::forbidden(self.core.behaviour.untrusted))
    }

    fn knows_secret(&self, id: &str) -> bool {
        let Some(secret) = self.query.get("secret") else { return false };
        let operation = self.core.operations.get(id);
        operation.is_ok_and(|operation| {
            operation.state().metadata.values().any(|value| value.as_str() == Some(secret))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_and_der_lead_to_each_other() {
        let der: Vec<u8> = (0..200).collect();
        assert_eq!(der_of_pem(&pem_of_der(&der)), Some(der));
        assert_eq!(der_of_pem("nothing"), None);
    }
}
