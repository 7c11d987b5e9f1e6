//! How a migration goes, whoever connects to whom.

use std::sync::{Arc, PoisonError};

use http::Method;
use lxd_types::{
    ContentType, MigrationMode, SourceType, StorageVolume, StorageVolumePostTarget, StorageVolumeSource,
    StorageVolumesPost, VolumeType,
};

use super::{
    Migration, Mode,
    begun::{Begun, End},
    compare::{MARK, difference, difference_of_snapshots, own_keys},
    source::Source,
};
use crate::{
    Change, Client, Error, ErrorKind, Pending, Volume, VolumeHandle, object::Address as _,
    pending::ChangeRequest,
};

impl Migration {
    pub(super) async fn run(mut self) -> Result<Volume, Error> {
        self.source.volume().only_custom("migrate")?;
        if self.refresh && matches!(self.source, Source::Snapshot(_)) {
            return Err(Error::invalid("a refresh takes a whole volume as its source, not a snapshot"));
        }
        self.require_extensions().await?;
        let name: Arc<str> = self.name.take().unwrap_or_else(|| self.source.volume().name().into());
        let copy = self.pool.volume(VolumeType::Custom, name);
        let before = if copy.exists().await? { Some(copy.get().await?) } else { None };
        if before.is_some() && !self.refresh {
            let message = format!("volume {:?} in pool {:?} of the target", copy.name(), self.pool.name());
            return Err(Error::new(ErrorKind::AlreadyExists, message));
        }
        let original = self.source.read().await?;
        if let Some(before) = &before
            && self.is_the_source(&original, before.object()).await?
        {
            return Err(Error::invalid("source and target are one and the same volume"));
        }
        // The member that has a local volume is the one to offer it.
        if self.source.client().target().is_none() && !matches!(&*original.location, "" | "none") {
            self.source = self.source.with_target(&original.location);
        }
        self.check_that_nothing_gets_lost().await?;

        let begun = Begun::new(&self.source, &copy, before.is_none());
        let outcome = async {
            let mut post = self.sink(&original, &copy);
            // The keys of an ISO volume stay as they are at its creation, so that a mark would too.
            if original.content_type != ContentType::Iso {
                begun.mark(&mut post.config);
            }
            match self.mode {
                Mode::Pull => self.pull(post, &begun).await?,
                Mode::Push => self.push_over(&post, &begun).await?,
                Mode::Relay => self.relay_through_us(&post, &begun).await?,
            }
            begun.arrived();
            self.compare(&copy).await
        };
        let volume = match outcome.await {
            Ok(volume) => volume,
            Err(error) => return Err(begun.fail(error, self.mode != Mode::Relay).await),
        };
        // Before the source is asked to go: from then on the copy may be all that there is.
        begun.settle();
        if self.delete_source {
            self.delete_source().await?;
        }
        Ok(volume)
    }

    /// Whether what is at the target is the source itself, reached in another way perhaps: by another address, another
    /// member of its cluster, or another project that has its volumes in the same one.
    async fn is_the_source(&self, source: &StorageVolume, target: &StorageVolume) -> Result<bool, Error> {
        let (from, to) = (self.source.volume(), &self.pool);
        let place =
            |volume: &StorageVolume| (volume.name.clone(), volume.project.clone(), volume.location.clone());
        if from.pool().name() != to.name() || place(source) != place(target) {
            return Ok(false);
        }
        let (here, there) = (from.client().server().await?, to.client().server().await?);
        // Members of a cluster have one certificate, and two servers never have the same.
        Ok(here.environment.certificate_fingerprint == there.environment.certificate_fingerprint)
    }

    /// The end of a move.
    async fn delete_source(&self) -> Result<(), Error> {
        const BOTH_STAY: &str = "the copy is complete and stays, and so does the source";
        // Hours may have passed since this was looked at first, and with them a snapshot by schedule.
        self.check_that_nothing_gets_lost()
            .await
            .map_err(|error| error.having_changed().with_note(BOTH_STAY))?;
        let source = self.source.volume();
        let Err(error) = source.delete().await else { return Ok(()) };
        let error = error.having_changed();
        let unknown = matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::Timeout(_));
        match source.exists().await {
            // It was only the answer that got lost.
            Ok(false) if unknown => Ok(()),
            // The server may still be at it.
            _ if unknown => Err(error.with_note("the copy is complete and stays; the source may be gone")),
            _ => Err(error.with_note(BOTH_STAY)),
        }
    }

    async fn check_that_nothing_gets_lost(&self) -> Result<(), Error> {
        if self.delete_source && self.exclude_older {
            let message =
                "a move deletes the source, and older snapshots would not be at the target; copy it instead";
            return Err(Error::invalid(message));
        }
        if self.delete_source
            && self.volume_only
            && !self.source.volume().snapshots().list().await?.is_empty()
        {
            let message =
                "the volume has snapshots; to move it without them would delete them, so copy it instead";
            return Err(Error::invalid(message));
        }
        Ok(())
    }

    /// Where a server can be reached over HTTPS.
    pub(super) async fn addresses_of(&self, client: &Client, which: &str) -> Result<Vec<String>, Error> {
        if !self.addresses.is_empty() {
            return Ok(self.addresses.clone());
        }
        if let Some(url) = client.endpoint().url() {
            return Ok(vec![url.to_owned()]);
        }
        // It may have begun to listen after this client first asked.
        let addresses: Vec<String> = match &client.server().await?.environment.addresses[..] {
            [] => client.refresh_server().await?.environment.addresses.clone(),
            known => known.to_vec(),
        };
        if addresses.is_empty() {
            return Err(Error::invalid(format!(
                "the {which} server listens on no address (core.https_address), so nobody can connect to it; \
                 a relay needs none"
            )));
        }
        Ok(addresses.into_iter().map(|address| format!("https://{address}")).collect())
    }

    /// What is asked of the target, in all modes.
    fn sink(&self, original: &StorageVolume, copy: &VolumeHandle) -> StorageVolumesPost {
        let mut source = StorageVolumeSource::default();
        source.source_type = SourceType::Migration;
        source.mode = Some(if self.mode == Mode::Pull { MigrationMode::Pull } else { MigrationMode::Push });
        source.name = self.source.name();
        self.source.volume().pool().name().clone_into(&mut source.pool);
        source.volume_only = self.volume_only;
        source.refresh = self.refresh;
        source.refresh_exclude_older = self.exclude_older.then_some(true);
        let mut post = StorageVolumesPost::new(copy.name())
            .with_content_type(original.content_type.clone())
            .with_description(&*original.description)
            .with_source(source);
        post.config = own_keys(&original.config);
        post
    }

    /// Asks the target to receive the volume.
    pub(super) async fn receive(
        &self,
        post: &StorageVolumesPost,
        begun: &Arc<Begun>,
    ) -> Result<Pending<()>, Error> {
        let client = self.pool.client();
        let route = self.pool.path()?.literal("volumes").literal("custom");
        let request = ChangeRequest::new(Method::POST, client.scoped(route)).json(post);
        begun.begin(End::Target, Change::new(client, request, |_| async { Ok(()) })).await
    }

    /// Asks the source to hand the volume over, to this target or to whoever comes with the secrets.
    pub(super) async fn hand_over(
        &self,
        target: Option<StorageVolumePostTarget>,
        begun: &Arc<Begun>,
    ) -> Result<Pending<()>, Error> {
        let request = self.source.offer(target, self.volume_only);
        let change = Change::new(self.source.client(), request, |_| async { Ok(()) });
        begun.begin(End::Source, change).await
    }

    /// Before anything is asked of either server: the one that is asked first would have begun when the other refuses.
    async fn require_extensions(&self) -> Result<(), Error> {
        let mut needed = vec!["storage_api_remote_volume_handling"];
        needed.extend(self.refresh.then_some("custom_volume_refresh"));
        needed.extend(self.exclude_older.then_some("custom_volume_refresh_exclude_older_snapshots"));
        self.pool.client().require(&needed).await?;
        needed.extend(self.source.extension());
        self.source.client().require(&needed).await
    }

    /// Waits as the caller wishes.
    pub(super) fn watched(&self, mut pending: Pending<()>) -> Pending<()> {
        if let Some(deadline) = self.deadline {
            pending = pending.with_deadline(deadline);
        }
        if let Some(on_progress) = self.on_progress.clone() {
            pending = pending.with_progress(move |progress| {
                (on_progress.lock().unwrap_or_else(PoisonError::into_inner))(progress);
            });
        }
        pending
    }

    /// Compares the copy with the source as it is now, after setting again what the target dropped on the way.
    async fn compare(&self, copy: &VolumeHandle) -> Result<Volume, Error> {
        let (source, mut volume) = (self.source.read().await?, copy.get().await?);
        if difference(&source, volume.object()).is_some() || volume.config().get(MARK).is_some() {
            volume = copy
                .edit(|put| {
                    put.description.clone_from(&source.description);
                    put.config.extend(own_keys(&source.config));
                    put.config.remove(MARK);
                })
                .await?;
        }
        let mut found = difference(&source, volume.object());
        if found.is_none() && !self.volume_only && !self.exclude_older {
            found = self.compare_snapshots(copy).await?;
        }
        match found {
            None => Ok(volume),
            Some(found) => Err(Error::new(
                ErrorKind::OperationFailed,
                format!("the copy differs from its source: {found}"),
            )),
        }
    }

    async fn compare_snapshots(&self, copy: &VolumeHandle) -> Result<Option<String>, Error> {
        let (here, there) = (self.source.volume().snapshots().list().await?, copy.snapshots().list().await?);
        for (source, arrived) in here.iter().zip(&there) {
            let same_expiry = source.expires_at == arrived.expires_at;
            if source.short_name() != arrived.short_name()
                || (source.description == arrived.description && same_expiry)
            {
                continue;
            }
            let handle = copy.snapshot(source.short_name());
            handle
                .edit(|put| {
                    put.description.clone_from(&source.description);
                    put.expires_at = source.to_put().expires_at;
                })
                .await?;
        }
        Ok(difference_of_snapshots(&here, &copy.snapshots().list().await?))
    }
}
