//! The main job, once through: create a pool and volumes, edit, resize, list, copy, move, delete.
//!
//! `cargo run --example tour` uses the LXD or Incus of this machine where one answers. Otherwise it starts a private
//! daemon for the time of the tour, if LXD or Incus is installed and it may (root). Where neither is to be had it goes to
//! the emulator, in this very process, and says why. Everything it makes has a name that begins with `lxd-tour-`, and it
//! removes all of it.

use std::{
    error::Error,
    io::{Write, stdout},
    process::ExitCode,
};

use lxd_emulator::{Emulator, Personality};
use lxd_storage::{
    Client, MoveTo, PoolHandle, Volume,
    transport::discover,
    types::{Patch, Size, SourceType, StoragePoolsPost, StorageVolumeSource, StorageVolumesPost},
};
use lxd_tests::{Lab, Slot};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match find_or_start().await {
        Ok((client, _lab)) => tour(&client).await,
        Err(reason) => Err(reason.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nThe tour ends here: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A client of the server that is there, or of one started for us, which ends when the lab is dropped, or of an emulator.
async fn find_or_start() -> Result<(Client, Option<Lab>), String> {
    let not_found = match Client::local().await {
        Ok(client) => {
            say(format!("Server: the one of this machine, {}", client.endpoint()));
            return Ok((client, None));
        }
        Err(error) => error,
    };
    let mut reasons = Vec::new();
    let tried = discover::attempts(&not_found).unwrap_or_default();
    reasons.extend(tried.iter().map(|attempt| format!("- {attempt}")));
    for slot in [Slot::LxdA, Slot::Incus] {
        let lab = match Lab::attach(&[slot]) {
            Ok(lab) => lab,
            Err(error) => {
                reasons.push(format!("- a private {slot} did not start: {error}"));
                continue;
            }
        };
        let socket = lab.daemon(slot).map(|daemon| daemon.socket());
        match socket {
            Ok(socket) => {
                say(format!("Server: a private {slot}, started for this tour"));
                return Ok((Client::unix(socket), Some(lab)));
            }
            Err(reason) => reasons.push(format!("- a private {slot} cannot be started: {reason}")),
        }
    }
    say("Server: an emulator of LXD 5.0 in this process, because no real one is to be had here:");
    reasons.iter().for_each(say);
    let emulator = Emulator::new(Personality::Lxd5).map_err(|error| format!("it did not start: {error}"))?;
    Ok((Client::new(emulator.transport()), None))
}

async fn tour(client: &Client) -> Result<(), Box<dyn Error>> {
    let server = client.server().await?;
    let environment = &server.environment;
    let extensions = server.api_extensions.len();
    say(format!(
        "        {} {}, {extensions} API extensions\n",
        environment.server, environment.server_version
    ));

    let id = std::process::id();
    let (first, second) = (format!("lxd-tour-{id}-a"), format!("lxd-tour-{id}-b"));
    let outcome = walk(client, &first, &second).await;

    // Whatever happened on the way, nothing stays.
    for name in [&first, &second] {
        remove_pool(&client.storage_pool(name.as_str())).await?;
    }
    say(format!("{:<44} pools {first} and {second} are gone", "Clean up"));
    outcome
}

async fn walk(client: &Client, first: &str, second: &str) -> Result<(), Box<dyn Error>> {
    let pools = client.storage_pools();
    let mut fast =
        pools.create(StoragePoolsPost::new(first, "dir").with_description("made by the tour")).await?;
    let archive = pools.create(StoragePoolsPost::new(second, "dir")).await?;
    step("Create two pools", format!("{}, {}", fast.name(), archive.name()));

    fast.config_mut().set("rsync.bwlimit", "100MB");
    fast.save().await?;
    step("Edit and save a pool, guarded by its ETag", format!("{:?}", fast.config().text("rsync.bwlimit")));

    let resources = fast.resources().get().await?;
    let (used, total) = (Size::new(resources.space.used), Size::new(resources.space.total));
    step("Ask how full it is", format!("{} of {}", human(used), human(total)));

    let volumes = fast.volumes();
    let size = Size::mib(64);
    let mut data =
        volumes.create(StorageVolumesPost::new("data").with_size(size).with_description("first")).await?;
    let logs = volumes.create(StorageVolumesPost::new("odd name: 100% é")).await?;
    step("Create volumes, with any legal name", format!("{:?}, {:?}", data.name(), logs.name()));

    data.config_mut().set("size", Size::mib(128));
    data.save().await?;
    step("Resize", format!("{:?}", data.config().text("size")));

    data.patch(&Patch::new().with_config("user.owner", "tour")).await?;
    step("Patch, and the description stays", format!("{:?}", data.description()));

    let mut source = StorageVolumeSource::default();
    source.source_type = SourceType::Copy;
    source.pool = first.to_owned();
    source.name = data.name().to_owned();
    let mut copy = volumes
        .create(StorageVolumesPost::new("copy").with_source(source))
        .with_progress(|progress| say(format!("    ... {progress}")))
        .await?;
    step("Copy in the background, with progress", copy.name());

    copy.rename("copy-renamed").await?;
    copy.move_to(MoveTo::pool(second).with_name("archived")).await?;
    step("Rename, then move to the other pool", format!("{} in {}", copy.name(), copy.pool().name()));

    say("");
    print_table(&[fast.volumes().all().await?, archive.volumes().all().await?].concat());

    data.delete().await?;
    let after = data.sync().await.err().map(|error| error.to_string()).unwrap_or_default();
    step("Delete; the handle knows", after);
    Ok(())
}

/// Prints a line. Nobody may be reading any more, and that must not keep the tour from cleaning up.
fn say(line: impl std::fmt::Display) {
    let _ = writeln!(stdout(), "{line}");
}

fn step(what: &str, result: impl std::fmt::Display) {
    say(format!("{what:<44} {result}"));
}

fn human(size: Option<Size>) -> String {
    size.map_or_else(|| "?".to_owned(), |size| size.human(2))
}

fn print_table(volumes: &[Volume]) {
    let row = |cells: [&str; 6]| {
        let [pool, kind, name, content, size, description] = cells;
        say(format!("{pool:<22} {kind:<8} {name:<20} {content:<11} {size:>8}  {description}"));
    };
    row(["POOL", "TYPE", "NAME", "CONTENT", "SIZE", "DESCRIPTION"]);
    for volume in volumes {
        row([
            volume.pool().name(),
            volume.volume_type().as_str(),
            volume.name(),
            volume.content_type().as_str(),
            volume.config().text("size").unwrap_or("-"),
            volume.description(),
        ]);
    }
    say("");
}

/// Deletes a pool of the tour with all that is in it.
async fn remove_pool(pool: &PoolHandle) -> Result<(), lxd_storage::Error> {
    if !pool.exists().await? {
        return Ok(());
    }
    for mut volume in pool.volumes().all().await? {
        volume.delete().await?;
    }
    pool.delete().await
}
