//! The corpus of hostile inputs, `tests/hostile`: one folder a kind, each input beside the sentence that it must give.
//!
//! | folder | an input is | it is given to |
//! | --- | --- | --- |
//! | `manifests` | `ROLE-what.env`, variables; `what.yaml`, an assembly file | a process of that role; a data process |
//! | `files` | `KIND-what`, the bytes of a file | the variable of that kind, or a database in place of a column |
//! | `bodies` | `what.json`, the body of `POST /data` | a running gateway |
//! | `messages` | `what.hex`, what follows the QIPC handshake; `raw-what.hex`, instead of it | a running gateway |
//!
//! The sentence of `what.ext` is the file `what.ext.says`: each of its lines is a part of what is said. An input
//! without sentence, and a sentence without input, fail. `QMESH_CORPUS_SHOW=1` prints what is said.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use kvalue::Value;
use testkit::{Mesh, Up};

use crate::{
    ask::{Asker, qmesh},
    data::{DAYS, TRADES, copy_of, sample},
};

const LIMIT: Duration = Duration::from_secs(30);

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/hostile")
}

/// The inputs of a kind, in the order of their names.
fn inputs(kind: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(corpus().join(kind)).unwrap_or_else(|e| panic!("tests/hostile/{kind}: {e}"));
    let mut all: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    all.sort();
    let (sentences, inputs): (Vec<PathBuf>, Vec<PathBuf>) =
        all.into_iter().partition(|path| path.extension().is_some_and(|e| e == "says"));
    for sentence in sentences {
        let of = sentence.with_extension("");
        assert!(inputs.contains(&of), "{} has no input", sentence.display());
    }
    assert!(!inputs.is_empty(), "tests/hostile/{kind} is empty");
    inputs
}

/// What an input says must hold each line of its sentence.
#[track_caller]
fn says(input: &Path, said: &str) {
    if std::env::var_os("QMESH_CORPUS_SHOW").is_some() {
        println!("{}\n    {}", input.display(), said.trim());
    }
    let beside = PathBuf::from(format!("{}.says", input.display()));
    let sentence = fs::read_to_string(&beside).unwrap_or_else(|e| panic!("{}: {e}", beside.display()));
    assert!(!sentence.trim().is_empty(), "{} is empty", beside.display());
    for part in sentence.lines().filter(|part| !part.trim().is_empty()) {
        assert!(said.contains(part), "{}: `{part}` is not in: {said}", input.display());
    }
}

fn name(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

/// Runs a process that must end with 2, before it listens; what it says.
fn refused(role: &str, envs: &[(String, String)]) -> String {
    let mut command = Command::new(qmesh());
    command.arg(role).env_clear().env("PATH", "/usr/bin:/bin");
    if role != "coordinator" && role != "up" {
        command.env("KXI_SG_RC_ADDR", "127.0.0.1:1");
    }
    let output = command.envs(envs.iter().cloned()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{role} {envs:?}: {said}");
    said
}

fn manifests() {
    for input in inputs("manifests") {
        let text = fs::read_to_string(&input).expect("text");
        let file = name(&input);
        let said = match file.strip_suffix(".env") {
            Some(what) => {
                let roles = ["gateway", "coordinator", "aggregator", "data-access", "up"];
                let role = roles.into_iter().find(|role| what.starts_with(role)).expect("a role in its name");
                let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
                let pair = |line: &str| line.split_once('=').map(|(n, v)| (n.to_string(), v.to_string()));
                refused(role, &lines.filter_map(pair).collect::<Vec<_>>())
            }
            None => {
                let vars = [("KXI_ASSEMBLY_FILE", input.display().to_string()), ("KXI_SC", "dap".into())];
                refused("data-access", &vars.map(|(n, v)| (n.to_string(), v)))
            }
        };
        says(&input, &said);
    }
}

async fn files() {
    for input in inputs("files") {
        let said = match name(&input).split_once('-') {
            Some(("log", _)) => {
                refused("coordinator", &[("KXI_LOG_CONFIG".into(), input.display().to_string())])
            }
            Some(("secret", _)) => {
                refused("coordinator", &[("QMESH_SECRET_FILE".into(), input.display().to_string())])
            }
            Some(("column", _)) => damaged(&fs::read(&input).expect("bytes")).await,
            _ => panic!("{}: no kind in its name", input.display()),
        };
        says(&input, &said);
    }
}

/// What a query of a column says that holds these bytes; the rest of the database is served.
async fn damaged(bytes: &[u8]) -> String {
    let db = copy_of(&[DAYS[0].0, DAYS[1].0]);
    fs::write(db.path().join(DAYS[0].0).join("trade/price"), bytes).expect("written");
    let mesh = start(db.path()).await;
    let asker = Asker::to(mesh.qipc()).await;
    let agg = Value::list([Value::syms(["top", "max", "price"])]);
    let answer = asker.get(vec![("table", Value::sym("trade")), ("agg", agg)]).await;
    assert_ne!(answer.rc, 0, "damage went unseen: {answer:?}");
    assert_eq!(asker.count("trade", vec![]).await.n(), TRADES);
    answer.ai
}

async fn start(db: &Path) -> Mesh {
    let up = Up::new(qmesh()).db(db, "").replicas(1).aggregators(1);
    crate::cluster::up(up).await
}

/// Sends a message behind the handshake; the frame that comes back, or nothing where the connection is closed.
fn exchange(to: SocketAddr, message: &[u8]) -> Vec<u8> {
    let mut stream = connected(to);
    stream.write_all(b"mallory:\x03\0").expect("a handshake");
    stream.read_exact(&mut [0]).expect("the gateway's version");
    // A gateway that has seen enough may close before all is written.
    let _ = stream.write_all(message);
    let mut head = [0; 8];
    if stream.read_exact(&mut head).is_err() {
        return Vec::new();
    }
    let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
    let mut body = vec![0; length.saturating_sub(8).min(1 << 20)];
    stream.read_exact(&mut body).expect("the rest of the answer");
    body
}

/// Sends bytes instead of a handshake; all that comes back.
fn raw(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connected(to);
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

fn connected(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("a connection");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    stream
}

fn bodies(http: SocketAddr) {
    for input in inputs("bodies") {
        let body = fs::read(&input).expect("bytes");
        let head = format!(
            "POST /data HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAccept: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let answer = raw(http, &[head.as_bytes(), &body].concat());
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(status.starts_with('4'), "{}: {answer}", input.display());
        says(&input, &answer);
    }
}

fn messages(qipc: SocketAddr) {
    for input in inputs("messages") {
        let text = fs::read_to_string(&input).expect("text");
        let digits: String = text.lines().map(|l| l.split('#').next().unwrap_or_default()).collect();
        let digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte =
            |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex");
        let bytes: Vec<u8> = digits.chunks(2).map(byte).collect();
        let answer = match name(&input).starts_with("raw-") {
            true => raw(qipc, &bytes),
            false => exchange(qipc, &bytes),
        };
        let said: String = match answer.is_empty() {
            true => "(closed without a byte)".into(),
            // Text stays text; what frames it does not matter here.
            false => {
                answer.iter().map(|b| if (0x20..0x7f).contains(b) { char::from(*b) } else { '.' }).collect()
            }
        };
        says(&input, &said);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_hostile_input_gives_its_sentence_and_costs_nobody_else_anything() {
    tokio::task::spawn_blocking(manifests).await.expect("manifests");
    files().await;
    let mesh = start(&sample()).await;
    let (qipc, http) = (mesh.qipc(), mesh.http());
    tokio::task::spawn_blocking(move || {
        bodies(http);
        messages(qipc);
    })
    .await
    .expect("bodies and messages");
    assert_eq!(Asker::to(qipc).await.count("trade", vec![]).await.n(), TRADES);
}
