//! The emulator as a program, for tools that are not written in Rust.

use std::{io, path::PathBuf, process::ExitCode, time::Duration};

use lxd_emulator::{Emulator, Personality, TlsListener, UnixListener};
use tokio::{
    runtime::{self, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};

const USAGE: &str = "\
Usage: lxd-emulator (--socket PATH | --listen ADDRESS)... [OPTION]...

Serves the storage API of LXD or Incus without LXD or Incus, until it gets SIGINT or SIGTERM.
A second signal ends it without waiting for work that is still going on.

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

/// The signals that end the program. They have a runtime of their own, so that the other one can end while they are
/// waited for.
struct Signals {
    runtime: Runtime,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let context = runtime.enter();
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        drop(context);
        Ok(Self { runtime, interrupt, terminate })
    }

    /// Waits for one, and for no longer than something else takes. Says whether there was one.
    fn come_before(&mut self, other: impl Future) -> bool {
        self.runtime.block_on(async {
            tokio::select! {
                _ = self.interrupt.recv() => true,
                _ = self.terminate.recv() => true,
                _ = other => false,
            }
        })
    }
}

/// What serves until it is dropped.
struct Serving {
    emulator: Emulator,
    socket: Option<UnixListener>,
    https: Option<TlsListener>,
}

fn serve(options: Options) -> Result<(), String> {
    let temporary = options.state.is_none();
    // Before anybody can know that this is running.
    let mut signals = Signals::new().map_err(|error| error.to_string())?;
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let serving = runtime.block_on(begin(options))?;
    if let Some(socket) = &serving.socket {
        println!("listening on {}", socket.path().display());
    }
    if let Some(https) = &serving.https {
        println!("listening on {}", https.url());
    }
    signals.come_before(std::future::pending::<()>());

    let folder = serving.emulator.folder();
    let (done, ended) = oneshot::channel();
    std::thread::spawn(move || {
        drop(serving);
        // It waits for work that is going on.
        drop(runtime);
        let _ = done.send(());
    });
    if !signals.come_before(ended) {
        return Ok(());
    }
    if temporary && !is_removed(folder.clone()) {
        return Err(format!("ended by a second signal; the folder {} is left", folder.display()));
    }
    Err("ended by a second signal, before all work was done".to_owned())
}

/// Removes a folder if that is possible in a moment.
fn is_removed(folder: PathBuf) -> bool {
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = std::fs::remove_dir_all(&folder);
        done.send(!folder.exists())
    });
    ended.recv_timeout(Duration::from_secs(1)).unwrap_or(false)
}

async fn begin(options: Options) -> Result<Serving, String> {
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
    let socket = options.socket.map(|path| emulator.listen_unix(path)).transpose();
    let socket = socket.map_err(|error| error.to_string())?;
    let https = match options.listen {
        None => None,
        Some(address) => {
            let listener = emulator.listen_tls(&address).await;
            Some(listener.map_err(|error| format!("cannot listen on {address}: {error}"))?)
        }
    };
    Ok(Serving { emulator, socket, https })
}
