//! `/1.0/operations`.

use std::{collections::BTreeMap, sync::Arc};

use http::{HeaderValue, StatusCode, header};

use crate::{
    call::Call,
    envelope::{Reply, error_body, json, sync_body, untold},
    failure::Failure,
    gojson,
    operation_view::View,
    operations::{Operation, Status},
    upgrade::{is_websocket, websocket},
};

/// `GET /1.0/operations`: by their status, and of one project.
pub(crate) fn list(call: &Call) -> Result<Reply, Failure> {
    let all = call.query.is_true("all-projects") && call.core.has("operations_get_query_all_projects");
    if all && call.query.get("project").is_some() {
        return Err(Failure::bad_request("Cannot specify a project when requesting all projects"));
    }
    let wanted = |operation: &Arc<Operation>| {
        all || operation.plan.project == call.project() || operation.plan.project.is_empty()
    };
    let operations = call.core.operations.all().into_iter().filter(wanted);
    if call.query.recursion() == 0 {
        let mut urls: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for operation in operations {
            let status = operation.status().name().to_ascii_lowercase();
            urls.entry(status).or_default().push(format!("/1.0/operations/{}", operation.id));
        }
        return Reply::of(&urls);
    }
    let mut views: BTreeMap<String, Vec<View>> = BTreeMap::new();
    for operation in operations {
        let status = operation.status().name().to_ascii_lowercase();
        views.entry(status).or_default().push(View::of(&operation, &call.core.behaviour, false));
    }
    Reply::of(&views)
}

/// `GET /1.0/operations/ID`.
pub(crate) fn get(call: &Call, id: &str) -> Result<Reply, Failure> {
    let operation = call.core.operations.get(id)?;
    Reply::of(&View::of(&operation, &call.core.behaviour, false))
}

/// `DELETE /1.0/operations/ID`.
pub(crate) async fn cancel(call: &Call, id: &str) -> Result<Reply, Failure> {
    let operation = call.core.operations.get(id)?;
    if operation.status().is_final() {
        return Err(Failure::bad_request("Only running operations can be cancelled"));
    }
    if !operation.plan.may_cancel {
        return Err(Failure::bad_request("This operation can't be cancelled"));
    }
    operation.cancel().await;
    Ok(Reply::done())
}

/// `GET /1.0/operations/ID/wait`.
pub(crate) async fn wait(call: &Call, id: &str) -> Result<Reply, Failure> {
    let operation = call.core.operations.get(id)?;
    let limit = call.timeout()?;
    let status = operation.wait(limit).await;
    let errors = call.core.behaviour.wait_failure_is_error;
    let failure = match status {
        Status::Failure if errors => operation.state().failure,
        Status::Pending | Status::Running if errors => Some(Failure::internal("context deadline exceeded")),
        _ => None,
    };
    let body = match failure {
        Some(failure) => error_body(&failure),
        None if errors => sync_body(&gojson::plain(&View::of(&operation, &call.core.behaviour, false))?),
        None => return Reply::of(&View::of(&operation, &call.core.behaviour, false)),
    };
    // Such servers send the head before the end is known, and so no length.
    let mut response = json(StatusCode::OK, body);
    let whole = std::mem::take(response.body_mut());
    *response.body_mut() = untold(whole);
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("keep-alive"));
    Ok(Reply::Raw(response))
}

/// `GET /1.0/operations/ID/websocket`: to whoever knows the secret of one.
pub(crate) fn connect(call: &Call, id: &str) -> Result<Reply, Failure> {
    let incus = call.core.behaviour.incus;
    let Some(secret) = call.query.get("secret") else {
        let text = if incus { "Missing websocket secret" } else { "missing secret" };
        return Err(Failure::bad_request(text));
    };
    let operation = call.core.operations.get(id)?;
    let Some(offer) = &operation.plan.offer else {
        return Err(Failure::internal("Only websocket operations can be connected"));
    };
    if !is_websocket(&call.headers) {
        return websocket(&call.headers, None, |_| async {}).map(Reply::Raw);
    }
    let taken = offer.take(secret).ok_or_else(|| {
        if incus { Failure::forbidden("Forbidden") } else { Failure::internal("permission denied") }
    })?;
    let arrived = taken.ok_or_else(|| Failure::conflict("Connection already established"))?;
    // Whoever waited for it may have given up.
    let hand_over = move |socket| async move { drop(arrived.send(socket)) };
    websocket(&call.headers, call.takeover.clone(), hand_over).map(Reply::Raw)
}
