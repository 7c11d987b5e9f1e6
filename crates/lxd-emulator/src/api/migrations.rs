//! Requests to give a volume to another server, and to take one from it.

use std::sync::Arc;

use crate::{
    api::volume_create::{Wanted, exists},
    call::Call,
    decode::Fields,
    envelope::Reply,
    failure::Failure,
    migration::{Invitation, Offer, Receiving, Sending, dial},
    names,
    plan::Plan,
    state::VolumeKey,
};

/// `POST` of a volume or a snapshot with `migration`: it is offered, or sent to where `target` says.
pub(crate) async fn give(call: &Call, sending: Sending, fields: &Fields) -> Result<Reply, Failure> {
    let core = Arc::clone(&call.core);
    let target = fields.object("target", "StorageVolumePostTarget")?;
    let plan = about(call, "Migrating storage volume", &sending.key);
    let Some(target) = target.filter(|target| target.is_set("operation")) else {
        let (offer, awaited) = Offer::new();
        let operation = core.operations.start(plan.offering(offer), |operation| {
            let core = Arc::clone(&core);
            async move {
                let wires = tokio::select! {
                    wires = awaited.wires(&core.behaviour) => wires?,
                    () = operation.unwanted() => return Err(Failure::internal("context canceled")),
                };
                sending.send(&core, &operation, wires).await
            }
        });
        return call.accepted(&operation);
    };
    let invitation = Invitation::parse(&target, "secrets")?;
    // LXD 5.0 meets the target before it answers.
    let at_once = call.core.behaviour.raw_operation_urls;
    let met = if at_once { Some(dial(&invitation).await?) } else { None };
    let operation = core.operations.start(plan, |operation| {
        let core = Arc::clone(&core);
        async move {
            let wires = match met {
                Some(wires) => wires,
                None => dial(&invitation).await?,
            };
            sending.send(&core, &operation, wires).await
        }
    });
    call.accepted(&operation)
}

/// `POST` of a volume with a source of type `migration`: it is fetched, or waited for.
pub(crate) fn take(call: &Call, key: VolumeKey, wanted: Wanted, source: &Fields) -> Result<Reply, Failure> {
    let core = Arc::clone(&call.core);
    let mode = source.text("mode")?;
    if !matches!(&*mode, "pull" | "push") {
        return Err(Failure::new(501, format!("Mode '{mode}' not implemented")));
    }
    let refresh = source.flag("refresh")?;
    let there = core.store.read(|database| database.volumes.contains_key(&key));
    if there && !refresh {
        return Err(exists());
    }
    let receiving = Receiving {
        key,
        description: wanted.description,
        config: wanted.config,
        refresh,
        exclude_older: core.has("custom_volume_refresh_exclude_older_snapshots")
            && source.flag("refresh_exclude_older")?,
    };
    let plan = about(call, "Creating storage volume", &receiving.key);
    let (invitation, awaited, plan) = match &*mode {
        "pull" => (Some(Invitation::parse(source, "secrets")?), None, plan),
        _ => {
            let (offer, awaited) = Offer::new();
            (None, Some(awaited), plan.offering(offer))
        }
    };
    let requestor = call.requestor();
    let operation = core.operations.start(plan, |operation| {
        let core = Arc::clone(&core);
        async move {
            let meeting = async {
                match (invitation, awaited) {
                    (Some(invitation), _) => dial(&invitation).await,
                    (None, Some(awaited)) => awaited.wires(&core.behaviour).await,
                    (None, None) => Err(Failure::internal("nobody is to be met")),
                }
            };
            let wires = tokio::select! {
                wires = meeting => wires?,
                () = operation.unwanted() => return Err(Failure::internal("context canceled")),
            };
            receiving.receive(&core, &operation, wires).await?;
            let key = &receiving.key;
            let (source, context) =
                (names::event_source(&core, key), serde_json::json!({"type": key.kind.name()}));
            core.happened(&key.project, "storage-volume-created", source, Some(context), requestor);
            Ok(())
        }
    });
    call.accepted(&operation)
}

fn about(call: &Call, description: &'static str, key: &VolumeKey) -> Plan {
    let core = &call.core;
    let url = names::volume(core, key);
    let old = format!("/1.0/storage_volumes/{}", key.name);
    let plan = call.plan(description).at(&key.member).about(
        core,
        &[("storage_volumes", &url)],
        ("storage_volumes", &old),
        &url,
    );
    Plan { may_cancel: core.behaviour.work_can_be_cancelled, ..plan }
}
