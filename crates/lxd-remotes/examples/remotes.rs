//! Lists the remotes of `lxc` or `incus` and says which of them answer: `cargo run --example remotes -- incus`.

use lxd_remotes::{Cli, Remotes};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cli = match std::env::args().nth(1).as_deref() {
        None | Some("lxc") => Cli::Lxc,
        Some("incus") => Cli::Incus,
        Some(other) => return Err(format!("{other:?} is neither lxc nor incus").into()),
    };
    let remotes = Remotes::load(cli)?;
    println!("{}, default {}", remotes.path().display(), remotes.default_remote());
    for remote in remotes.iter().filter(|remote| remote.has_storage()) {
        let pools = match remotes.client(remote.name()).await {
            Ok(client) => client.storage_pools().all().await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match pools {
            Ok(pools) => println!("{}: {} pools", remote.name(), pools.len()),
            Err(error) => println!("{}: {error}", remote.name()),
        }
    }
    Ok(())
}
