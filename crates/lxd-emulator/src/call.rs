//! One request, as handlers see it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{HeaderMap, Method, Request};
use lxd_transport::Body;

use crate::{
    core::{ALONE, Core},
    decode::Fields,
    envelope::Reply,
    events::Requestor,
    failure::Failure,
    faults::OperationFault,
    operation_view::View,
    operations::Operation,
    plan::{Class, Plan},
    route::Query,
    state::{DEFAULT, Database},
    upgrade::Takeover,
};

/// No JSON of a client is longer.
const JSON_MAX: usize = 64 << 20;

/// So much of a body that nobody wants Go reads before it answers.
const DRAINED: usize = 256 << 10;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Over a Unix socket or in process.
    Local,
    /// Over TLS, by the certificate that was shown, in DER.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "nobody comes over TLS"))]
    Remote { certificate: Option<Vec<u8>>, address: String },
}

/// The body of a request, for the first who takes it.
#[derive(Clone)]
pub(crate) struct SharedBody(Arc<Mutex<Body>>);

impl SharedBody {
    fn take(&self) -> Body {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads on to the end, but not for long: a client that is still sending hears no answer.
    pub(crate) async fn drain(self) {
        drain(self.take()).await;
    }
}

/// Reads on to the end of a body, but not for long.
pub(crate) async fn drain(mut body: Body) {
    let mut left = DRAINED;
    while let Some(Ok(chunk)) = body.chunk().await {
        match left.checked_sub(chunk.len()) {
            Some(less) => left = less,
            None => return,
        }
    }
}

pub(crate) struct Call {
    pub(crate) core: Arc<Core>,
    pub(crate) method: Method,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) caller: Caller,
    /// Shared with whoever answers, who reads what nobody else did.
    body: SharedBody,
    /// How the connection is taken over, where it can be.
    pub(crate) takeover: Option<Takeover>,
    /// What the operation does that the request begins.
    fault: Option<OperationFault>,
}

impl Call {
    pub(crate) fn new(core: Arc<Core>, request: Request<Body>, caller: Caller) -> (Self, Vec<String>) {
        let (mut parts, body) = request.into_parts();
        let segments = crate::route::segments(parts.uri.path());
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        let takeover = parts.extensions.remove::<Takeover>();
        let fault = parts.extensions.remove::<OperationFault>();
        (
            Self {
                core,
                method: parts.method,
                query,
                headers: parts.headers,
                caller,
                body: SharedBody(Arc::new(Mutex::new(body))),
                takeover,
                fault,
            },
            segments,
        )
    }

    /// The body, once.
    pub(crate) fn take_body(&self) -> Body {
        self.body.take()
    }

    pub(crate) fn body(&self) -> SharedBody {
        self.body.clone()
    }

    /// The body as a struct.
    pub(crate) async fn fields(&self, kind: &'static str) -> Result<Fields, Failure> {
        let body = self.take_body().collect(JSON_MAX).await;
        let body = body.map_err(|error| Failure::bad_request(error.to_string()))?;
        Fields::parse(&body, kind, self.core.behaviour.server_version != "5.0.2")
    }

    /// The project that the request names.
    pub(crate) fn project(&self) -> &str {
        self.query.get("project").unwrap_or(DEFAULT)
    }

    /// The cluster member that the request names.
    pub(crate) fn target(&self, database: &Database) -> Result<Option<String>, Failure> {
        let Some(target) = self.query.get("target") else { return Ok(None) };
        if database.members.is_empty() {
            return if target == ALONE { Ok(None) } else { Err(unknown_member()) };
        }
        if database.members.iter().any(|member| member == target) {
            Ok(Some(target.to_owned()))
        } else {
            Err(unknown_member())
        }
    }

    /// Who asks, as events say it.
    pub(crate) fn requestor(&self) -> Requestor {
        match &self.caller {
            Caller::Local => Requestor {
                username: "root".to_owned(),
                protocol: "unix".to_owned(),
                address: "@".to_owned(),
            },
            Caller::Remote { certificate, address } => Requestor {
                username: certificate.as_deref().map(crate::trust::fingerprint).unwrap_or_default(),
                protocol: "tls".to_owned(),
                address: address.clone(),
            },
        }
    }

    /// What an operation for this request starts from.
    pub(crate) fn plan(&self, description: &'static str) -> Plan {
        Plan {
            class: Class::Task,
            description,
            project: self.project().to_owned(),
            resources: std::collections::BTreeMap::new(),
            metadata: serde_json::Map::new(),
            may_cancel: false,
            location: self.core.store.read(|database| self.core.here(database)),
            requestor: Some(self.requestor()),
            fault: self.fault.clone(),
            offer: None,
        }
    }

    /// The answer that an operation is.
    pub(crate) fn accepted(&self, operation: &Operation) -> Result<Reply, Failure> {
        let view = View::at_its_start(operation, &self.core.behaviour);
        Ok(Reply::Operation { metadata: crate::gojson::plain(&view)?, url: operation.url() })
    }

    /// Does some work before answering, or in an operation where the server has it so.
    pub(crate) async fn change<W>(&self, asynchronous: bool, plan: Plan, work: W) -> Result<Reply, Failure>
    where
        W: Future<Output = Result<Reply, Failure>> + Send + 'static,
    {
        if !asynchronous {
            return work.await;
        }
        let operation = self.core.operations.start(plan, |_| async move { work.await.map(drop) });
        self.accepted(&operation)
    }

    /// The same for work that makes something at a place, of which the answer tells, or the operation under a name.
    pub(crate) async fn make<W>(
        &self,
        asynchronous: bool,
        plan: Plan,
        name: &'static str,
        work: W,
    ) -> Result<Reply, Failure>
    where
        W: Future<Output = Result<(serde_json::Value, String), Failure>> + Send + 'static,
    {
        if !asynchronous {
            let (made, location) = work.await?;
            return Ok(Reply::Sync {
                metadata: crate::gojson::plain(&made)?,
                etag: None,
                location: Some(location),
            });
        }
        let operation = self.core.operations.start(plan, |operation| async move {
            let (made, _) = work.await?;
            operation.report(name, made);
            Ok(())
        });
        self.accepted(&operation)
    }

    /// A time limit in seconds; below zero is none.
    pub(crate) fn timeout(&self) -> Result<Option<Duration>, Failure> {
        let Some(text) = self.query.get("timeout") else { return Ok(None) };
        let seconds: i64 = text
            .parse()
            .map_err(|_| Failure::internal(format!("strconv.Atoi: parsing {text:?}: invalid syntax")))?;
        Ok(u64::try_from(seconds).ok().map(Duration::from_secs))
    }
}

fn unknown_member() -> Failure {
    Failure::not_found("Cluster member not found")
}
