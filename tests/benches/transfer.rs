//! What it costs to bring a volume out, in and across: peak memory over the idle client, CPU and time, on real servers.
//!
//! `cargo xtask bench transfer` or `cargo bench -p lxd-tests --bench transfer` moves 1 GiB; `docs/perf/transfer.md` has the
//! outcome. As part of the tests it moves 256 MiB and fails where a client needs more than 32 MiB over what it needs at
//! rest, which whoever holds a whole body in memory does. Each client is a process of its own, so that nobody's peak hides
//! another's.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a benchmark fails by panicking")]

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use lxd_storage::{
    Client, Upload,
    transport::{HttpTransport, Identity, ServerTrust, Tls},
    types::{Compression, StorageVolumesPost, VolumeType},
};
use lxd_tests::{Daemon, Lab, Slot};

/// The most that a client may need over what it needs at rest.
const BOUND_KIB: u64 = 32 << 10;
const WORKS: [&str; 3] = ["export", "import", "relay"];
const POOL: &str = "dir0";

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["client", work, slot, wire, file] => client(work, named(slot), wire, Path::new(file)),
        ["--list", ..] => println!("memory_stays_bounded: test"),
        _ if words.contains(&"--bench") && words.contains(&"--quick") => compare(256),
        _ if words.contains(&"--bench") => compare(1024),
        // A filter that means some other test.
        _ if words.iter().any(|word| !word.starts_with('-') && !"memory_stays_bounded".contains(word)) => {}
        _ => compare(256),
    }
}

/// Runs each client once and prints the table. Panics where one needs too much memory.
fn compare(mib: u64) {
    let folder = Folder(env::temp_dir().join(format!("lxdrs-transfer-{}", std::process::id())));
    fs::create_dir_all(&folder.0).unwrap();
    let lab = Lab::attach(&[Slot::LxdA, Slot::LxdB, Slot::Incus, Slot::IncusB]).unwrap();
    let lent = lab.lend(&folder.0.join("lab")).unwrap();
    let (mut rows, mut greedy) = (Vec::new(), Vec::new());
    for slot in [Slot::LxdA, Slot::Incus] {
        if let Err(reason) = lab.daemon(slot).and(lab.daemon(other(slot))) {
            assert!(env::var("CI").as_deref() != Ok("true"), "{slot} is missing: {reason}");
            println!("SKIPPED, no {slot}: {reason}");
            continue;
        }
        for wire in ["unix", "tls"] {
            let file = folder.0.join("file");
            prepare(lab.daemon(slot).unwrap(), mib);
            for work in WORKS {
                let own = env::current_exe().unwrap();
                let mut command = Command::new(own);
                command.args(["client", work, slot.name(), wire]).arg(&file).env(lent.0, &lent.1);
                let output = command.stderr(Stdio::inherit()).output().unwrap();
                assert!(output.status.success(), "{work} on {slot} over {wire} failed");
                let figures: Vec<f64> = String::from_utf8(output.stdout)
                    .unwrap()
                    .split_whitespace()
                    .map(|figure| figure.parse().unwrap())
                    .collect();
                let [idle, over, cpu, wall] = figures[..] else { panic!("{figures:?}") };
                if over > BOUND_KIB as f64 {
                    greedy.push(format!("{work} on {slot} over {wire}: {:.1} MiB", over / 1024.0));
                }
                rows.push(format!(
                    "| {work} | {slot} | {wire} | {:.1} | {:.1} | {:.2} | {wall:.1} |",
                    idle / 1024.0,
                    over / 1024.0,
                    cpu / mib as f64 * 1024.0
                ));
            }
            clean_up(lab.daemon(slot).unwrap());
        }
    }
    println!("{mib} MiB that can't be compressed, each client a process of its own\n");
    println!("| work | server | wire | memory at rest, MiB | peak over it, MiB | CPU, s per GiB | time, s |");
    println!("|---|---|---|---|---|---|---|");
    rows.iter().for_each(|row| println!("{row}"));
    assert!(greedy.is_empty(), "more than {} MiB over the client at rest: {greedy:#?}", BOUND_KIB >> 10);
}

/// A folder that goes away also after a panic.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn named(slot: &str) -> Slot {
    Slot::REAL.into_iter().find(|one| one.name() == slot).unwrap()
}

fn other(slot: Slot) -> Slot {
    if slot == Slot::Incus { Slot::IncusB } else { Slot::LxdB }
}

/// A name that differs between runs against the same daemons, and not between a run's processes.
fn volume_name() -> String {
    // Children have the parent's folder in this variable.
    let file = env::args().nth(5).map(PathBuf::from);
    let folder = file.as_deref().and_then(Path::parent).and_then(Path::file_name);
    folder.map_or_else(
        || format!("lxdrs-transfer-{}", std::process::id()),
        |name| name.to_string_lossy().into(),
    )
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// A volume full of noise.
fn prepare(daemon: &Daemon, mib: u64) {
    let name = volume_name();
    let volumes = Client::unix(daemon.socket()).storage_pool(POOL).volumes();
    run(volumes.create(StorageVolumesPost::new(&*name)).into_future()).unwrap();
    let mut file = fs::File::create(daemon.volume_path(POOL, "default", &name).join("noise")).unwrap();
    let (mut block, mut state) = (vec![0_u8; 1 << 20], 0x9E37_79B9_7F4A_7C15_u64);
    for _ in 0..mib {
        for word in block.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        file.write_all(&block).unwrap();
    }
    file.sync_all().unwrap();
}

fn clean_up(daemon: &Daemon) {
    let pool = Client::unix(daemon.socket()).storage_pool(POOL);
    run(pool.volume(VolumeType::Custom, volume_name()).delete().into_future()).unwrap();
}

/// One work in this process, and what it cost.
fn client(work: &str, slot: Slot, wire: &str, file: &Path) {
    let lab = Lab::attach(&[slot, other(slot)]).unwrap();
    let connect = |slot: Slot| {
        let daemon = lab.daemon(slot).unwrap();
        if wire == "unix" {
            return Client::unix(daemon.socket());
        }
        let (certificate, key) = daemon.client_identity();
        let tls = Tls::builder(daemon.https_url())
            .identity(Identity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap())
            .trust(ServerTrust::certificate(daemon.certificate_pem().as_bytes()).unwrap());
        Client::new(HttpTransport::new(tls.build().unwrap()))
    };
    let (here, there) = (connect(slot).storage_pool(POOL), connect(other(slot)).storage_pool(POOL));
    let volume = here.volume(VolumeType::Custom, volume_name());
    run(async {
        assert!(volume.exists().await.unwrap());
        assert!(there.exists().await.unwrap());
        // From here on the peak counts anew.
        fs::write("/proc/self/clear_refs", "5").unwrap();
        let idle = memory("VmRSS:");
        let (cpu, start) = (cpu_seconds(), Instant::now());
        let mut made = None;
        match work {
            "export" => {
                volume.export().with_compression(Compression::None).to_file(file).await.unwrap();
            }
            "import" => {
                let upload = Upload::file(file).await.unwrap();
                let name = format!("{}-again", volume.name());
                made = Some(here.volumes().import_backup(upload, Some(&name)).await.unwrap());
            }
            "relay" => made = Some(volume.copy_to_server(&there).relay().await.unwrap()),
            _ => panic!("{work:?} is none of {WORKS:?}"),
        }
        let (cpu, wall) = (cpu_seconds() - cpu, start.elapsed().as_secs_f64());
        println!("{idle} {} {cpu} {wall}", memory("VmHWM:").saturating_sub(idle));
        if let Some(mut volume) = made {
            volume.delete().await.unwrap();
        }
        if work == "import" {
            fs::remove_file(file).unwrap();
        }
    });
}

/// A line of this process's memory, in KiB.
fn memory(line: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let found = status.lines().find_map(|text| text.strip_prefix(line)).unwrap();
    found.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The time that all threads of this process were on a processor, also those that have ended.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // In hundredths of a second, which the kernel promises to programs whatever its own clock does.
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    ticks as f64 / 100.0
}
