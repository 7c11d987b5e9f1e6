//! Operations as JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    events::Requestor,
    operations::{Operation, State},
    personality::Behaviour,
};

/// An operation as clients see it.
#[derive(Serialize)]
pub(crate) struct View {
    id: String,
    class: &'static str,
    description: &'static str,
    created_at: String,
    updated_at: String,
    status: &'static str,
    status_code: u16,
    resources: Option<BTreeMap<String, Vec<String>>>,
    metadata: Option<Map<String, Value>>,
    may_cancel: bool,
    err: String,
    location: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    requestor: Option<Requestor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    err_code: Option<u16>,
}

impl View {
    /// As it began, which is what is answered to whoever starts it, however fast the work is.
    pub(crate) fn at_its_start(operation: &Operation, behaviour: &Behaviour) -> Self {
        Self::at(operation, operation.at_its_start(), behaviour, false)
    }

    /// What an event shows includes progress, which the newest servers keep out of answers.
    pub(crate) fn of(operation: &Operation, behaviour: &Behaviour, in_event: bool) -> Self {
        Self::at(operation, operation.state(), behaviour, in_event)
    }

    fn at(operation: &Operation, state: State, behaviour: &Behaviour, in_event: bool) -> Self {
        let (plan, newest) = (&operation.plan, behaviour.error_codes_in_operations);
        let mut metadata = state.metadata;
        if newest && !in_event {
            metadata.retain(|key, _| key != "progress" && !key.ends_with("_progress"));
        }
        let empty = plan.resources.is_empty();
        let code = state.failure.as_ref().map_or(0, |failure| failure.code);
        Self {
            id: operation.id.clone(),
            class: plan.class.name(),
            description: plan.description,
            created_at: operation.created_at.to_string(),
            updated_at: state.updated_at.to_string(),
            status: state.status.name(),
            status_code: state.status.code(),
            resources: (!(empty && behaviour.empty_resources_are_null)).then(|| plan.resources.clone()),
            metadata: (!metadata.is_empty() || newest).then_some(metadata),
            may_cancel: plan.may_cancel && !state.status.is_final(),
            err: state.failure.map_or_else(String::new, |failure| failure.text),
            location: plan.location.clone(),
            requestor: plan.requestor.clone().filter(|_| newest),
            err_code: newest.then_some(code),
        }
    }
}
