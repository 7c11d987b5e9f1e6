//! What pools and volumes have in common: an address, and an object behind it that is read, edited and written back.

use http::Method;
use lxd_types::{Config, Patch, Secret};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::OwnedMutexGuard;

use crate::{
    Change, Client, ETag, Error, ErrorKind, check, doubt, edit::Races, pending::ChangeRequest, route::Route,
};

/// The address of an object on a server.
pub(crate) trait Address: Clone {
    /// What a `GET` gives.
    type Object: Clone + DeserializeOwned;
    /// What a `PUT` takes.
    type Put: PartialEq + Clone + Serialize;

    /// The server, with project and cluster member.
    fn server(&self) -> &Client;
    /// The path, without project and cluster member.
    fn path(&self) -> Result<Route, Error>;
    /// The object in a few words, for errors.
    fn in_words(&self) -> String;

    fn description(object: &Self::Object) -> &str;
    fn config(object: &Self::Object) -> &Config;
    fn to_put(object: &Self::Object) -> Self::Put;
    fn put_config(put: &Self::Put) -> &Config;
    /// The ETag of an object that came without one, where it can be computed.
    fn own_etag(object: &Self::Object) -> Option<ETag>;

    /// The API extension that the object needs.
    const NEEDS: &'static [&'static str] = &[];
    /// The fields of a `PUT` that reading doesn't give back, or that the server chooses where they are empty.
    const ONE_WAY: &'static [&'static str] = &[];
    /// Whether servers look at `If-Match`. Where they don't, ETags are compared here.
    const GUARDED: bool = true;

    /// Refuses what no server takes.
    fn check(put: &Self::Put) -> Result<(), Error> {
        check::sizes(Self::put_config(put))
    }

    /// Refuses config that no server gives to an object that is like this.
    fn takes_config(&self, _now: &Self::Object, _config: &Config) -> Result<(), Error> {
        Ok(())
    }

    /// What no error or log may show.
    fn secrets(_put: &Self::Put) -> Vec<Secret> {
        Vec::new()
    }

    /// Whether an object is still what it was, as far as a `PUT` would overwrite it.
    fn is_same(then: &Self::Object, now: &Self::Object) -> bool {
        Self::config(then) == Self::config(now) && Self::description(then) == Self::description(now)
    }

    /// The address to stay at once the object was found: a name can come to be on several members of a cluster.
    fn found(&self, _object: &Self::Object) -> Self {
        self.clone()
    }

    fn scoped(&self) -> Result<Route, Error> {
        self.path().map(|route| self.server().scoped(route))
    }

    /// Refuses a request that objects of this kind don't take.
    fn takes(&self, _method: &Method) -> Result<(), Error> {
        Ok(())
    }

    fn request(&self, method: Method) -> Result<ChangeRequest, Error> {
        self.takes(&method)?;
        let mut request = ChangeRequest::new(method, self.scoped()?);
        for extension in Self::NEEDS {
            request = request.needs(extension);
        }
        if !Self::GUARDED {
            request = request.guarded_here(self.scoped()?, |answer| Ok(Self::own_etag(&answer.decode()?)));
        }
        Ok(request)
    }

    async fn read(&self) -> Result<Local<Self>, Error> {
        let answer = self.server().get(self.scoped(), Self::NEEDS).await?;
        Ok(Local { object: answer.decode()?, before: None, etag: answer.etag, listed: false, deleted: false })
    }

    /// Only "not found" counts as no.
    async fn is_there(&self) -> Result<bool, Error> {
        match self.server().get(self.scoped(), Self::NEEDS).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn replace(&self, put: &Self::Put) -> Change<()> {
        let request = Self::check(put)
            .and_then(|()| Ok(self.request(Method::PUT)?.json(put)?.hiding(Self::secrets(put))));
        Change::new(self.server(), request, |_| async { Ok(()) })
    }

    fn change_some(&self, patch: &Patch) -> Change<()> {
        let request = check::sizes(&patch.config).and_then(|()| self.request(Method::PATCH)?.json(patch));
        Change::new(self.server(), request, |_| async { Ok(()) })
    }

    fn remove(&self) -> Change<()> {
        Change::new(self.server(), self.request(Method::DELETE), |_| async { Ok(()) })
    }

    /// Waits until no other task that goes by this client, in whichever project and from whichever member, is writing
    /// the object.
    async fn turn(&self) -> Result<OwnedMutexGuard<()>, Error> {
        let queue = self.server().turns().of(&self.path()?.uri()?.to_string());
        Ok(queue.lock_owned().await)
    }

    /// Reads, lets the caller change, writes back if something changed, and begins again after a lost race.
    async fn edit_until_won(
        &self,
        mut change: impl FnMut(&mut Self::Put) + Send,
    ) -> Result<Local<Self>, Error> {
        let _turn = self.turn().await?;
        let mut races = Races::default();
        loop {
            match self.edit_once(&mut change, &mut races).await {
                Err(error) => races.again_after(error).await?,
                done => return done,
            }
        }
    }

    async fn edit_once(
        &self,
        change: &mut (impl FnMut(&mut Self::Put) + Send),
        races: &mut Races,
    ) -> Result<Local<Self>, Error> {
        let mut local = self.read().await?;
        let before = Self::to_put(&local.object);
        let mut put = before.clone();
        change(&mut put);
        if put != before {
            let address = self.found(&local.object);
            local.put_in_turn(&address, &put).await?;
            races.confirm(&before, &put, &Self::to_put(&local.object), Self::ONE_WAY)?;
        }
        Ok(local)
    }

    /// Patches what is there now, whose description stays unless the patch has one; gives the outcome.
    async fn patch_once(&self, patch: &Patch, races: &mut Races) -> Result<Local<Self>, Error> {
        self.takes(&Method::PATCH)?;
        let then = self.read().await?;
        let address = self.found(&then.object);
        let mut whole = patch.clone();
        whole.description.get_or_insert_with(|| Self::description(&then.object).to_owned());
        let change = address.change_some(&whole);
        match then.etag() {
            Some(etag) => change.if_match(&etag).await?,
            None => change.await?,
        }
        let now = address.read().await.map_err(doubt::after)?;
        let (before, after) = (Self::to_put(&then.object), Self::to_put(&now.object));
        races.confirm_patch(
            &before,
            patch,
            (Self::config(&now.object), Self::description(&now.object)),
            &after,
        )?;
        Ok(now)
    }
}

/// An object as it was read and perhaps edited since.
#[derive(Clone, Debug)]
pub(crate) struct Local<A: Address> {
    object: A::Object,
    /// As it was read, kept only once the object was edited.
    before: Option<Box<A::Object>>,
    etag: Option<ETag>,
    listed: bool,
    deleted: bool,
}

impl<A: Address> Local<A> {
    /// An object out of a list, which brings no ETags.
    pub(crate) fn listed(object: A::Object) -> Self {
        Self { object, before: None, etag: None, listed: true, deleted: false }
    }

    pub(crate) fn object(&self) -> &A::Object {
        &self.object
    }

    /// For edits: keeps the object as it was.
    pub(crate) fn object_mut(&mut self) -> &mut A::Object {
        if self.before.is_none() {
            self.before = Some(Box::new(self.object.clone()));
        }
        &mut self.object
    }

    /// The version that was read; none out of a list.
    pub(crate) fn etag(&self) -> Option<ETag> {
        match &self.etag {
            Some(etag) => Some(etag.clone()),
            None if self.listed => None,
            None => A::own_etag(self.as_read()),
        }
    }

    fn as_read(&self) -> &A::Object {
        self.before.as_deref().unwrap_or(&self.object)
    }

    /// Fails once the object was deleted through this handle.
    pub(crate) fn alive(&self, address: &A) -> Result<(), Error> {
        if self.deleted { Err(Error::deleted(address.in_words())) } else { Ok(()) }
    }

    pub(crate) async fn sync(&mut self, address: &A) -> Result<(), Error> {
        self.alive(address)?;
        *self = address.read().await?;
        Ok(())
    }

    pub(crate) async fn save(&mut self, address: &A) -> Result<(), Error> {
        let put = A::to_put(&self.object);
        self.put(address, &put).await
    }

    pub(crate) async fn put(&mut self, address: &A, put: &A::Put) -> Result<(), Error> {
        self.alive(address)?;
        let _turn = address.turn().await?;
        self.put_in_turn(address, put).await
    }

    /// Whoever calls this has the turn.
    async fn put_in_turn(&mut self, address: &A, put: &A::Put) -> Result<(), Error> {
        // What will be refused anyway needs no question before it.
        A::check(put)?;
        if A::put_config(put) != A::config(self.as_read()) {
            address.takes_config(self.as_read(), A::put_config(put))?;
        }
        let etag = self.current_etag(address).await?;
        address.replace(put).if_match(&etag).await?;
        self.sync(address).await.map_err(doubt::after)
    }

    pub(crate) async fn patch(&mut self, address: &A, patch: &Patch) -> Result<(), Error> {
        self.alive(address)?;
        check::sizes(&patch.config)?;
        if !patch.config.is_empty() {
            address.takes_config(self.as_read(), &patch.config)?;
        }
        let _turn = address.turn().await?;
        let mut races = Races::default();
        loop {
            match address.patch_once(patch, &mut races).await {
                Err(error) => races.again_after(error).await?,
                Ok(now) => {
                    *self = now;
                    return Ok(());
                }
            }
        }
    }

    pub(crate) async fn delete(&mut self, address: &A) -> Result<(), Error> {
        self.alive(address)?;
        address.remove().await?;
        self.deleted = true;
        Ok(())
    }

    /// The ETag to send. Lists bring none: then the object is read again, and must still be what the list said.
    async fn current_etag(&self, address: &A) -> Result<ETag, Error> {
        if let Some(etag) = self.etag() {
            return Ok(etag);
        }
        let now = address.read().await?;
        if !A::is_same(self.as_read(), &now.object) {
            let message = format!("{} is no longer as it was when it was listed", address.in_words());
            return Err(Error::new(ErrorKind::PreconditionFailed, message));
        }
        now.etag().ok_or_else(|| {
            Error::new(ErrorKind::Decode, format!("the server sends no ETag for {}", address.in_words()))
        })
    }
}
