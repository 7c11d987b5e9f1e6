//! Just enough of S3 to put objects into buckets and to get them back.

use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use lxd_storage::{
    Bucket,
    transport::{Body, HttpTransport, ServerTrust, Tls, Transport as _},
    types::{Secret, Timestamp},
};

use lxd_tests::Server;

/// The objects of one bucket, with the credentials of one key.
pub(crate) struct Objects {
    transport: HttpTransport,
    url: Uri,
    access: Secret,
    secret: Secret,
}

impl Objects {
    pub(crate) fn new(server: Server<'_>, bucket: &Bucket, access: &Secret, secret: &Secret) -> Self {
        let url: Uri = bucket.s3_url().unwrap().parse().unwrap();
        let trust = ServerTrust::certificate(server.certificate_pem().as_bytes()).unwrap();
        let tls = Tls::builder(format!("https://{}", url.authority().unwrap())).trust(trust).build().unwrap();
        let transport = HttpTransport::new(tls);
        Self { transport, url, access: access.clone(), secret: secret.clone() }
    }

    pub(crate) async fn put(&self, object: &str, content: impl Into<Bytes>) -> Result<(), String> {
        self.send(Method::PUT, object, content.into()).await.map(drop)
    }

    pub(crate) async fn get(&self, object: &str) -> Result<Bytes, String> {
        self.send(Method::GET, object, Bytes::new()).await
    }

    async fn send(&self, method: Method, object: &str, content: Bytes) -> Result<Bytes, String> {
        let path = format!("{}/{object}", self.url.path());
        let host = self.url.authority().unwrap().as_str();
        let digest = hex(&hmac_sha256::Hash::hash(&content));
        let time = Timestamp::from_unix(unix_now(), 0).unwrap().to_string().replace(['-', ':'], "");
        let request = Request::builder()
            .method(method.clone())
            .uri(&path)
            .header(header::HOST, host)
            .header("x-amz-content-sha256", &digest)
            .header("x-amz-date", &time)
            .header(header::AUTHORIZATION, self.authorization(&method, &path, host, &digest, &time))
            .body(Body::from(content))
            .unwrap();
        let response = self.transport.send(request).await.unwrap();
        let (status, body) = (response.status(), response.into_body().collect(1 << 30).await.unwrap());
        if status == StatusCode::OK { Ok(body) } else { Err(String::from_utf8_lossy(&body).into_owned()) }
    }

    /// The fourth version of Amazon's signatures, as each request needs it.
    fn authorization(&self, method: &Method, path: &str, host: &str, digest: &str, time: &str) -> String {
        const SIGNED: &str = "host;x-amz-content-sha256;x-amz-date";
        let date = &time[..8];
        let scope = format!("{date}/us-east-1/s3/aws4_request");
        let canonical = format!(
            "{method}\n{path}\n\nhost:{host}\nx-amz-content-sha256:{digest}\nx-amz-date:{time}\n\n{SIGNED}\n{digest}"
        );
        let digest = hex(&hmac_sha256::Hash::hash(canonical.as_bytes()));
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}");
        let mut key = format!("AWS4{}", self.secret.expose()).into_bytes();
        for part in [date, "us-east-1", "s3", "aws4_request", &text] {
            key = hmac_sha256::HMAC::mac(part, &key).to_vec();
        }
        let (access, signature) = (self.access.expose(), hex(&key));
        format!("AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={SIGNED}, Signature={signature}")
    }
}

fn unix_now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
