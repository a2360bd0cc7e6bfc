//! Clients that others wrote, against a running mesh: kola, qPython, PyKX, node-q, kdb_codec, curl. All but kdb_codec
//! also against a process of `qmesh q`.
//!
//! The mesh serves the bundled kdb+ database and the gallery (`testkit::gallery`). What the right answers are is
//! computed from the column files by `tests/clients/truth.py`, which shares no code with qmesh. Each script
//! prints one line per check; see `tests/clients/README.md`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use testkit::{Mesh, Process, Up, ports};

use super::tally::Verdict;
use super::toolbox;
use crate::error::Error;
use crate::shell::Shell;
use crate::tree;

/// A client: its name, and the command for its script.
struct Client {
    name: &'static str,
    command: fn(&Path) -> Result<Shell, Error>,
}

const CLIENTS: [Client; 6] = [
    Client {
        name: "curl",
        command: |dir| Ok(Shell::new(toolbox::base_python()?).arg(dir.join("curl_client.py"))),
    },
    Client { name: "kola", command: |dir| python(dir, "kola", "kola_client.py") },
    Client { name: "qpython", command: |dir| python(dir, "qpython", "qpython_client.py") },
    Client {
        name: "pykx",
        command: |dir| Ok(python(dir, "pykx", "pykx_client.py")?.env("PYKX_UNLICENSED", "true")),
    },
    Client { name: "node-q", command: |dir| node(dir, "node_client.js") },
    Client { name: "kdb_codec", command: kdb_codec },
];

/// The scripts of the same clients against `qmesh q -p`.
const OF_Q: [Client; 5] = [
    Client {
        name: "curl",
        command: |dir| Ok(Shell::new(toolbox::base_python()?).arg(dir.join("q_curl.py"))),
    },
    Client { name: "kola", command: |dir| python(dir, "kola", "q_kola.py") },
    Client { name: "qpython", command: |dir| python(dir, "qpython", "q_qpython.py") },
    Client {
        name: "pykx",
        command: |dir| Ok(python(dir, "pykx", "q_pykx.py")?.env("PYKX_UNLICENSED", "true")),
    },
    Client { name: "node-q", command: |dir| node(dir, "q_node.js") },
];

/// Clients that run a second time against a mesh that compresses answers on its own host too.
const COMPRESSING: [&str; 2] = ["kola", "qpython"];
const COMPRESS: &str = "QMESH_GW_COMPRESS";
/// Folder of the gallery's database.
const GALLERY: &str = "gallery";

/// Run the clients named in `only`, or all where it is empty.
pub(super) fn run(only: &[String]) -> Result<Verdict, Error> {
    if let Some(unknown) = only.iter().find(|name| !CLIENTS.iter().any(|c| c.name == name.as_str())) {
        let known: Vec<&str> = CLIENTS.iter().map(|c| c.name).collect();
        return Err(Error::Other(format!("no client is called `{unknown}`; there are {}", known.join(", "))));
    }
    let dir = tree::root().join("tests/clients");
    let mut verdict = Verdict::default();
    // Everything is fetched and built before the mesh starts: no client measures another's installation.
    let mut commands = Vec::new();
    for client in CLIENTS.iter().filter(|c| only.is_empty() || only.iter().any(|name| name == c.name)) {
        match (client.command)(&dir) {
            Ok(command) => commands.push((client.name, command)),
            Err(error) => {
                verdict.join(Verdict::failed(format!("{} could not be set up: {error}", client.name)))
            }
        }
    }
    let work = Work::new()?;
    let truth = work.0.join("truth.json");
    let data = tree::root().join("tests/data/kdb-hdb");
    Shell::new(toolbox::base_python()?).arg(dir.join("truth.py")).arg(&data).arg(&truth).run()?;
    build(&work.0)?;
    let compressing: Vec<(&str, Shell)> =
        commands.iter().filter(|(name, _)| COMPRESSING.contains(name)).cloned().collect();
    for (mode, commands) in [("auto", commands), ("always", compressing)] {
        if commands.is_empty() {
            continue;
        }
        let mut mesh = start_mesh(&data, &work.0, mode)?;
        for (name, command) in commands {
            let command = command.env(COMPRESS, mode);
            verdict.join(run_client(name, command, &mesh, &truth, &dir)?);
            if let Some(status) = mesh.process().ended() {
                verdict.join(Verdict::failed(format!("the mesh ended with {status} under {name}")));
                println!("{}", mesh.process().tail());
                return Ok(verdict);
            }
        }
        if verdict.tally.failed > 0 {
            println!("--- the mesh's last lines\n{}", mesh.process().tail());
        }
    }
    verdict.join(against_q(only, &truth, &dir)?);
    Ok(verdict)
}

/// The clients against a process of `qmesh q`.
fn against_q(only: &[String], truth: &Path, dir: &Path) -> Result<Verdict, Error> {
    let mut verdict = Verdict::default();
    let port = ports::port();
    let script = dir.join("q_process.q").to_string_lossy().into_owned();
    let args = ["q".into(), script, "-p".into(), port.to_string(), "-q".into()];
    let mut process = Process::start("qmesh q", &program(), &args, &[])?;
    let at = ports::local(port);
    let open = |_: &Process| std::net::TcpStream::connect(at).ok();
    process.wait_for(Duration::from_secs(30), "its port is not open", open)?;
    println!("qmesh q: {at}");
    for client in OF_Q.iter().filter(|c| only.is_empty() || only.iter().any(|name| name == c.name)) {
        let command = (client.command)(dir)?;
        verdict.join(run_script(&format!("{} and q", client.name), command, (at, at), truth, dir)?);
    }
    if let Some(status) = process.ended() {
        verdict.join(Verdict::failed(format!("qmesh q ended with {status}")));
    }
    if verdict.tally.failed > 0 {
        println!("--- the last lines of qmesh q\n{}", process.tail());
    }
    Ok(verdict)
}

/// Build `qmesh`, and write the gallery as a database.
fn build(work: &Path) -> Result<(), Error> {
    Shell::program("testkit-gallery")?.arg(work.join(GALLERY)).run()
}

/// The built `qmesh`.
fn program() -> PathBuf {
    tree::debug("qmesh")
}

/// Start `qmesh up` on the bundled database and on the gallery.
fn start_mesh(data: &Path, work: &Path, mode: &str) -> Result<Mesh, Error> {
    let mesh = Up::new(program()).db(data, "").db(work.join(GALLERY), "").env(COMPRESS, mode).start()?;
    println!("the mesh: QIPC {}, HTTP {}, {COMPRESS}={mode}", mesh.qipc(), mesh.http());
    Ok(mesh)
}

fn run_client(name: &str, command: Shell, mesh: &Mesh, truth: &Path, dir: &Path) -> Result<Verdict, Error> {
    run_script(name, command, (mesh.qipc(), mesh.http()), truth, dir)
}

/// Run a client's script against the addresses for QIPC and HTTP.
fn run_script(
    name: &str,
    command: Shell,
    (qipc, http): (SocketAddr, SocketAddr),
    truth: &Path,
    dir: &Path,
) -> Result<Verdict, Error> {
    println!("--- {name}");
    let command = command
        .env("QMESH_HOST", qipc.ip().to_string())
        .env("QMESH_QIPC_PORT", qipc.port().to_string())
        .env("QMESH_HTTP_PORT", http.port().to_string())
        .env("QMESH_TRUTH", truth)
        .env("QMESH_GALLERY", dir.join("gallery.json"))
        // Scripts are read from the tree, which stays as it is.
        .env("PYTHONDONTWRITEBYTECODE", "1");
    super::of_checks(&command, name)
}

fn python(dir: &Path, name: &str, script: &str) -> Result<Shell, Error> {
    let python = toolbox::python(&dir.join(format!("requirements-{name}.txt")))?;
    Ok(Shell::new(python).arg(dir.join(script)))
}

fn node(dir: &Path, script: &str) -> Result<Shell, Error> {
    let modules = toolbox::node(&dir.join("package.json"))?.join("node_modules");
    // The client uses Buffer in a way that newer versions of node warn about.
    let node = Shell::new("node").args(["--no-deprecation", "--max-old-space-size=6144"]);
    Ok(node.arg(dir.join(script)).env("NODE_PATH", modules))
}

fn kdb_codec(_: &Path) -> Result<Shell, Error> {
    Ok(Shell::new(toolbox::kdb_codec(&[])?.join("kdb-codec-client")))
}

/// A directory for one run, removed at its end.
struct Work(PathBuf);

impl Work {
    fn new() -> Result<Self, Error> {
        let name: OsString = format!("clients-{}", std::process::id()).into();
        let path = tree::target().join("xtask").join(name);
        std::fs::create_dir_all(&path).map_err(Error::file(&path))?;
        Ok(Work(path))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("xtask: {} stays: {error}", self.0.display());
        }
    }
}
