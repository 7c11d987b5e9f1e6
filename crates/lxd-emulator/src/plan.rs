//! What an operation is about, before it starts.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use crate::{core::Core, events::Requestor, faults::OperationFault, migration::Offer};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Task,
    Websocket,
    Token,
}

impl Class {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Websocket => "websocket",
            Self::Token => "token",
        }
    }
}

/// What an operation is about, before it starts.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) class: Class,
    pub(crate) description: &'static str,
    pub(crate) project: String,
    /// URLs by the kind of object.
    pub(crate) resources: BTreeMap<String, Vec<String>>,
    pub(crate) metadata: Map<String, Value>,
    pub(crate) may_cancel: bool,
    pub(crate) location: String,
    pub(crate) requestor: Option<Requestor>,
    pub(crate) fault: Option<OperationFault>,
    /// Its websockets, where it has any.
    pub(crate) offer: Option<Arc<Offer>>,
}

impl Plan {
    /// Says which objects it is about, in the way of each server: the newest by one URL in the metadata, Incus by
    /// resources, and old ones by a resource with a URL that leads nowhere.
    pub(crate) fn about(
        mut self,
        core: &Core,
        resources: &[(&str, &str)],
        old: (&str, &str),
        entity_url: &str,
    ) -> Self {
        let mut add = |kind: &str, url: &str| {
            self.resources.entry(kind.to_owned()).or_default().push(url.to_owned());
        };
        if core.has("operation_metadata_entity_url") {
            self.metadata.insert("entity_url".to_owned(), entity_url.into());
        } else if core.behaviour.raw_operation_urls {
            if !old.0.is_empty() {
                add(old.0, old.1);
            }
        } else {
            resources.iter().for_each(|(kind, url)| add(kind, url));
        }
        self
    }

    /// Says that the work is done on another member.
    pub(crate) fn at(mut self, member: &str) -> Self {
        if !member.is_empty() {
            member.clone_into(&mut self.location);
        }
        self
    }

    /// Makes it one of another class.
    pub(crate) fn of_class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// Gives it websockets, which are open to whoever knows their secrets.
    pub(crate) fn offering(mut self, offer: Arc<Offer>) -> Self {
        self.metadata.extend(offer.secrets());
        self.offer = Some(offer);
        self.of_class(Class::Websocket)
    }

    /// Makes it one of another project; an empty one is the whole server.
    pub(crate) fn of_project(mut self, project: &str) -> Self {
        project.clone_into(&mut self.project);
        self
    }
}
