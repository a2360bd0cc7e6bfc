//! What processes say of their settings while they run: silence, noise, ports, logs, assembly files.

use std::{
    fs,
    io::Write,
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use testkit::Up;

use crate::{ask::qmesh, data::sample};

/// A process that runs for a while and is then told to stop; what it logs.
fn logged(role: &str, envs: &[(&str, &str)], time: Duration) -> String {
    let mut command = Command::new(qmesh());
    command.arg(role).env_clear().env("PATH", "/usr/bin:/bin").envs(envs.iter().copied());
    let mut process = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{role}: {e}"));
    sleep(time);
    assert!(process.try_wait().expect("a process").is_none(), "{role} ended");
    terminate(process.id());
    let output = process.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{role}: {output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn terminate(process: u32) {
    let kill = Command::new("kill").args(["-INT", &process.to_string()]).status().expect("kill runs");
    assert!(kill.success());
}

/// Nobody listens on port 1 of this machine.
const NOBODY: &str = "127.0.0.1:1";

#[test]
fn a_process_without_a_coordinator_says_so_once() {
    let free =
        [("GATEWAY_QIPC_PORT", "0"), ("GATEWAY_HTTP_PORT", "0"), ("KXI_PORT", "0"), ("QMESH_HTTP_PORT", "0")];
    let runs = [
        ("gateway", NOBODY),
        ("aggregator", NOBODY),
        ("data-access", NOBODY),
        ("gateway", "no.host.invalid:5050"),
    ];
    std::thread::scope(|scope| {
        for (role, rc) in runs {
            scope.spawn(move || {
                let envs = [&free[..], &[("KXI_SG_RC_ADDR", rc)]].concat();
                let said = logged(role, &envs, Duration::from_secs(6));
                let told: Vec<&str> =
                    said.lines().filter(|line| line.contains("WARN") && line.contains(rc)).collect();
                assert_eq!(told.len(), 1, "{role} {rc}: {said}");
            });
        }
        scope.spawn(move || {
            let envs = [&free[..], &[("QMESH_TICKERPLANT", NOBODY)]].concat();
            let said = logged("data-access", &envs, Duration::from_secs(6));
            let told = said.lines().filter(|line| line.contains("no tickerplant")).count();
            assert_eq!(told, 1, "{said}");
        });
    });
}

#[test]
fn the_end_of_up_is_quiet_and_a_reader_that_is_gone_does_not_end_it() {
    let mut command = Command::new(qmesh());
    let sample = sample().display().to_string();
    command
        .args(["up", "--qipc-port", "0", "--http-port", "0", "--db", &sample])
        .env_remove("KXI_LOG_LEVELS");
    let mut up = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    // Nobody reads what it prints: the pipe is closed before there is anything in it.
    drop(up.stdout.take());
    sleep(Duration::from_secs(4));
    assert!(up.try_wait().expect("a process").is_none(), "it serves on");
    terminate(up.id());
    let output = up.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_port_that_is_taken_is_told_with_the_flag_that_chooses_another() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its address").port().to_string();
    for (flag, other) in [("--qipc-port", "--http-port"), ("--http-port", "--qipc-port")] {
        let output = Command::new(qmesh()).args(["up", flag, &port, other, "0"]).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("choose another with {flag}")), "{said}");
    }
}

#[test]
fn up_listens_on_both_loopbacks_and_nowhere_else_unless_asked() {
    let mesh = Up::new(qmesh()).db(sample(), "").start().unwrap_or_else(|e| panic!("{e}"));
    let six = TcpListener::bind("[::1]:0").is_ok();
    for port in [mesh.qipc().port(), mesh.http().port()] {
        assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
        assert_eq!(TcpStream::connect(("::1", port)).is_ok(), six);
        // Another address of this machine is still free to be listened on.
        let other = TcpListener::bind(("127.0.0.2", port));
        assert!(other.is_ok(), "{other:?}");
    }
    drop(mesh);
    let mesh = Up::new(qmesh()).db(sample(), "").arg("--listen").arg("0.0.0.0").start();
    let mesh = mesh.unwrap_or_else(|e| panic!("{e}"));
    assert!(TcpStream::connect(("127.0.0.2", mesh.qipc().port())).is_ok());
}

#[test]
fn a_query_at_the_wrong_port_or_of_a_table_says_what_to_type() {
    let mesh = Up::new(qmesh()).db(sample(), "").start().unwrap_or_else(|e| panic!("{e}"));
    let ask = |args: &[&str]| {
        let output = Command::new(qmesh()).arg("query").args(args).output().expect("it runs");
        assert!(!output.status.success(), "{args:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let (qipc, http) = (mesh.qipc().to_string(), mesh.http().to_string());
    let said = ask(&["--gateway", &http, "--table", "trade"]);
    assert!(said.contains("answers in HTTP") && said.contains("--gateway takes the QIPC port"), "{said}");
    let said = ask(&["--gateway", &qipc, "trade"]);
    assert!(said.contains("qmesh query --table trade"), "{said}");
    let said = ask(&["--gateway", &qipc, "--table", "trad"]);
    assert!(said.contains("did you mean trade?") && said.contains("quote"), "{said}");
    let said = ask(&["--gateway", &qipc, ".KXI.getdata", "{}"]);
    assert!(said.contains("did you mean .kxi.getData?"), "{said}");
    let mut stream = TcpStream::connect(mesh.qipc()).expect("a connection");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").expect("written");
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("GATEWAY_HTTP_PORT"), "{answer}");
}

/// The assembly of KX's compose files: one data process with all three mounts, its folders not there yet.
#[test]
fn an_assembly_of_several_mounts_is_served_by_one_process() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = dir.path().display();
    let text = format!(
        "name: kdb Insights\nlabels: {{region: us}}\n\
         tables:\n  taxi:\n    type: partitioned\n    prtnCol: pickup\n    sortColsDisk: [vendor]\n    columns:\n\
         \x20     - {{name: vendor, type: symbol, attrDisk: parted}}\n      - {{name: pickup, type: timestamp}}\n\
         bus: {{stream: {{protocol: rt, topic: data}}}}\n\
         mounts:\n  rdb: {{type: stream, baseURI: 'file://stream', partition: none}}\n\
         \x20 idb: {{type: local, baseURI: 'file://{at}/db/idb', partition: ordinal}}\n\
         \x20 hdb: {{type: local, baseURI: 'file://{at}/db/hdb', partition: date}}\n\
         elements:\n  dap: {{instances: {{dap: {{mountList: [rdb, idb, hdb]}}}}}}\n  sm: {{source: stream, disableDiscovery: true}}\n"
    );
    let file = dir.path().join("assembly.yaml");
    fs::write(&file, text).expect("written");
    let mut cluster = crate::cluster::Cluster::new();
    cluster.first_coordinator(&[]);
    cluster.add("gw-0", &[]);
    cluster.add("agg-0", &[]);
    let file = file.display().to_string();
    let envs = [
        ("KXI_SC", "dap"),
        ("KXI_ASSEMBLY_FILE", file.as_str()),
        ("KXI_SECURE_ENABLED", "0"),
        ("KXI_LATE_DATA", "true"),
        ("KXI_SM_ADDR", "kxi-sm:10001"),
        ("RT_TOPIC_PREFIX", "rt-"),
        ("RT_REPLICAS", "1"),
        ("KXI_PORT", "0"),
        ("QMESH_HTTP_PORT", "0"),
        ("KXI_DA_START_SIDECARS", "true"),
        ("KXI_PACKAGES", "custom:1.0.0"),
    ];
    cluster.add("da-0", &envs);
    cluster.start_all();
    let until = Instant::now() + Duration::from_secs(60);
    let gateway = cluster.qipc().to_string();
    loop {
        let output = Command::new(qmesh())
            .args(["query", "--gateway", &gateway, "--format", "json", ".kxi.getMeta"])
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if ["rdb", "idb", "hdb"].iter().all(|tier| said.contains(&format!("\"instance\":\"{tier}\""))) {
            assert!(said.contains("taxi"), "{said}");
            break;
        }
        assert!(Instant::now() < until, "{said} {}", String::from_utf8_lossy(&output.stderr));
        sleep(Duration::from_millis(100));
    }
    assert!(dir.path().join("db/hdb").is_dir());
}

#[test]
fn log_records_are_those_of_kx_and_go_to_all_destinations() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("rc.log");
    let dest = format!("fd://stderr,file://{}", file.display());
    let envs = [
        ("KXI_PORT", "0"),
        ("QMESH_HTTP_PORT", "0"),
        ("KXI_LOG_FORMAT", "json"),
        ("KXI_LOG_DEST", dest.as_str()),
    ];
    let said = logged("coordinator", &envs, Duration::from_secs(1));
    assert_eq!(said, fs::read_to_string(&file).expect("a log"));
    assert!(!said.is_empty());
    for line in said.lines() {
        let record: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let time = record["time"].as_str().expect("a time");
        assert!(time.ends_with('z') && time.len() == 30 && record["component"] == "RC", "{line}");
        assert!(record["level"].is_string() && record["message"].is_string(), "{line}");
    }
}
