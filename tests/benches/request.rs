//! What one small GET costs: this library, bare hyper with the same parsing, and pylxd where it is installed.
//!
//! `cargo xtask bench` or `cargo bench -p lxd-tests --bench request` runs it. The server is a replay of prepared
//! answers over a Unix socket, so that what is measured is the client. Clients are interleaved in rounds, in rotated
//! order, and pinned to one core together with the server: where the scheduler puts two processes changes a small
//! request more than anything that they do. Compare ratios within one run; absolute times mean nothing elsewhere.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a benchmark fails by panicking")]

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use http::Request;
use hyper_util::rt::TokioIo;
use lxd_storage::{
    Client,
    transport::Body,
    types::{Envelope, StoragePool},
};

const POOL: &str = "/1.0/storage-pools/dir0";
const WARM_UP: u32 = 200;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["serve", socket] => serve(Path::new(socket)),
        ["client", "storage", socket, count] => measure(count.parse().unwrap(), storage(socket)),
        ["client", "hyper", socket, count] => measure(count.parse().unwrap(), hyper(socket)),
        ["--quick"] => compare(5, 4_000),
        [] => compare(15, 20_000),
        _ => panic!("unknown arguments {words:?}; there is --quick"),
    }
}

/// Runs the clients in turn and prints the table.
fn compare(rounds: usize, requests: u32) {
    let folder = env::temp_dir().join(format!("lxdrs-bench-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let socket = folder.join("unix.socket");
    let own = env::current_exe().unwrap();
    let server = Ended(pinned(own.to_str().unwrap()).arg("serve").arg(&socket).spawn().unwrap(), folder);
    let end = Instant::now() + Duration::from_secs(10);
    while UnixStream::connect(&socket).is_err() {
        assert!(Instant::now() < end, "the replay server did not start");
        thread::sleep(Duration::from_millis(10));
    }

    let mut clients =
        vec![Contender::own("bare hyper, same parsing", "hyper"), Contender::own("this library", "storage")];
    match pylxd() {
        Some(contender) => clients.push(contender),
        None => println!("pylxd is not installed (pip install pylxd), so it has no row"),
    }
    for round in 0..rounds {
        for turn in 0..clients.len() {
            let place = (round + turn) % clients.len();
            let client = &mut clients[place];
            let count = if client.is_slow { requests / 40 } else { requests };
            let (cpu, wall) = client.run(&socket, count);
            client.cpu.push(cpu / f64::from(count));
            client.wall.push(wall / f64::from(count));
        }
    }
    println!(
        "{rounds} rounds of {requests} requests (pylxd fewer), Unix socket, client and server on one core\n"
    );
    println!("| client | CPU per request, us | ratio | time per request, us | instructions per request |");
    println!("|---|---|---|---|---|");
    let base = clients[0].cpu.clone();
    for client in &clients {
        let ratios: Vec<f64> = client.cpu.iter().zip(&base).map(|(cpu, base)| cpu / base).collect();
        let instructions =
            client.instructions(&socket).map_or_else(|| "-".to_owned(), |count| format!("{count:.0}"));
        println!(
            "| {} | {} | {} | {} | {instructions} |",
            client.name,
            spread(&client.cpu, 1e3),
            spread(&ratios, 1.0),
            spread(&client.wall, 1e3)
        );
    }
    drop(server);
}

/// Median and range, divided by a unit.
fn spread(values: &[f64], unit: f64) -> String {
    let mut sorted: Vec<f64> = values.iter().map(|value| value / unit).collect();
    sorted.sort_by(f64::total_cmp);
    format!("{:.2} ({:.2} to {:.2})", sorted[sorted.len() / 2], sorted[0], sorted[sorted.len() - 1])
}

/// One of the clients that are compared.
struct Contender {
    name: &'static str,
    command: Vec<String>,
    is_slow: bool,
    cpu: Vec<f64>,
    wall: Vec<f64>,
}

impl Contender {
    fn own(name: &'static str, role: &str) -> Self {
        let own = env::current_exe().unwrap().to_string_lossy().into_owned();
        let command = vec![own, "client".to_owned(), role.to_owned()];
        Self { name, command, is_slow: false, cpu: Vec::new(), wall: Vec::new() }
    }

    /// CPU and wall time of so many requests, in nanoseconds.
    fn run(&self, socket: &Path, count: u32) -> (f64, f64) {
        let mut command = pinned(&self.command[0]);
        let output = command.args(&self.command[1..]).arg(socket).arg(count.to_string()).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut figures = printed.split_whitespace().filter_map(|figure| figure.parse().ok());
        match (figures.next(), figures.next()) {
            (Some(cpu), Some(wall)) => (cpu, wall),
            _ => panic!("{}: {printed} {}", self.name, String::from_utf8_lossy(&output.stderr)),
        }
    }

    /// Instructions per request in user space: the figure that repeats exactly.
    fn instructions(&self, socket: &Path) -> Option<f64> {
        if self.is_slow {
            return None;
        }
        let count = |requests: u32| -> Option<f64> {
            let output = Command::new("valgrind")
                .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
                .args(&self.command)
                .arg(socket)
                .arg(requests.to_string())
                .output()
                .ok()?;
            let printed = String::from_utf8_lossy(&output.stderr).into_owned();
            let collected = printed.lines().find_map(|line| line.split_once("Collected : "))?;
            collected.1.trim().parse().ok()
        };
        Some((count(1_200)? - count(200)?) / 1_000.0)
    }
}

fn pylxd() -> Option<Contender> {
    let installed = Command::new("python3").args(["-c", "import pylxd"]).stderr(Stdio::null()).status();
    installed.is_ok_and(|status| status.success()).then(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/pylxd_get.py");
        let command = vec!["python3".to_owned(), script.to_string_lossy().into_owned()];
        Contender { name: "pylxd", command, is_slow: true, cpu: Vec::new(), wall: Vec::new() }
    })
}

/// A command on the first core.
fn pinned(program: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "0", program]);
    command
}

/// Ends a process and removes its folder, whatever happens in between.
struct Ended(Child, PathBuf);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        let _ = fs::remove_dir_all(&self.1);
    }
}

/// Answers from memory: the server's description, and one pool for everything else.
fn serve(socket: &Path) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/lxd-types/tests/fixtures/lxd-5.0");
    let answer = |name: &str| -> &'static [u8] {
        // As the server sends it: on one line.
        let text = fs::read_to_string(fixtures.join(name)).unwrap();
        let body = serde_json::from_str::<serde_json::Value>(&text).unwrap().to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        Box::leak(format!("{head}{body}").into_bytes().into_boxed_slice())
    };
    let (server, pool) = (answer("server.json"), answer("pool-unused.json"));
    let listener = UnixListener::bind(socket).unwrap();
    for stream in listener.incoming() {
        let stream = stream.unwrap();
        thread::spawn(move || {
            let mut writer = stream.try_clone().unwrap();
            let mut reader = BufReader::new(stream);
            let (mut line, mut target) = (String::new(), String::new());
            loop {
                line.clear();
                if reader.read_line(&mut line).unwrap_or(0) == 0 {
                    return;
                }
                if target.is_empty() {
                    target = line.split(' ').nth(1).unwrap_or_default().to_owned();
                } else if line == "\r\n" {
                    let answer = if target == "/1.0" { server } else { pool };
                    if writer.write_all(answer).is_err() {
                        return;
                    }
                    target.clear();
                }
            }
        });
    }
}

/// Prints CPU and wall time of the requests alone, in nanoseconds.
fn measure<F: Future<Output = ()>>(count: u32, mut request: impl FnMut() -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for _ in 0..WARM_UP {
            request().await;
        }
        let (cpu, start) = (cpu_time(), Instant::now());
        for _ in 0..count {
            request().await;
        }
        println!("{} {}", cpu_time() - cpu, start.elapsed().as_nanos());
    });
}

/// Nanoseconds that this process, which has one thread, was on a processor.
fn cpu_time() -> u64 {
    let stat = fs::read_to_string("/proc/self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse().unwrap()
}

/// The public API as anyone would use it.
fn storage(socket: &str) -> impl FnMut() -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
    let pools = Client::unix(socket).storage_pools();
    move || {
        let pools = pools.clone();
        Box::pin(async move { assert_eq!(pools.get("dir0").await.unwrap().driver(), "dir") })
    }
}

/// One connection of hyper and the same types.
fn hyper(socket: &str) -> impl FnMut() -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
    let socket = socket.to_owned();
    let sender = std::rc::Rc::new(tokio::sync::OnceCell::new());
    move || {
        let (socket, sender) = (socket.clone(), std::rc::Rc::clone(&sender));
        Box::pin(async move {
            let connect = || async {
                let stream = tokio::net::UnixStream::connect(&socket).await.unwrap();
                let (sender, connection) =
                    hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
                tokio::spawn(connection);
                tokio::sync::Mutex::new(sender)
            };
            let mut sender = sender.get_or_init(connect).await.lock().await;
            let request = Request::get(POOL).header("host", "lxd").body(Body::empty()).unwrap();
            sender.ready().await.unwrap();
            let mut response = sender.send_request(request).await.unwrap().into_body();
            let mut body = Vec::new();
            while !hyper::body::Body::is_end_stream(&response) {
                let frame = std::future::poll_fn(|cx| {
                    hyper::body::Body::poll_frame(std::pin::Pin::new(&mut response), cx)
                });
                match frame.await {
                    Some(frame) => body.extend_from_slice(&frame.unwrap().into_data().unwrap()),
                    None => break,
                }
            }
            let pool: StoragePool = Envelope::parse(&body).unwrap().decode().unwrap();
            assert_eq!(pool.driver, "dir");
        })
    }
}
