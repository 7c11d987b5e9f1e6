//! `/1.0/certificates`: trust by certificate, by token, and on LXD 5.0 by password.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    call::{Call, Caller},
    clock::Moment,
    core::Core,
    decode::Fields,
    envelope::Reply,
    etag,
    failure::Failure,
    operations::Status,
    plan::Class,
    state::{Certificate, Database},
    trust::{der_of_pem, fingerprint, pem_of_der},
};

#[derive(Serialize)]
struct View {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    restricted: bool,
    projects: Vec<String>,
    certificate: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    fingerprint: String,
}

impl View {
    fn of(core: &Core, fingerprint: &str, certificate: &Certificate) -> Self {
        let described = core.has("certificate_description");
        Self {
            name: certificate.name.clone(),
            kind: certificate.kind.clone(),
            restricted: certificate.restricted,
            projects: certificate.projects.clone(),
            certificate: certificate.pem.clone(),
            description: described.then(|| certificate.description.clone()),
            fingerprint: fingerprint.to_owned(),
        }
    }
}

/// `GET /1.0/certificates`.
pub(crate) fn list(call: &Call) -> Result<Reply, Failure> {
    call.core.store.read(|database| {
        if call.query.recursion() == 0 {
            let urls: Vec<String> =
                database.certificates.keys().map(|print| format!("/1.0/certificates/{print}")).collect();
            return Reply::of(&urls);
        }
        let views = database.certificates.iter().map(|(print, known)| View::of(&call.core, print, known));
        Reply::of(&views.collect::<Vec<_>>())
    })
}

/// Finds a certificate by its fingerprint or the beginning of it.
fn find<'a>(database: &'a Database, prefix: &str) -> Result<(&'a String, &'a Certificate), Failure> {
    let mut found = database.certificates.iter().filter(|(print, _)| print.starts_with(prefix));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(Failure::internal("More than one certificate matches")),
        _ => Err(Failure::not_found("Certificate not found")),
    }
}

/// `GET /1.0/certificates/FINGERPRINT`.
pub(crate) fn get(call: &Call, prefix: &str) -> Result<Reply, Failure> {
    call.core.store.read(|database| {
        let (print, certificate) = find(database, prefix)?;
        let view = View::of(&call.core, print, certificate);
        Reply::with_etag(&view, &view)
    })
}

/// `PUT` and `PATCH /1.0/certificates/FINGERPRINT`.
pub(crate) async fn update(call: Call, prefix: &str) -> Result<Reply, Failure> {
    let (print, old) = call.core.store.read(|database| {
        let (print, certificate) = find(database, prefix)?;
        etag::check(&call.headers, &View::of(&call.core, print, certificate))?;
        Ok::<_, Failure>((print.clone(), certificate.clone()))
    })?;
    let fields = call.fields("CertificatePut").await?;
    let keep = |field: &str| call.method == http::Method::PATCH && !fields.has(field);
    let new = Certificate {
        name: if keep("name") { old.name } else { fields.text("name")? },
        kind: if keep("type") { old.kind } else { fields.text("type")? },
        description: if keep("description") { old.description } else { fields.text("description")? },
        restricted: if keep("restricted") { old.restricted } else { fields.flag("restricted")? },
        projects: if keep("projects") { old.projects } else { fields.texts("projects")?.unwrap_or_default() },
        pem: old.pem,
    };
    call.core.store.change(|database| {
        database.certificates.insert(print, new);
        Ok::<(), Failure>(())
    })?;
    Ok(Reply::done())
}

/// `DELETE /1.0/certificates/FINGERPRINT`.
pub(crate) fn delete(call: &Call, prefix: &str) -> Result<Reply, Failure> {
    let print = call.core.store.change(|database| {
        let print = find(database, prefix)?.0.clone();
        database.certificates.remove(&print);
        Ok::<_, Failure>(print)
    })?;
    let url = format!("/1.0/certificates/{print}");
    call.core.happened("default", "certificate-deleted", url, None, call.requestor());
    Ok(Reply::done())
}

/// `POST /1.0/certificates`.
pub(crate) async fn create(call: Call) -> Result<Reply, Failure> {
    let fields = call.fields("CertificatesPost").await?;
    let core = &call.core;
    let trusted = call.is_trusted();
    let mut certificate = Certificate {
        name: fields.text("name")?,
        kind: fields.text("type")?,
        description: fields.text("description")?,
        restricted: fields.flag("restricted")?,
        projects: fields.texts("projects")?.unwrap_or_default(),
        pem: String::new(),
    };
    let sent = fields.text("certificate")?;
    let wants_token = fields.flag("token")?;
    if wants_token && core.store.read(|database| !database.config.contains_key("core.https_address")) {
        return Err(Failure::bad_request("Can't issue token when server isn't listening on network"));
    }
    if !trusted {
        admit(&call, &fields, &mut certificate)?;
    }
    if !matches!(certificate.kind.as_str(), "client" | "server" | "metrics") {
        return Err(Failure::bad_request("Invalid certificate type"));
    }
    if trusted && wants_token {
        return token(&call, &fields, &certificate);
    }
    let der = match (&call.caller, sent.is_empty()) {
        (_, false) => decode(&sent)?,
        (_, true) if trusted => return Err(already(core)),
        (Caller::Remote { certificate: Some(der), address }, true) => {
            if certificate.name.is_empty() {
                let host = address.rsplit_once(':').map_or("", |(host, _)| host);
                certificate.name = host.trim_matches(['[', ']']).to_owned();
            }
            der.clone()
        }
        _ => return Err(Failure::bad_request("No client certificate provided")),
    };
    let print = fingerprint(&der);
    certificate.pem = pem_of_der(&der);
    core.store.change(|database| {
        if database.certificates.contains_key(&print) {
            return Err(in_store(core));
        }
        database.certificates.insert(print.clone(), certificate);
        Ok(())
    })?;
    let url = format!("/1.0/certificates/{print}");
    core.happened("default", "certificate-created", url.clone(), None, call.requestor());
    Ok(Reply::created(url))
}

fn already(core: &Core) -> Failure {
    let code = if core.has("storage_and_network_operations") { 409 } else { 400 };
    Failure::new(code, "Client is already trusted")
}

fn in_store(core: &Core) -> Failure {
    Failure::conflict(if core.has("storage_and_network_operations") {
        "Client is already trusted"
    } else {
        "Certificate already in trust store"
    })
}

/// A certificate as it is sent: base64 without the lines around it, or all of it.
fn decode(sent: &str) -> Result<Vec<u8>, Failure> {
    if let Some(der) = der_of_pem(sent) {
        return Ok(der);
    }
    let der = STANDARD.decode(sent).map_err(|error| {
        let at = match error {
            base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => at,
            _ => sent.len() / 4 * 4,
        };
        Failure::bad_request(format!("illegal base64 data at input byte {}", at / 4 * 4))
    })?;
    // An X.509 certificate is a sequence, and a long one.
    if der.first() != Some(&0x30) || der.len() < 64 {
        let text = "x509: malformed certificate";
        return Err(Failure::bad_request(text).within("Invalid certificate material"));
    }
    Ok(der)
}

/// Lets a caller without trust in by token or password; what the token was made for counts.
fn admit(call: &Call, fields: &Fields, certificate: &mut Certificate) -> Result<(), Failure> {
    let core = &call.core;
    let refused = || Failure::forbidden(core.behaviour.untrusted);
    if certificate.kind.is_empty() {
        "client".clone_into(&mut certificate.kind);
    }
    let password = fields.text("password")?;
    if !password.is_empty() && core.has("storage_and_network_operations") {
        return Err(Failure::new(501, "Password authentication is no longer supported"));
    }
    if core.behaviour.trust_password {
        let known = core.store.read(|database| database.config.get("core.trust_password").cloned());
        if !password.is_empty() && known.as_ref() == Some(&password) {
            return Ok(());
        }
    }
    let token = if core.behaviour.trust_password { password } else { fields.text("trust_token")? };
    let secret = STANDARD.decode(&token).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    let secret = secret.as_ref().and_then(|token| token.get("secret")?.as_str()).map(str::to_owned);
    let secret = secret.ok_or_else(refused)?;
    let operation = core.operations.all().into_iter().find(|operation| {
        operation.plan.class == Class::Token
            && !operation.status().is_final()
            && operation.plan.metadata.get("secret").and_then(Value::as_str) == Some(secret.as_str())
    });
    let operation = operation.ok_or_else(refused)?;
    let expired = operation.plan.metadata.get("expiresAt").and_then(Value::as_str).and_then(Moment::parse);
    if expired.flatten().is_some_and(|end| end <= core.clock.now()) {
        operation.set(Status::Cancelled, None);
        return Err(refused());
    }
    let request = operation.plan.metadata.get("request").cloned().unwrap_or_default();
    let text = |field: &str| request.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let projects = request.get("projects").and_then(Value::as_array).cloned().unwrap_or_default();
    certificate.name = text("name");
    certificate.kind = text("type");
    certificate.restricted = request.get("restricted").and_then(Value::as_bool).unwrap_or_default();
    certificate.projects = projects.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect();
    // A token is good for one client.
    operation.set(Status::Cancelled, None);
    Ok(())
}

/// An operation that waits for somebody with its secret.
fn token(call: &Call, fields: &Fields, certificate: &Certificate) -> Result<Reply, Failure> {
    let core = &call.core;
    let mut request = json!({
        "name": certificate.name,
        "type": certificate.kind,
        "restricted": certificate.restricted,
        "projects": certificate.projects,
        "certificate": fields.text("certificate")?,
        "token": true,
    });
    if let Some(request) = request.as_object_mut() {
        if core.behaviour.trust_password {
            request.insert("password".to_owned(), json!(""));
        } else {
            request.insert("trust_token".to_owned(), json!(""));
        }
        if core.has("certificate_description") {
            request.insert("description".to_owned(), json!(certificate.description));
        }
    }
    let (address, lifetime) = core.store.read(|database| {
        let config = &database.config;
        (config.get("core.https_address").cloned(), config.get("core.remote_token_expiry").cloned())
    });
    let mut metadata = Map::new();
    metadata.insert("addresses".to_owned(), json!(address.into_iter().collect::<Vec<_>>()));
    metadata.insert("fingerprint".to_owned(), json!(core.certificate_fingerprint()));
    metadata.insert("request".to_owned(), request);
    let secret: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(32).collect();
    metadata.insert("secret".to_owned(), json!(etag::hex(&secret)));
    let expires = lifetime.and_then(|text| text.parse().ok());
    if let Some(expires) = expires.and_then(|lifespan| crate::clock::after(core.clock.now(), lifespan)) {
        metadata.insert("expiresAt".to_owned(), json!(expires.to_string()));
    }
    let mut plan = call.plan("Executing operation").of_class(Class::Token);
    (plan.metadata, plan.may_cancel) = (metadata, true);
    let operation = core.operations.open(plan);
    call.accepted(&operation)
}
