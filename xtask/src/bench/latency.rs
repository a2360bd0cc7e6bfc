//! Bench of the way from a pod's change to the set of a GW and an RC, against kubectl's watch of the same API server: a
//! real network in own namespaces, so on Linux only.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::cluster::{Cluster, Enter, Kind, Options};
use testkit::{http, ports};

use super::report::{Bound, Row};
use super::setting;
use crate::e2e;
use crate::error::Error;

const PATIENCE: Duration = Duration::from_secs(120);

/// A process that ends with its handle.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(command: &mut Command) -> Result<Ended, Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let started = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
    started.map(Ended).map_err(|e| Error::Other(format!("cannot start {program}: {e}")))
}

/// When the number of ready pods that a process knows changed, and to what.
fn changes(enter: Enter, health: u16, of: &'static str) -> Receiver<(Instant, f64)> {
    let (tell, told) = channel();
    thread::spawn(move || {
        if enter.this_thread().is_err() {
            return;
        }
        let (metric, mut last) = (format!("qmesh_discovery_ready{{of=\"{of}\"}} "), None);
        loop {
            let text = http::get(ports::local(health), "/metrics").map(|(_, text)| text).unwrap_or_default();
            let value = text.lines().find_map(|l| l.strip_prefix(&metric)?.trim().parse::<f64>().ok());
            if let Some(value) = value.filter(|v| Some(*v) != last) {
                last = Some(value);
                if tell.send((Instant::now(), value)).is_err() {
                    return;
                }
            }
            thread::sleep(Duration::from_micros(500));
        }
    });
    told
}

/// The next change to this value.
fn next(of: &Receiver<(Instant, f64)>, value: f64, what: &str) -> Result<Instant, Error> {
    loop {
        let (at, now) = of.recv_timeout(PATIENCE).map_err(|e| Error::Other(format!("{what}: {e}")))?;
        if now == value {
            return Ok(at);
        }
    }
}

pub(super) fn pods(count: usize) -> Result<Vec<Row>, Error> {
    /// What the design allows beyond the API server's own latency.
    const MOST_MS: f64 = 50.0;
    let other = |e: &dyn std::fmt::Display| Error::Other(e.to_string());
    let options = Options { tools: e2e::cluster_programs()?, images: Vec::new(), kind: Kind::ApiOnly };
    let cluster = Cluster::start(options).map_err(|e| other(&e))?;
    let run = |args: &[&str]| -> Result<(), Error> {
        let done = cluster.kubectl().args(args).output().map_err(|e| other(&e))?;
        match done.status.success() {
            true => Ok(()),
            false => {
                Err(Error::Other(format!("kubectl {args:?}: {}", String::from_utf8_lossy(&done.stderr))))
            }
        }
    };
    let manifest: PathBuf = setting::work()?.join("pods-latency.json");
    let made = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", "labels": {"bench": "yes"}},
        "spec": {
            "automountServiceAccountToken": false,
            "containers": [{"name": "main", "image": "none", "ports": [{"name": "qipc", "containerPort": 5080}]}],
        },
    });
    std::fs::write(&manifest, made.to_string()).map_err(Error::file(&manifest))?;
    let _ = run(&["create", "serviceaccount", "default"]);
    run(&["apply", "-f", &manifest.display().to_string()])?;
    let flip = |ready: bool| {
        let status = if ready { "True" } else { "False" };
        // Nobody is there: what is ready is dialled, in vain.
        let patch = json!({"status": {
            "phase": "Running", "podIP": "10.123.0.1", "podIPs": [{"ip": "10.123.0.1"}],
            "conditions": [{"type": "Ready", "status": status}],
        }});
        run(&["patch", "pod", "one", "--subresource=status", "--type=merge", "-p", &patch.to_string()])
    };
    flip(false)?;
    let (rc, gw) = (ports::port(), ports::port());
    let start = |kind: &str, health: u16, selector: &str| {
        let mut command = cluster.enter().network(setting::qmesh()?);
        let health = health.to_string();
        command.arg(kind).envs([("KXI_NAME", kind), ("KXI_PORT", "0"), ("GATEWAY_QIPC_PORT", "0")]);
        command.envs([("QMESH_HTTP_PORT", &health), ("GATEWAY_HTTP_PORT", &health)]);
        command.env("KXI_SG_DISC", "kubernetes").env(selector, "bench=yes");
        command.env("KUBECONFIG", cluster.kubeconfig()).env("QMESH_RC_SETTLE", "0");
        spawn(command.stdout(Stdio::null()))
    };
    let _rc = start("coordinator", rc, "KXI_SG_DA_LABEL_SELECTOR")?;
    let _gw = start("gateway", gw, "KXI_SG_RC_LABEL_SELECTOR")?;
    let path = "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}{\"\\n\"}";
    let mut watch = cluster.kubectl();
    watch.args(["get", "pods", "-l", "bench=yes", "--watch", "-o", path]).stdout(Stdio::piped());
    let mut watch = spawn(&mut watch)?;
    let out = watch.0.stdout.take().ok_or_else(|| Error::Other("kubectl has no output".into()))?;
    let (tell, raw) = channel();
    thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            let value = f64::from(u8::from(line.trim() == "True"));
            if tell.send((Instant::now(), value)).is_err() {
                return;
            }
        }
    });
    let (rcs, gws) = (changes(cluster.enter(), rc, "dap"), changes(cluster.enter(), gw, "rc"));
    next(&raw, 0.0, "kubectl's watch")?;
    next(&rcs, 0.0, "the coordinator's set")?;
    next(&gws, 0.0, "the gateway's set")?;
    let (mut late_rc, mut late_gw) = (Vec::new(), Vec::new());
    for turn in 0..count.max(15) * 4 {
        let value = f64::from(u8::from(turn % 2 == 0));
        flip(turn % 2 == 0)?;
        let server = next(&raw, value, "kubectl's watch")?;
        let after = |at: Instant| at.saturating_duration_since(server).as_secs_f64() * 1e3;
        late_rc.push(after(next(&rcs, value, "the coordinator's set")?));
        late_gw.push(after(next(&gws, value, "the gateway's set")?));
    }
    let row = |what: &str, mut late: Vec<f64>| {
        late.sort_by(f64::total_cmp);
        let p99 = late[(late.len() * 99).div_ceil(100).saturating_sub(1)];
        let what =
            format!("a pod's readiness changes → set changed in {what}, after kubectl's watch saw it, p99");
        Row::stated(&what, "50", "ms", p99, MOST_MS, Bound::AtMost(1.0))
    };
    Ok(vec![row("RC", late_rc), row("GW", late_gw)])
}
