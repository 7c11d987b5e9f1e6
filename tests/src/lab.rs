//! Several servers together.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::{
    availability, cluster,
    daemon::{Daemon, is_running},
    emulated::Emulators,
    minio,
    record::{self, state_file},
    server::Server,
    slot::Slot,
    starting::{Life, Starting},
};

/// Begins the name of every folder of ours.
const PREFIX: &str = "lxdrs-";

/// A file that names another lab's state, set by whoever started that lab for this process.
const ATTACH_VARIABLE: &str = "LXD_TESTS_LAB";

/// Private daemons and emulators. Dropping a lab ends those that it started and removes their folders.
#[derive(Debug)]
pub struct Lab {
    daemons: Vec<Daemon>,
    emulators: Option<(Emulators, PathBuf)>,
    missing: Vec<(Slot, String)>,
    /// The folder to remove; `None` for a lab that belongs to somebody else.
    own: Option<PathBuf>,
}

impl Lab {
    /// The daemons that already run for the tests, or else new ones.
    ///
    /// A slot that can't be had on this machine is no error: [`daemon`](Self::daemon) gives the reason. Emulators are
    /// always new, of this process.
    ///
    /// Call it from a thread that lives as long as the lab is needed: the daemons end together with that thread.
    ///
    /// # Errors
    /// A daemon that could be had and did not start, with the end of its log; a lab that another process lent to this
    /// one and whose daemons have ended.
    pub fn attach(wanted: &[Slot]) -> Result<Self, String> {
        if !availability::wanted() {
            return Self::start(wanted);
        }
        let mut lab = Self::attach_daemons(&real(wanted))?;
        lab.emulate(wanted)?;
        Ok(lab)
    }

    fn attach_daemons(wanted: &[Slot]) -> Result<Self, String> {
        let named = std::env::var_os(ATTACH_VARIABLE).map(PathBuf::from);
        match (record::read_ready(named.as_deref().unwrap_or(&state_file())), named) {
            (Some(daemons), _) => Ok(Self::of(daemons, wanted)),
            // New daemons would hide that those we were promised have died.
            (None, Some(file)) => Err(format!("{}: none of its daemons runs any more", file.display())),
            (None, None) => Self::start(wanted),
        }
    }

    /// New daemons, which end with the lab or with the thread that called this.
    ///
    /// # Errors
    /// A daemon that could be had and did not start, with the end of its log.
    pub fn start(wanted: &[Slot]) -> Result<Self, String> {
        let mut lab = Self::start_with(&real(wanted), Life::WithStarter)?;
        lab.emulate(wanted)?;
        Ok(lab)
    }

    /// New daemons that go on after this process, written down for [`attach`](Self::attach) and [`down`](Self::down).
    /// They replace those of an earlier call, of which a part may have died.
    ///
    /// # Errors
    /// As [`start`](Self::start); a file that cannot be written.
    pub fn up(wanted: &[Slot]) -> Result<Self, String> {
        let _ = Self::down();
        let started = Self::start_with(wanted, Life::OfItsOwn);
        let mut lab = started.inspect_err(|_| drop(fs::remove_file(state_file())))?;
        if let Some(folder) = &lab.own {
            record::write(&state_file(), folder, &lab.daemons)?;
        }
        // From here on they belong to the state file.
        lab.own = None;
        Ok(lab)
    }

    /// The daemons that [`up`](Self::up) started and that still run.
    #[must_use]
    pub fn running() -> Option<Self> {
        let daemons = record::read_ready(&state_file())?;
        Some(Self::of(daemons, &Slot::REAL))
    }

    /// Ends the daemons that [`up`](Self::up) started, and removes their folder. Says whether there was anything.
    #[must_use]
    pub fn down() -> bool {
        let Some((folder, daemons)) = record::read(&state_file()) else { return false };
        drop(Self { daemons, emulators: None, missing: Vec::new(), own: Some(folder) });
        let _ = fs::remove_file(state_file());
        true
    }

    /// Writes the lab down for child processes, which find it through the variable that this gives.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn lend(&self, file: &Path) -> Result<(&'static str, PathBuf), String> {
        record::write(file, self.own.as_deref().unwrap_or(file), &self.daemons)?;
        Ok((ATTACH_VARIABLE, file.to_owned()))
    }

    /// The server in a slot, or why there is none.
    ///
    /// # Errors
    /// The reason, as a sentence.
    pub fn server(&self, slot: Slot) -> Result<Server<'_>, String> {
        let emulated = self.emulators.as_ref().and_then(|(emulators, _)| emulators.find(slot));
        emulated.map_or_else(|| self.daemon(slot).map(Server::Daemon), |found| Ok(Server::Emulated(found)))
    }

    /// The daemon in a slot, or why there is none.
    ///
    /// # Errors
    /// The reason, as a sentence.
    pub fn daemon(&self, slot: Slot) -> Result<&Daemon, String> {
        let found = self.daemons.iter().find(|daemon| daemon.slot == slot);
        found.ok_or_else(|| {
            let reason = self.missing.iter().find(|(missing, _)| *missing == slot);
            reason.map_or_else(|| "it was not asked for".to_owned(), |(_, reason)| reason.clone())
        })
    }

    /// The daemon in a slot, to be killed and started again. Only of a lab of one's own: others need theirs.
    ///
    /// # Errors
    /// The reason why there is none, as a sentence.
    pub fn daemon_mut(&mut self, slot: Slot) -> Result<&mut Daemon, String> {
        let place = self.daemons.iter().position(|daemon| daemon.slot == slot);
        match place.and_then(|place| self.daemons.get_mut(place)) {
            Some(daemon) if self.own.is_some() => Ok(daemon),
            _ => Err(format!("{slot} is not of this lab")),
        }
    }

    /// All daemons.
    #[must_use]
    pub fn daemons(&self) -> &[Daemon] {
        &self.daemons
    }

    /// Daemons that belong to somebody else, of those that are wanted.
    fn of(daemons: Vec<Daemon>, wanted: &[Slot]) -> Self {
        Self { missing: missing(wanted, &daemons), daemons, emulators: None, own: None }
    }

    /// Starts those of the slots that are for emulators.
    fn emulate(&mut self, wanted: &[Slot]) -> Result<(), String> {
        let wanted: Vec<_> = wanted.iter().filter_map(|slot| Some((*slot, slot.personality()?))).collect();
        if !wanted.is_empty() {
            let folder = new_folder(Life::WithStarter)?;
            let started = Emulators::start(&wanted, &folder);
            self.emulators = Some((started.inspect_err(|_| remove(&folder))?, folder));
        }
        Ok(())
    }

    fn start_with(wanted: &[Slot], life: Life) -> Result<Self, String> {
        sweep();
        let mut lab = Self::of(Vec::new(), &[]);
        let mut available = Vec::new();
        for &slot in wanted {
            match availability::check(slot) {
                Ok(()) => available.push(slot),
                Err(reason) => lab.missing.push((slot, reason)),
            }
        }
        if available.is_empty() {
            return Ok(lab);
        }
        let folder = new_folder(life)?;
        lab.own = Some(folder.clone());
        minio::tether(&folder)?;
        // All are started before any is waited for.
        let mut starting: Vec<Starting> = Vec::new();
        for slot in available {
            starting.push(Starting::spawn(slot, &folder.join(slot.name()), life)?);
        }
        if life == Life::OfItsOwn {
            // Whoever interrupts us now must still be able to take them down.
            let unready: Vec<Daemon> = starting.iter().filter_map(Starting::unready).collect();
            record::write(&state_file(), &folder, &unready)?;
        }
        let (members, alone): (Vec<Starting>, Vec<Starting>) =
            starting.into_iter().partition(|daemon| Slot::CLUSTER.contains(&daemon.slot));
        for daemon in alone {
            lab.daemons.push(daemon.finish()?);
        }
        lab.daemons.extend(cluster::set_up(members)?);
        Ok(lab)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some((emulators, folder)) = self.emulators.take() {
            drop(emulators);
            remove(&folder);
        }
        let Some(folder) = &self.own else { return };
        for daemon in &self.daemons {
            daemon.kill();
        }
        remove(folder);
    }
}

/// Those of the slots that are for daemons.
fn real(slots: &[Slot]) -> Vec<Slot> {
    slots.iter().copied().filter(|slot| slot.personality().is_none()).collect()
}

fn missing(wanted: &[Slot], daemons: &[Daemon]) -> Vec<(Slot, String)> {
    let absent = wanted.iter().filter(|slot| daemons.iter().all(|daemon| daemon.slot != **slot));
    absent
        .map(|slot| {
            let reason = availability::check(*slot).err();
            (*slot, reason.unwrap_or_else(|| "it is not among the servers that run already".to_owned()))
        })
        .collect()
}

/// Who answers for a folder: this process, or nobody but the state file.
fn owner(life: Life) -> String {
    match life {
        Life::WithStarter => std::process::id().to_string(),
        Life::OfItsOwn => format!("up{}", std::process::id()),
    }
}

/// A folder that only we can look into. Others can go through it to what they may open there, as MinIO must, which
/// Incus runs as `nobody`.
fn new_folder(life: Life) -> Result<PathBuf, String> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("{PREFIX}{}-{number}", owner(life)));
        match fs::DirBuilder::new().mode(0o711).create(&folder) {
            Ok(()) => return Ok(folder),
            // Somebody else's, or of a process that had our number once.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(format!("cannot create {}: {error}", folder.display())),
        }
    }
}

/// Removes the folders of processes that ended without doing so. Their daemons have ended with them.
fn sweep() {
    let entries = fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let owner =
            name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse::<u32>().ok());
        if owner.is_some_and(|owner| !is_running(owner)) {
            remove(&entry.path());
        }
    }
}

fn remove(folder: &Path) {
    // A dying daemon may write one more file while its folder is being removed.
    for _ in 0..20 {
        if fs::remove_dir_all(folder).is_ok() || !folder.exists() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    eprintln!("NOTE: {} could not be removed", folder.display());
}
