//! The emulator as a program, for tools that are not written in Rust.

use std::{path::PathBuf, process::ExitCode};

use lxd_emulator::{Emulator, Personality};
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "\
Usage: lxd-emulator (--socket PATH | --listen ADDRESS)... [OPTION]...

Serves the storage API of LXD or Incus without LXD or Incus, until it gets SIGINT or SIGTERM.

  --socket PATH          listen on a Unix socket
  --listen ADDRESS       listen for HTTPS, as 127.0.0.1:8443; port 0 is any free one
  --personality NAME     be lxd5 (LXD 5.0, the default), lxd-new (LXD 6.8) or incus6 (Incus 6.0)
  --state FOLDER         keep everything in a folder, instead of one that is gone afterwards; one program at a time
                         has it
  --members NAME,NAME    be a cluster of these members
  --drivers NAME,NAME    storage drivers to have, instead of btrfs and dir
  --trust FILE           trust clients with this certificate (PEM)
  --help                 show this
  --version              show the version
";

#[derive(Default)]
struct Options {
    socket: Option<PathBuf>,
    listen: Option<String>,
    personality: Option<Personality>,
    state: Option<PathBuf>,
    members: Vec<String>,
    drivers: Vec<String>,
    trust: Vec<PathBuf>,
}

/// What the arguments ask for.
enum Wanted {
    Serve(Options),
    /// Text, and nothing else.
    Show(String),
}

fn main() -> ExitCode {
    let outcome = match wanted() {
        Ok(Wanted::Show(text)) => {
            print!("{text}");
            Ok(())
        }
        Ok(Wanted::Serve(options)) => serve(options),
        Err(problem) => {
            eprintln!("lxd-emulator: {problem}\nSee lxd-emulator --help.");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("lxd-emulator: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn wanted() -> Result<Wanted, String> {
    use lexopt::{Arg::Long, ValueExt as _};

    let mut options = Options::default();
    let mut arguments = lexopt::Parser::from_env();
    let problem = |error: lexopt::Error| error.to_string();
    while let Some(argument) = arguments.next().map_err(problem)? {
        match argument {
            Long("help") => return Ok(Wanted::Show(USAGE.to_owned())),
            Long("version") => {
                return Ok(Wanted::Show(format!("lxd-emulator {}\n", env!("CARGO_PKG_VERSION"))));
            }
            Long("socket") => options.socket = Some(path(&mut arguments, "--socket", "file")?),
            Long("state") => options.state = Some(path(&mut arguments, "--state", "folder")?),
            Long("trust") => options.trust.push(path(&mut arguments, "--trust", "file")?),
            Long("listen") => options.listen = Some(text(&mut arguments)?),
            Long("members") => options.members = names(&text(&mut arguments)?)?,
            Long("drivers") => options.drivers = names(&text(&mut arguments)?)?,
            Long("personality") => {
                let name = text(&mut arguments)?;
                let known = Personality::ALL.map(Personality::name).join(", ");
                let chosen = Personality::from_name(&name);
                options.personality =
                    Some(chosen.ok_or_else(|| format!("there is no personality {name:?}, only {known}"))?);
            }
            other => return Err(other.unexpected().to_string()),
        }
    }
    if options.socket.is_none() && options.listen.is_none() {
        return Err("neither --socket nor --listen says where to listen".to_owned());
    }
    return Ok(Wanted::Serve(options));

    fn text(arguments: &mut lexopt::Parser) -> Result<String, String> {
        let value = arguments.value().and_then(|value| value.string());
        value.map_err(|error| error.to_string())
    }

    fn path(arguments: &mut lexopt::Parser, flag: &str, what: &str) -> Result<PathBuf, String> {
        let path = PathBuf::from(arguments.value().map_err(|error| error.to_string())?);
        if path.as_os_str().is_empty() {
            return Err(format!("the path of {flag} is empty; name a {what}"));
        }
        Ok(path)
    }
}

fn names(list: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = list.split(',').map(|name| name.trim().to_owned()).collect();
    if names.iter().any(String::is_empty) {
        return Err(format!("{list:?} has an empty name"));
    }
    Ok(names)
}

fn serve(options: Options) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(run(options))
}

async fn run(options: Options) -> Result<(), String> {
    let mut builder =
        Emulator::builder(options.personality.unwrap_or(Personality::Lxd5)).members(options.members);
    if !options.drivers.is_empty() {
        builder = builder.drivers(options.drivers);
    }
    if let Some(folder) = options.state {
        builder = builder.state(folder);
    }
    let emulator = builder.build().map_err(|error| error.to_string())?;
    for file in options.trust {
        let pem = std::fs::read_to_string(&file);
        let trusted = pem.and_then(|pem| emulator.trust_certificate(&pem));
        trusted.map_err(|error| format!("{}: {error}", file.display()))?;
    }
    // Before anybody can know that this is running.
    let signals = |kind| signal(kind).map_err(|error| error.to_string());
    let (mut interrupt, mut terminate) =
        (signals(SignalKind::interrupt())?, signals(SignalKind::terminate())?);
    let socket = options.socket.map(|path| emulator.listen_unix(path)).transpose();
    let socket = socket.map_err(|error| error.to_string())?;
    let https = match options.listen {
        None => None,
        Some(address) => {
            let listener = emulator.listen_tls(&address).await;
            Some(listener.map_err(|error| format!("cannot listen on {address}: {error}"))?)
        }
    };
    if let Some(socket) = &socket {
        println!("listening on {}", socket.path().display());
    }
    if let Some(https) = &https {
        println!("listening on {}", https.url());
    }
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
