//! Who trusts whom, on real servers with the certificates that they sign themselves.

use lxd_storage::{
    Client, ErrorKind,
    transport::{Identity, Reached, ServerTrust, Tls, fingerprint},
    types::VolumeType,
};
use lxd_tests::Slot;

use crate::ctx::{Ctx, cases};

cases![
    a_server_is_trusted_by_its_fingerprint,
    a_self_signed_server_is_not_trusted_by_an_authority,
    a_caller_without_a_certificate_is_a_stranger,
];

fn identity(ctx: &Ctx) -> Identity {
    let (certificate, key) = ctx.server().client_identity();
    Identity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap()
}

async fn a_server_is_trusted_by_its_fingerprint(ctx: Ctx) {
    let server = ctx.client.server().await.unwrap();
    let told = &server.environment.certificate_fingerprint;
    assert_eq!(*told, fingerprint(ctx.server().certificate_pem().as_bytes()).unwrap());
    let trust = ServerTrust::fingerprint(told).unwrap();
    // By its address, which the certificate need not name.
    let tls = Tls::builder(ctx.server().https_url()).identity(identity(&ctx)).trust(trust).build().unwrap();
    assert!(Client::https(tls).server().await.unwrap().is_trusted());
}

async fn a_self_signed_server_is_not_trusted_by_an_authority(ctx: Ctx) {
    // Some certificate that is no authority of this server: the client's own.
    let trust = ServerTrust::ca(ctx.server().client_identity().0.as_bytes()).unwrap();
    let tls = Tls::builder(ctx.server().https_url()).identity(identity(&ctx)).trust(trust).build().unwrap();
    let error = Client::https(tls).storage_pools().all().await.unwrap_err();
    assert_eq!((error.kind(), error.request_reached_server()), (ErrorKind::Tls, Reached::No), "{error:?}");
}

async fn a_caller_without_a_certificate_is_a_stranger(ctx: Ctx) {
    let trust = ServerTrust::certificate(ctx.server().certificate_pem().as_bytes()).unwrap();
    let client = Client::https(Tls::builder(ctx.server().https_url()).trust(trust).build().unwrap());
    // The server describes itself to anyone, Incus 7 without its extensions, and does nothing else for them.
    let server = client.server().await.unwrap();
    assert!(!server.is_trusted());
    let extensions = &server.api_extensions;
    assert!(extensions.has("storage") || (extensions.is_empty() && ctx.slot == Slot::Incus7));
    let error = client.storage_pools().all().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{error:?}");
    // What needs an extension is refused to a stranger for being one, and not as if the server were too old.
    let volume = client.storage_pool("dir0").volume(VolumeType::Custom, "v").with_project("default");
    let error = volume.state().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{error:?}");
}
